import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Node } from "../../src/node/api.ts";
import type { NodeOptions } from "../../src/node/options.ts";
import { makeRoom, PeerProcess } from "../barrel-peer/harness.ts";
import { Cli, type Document, documentOf, type Ran } from "./cli-process.ts";
import { A, B, NativeRig, nextRefusal } from "./native-rig.ts";

// Commands that dial over QUIC once and have no key directory, as processes, against nodes that listen on QUIC.

const COOKIE = "cookie-of-the-keyless-tests";
const OTHER_KEY = "SHA256:lBYeLvx9DJcincfQ9igWF9s3NQqmE4cTRXZRhQeQ6yQ";
const PEER = "peer@127.0.0.1";
const THROWAWAY = /^cli-[0-9a-f]{8}@/;
const rig = new NativeRig();

const acceptor = async (trust: "strict" | "tofu" = "tofu", extra: Partial<NodeOptions> = {}): Promise<Node> => {
  const node = await rig.node(A, trust, { cookie: COOKIE, quic: {}, listen: ["quic://127.0.0.1:0"], ...extra });
  node.register("echo", { call: (request) => request }, { allow: "cookie" });
  return node;
};

/** The directory that commands run in: home, settings, temporary files and all. It holds a cookie. */
function home(cookie: string = COOKIE): string {
  const made = rig.place("home");
  mkdirSync(made, { recursive: true });
  writeFileSync(join(made, "cookie"), cookie);
  return made;
}

const ENVIRONMENT = ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"];

function run(at: string, ...args: readonly string[]): Promise<Ran> {
  const places = [...ENVIRONMENT, "TMPDIR"].map((name) => [name, at]);
  return new Cli(at, [...args, "--cookie-file", "cookie"], Object.fromEntries(places)).ended;
}

const ask = async (at: string, ...args: readonly string[]): Promise<Document & { exit: number | null }> => {
  const ran = await run(at, ...args, "--json");
  return { ...documentOf(ran), exit: ran.code };
};

/** Everything below a directory. */
const below = (directory: string): readonly string[] => readdirSync(directory, { recursive: true }).map(String).sort();

const at = (node: Node): readonly string[] => ["--resolve", `${node.name}=${node.endpoints[0]}`];
const keyOf = (node: Node): string => node.identity?.fingerprint ?? "";

