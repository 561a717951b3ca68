import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { freePort } from "../interop/erlang-node.ts";
import { ask, Cli, refused, runCli } from "./cli-process.ts";

const ROOT = mkdtempSync(join(tmpdir(), "sp-gate-"));
const running: Cli[] = [];

afterAll(async () => {
  await Promise.all(running.map((cli) => cli.kill("SIGKILL")));
  rmSync(ROOT, { recursive: true, force: true });
});

/** A folder with a configuration of its own. */
async function home(name: string, more: object = {}): Promise<string> {
  const folder = join(ROOT, name);
  mkdirSync(folder);
  const pair = {
    name: "desk",
    inside: { node: "desk@h", address: "tcp://127.0.0.1:9", cookie: { file: "in.cookie" } },
    outside: { nodes: ["shop@h"], listen: `tcp://127.0.0.1:${await freePort()}`, cookie: "the-cookie-of-the-outside" },
  };
  writeFileSync(join(folder, "in.cookie"), "the-cookie-of-the-inside");
  const config = { version: 1, pairs: [pair], dangerous: { plaintext: true }, ...more };
  writeFileSync(join(folder, "gateway.jsonc"), JSON.stringify(config, null, 2));
  return folder;
}

async function start(folder: string, ...args: readonly string[]): Promise<Cli> {
  const cli = new Cli(folder, ["gateway", ...args]);
  running.push(cli);
  await cli.says(/listening/);
  return cli;
}

describe("sallyport gateway --check", () => {
  it("says that a file can be taken, and binds nothing", async () => {
    const folder = await home("check");
    expect(await ask(folder, "gateway", "--check")).toMatchObject({ pairs: ["desk"] });
    await start(folder);
    expect(await runCli(folder, ["gateway", "--check"])).toMatchObject({
      code: 0,
      out: `${folder}/gateway.jsonc can be taken: desk\n`,
    });
  });

  it("says what is wrong, and where", async () => {
    const folder = await home("check-broken");
    rmSync(join(folder, "in.cookie"));
    const error = await refused(folder, "gateway", "--check");
    expect(error).toMatchObject({ exit: 2, code: "ERR_CONFIG", reason: "COOKIE_FILE_MISSING" });
    expect(error["message"]).toContain(`(pairs[0], desk) at ${folder}/gateway.jsonc:4:5`);
    writeFileSync(join(folder, "gateway.jsonc"), "");
    expect(await refused(folder, "gateway", "--check")).toMatchObject({ exit: 2, reason: "CONFIG_SYNTAX" });
    const none = await refused(folder, "gateway", "--config", "none.jsonc");
    expect(none).toMatchObject({ exit: 2, reason: "CONFIG_UNREADABLE" });
  });
});

describe("sallyport gateway", () => {
  it("prints where it listens and what is dangerous, and a refused connection with what to do about it", async () => {
    const folder = await home("print", { epmd: { outside: `127.0.0.1:${await freePort()}` } });
    const cli = await start(folder);
    const out = await cli.says(/PLAINTEXT/);
    expect(out).toMatch(/^\d\d:\d\d:\d\d listening as .*gateway\.jsonc says\n/);
    expect(out).toMatch(/desk: outside nodes dial desk@h at tcp:\/\/127\.0\.0\.1:\d+\n/);
    expect(out).toMatch(/port mapper for outside nodes at 127\.0\.0\.1:\d+\n/);
    const port = Number(/tcp:\/\/127\.0\.0\.1:(\d+)/.exec(out)?.[1]);
    for (let n = 0; n < 5; n++) await browse(port);
    await cli.says(/refused +desk: somebody from 127\.0\.0\.1:\d+ to desk@h: [^;]+; .+\n/);
    const { code, out: all } = await cli.kill("SIGTERM");
    expect(code).toBe(0);
    expect(all.match(/refused +desk: somebody from/g)).toHaveLength(3);
    expect(all).toMatch(/refused +desk: 2 more in a minute: somebody: [A-Z_]+\n/);
    expect(all).toMatch(
      /draining +no new connections; 0 sessions may go on for 30 s\n.*stopped +SIGTERM; 0 sessions ended/s,
    );
  });

  it("does not start twice with one control socket", async () => {
    const folder = await home("twice");
    await start(folder);
    expect(await refused(folder, "gateway")).toMatchObject({ exit: 2, reason: "CONTROL_IN_USE" });
  });

  it("is told apart from a node by those who ask", async () => {
    const folder = await home("asked");
    await start(folder);
    const error = await refused(folder, "status", "--control", "data/gateway.sock");
    expect(error).toMatchObject({
      exit: 2,
      reason: "CONTROL_OTHER_KIND",
      advice: expect.stringContaining("gateway status"),
    });
    expect(await ask(folder, "gateway", "status", "--control", "data/gateway.sock")).toMatchObject({
      state: "running",
    });
  });

  it("has no control socket where none is wanted", async () => {
    const folder = await home("unasked", { control: false });
    await start(folder);
    expect(await refused(folder, "gateway", "status")).toMatchObject({ exit: 2, reason: "CONTROL_NEEDED" });
  });

  it("lets go of ports and socket at a hand-over without sessions, and ends", async () => {
    const folder = await home("hand-over");
    const old = await start(folder, "--json");
    const next = ask(folder, "gateway", "drain", "--hand-over").then(() => start(folder, "--json"));
    expect((await old.ended).code).toBe(0);
    await next;
    expect(await ask(folder, "gateway", "status")).toMatchObject({ state: "running", pairs: [{ name: "desk" }] });
  });

  it("refuses what is no command of it", async () => {
    expect(await refused(ROOT, "gateway", "statos")).toMatchObject({
      exit: 2,
      message: expect.stringContaining('did you mean "status"?'),
    });
  });
});

/** Something that is no node; resolves when it was sent away. */
function browse(port: number): Promise<void> {
  const socket = connect({ host: "127.0.0.1", port });
  socket.on("error", () => undefined);
  socket.write("GET / HTTP/1.1\r\n\r\n");
  return new Promise((resolve) => socket.once("close", () => resolve()));
}
