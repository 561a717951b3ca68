import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, expect, it } from "vitest";
import { createNode } from "../../src/create-node.ts";
import { A, B, failure, NativeRig } from "./native-rig.ts";

const CHILD = new URL("./second-start-child.mjs", import.meta.url).pathname;
const { node, own, keyDir, makeKey, place, atEnd } = new NativeRig();

/** Starts a process with this key directory; its first line is what came of it. */
function start(dir: string): { readonly child: ChildProcess; readonly said: Promise<string> } {
  const child = spawn(process.execPath, [CHILD, dir], { stdio: ["pipe", "pipe", "inherit"] });
  atEnd(() => void child.kill("SIGKILL"));
  const said = new Promise<string>((resolve) => {
    const lines = createInterface({ input: child.stdout });
    lines.once("line", resolve);
    lines.once("close", () => resolve("nothing"));
  });
  return { child, said };
}

async function kill(child: ChildProcess): Promise<void> {
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
}

const sockets = (dir: string) => readdirSync(dir).filter((name) => name.startsWith("running-"));

describe("a second start with the same key directory", () => {
  it("is refused while the first node runs, in the same process too, and works when it has closed", async () => {
    const first = await node(A, "strict");
    const refused = await failure(node(A, "strict"));
    expect(refused).toMatchObject({ code: "ERR_CONFIG", reason: "ALREADY_RUNNING" });
    expect(refused.message).toContain(keyDir(A));
    // Whatever the name: the key is the identity.
    expect(await failure(node(B, "strict", { identity: { dir: `${keyDir(A)}/` } }))).toMatchObject({
      reason: "ALREADY_RUNNING",
    });
    expect(sockets(keyDir(A))).toHaveLength(1);
    await first.close();
    expect(sockets(keyDir(A))).toEqual([]);
    await node(A, "strict");
  });

  it("is not kept out by one that failed to start", async () => {
    const bad = { listen: ["tls://127.0.0.1:1", "tls://127.0.0.1:1"], policy: { file: place("no such policy") } };
    expect(await failure(node(A, "strict", bad))).not.toMatchObject({ reason: "it worked" });
    expect(sockets(keyDir(A))).toEqual([]);
    await node(A, "strict");
  });

  it("is refused in another process, and works at once after a kill", async () => {
    await makeKey(A);
    const first = start(keyDir(A));
    expect(await first.said).toBe("running");
    expect(await start(keyDir(A)).said).toBe("ALREADY_RUNNING");
    expect(await failure(node(A, "strict"))).toMatchObject({ reason: "ALREADY_RUNNING" });
    await kill(first.child);
    const second = start(keyDir(A));
    expect(await second.said).toBe("running");
    // The file of the dead one is gone.
    expect(sockets(keyDir(A))).toHaveLength(1);
  });

  it("lets exactly one of many win, whatever a dead node left behind", async () => {
    await makeKey(A);
    for (let round = 0; round < 3; round++) {
      const all = Array.from({ length: 5 }, () => start(keyDir(A)));
      const said = await Promise.all(all.map((each) => each.said));
      expect(said.sort()).toEqual([...Array<string>(4).fill("ALREADY_RUNNING"), "running"]);
      await Promise.all(all.filter(({ child }) => child.exitCode === null).map(({ child }) => kill(child)));
    }
  });

  it("lets exactly one of many win in one process, and at first start", async () => {
    const all = await Promise.all(
      Array.from({ length: 8 }, () =>
        createNode({ name: A, epmd: "off", identity: { dir: keyDir(A), trust: "strict" } }).then(own, (error) => error),
      ),
    );
    const reasons = all.map((each) => ("reason" in each ? each.reason : "running"));
    expect(reasons.filter((reason) => reason === "running")).toHaveLength(1);
    expect(new Set(reasons)).toEqual(new Set(["running", "ALREADY_RUNNING"]));
  });

  it("is refused when the one that starts at the same moment never says what becomes of it", async () => {
    await makeKey(A);
    const mute = createServer(() => undefined);
    mute.listen(join(keyDir(A), "running-ffffffff"));
    await once(mute, "listening");
    atEnd(() => void mute.close());
    expect(await failure(node(A, "strict"))).toMatchObject({ reason: "ALREADY_RUNNING" });
  });

  it("is only warned of where no socket can be made", async () => {
    const deep = join(place(A), "d".repeat(100));
    mkdirSync(deep, { recursive: true, mode: 0o700 });
    const warnings: string[] = [];
    const lengthy = await node(A, "strict", { identity: { dir: deep } });
    lengthy.on("warning", ({ reason }) => void warnings.push(reason));
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    expect(warnings).toContain("LOCK_SKIPPED");
  });

  it("leaves files alone whose names are not those of its sockets", async () => {
    await makeKey(A);
    writeFileSync(join(keyDir(A), "running-notes"), "mine");
    chmodSync(join(keyDir(A), "running-notes"), 0o600);
    await node(A, "strict");
    expect(sockets(keyDir(A))).toContain("running-notes");
  });
});