describe("a command over QUIC without a key directory", () => {
  it("has a key and a name for its life, and leaves nothing on the disk", async () => {
    const a = await acceptor();
    const seen: { readonly name: string; readonly key: string }[] = [];
    a.on("nodeup", ({ name, fingerprint, assurance }) => {
      seen.push({ name, key: fingerprint ?? "" });
      expect(assurance).toBe("cookie");
    });
    const dir = home();
    for (const _time of [1, 2]) {
      const { exit, result } = await ask(dir, "ping", A, ...at(a), "--peer-key", keyOf(a));
      expect(exit).toBe(0);
      expect(result).toMatchObject({ peer: A, protocol: "barrel", assurance: "pinned", fingerprint: keyOf(a) });
    }
    const [first, second] = seen;
    for (const each of seen) expect(each.name).toMatch(THROWAWAY);
    expect(first?.name).not.toBe(second?.name);
    expect(first?.key).not.toBe(second?.key);
    expect(first?.key).toMatch(/^SHA256:/);
    expect(below(dir)).toEqual(["cookie"]);
    // The other node remembers them among those that wait, which reserves no name, and pins neither.
    expect(a.identity?.waiting().map(({ name, fingerprint }) => ({ name, key: fingerprint }))).toEqual(seen);
    expect(below(rig.keyDir(A)).filter((path) => path.endsWith(".pub"))).toEqual(["node.pub"]);
  });

  it("calls, casts and asks the doctor, for people and as JSON", async () => {
    const a = await acceptor();
    const heard = new Promise((resolve) => a.register("ear", { cast: resolve }, { allow: "cookie" }));
    const dir = home();
    const known = ["--protocol", "barrel", ...at(a), "--peer-key", keyOf(a)];
    expect(await run(dir, "call", A, "echo", "{hello, 1}", ...known)).toEqual({ code: 0, out: "{hello,1}\n", err: "" });
    expect((await ask(dir, "call", A, "echo", "[1,2]", ...known)).result).toEqual({ term: "[1,2]" });
    expect((await ask(dir, "cast", A, "ear", "hello", ...known)).exit).toBe(0);
    expect(await heard).toMatchObject({ name: "hello" });
    const { exit, result } = await ask(dir, "doctor", "connect", A, ...known);
    expect({ exit, node: result["node"] }).toEqual({ exit: 0, node: expect.stringMatching(THROWAWAY) });
    expect(below(dir)).toEqual(["cookie"]);
  });

  it("is told the key of a node that nothing is known about, and dials it by its port when the key was added", async () => {
    const a = await acceptor();
    const dir = home();
    const ran = await run(dir, "ping", A, ...at(a));
    expect({ code: ran.code, out: ran.out }).toEqual({ code: 3, out: "" });
    const said = /add (--peer-key) (SHA256:\S+);/.exec(ran.err);
    expect(said?.[2]).toBe(keyOf(a));
    const { port } = new URL(a.endpoints[0] as string);
    const again = await ask(dir, "ping", `${A}:${port}`, "--protocol", "barrel", said?.[1] ?? "", said?.[2] ?? "");
    expect(again.result["assurance"]).toBe("pinned");
    const { error, exit } = await ask(dir, "ping", A, ...at(a));
    expect({ ...error, exit }).toMatchObject({ code: "ERR_DENIED", reason: "KEY_UNTRUSTED", peer: A, exit: 3 });
  });

  it("takes any key where that is asked for, says which it was, and keeps it nowhere", async () => {
    const a = await acceptor();
    const dir = home();
    const ran = await run(dir, "ping", A, ...at(a), "--trust", "tofu");
    expect({ code: ran.code, out: ran.out }).toMatchObject({ code: 0, out: expect.stringContaining("assurance tofu") });
    expect(ran.err).toMatch(/^warning: nothing was known about a@127\.0\.0\.1/);
    expect(ran.err).toContain(`--peer-key ${keyOf(a)}`);
    const { result } = await ask(dir, "ping", A, ...at(a), "--trust", "tofu");
    expect(result).toMatchObject({ assurance: "tofu", fingerprint: keyOf(a) });
    expect(below(dir)).toEqual(["cookie"]);
  });

  it("ends where the node shows another key than was said, in mode tofu too, and shows it no proof of the cookie", async () => {
    const a = await acceptor();
    const refused = nextRefusal(a);
    const { error, exit } = await ask(home(), "ping", A, ...at(a), "--peer-key", OTHER_KEY, "--trust", "tofu");
    expect({ ...error, exit }).toMatchObject({
      code: "ERR_DENIED",
      reason: "KEY_MISMATCH",
      stage: "identity",
      exit: 3,
    });
    expect((await refused).error.stage).toBe("identity");
  });

  it("is refused by a node that takes no strangers, and told that this key gets nowhere", async () => {
    const a = await acceptor("strict");
    const refused = nextRefusal(a);
    const dir = home();
    const known = [...at(a), "--peer-key", keyOf(a)];
    const { error, exit } = await ask(dir, "ping", A, ...known);
    expect({ ...error, exit }).toMatchObject({ code: "ERR_DENIED", stage: "identity", exit: 3 });
    expect(error["reason"]).toBe("REFUSED_BY_PEER");
    expect(error["advice"]).toContain("--key-dir");
    expect((await refused).error.reason).toBe("KEY_UNTRUSTED");
    expect(a.identity?.waiting()).toEqual([]);
    const { error: found, result } = await ask(dir, "doctor", "connect", A, ...known);
    expect(result["diagnosis"]).toMatchObject({ code: "KEY_UNTRUSTED", stage: "identity", fault: "local" });
    expect(found["advice"]).toMatch(/^on this node, cli-.*--key-dir/);
  });

  it("is refused with another cookie, and waits nowhere", async () => {
    const a = await acceptor();
    const { error, exit } = await ask(home("another-cookie-of-these-tests"), "ping", A, ...at(a), "--trust", "tofu");
    expect({ ...error, exit }).toMatchObject({
      code: "ERR_DENIED",
      reason: "SECRET_MISMATCH",
      stage: "cookie",
      exit: 3,
    });
    expect(a.identity?.waiting()).toEqual([]);
  });

  it("takes a name that was given, and warns that this key goes with it", async () => {
    const a = await acceptor();
    const up = new Promise((resolve) => a.on("nodeup", ({ name }) => resolve(name)));
    const ran = await run(home(), "ping", A, ...at(a), "--peer-key", keyOf(a), "--name", B);
    expect(await up).toBe(B);
    expect(ran).toMatchObject({
      code: 0,
      err: expect.stringMatching(/^warning: b@127\.0\.0\.1 has a key for this command/),
    });
  });

  it("takes neither name nor keys of a configuration whose node may not be asked, and touches none of its files", async () => {
    const a = await acceptor();
    const dir = home();
    const config = {
      name: B,
      quic: {},
      identity: { dir: "data/keys", trust: "tofu" },
      resolve: { [A]: a.endpoints[0] },
    };
    writeFileSync(join(dir, "sallyport.jsonc"), JSON.stringify(config));
    const up = new Promise<string>((resolve) => a.on("nodeup", ({ name }) => resolve(name)));
    const { error } = await ask(dir, "ping", A, "--no-control");
    expect(error["reason"]).toBe("KEY_UNTRUSTED");
    expect((await ask(dir, "ping", A, "--no-control", "--peer-key", keyOf(a))).exit).toBe(0);
    expect(await up).toMatch(new RegExp(`${THROWAWAY.source}${hostname().split(".")[0]}`));
    expect(below(dir)).toEqual(["cookie", "sallyport.jsonc"]);
  });

  it.each([
    ["a command that listens", ["ping", A, "--resolve", `${A}=quic://127.0.0.1:9`, "--listen", "quic://127.0.0.1:0"]],
    ["a node", ["start", "--protocol", "barrel"]],
  ] as const)("is not what %s can have: that needs a key that lasts", async (_what, args) => {
    const dir = home();
    const { error, exit } = await ask(dir, ...args);
    expect({ ...error, exit }).toMatchObject({ code: "ERR_CONFIG", reason: "QUIC_NEEDS_IDENTITY", exit: 2 });
    expect(below(dir)).toEqual(["cookie"]);
  });
});

