import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { TestAuthority } from "../../src/testkit/certificates.ts";
import { testAuthority } from "../../src/testkit/real-test-authority.ts";
import { Cli } from "./cli-process.ts";

const COOKIE = "hunter2-cookie-of-the-files";

describe("sallyport with Erlang's files", () => {
  let home: string;
  let authority: TestAuthority;
  const nodes: Cli[] = [];

  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), "sallyport-erlang-files-"));
    authority = await testAuthority(join(home, "tls"));
    for (const name of ["shop@127.0.0.1", "cli@127.0.0.1"]) {
      const { certFile, keyFile } = await authority.issue(name);
      const side = `{cacertfile, "${authority.caFile}"}, {certfile, "${certFile}"}, {keyfile, "${keyFile}"}, {verify, verify_peer}`;
      writeFileSync(
        join(home, `${name}.conf`),
        `[{server, [${side}]}, {client, [${side}, {secure_renegotiate, true}]}].`,
      );
    }
    writeFileSync(
      join(home, "vm.args"),
      [
        "-name shop@127.0.0.1",
        "-setcookie ${COOKIE}",
        "-proto_dist inet_tls -ssl_dist_optfile shop@127.0.0.1.conf",
        "-kernel inet_dist_use_interface {127,0,0,1} inet_dist_listen_min 0 inet_dist_listen_max 0",
        "-no_epmd +P 5000",
      ].join("\n"),
    );
    writeFileSync(join(home, "cookie"), COOKIE);
  });
  afterAll(async () => {
    await Promise.all(nodes.map((node) => node.kill("SIGKILL")));
    rmSync(home, { recursive: true, force: true });
  });

  const cli = (args: readonly string[], environment: Readonly<Record<string, string>> = {}): Cli => {
    const process = new Cli(home, args, environment);
    nodes.push(process);
    return process;
  };

  it("start runs the node of a vm.args, and ping takes an option file; no secret is seen anywhere", async () => {
    const node = cli(["start", "--vm-args", "vm.args", "--json"], { COOKIE });
    await node.says(/"event":"listening".*\n/);
    const listening = node.events.find(({ event }) => event === "listening") ?? {};
    expect(listening).toMatchObject({
      name: "shop@127.0.0.1",
      endpoints: [expect.stringMatching(/^tls:\/\/127\.0\.0\.1:\d+$/)],
    });
    const address = String((listening["endpoints"] as string[])[0]).replace("tls://", "");
    const arguments_ = [
      "shop@127.0.0.1",
      "--resolve",
      `shop@127.0.0.1=${address}`,
      "--ssl-dist-optfile",
      "cli@127.0.0.1.conf",
    ];
    const ping = await cli(["ping", ...arguments_, "--cookie-file", "cookie", "--json"]).ended;
    expect(ping).toMatchObject({ code: 0, out: expect.stringContaining('"protocol":"otp"') });
    const wrong = await cli(["ping", ...arguments_, "--json"], { SALLYPORT_COOKIE: "hunter2-another-cookie" }).ended;
    expect(wrong).toMatchObject({ code: 3, out: expect.stringContaining("SECRET_MISMATCH") });
    const explained = await cli(["config", "explain", "--vm-args", "vm.args", "--json"], { COOKIE }).ended;
    expect(explained.code).toBe(0);
    const started = await node.kill("SIGTERM");
    expect(started).toMatchObject({ code: 0, out: expect.stringContaining("CONF_NO_EFFECT") });
    expect(started.out).toContain("VMARGS_IGNORED");
    for (const { out, err } of [started, ping, wrong, explained]) expect(out + err).not.toContain("hunter2");
  });

  it("refuses an unset variable and an empty cookie with exit 2, and says where", async () => {
    const unset = await cli(["start", "--vm-args", "vm.args", "--json"]).ended;
    expect(unset).toMatchObject({ code: 2, out: expect.stringContaining('"reason":"ENV_UNSET"') });
    expect(unset.out).toContain("vm.args:2:12");
    writeFileSync(join(home, "empty.args"), '-name a@127.0.0.1\n-setcookie ""\n');
    const empty = await cli(["config", "explain", "--vm-args", "empty.args"]).ended;
    expect(empty).toMatchObject({ code: 2, err: expect.stringContaining("empty.args:2:12") });
    const misspelt = readFileSync(join(home, "cli@127.0.0.1.conf"), "utf8").replace("verify,", "verfy,");
    writeFileSync(join(home, "misspelt.conf"), misspelt);
    const conf = await cli(["ping", "a@127.0.0.1", "--ssl-dist-optfile", "misspelt.conf"]).ended;
    expect(conf).toMatchObject({
      code: 2,
      err: expect.stringMatching(/misspelt\.conf:1:\d+: .*did you mean "verify"\?/),
    });
  });

  it("takes certificates that an option file names as they change, and says that the rest needs a restart", async () => {
    const node = cli(["start", "--vm-args", "vm.args", "--json"], { COOKIE });
    await node.says(/"event":"listening".*\n/);
    await authority.issue("shop@127.0.0.1");
    await node.says(/"event":"reload".*"what":"certificate".*"ok":true.*\n/);
    const vmArgs = readFileSync(join(home, "vm.args"), "utf8");
    writeFileSync(join(home, "vm.args"), `${vmArgs}\n# changed\n`);
    const said = await node.says(/RESTART_NEEDED.*\n/);
    expect(said).toMatch(/vm\.args\S* has changed and counts from the next start/);
    expect(await node.kill("SIGTERM")).toMatchObject({ code: 0 });
  });
});
