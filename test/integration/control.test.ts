import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ask, type Cli, configure, documentOf, type Fields, refused, runCli, start } from "./cli-process.ts";

const ROOT = realpathSync(mkdtempSync(join(tmpdir(), "sp-control-")));
const SHOP = "shop@127.0.0.1";
const DESK = "desk@127.0.0.1";
const SHOP_HOME = join(ROOT, "shop");
const DESK_HOME = join(ROOT, "desk");
const SOCKET = join(SHOP_HOME, "data/control.sock");

let shop: Cli;
let desk: Cli;

/** Writes the configuration of a node that trusts on first use. */
const configureTofu = (home: string, name: string, more: Fields = {}): void =>
  configure(home, name, { cookie: "0123456789abcdef0123", identity: { trust: "tofu" }, ...more });

/** A connection of its own to the socket: what came, and when it was closed. */
class Wire {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  text = "";
  #heard: () => void = () => undefined;

  constructor(path: string = SOCKET) {
    this.socket = connect(path);
    this.socket.on("error", () => undefined);
    this.socket.on("data", (chunk: Buffer) => {
      this.text += chunk.toString();
      this.#heard();
    });
    this.closed = new Promise((resolve) => this.socket.once("close", () => resolve()));
  }

  /** The lines that came, once there are so many. */
  async lines(count: number): Promise<Record<string, unknown>[]> {
    while (this.text.split("\n").length <= count) {
      await Promise.race([new Promise<void>((resolve) => (this.#heard = resolve)), this.closed]);
      if (this.socket.destroyed) break;
    }
    return this.text
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }
}

beforeAll(async () => {
  configureTofu(DESK_HOME, DESK);
  const started = await start(DESK_HOME, "--demo-services");
  desk = started.node;
  configureTofu(SHOP_HOME, SHOP, { resolve: { [DESK]: started.endpoint } });
  shop = (await start(SHOP_HOME)).node;
});

afterAll(async () => {
  await shop?.kill("SIGKILL");
  await desk?.kill("SIGKILL");
  rmSync(ROOT, { recursive: true, force: true });
});

describe("the control socket", () => {
  it("is for its owner alone", () => {
    expect(statSync(SOCKET).mode & 0o777).toBe(0o600);
    expect(statSync(join(SHOP_HOME, "data")).mode & 0o777).toBe(0o700);
  });

  it("tells what the node is, as JSON and to people", async () => {
    const { fingerprint } = await ask(SHOP_HOME, "keys", "show");
    expect(await ask(SHOP_HOME, "status")).toEqual({
      name: SHOP,
      creation: expect.any(Number),
      endpoints: [expect.stringMatching(/^tls:\/\/127\.0\.0\.1:\d+$/)],
      away: [],
      sessions: 0,
      fingerprint,
      trust: "tofu",
      state: "green",
      problems: [],
      seeds: [],
      policy: null,
      startedMs: expect.any(Number),
      warnings: [],
    });
    const human = await runCli(SHOP_HOME, ["status"]);
    expect(human).toMatchObject({ code: 0, err: "" });
    expect(human.out).toContain(`fingerprint  ${String(fingerprint)}\n`);
    expect(human.out).toContain(`name         ${SHOP}\n`);
    expect((await runCli(SHOP_HOME, ["peers"])).out).toBe("no sessions\n");
  });

  it("lets the running node do one-shot commands, over one session that stays", async () => {
    expect(await ask(SHOP_HOME, "ping", DESK)).toMatchObject({ peer: DESK, protocol: "native", assurance: "tofu" });
    expect(await ask(SHOP_HOME, "call", DESK, "calc", "{add, 1, 2}")).toEqual({ term: "{ok,3}" });
    expect(await ask(SHOP_HOME, "rpc", DESK, "demo", "add", "[1,2]")).toEqual({ term: "3" });
    expect(await ask(SHOP_HOME, "spawn", DESK, "sleep", "[1]")).toMatchObject({
      term: expect.stringContaining("#Pid"),
    });
    expect(await ask(SHOP_HOME, "cast", DESK, "counter", "{add, 5}")).toEqual({ term: "ok" });
    expect(await ask(SHOP_HOME, "send", DESK, "counter", "hello")).toEqual({ term: "ok" });
    const up = desk.events.filter(({ event }) => event === "nodeup");
    expect(up.map(({ peer }) => peer)).toEqual([SHOP]);
    expect(await ask(SHOP_HOME, "peers")).toMatchObject({
      peers: [
        {
          name: DESK,
          protocol: "native",
          assurance: "tofu",
          fingerprint: expect.stringMatching(/^SHA256:/),
          address: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
          sinceMs: expect.any(Number),
        },
      ],
    });
    const table = (await runCli(SHOP_HOME, ["peers"])).out.split("\n");
    expect(table[0]).toMatch(/^NAME +PROTOCOL +ASSURANCE +FINGERPRINT +ADDRESS +SINCE$/);
    expect(table[1]).toMatch(/^desk@127\.0\.0\.1 +native +tofu +SHA256:\S+ +127\.0\.0\.1:\d+ +\d{4}-\S+Z$/);
  });

  it("brings failures back as they are, with their exit codes", async () => {
    expect(await refused(SHOP_HOME, "call", DESK, "nobody", "x")).toMatchObject({
      exit: expect.toSatisfy((exit: unknown) => exit === 1 || exit === 3),
    });
    expect(await refused(SHOP_HOME, "rpc", DESK, "demo", "sleep", "[60000]", "--timeout", "300")).toMatchObject({
      exit: 4,
      code: "ERR_DEADLINE",
    });
    expect(await refused(SHOP_HOME, "ping", "none@127.0.0.1", "--timeout", "500")).toMatchObject({ exit: 4 });
  });

  it.each([
    ["--resolve", `${DESK}=127.0.0.1:1`],
    ["--protocol", "barrel"],
    ["--protocol", "native"],
    ["--protocol", "otp"],
  ])("refuses what it cannot take over: %s %s", async (option, value) => {
    const { message, advice, ...error } = await refused(SHOP_HOME, "ping", DESK, option, value);
    expect(error).toMatchObject({ exit: 2, reason: "CONTROL_OPTIONS" });
    expect(message).toContain(`cannot take ${option} over`);
    expect(advice).toContain(`leave ${option} out`);
    expect(await refused(SHOP_HOME, "doctor", "connect", DESK, option, value)).toMatchObject({ exit: 2 });
  });

  it("takes --protocol auto, which is what it does anyway", async () => {
    expect(await ask(SHOP_HOME, "ping", DESK, "--protocol", "auto")).toMatchObject({ protocol: "native" });
  });

  it("says that no node runs", async () => {
    const path = join(ROOT, "nothing.sock");
    expect(await refused(ROOT, "status", "--control", path)).toMatchObject({ exit: 4, reason: "NODE_NOT_RUNNING" });
    await runCli(ROOT, ["init", "quiet", "--name", "quiet@127.0.0.1"]);
    expect(await refused(join(ROOT, "quiet"), "peers")).toMatchObject({ exit: 4, reason: "NODE_NOT_RUNNING" });
  });

  it("says that nothing names a node, which is a mistake of the command line", async () => {
    const unnamed = { exit: 2, code: "ERR_CONFIG", reason: "CONTROL_NEEDED" };
    for (const command of [["status"], ["health"], ["peers"], ["grants", "list"], ["policy", "reload"]])
      expect(await refused(ROOT, ...command)).toMatchObject(unnamed);
    expect(await refused(SHOP_HOME, "status", "--no-control")).toMatchObject(unnamed);
  });
});

describe("the place of the socket", () => {
  it("belongs to one node at a time", async () => {
    const second = await runCli(SHOP_HOME, ["start", "--json"]);
    expect(second.code).toBe(2);
    expect(documentOf(second).error).toMatchObject({ code: "ERR_CONFIG", reason: "CONTROL_IN_USE" });
    expect(await ask(SHOP_HOME, "status")).toMatchObject({ name: SHOP });
  });

  it("is taken over from a process that was killed, and left clean by one that was stopped", async () => {
    const home = join(ROOT, "phoenix");
    configureTofu(home, "phoenix@127.0.0.1");
    const socket = join(home, "data/control.sock");
    const first = await start(home);
    await first.node.kill("SIGKILL");
    expect(existsSync(socket)).toBe(true);
    expect(await refused(home, "status")).toMatchObject({ exit: 4, reason: "NODE_NOT_RUNNING" });
    const second = await start(home);
    expect(await ask(home, "status")).toMatchObject({ name: "phoenix@127.0.0.1" });
    expect((await second.node.kill("SIGTERM")).code).toBe(0);
    expect(existsSync(socket)).toBe(false);
  });

  it("is not in a directory that others may enter, for node and client alike", async () => {
    const home = join(ROOT, "open");
    configureTofu(home, "open@127.0.0.1");
    mkdirSync(join(home, "data"), { mode: 0o700 });
    chmodSync(join(home, "data"), 0o755);
    const ran = await runCli(home, ["start", "--json"]);
    expect(ran.code).toBe(3);
    expect(documentOf(ran).error).toMatchObject({ code: "ERR_DENIED", reason: "CONTROL_DIRECTORY" });
    const trap = createServer();
    await new Promise<void>((resolve) => trap.listen(join(home, "data/control.sock"), resolve));
    expect(await refused(home, "status")).toMatchObject({ exit: 3, reason: "CONTROL_DIRECTORY" });
    trap.close();
  });

  it("is no other file, which stays as it is", async () => {
    const home = join(ROOT, "file");
    configureTofu(home, "file@127.0.0.1");
    mkdirSync(join(home, "data"), { mode: 0o700 });
    writeFileSync(join(home, "data/control.sock"), "mine");
    const ran = await runCli(home, ["start", "--json"]);
    expect(documentOf(ran).error).toMatchObject({ code: "ERR_CONFIG", reason: "CONTROL_PATH" });
    expect(readFileSync(join(home, "data/control.sock"), "utf8")).toBe("mine");
  });
});

describe("hostile clients", () => {
  it("get one answer to garbage or a line without end, and are cut", async () => {
    for (const bytes of [
      "garbage\n",
      "\u0000\n",
      "x".repeat(70_000),
      `${JSON.stringify({ id: 1, op: "status", args: { x: "y".repeat(70_000) } })}\n`,
    ]) {
      const wire = new Wire();
      wire.socket.write(bytes);
      const [answer] = await wire.lines(1);
      expect(answer).toMatchObject({
        id: null,
        ok: false,
        error: { reason: bytes.length > 65_536 ? "CONTROL_LINE" : "CONTROL_REQUEST" },
      });
      await wire.closed;
    }
    expect(await ask(SHOP_HOME, "status")).toMatchObject({ name: SHOP });
  });

  it("learn that an operation is unknown, and may go on", async () => {
    const wire = new Wire();
    wire.socket.write('{"id":1,"op":"exit"}\n{"id":2,"op":"status"}\n');
    expect(await wire.lines(2)).toMatchObject([
      { id: 1, ok: false, error: { reason: "CONTROL_UNKNOWN_OP" } },
      { id: 2, ok: true, result: { name: SHOP } },
    ]);
    wire.socket.destroy();
  });

  it("hold no more than sixteen places, also with half lines", async () => {
    const wires = Array.from({ length: 100 }, () => new Wire());
    for (const { socket } of wires) socket.write('{"id":1,"op":"st');
    const cut = wires.map(async (wire) => {
      await wire.closed;
      return wire;
    });
    const first: Wire[] = [];
    const gone: Wire[] = [];
    for (const wire of cut) void wire.then((done) => gone.push(done));
    while (gone.length < 84) await new Promise((resolve) => setTimeout(resolve, 10));
    first.push(...wires.filter(({ socket }) => !socket.destroyed));
    expect(first).toHaveLength(16);
    for (const { text } of gone) {
      if (text !== "")
        expect(JSON.parse(text)).toMatchObject({ id: null, ok: false, error: { reason: "CONTROL_BUSY" } });
    }
    expect(await refused(SHOP_HOME, "status")).toMatchObject({
      reason: expect.stringMatching(/^CONTROL_(BUSY|CLOSED)$/),
    });
    for (const { socket } of first) socket.write('atus"}\n');
    for (const wire of first) expect(await wire.lines(1)).toMatchObject([{ id: 1, ok: true }]);
    for (const { socket } of first) socket.destroy();
    await Promise.all(cut);
    expect(await ask(SHOP_HOME, "status")).toMatchObject({ name: SHOP });
  });
});

describe("keys and trust beside a running node", () => {
  it("cuts the session of a revoked key within a second", async () => {
    await ask(SHOP_HOME, "ping", DESK);
    const startedAt = Date.now();
    expect(await ask(SHOP_HOME, "trust", "revoke", DESK)).toMatchObject({ name: DESK, changed: true, node: "told" });
    // With the start of a process on a busy machine.
    expect(Date.now() - startedAt).toBeLessThan(3000);
    expect(await ask(SHOP_HOME, "peers")).toEqual({ peers: [] });
    expect(await refused(SHOP_HOME, "ping", DESK)).toMatchObject({ exit: 3 });
    const { keys } = await ask(SHOP_HOME, "trust", "list");
    expect(keys).toEqual([expect.objectContaining({ name: DESK, level: "revoked", origin: "first-use" })]);
  });

  it("makes the running node take a new pair, and go back", async () => {
    const before = await ask(SHOP_HOME, "keys", "show");
    const rotated = await ask(SHOP_HOME, "keys", "rotate");
    expect(rotated).toMatchObject({ oldFingerprint: before["fingerprint"], node: "told" });
    expect(statSync(String(rotated["backup"])).mode & 0o777).toBe(0o700);
    expect(await ask(SHOP_HOME, "status")).toMatchObject({ fingerprint: rotated["fingerprint"] });
    expect(await ask(SHOP_HOME, "keys", "rollback")).toMatchObject({
      fingerprint: before["fingerprint"],
      node: "told",
    });
    expect(await ask(SHOP_HOME, "status")).toMatchObject({ fingerprint: before["fingerprint"] });
  });
});

describe("keys and trust on files alone", () => {
  const ADA = join(ROOT, "ada");
  const BOB = join(ROOT, "bob");

  beforeAll(async () => {
    configureTofu(ADA, "ada@h.example");
    configureTofu(BOB, "bob@h.example");
    await ask(ADA, "keys", "init");
    await ask(BOB, "keys", "init");
  });

  it("makes a pair once, and never shows its secret half", async () => {
    expect(await refused(ADA, "keys", "init")).toMatchObject({ exit: 2, reason: "KEY_EXISTS" });
    const seed = readFileSync(join(ADA, "data/keys/node.key"));
    expect(statSync(join(ADA, "data/keys/node.key")).mode & 0o777).toBe(0o600);
    for (const args of [["show"], ["show", "--json"], ["export"], ["rotate"], ["rollback"]]) {
      const { code, out, err } = await runCli(ADA, ["keys", ...args]);
      expect(code).toBe(0);
      for (const form of ["hex", "base64", "base64url"] as const)
        expect(`${out}${err}`).not.toContain(seed.toString(form));
    }
    expect(await refused(ROOT, "keys", "show", "--key-dir", "none")).toMatchObject({ exit: 2, reason: "KEY_MISSING" });
    expect(await refused(ROOT, "keys", "rotate", "--key-dir", join(ADA, "data/keys"))).toMatchObject({
      exit: 2,
      reason: "NAME_NEEDED",
    });
  });

  it("pins what another node exports, and a different key only by --replace", async () => {
    const { out } = await runCli(BOB, ["keys", "export"]);
    const file = join(ROOT, "bob.key");
    writeFileSync(file, out);
    const { pins: would } = await ask(ADA, "keys", "import", file, "--dry-run");
    expect(would).toEqual([{ name: "bob@h.example", fingerprint: expect.stringMatching(/^SHA256:/), action: "added" }]);
    expect(await ask(ADA, "trust", "list")).toMatchObject({ keys: [] });
    expect(await ask(ADA, "keys", "import", file)).toMatchObject({ pins: would, node: "none" });
    expect(await ask(ADA, "keys", "import", file)).toMatchObject({ pins: [{ action: "unchanged" }] });
    expect(await ask(ADA, "trust", "list")).toMatchObject({
      keys: [{ name: "bob@h.example", level: "pinned", origin: "operator" }],
    });
    await ask(BOB, "keys", "rotate");
    writeFileSync(file, (await runCli(BOB, ["keys", "export"])).out);
    expect(await refused(ADA, "keys", "import", file)).toMatchObject({ exit: 2, reason: "PIN_EXISTS" });
    expect(await ask(ADA, "keys", "import", file, "--replace")).toMatchObject({ pins: [{ action: "replaced" }] });
    expect(await refused(BOB, "trust", "add", "bob@h.example", out.split(" ")[1]?.trim() ?? "")).toMatchObject({
      exit: 3,
      reason: "OWN_IDENTITY",
    });
  });

  it("imports all of a file or nothing", async () => {
    const file = join(ROOT, "half.key");
    const good = "carl@h.example ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    const zero = `dora@h.example ed25519:${Buffer.alloc(32).toString("base64")}`;
    const before = await ask(ADA, "trust", "list");
    for (const [text, reason] of [
      [`${good}\n${zero}\n`, "KEY_SMALL_ORDER"],
      [`${good}\n${good.replace("carl", "eve")}\n`, "KEY_REUSED"],
      [`${good}\nrubbish\n`, "KEY_LINE_INVALID"],
    ] as const) {
      writeFileSync(file, text);
      expect(await refused(ADA, "keys", "import", file)).toMatchObject({ reason });
    }
    expect(await ask(ADA, "trust", "list")).toEqual(before);
  });

  it("imports a bundle from a signer that is known or named", async () => {
    const carl = join(ROOT, "carl");
    configureTofu(carl, "carl@h.example");
    await ask(carl, "keys", "init");
    writeFileSync(join(ROOT, "ada.key"), (await runCli(ADA, ["keys", "export"])).out);
    const key = (await ask(carl, "keys", "show"))["publicKey"];
    const { bundle, signer } = await ask(
      BOB,
      "keys",
      "export",
      "--bundle",
      join(ROOT, "ada.key"),
      `carl@h.example=${key}`,
    );
    const file = join(ROOT, "cluster.bundle");
    writeFileSync(file, String(bundle));
    expect(await refused(carl, "keys", "import", file)).toMatchObject({ exit: 3, reason: "BUNDLE_SIGNER" });
    expect(await ask(carl, "trust", "list")).toMatchObject({ keys: [] });
    expect(await ask(carl, "keys", "import", file, "--signer", String(signer))).toMatchObject({
      signer,
      pins: [
        { name: "ada@h.example", action: "added" },
        { name: "bob@h.example", action: "added" },
        { name: "carl@h.example", action: "own" },
      ],
    });
    writeFileSync(file, String(bundle).replace("ada@", "abe@"));
    expect(await refused(ADA, "keys", "import", file)).toMatchObject({ exit: 3, reason: "BUNDLE_SIGNATURE" });
  });

  it("writes an invite into a file for its owner alone, and never twice", async () => {
    const out = join(ROOT, "invite.txt");
    const told = await ask(ADA, "keys", "invite", "carl@h.example", "--ttl", "30m", "--out", out);
    expect(told).toMatchObject({ file: out, invitee: "carl@h.example", acceptor: "ada@h.example" });
    expect(JSON.stringify(told)).not.toContain("sallyport-invite");
    expect(statSync(out).mode & 0o777).toBe(0o600);
    expect(readFileSync(out, "utf8")).toMatch(/^sallyport-invite:\S+\n$/);
    expect(await refused(ADA, "keys", "invite", "carl@h.example", "--out", out)).toMatchObject({
      reason: "FILE_NOT_WRITTEN",
    });
    const { invites } = await ask(ADA, "keys", "invites");
    expect(invites).toEqual([expect.objectContaining({ invitee: "carl@h.example", expiresMs: told["expiresMs"] })]);
    expect(JSON.stringify(invites)).not.toContain("secret");
    const [{ id }] = invites as [{ id: string }];
    expect((await runCli(ADA, ["keys", "invites"])).out).toContain(id);
    expect(await ask(ADA, "keys", "invites", "--withdraw", id)).toMatchObject({ withdrawn: id, invites: [] });
    expect(await refused(ADA, "keys", "invites", "--withdraw", id)).toMatchObject({ reason: "INVITE_NOT_FOUND" });
    expect(await refused(ADA, "keys", "invite", "carl@h.example", "--ttl", "8d")).toMatchObject({
      reason: "INVITE_TTL",
    });
  });

  it("removes and revokes by name, and revokes by fingerprint", async () => {
    const key = "ed25519:PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=";
    const { fingerprint } = await ask(ADA, "trust", "add", "zoe@h.example", key);
    expect(await ask(ADA, "trust", "remove", "zoe@h.example")).toMatchObject({ fingerprint, changed: true });
    expect(await refused(ADA, "trust", "remove", "zoe@h.example")).toMatchObject({ exit: 2, reason: "PIN_NOT_FOUND" });
    expect(await refused(ADA, "trust", "revoke", "zoe@h.example")).toMatchObject({ exit: 2, reason: "PIN_NOT_FOUND" });
    expect(await ask(ADA, "trust", "revoke", String(fingerprint))).toMatchObject({ changed: true });
    expect(await ask(ADA, "trust", "revoke", String(fingerprint))).toMatchObject({ changed: false });
    expect(await refused(ADA, "trust", "add", "zoe@h.example", key)).toMatchObject({ exit: 3, reason: "KEY_REVOKED" });
    expect(await refused(ADA, "trust", "promote", "zoe@h.example")).toMatchObject({ exit: 2, reason: "PIN_NOT_FOUND" });
  });
});