describe("the same towards a node of barrel_p2p", () => {
  const room = (): { dir: string; cookieFile: string } => {
    const made = makeRoom(COOKIE);
    rig.atEnd(() => made.remove());
    return made;
  };
  const peer = async (trust: "strict" | "tofu"): Promise<{ peer: PeerProcess; known: readonly string[] }> => {
    const made = new PeerProcess(room(), PEER, ["--trust", trust]);
    rig.atEnd(() => made.stop());
    const known = ["--protocol", "barrel", "--resolve", `${PEER}=${await made.listen()}`];
    return { peer: made, known: [...known, "--peer-key", publicKey(made)] };
  };
  /** As its operator reads it out: the whole key. */
  const publicKey = (of: PeerProcess): string =>
    `ed25519:${readFileSync(join(of.keyDir, "node.pub")).toString("base64")}`;
  const pinsOf = (of: PeerProcess): readonly string[] => below(join(of.keyDir, "trusted"));

  it("is pinned there in mode tofu, each time under a name of its own", async () => {
    const { peer: there, known } = await peer("tofu");
    const dir = home();
    for (const _time of [1, 2]) {
      const { exit, result } = await ask(dir, "ping", PEER, ...known);
      expect({ exit, assurance: result["assurance"] }).toEqual({ exit: 0, assurance: "pinned" });
    }
    expect(pinsOf(there)).toHaveLength(2);
    for (const pin of pinsOf(there)) expect(pin).toMatch(THROWAWAY);
    expect(below(dir)).toEqual(["cookie"]);
  });

  it("is refused the second time under a name that was given, and told why", async () => {
    const { known } = await peer("tofu");
    const dir = home();
    const named = [...known, "--name", "me@127.0.0.1"];
    expect((await ask(dir, "ping", PEER, ...named)).exit).toBe(0);
    const { error, exit } = await ask(dir, "ping", PEER, ...named);
    expect({ ...error, exit }).toMatchObject({ reason: "REFUSED_BY_PEER", exit: 3 });
    expect(error["advice"]).toContain("leave --name out");
  });

  it("is refused there in mode strict", async () => {
    const { peer: there, known } = await peer("strict");
    const { error, exit } = await ask(home(), "ping", PEER, ...known);
    expect({ ...error, exit }).toMatchObject({
      code: "ERR_DENIED",
      reason: "REFUSED_BY_PEER",
      stage: "identity",
      exit: 3,
    });
    expect(error["advice"]).toContain("--key-dir");
    expect(pinsOf(there)).toEqual([]);
  });
});
