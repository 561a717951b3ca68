import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseNodeName } from "../../src/base/node-name.ts";
import { createNode } from "../../src/create-node.ts";
import { rotateNodeKey } from "../../src/identity/key-rotation.ts";
import type { Node } from "../../src/node/api.ts";
import { rotateOwnCertificate } from "../../src/node/certificate-rotation.ts";
import type { NodeOptions } from "../../src/node/options.ts";
import { RealClock } from "../../src/system/real-clock.ts";
import { RealFiles } from "../../src/system/real-files.ts";
import { RealIdentityCrypto } from "../../src/system/real-identity-crypto.ts";
import { RealRandom } from "../../src/system/real-random.ts";
import { Cli } from "./cli-process.ts";
import { engines } from "./engine-processes.ts";
import { A, B, failure, NativeRig } from "./native-rig.ts";

// Two nodes that know each other over QUIC, with the real engine in a process of its own.

const COOKIE = "cookie-of-the-quic-tests";
const rig = new NativeRig();
const QUIC = { cookie: COOKIE, quic: {}, tickTimeMs: 60_000 } as const;

const acceptor = async (trust: "strict" | "tofu" = "tofu", extra: Partial<NodeOptions> = {}): Promise<Node> => {
  const node = await rig.node(A, trust, { ...QUIC, listen: ["quic://127.0.0.1:0"], ...extra });
  node.register("echo", { call: (request) => request }, { allow: "cookie" });
  return node;
};
const dialler = (to: Node, trust: "strict" | "tofu" = "tofu", extra: Partial<NodeOptions> = {}): Promise<Node> =>
  rig.node(B, trust, { ...QUIC, listen: [], resolve: { [A]: to.endpoints[0] as string }, ...extra });
const echo = { name: "echo", node: A };
const firstUse = (who: string): readonly string[] => {
  const place = join(rig.keyDir(who), "first-use");
  return existsSync(place) ? readdirSync(place).filter((name) => name.endsWith(".pub")) : [];
};

/** As an operator who puts the key of `whose` into the book of revoked ones. */
function revoke(at: string, whose: string): void {
  const key = readFileSync(join(rig.keyDir(whose), "node.pub"));
  mkdirSync(join(rig.keyDir(at), "revoked"), { recursive: true, mode: 0o700 });
  writeFileSync(join(rig.keyDir(at), "revoked", createHash("sha256").update(key).digest("hex")), "");
}

/** Those that this process has started since: one of before, or of another file of tests, may still be leaving. */
const enginesSince = (before: readonly number[]): readonly number[] => engines().filter((pid) => !before.includes(pid));

describe("two nodes over QUIC", () => {
  it("call each other, whatever the size, and know each other by key on the side that dialled", async () => {
    const a = await acceptor();
    const b = await dialler(a);
    b.register("echo", { call: (request) => request }, { allow: "tofu" });
    expect(a.endpoints[0]).toMatch(/^quic:\/\/127\.0\.0\.1:\d+$/);
    for (const size of [0, 1_000, 70_000, 3_000_000]) {
      const bytes = Buffer.alloc(size, size % 251);
      const answer = await b.call(echo, bytes);
      const back = await a.call({ name: "echo", node: B }, bytes);
      expect([answer, back].map((each) => bytes.equals(each as Buffer))).toEqual([true, true]);
    }
    const [seenByB, seenByA] = [b.peers()[0], a.peers()[0]];
    expect(seenByB).toMatchObject({
      name: A,
      protocol: "barrel",
      assurance: "tofu",
      fingerprint: a.identity?.fingerprint,
    });
    expect(seenByA).toMatchObject({
      name: B,
      protocol: "barrel",
      assurance: "cookie",
      fingerprint: b.identity?.fingerprint,
    });
    // A first contact that we dialled is pinned; whoever dials us is not.
    expect(firstUse(B)).toEqual([`${A}.pub`]);
    expect(firstUse(A)).toEqual([]);
  });

  it("give a provisioned key its level on the side that dialled, and never more than the cookie on the other", async () => {
    await rig.acquainted(A, B);
    const a = await acceptor("strict");
    const b = await dialler(a, "strict");
    expect(await b.call(echo, 1)).toBe(1);
    expect(b.peers()[0]).toMatchObject({ assurance: "pinned" });
    expect(a.peers()[0]).toMatchObject({ assurance: "cookie" });
  });

  it.each([
    ["a key that is not pinned", "KEY_UNTRUSTED", "strict"],
    ["a key other than the pinned one", "KEY_MISMATCH", "tofu"],
  ] as const)("end with %s on both sides, named where it was found", async (_what, reason, trust) => {
    await rig.makeKey(B);
    const a = await acceptor();
    if (reason === "KEY_MISMATCH") rig.pin(B, B, A);
    const b = await dialler(a, trust);
    const refusedByA = new Promise((resolve) => a.on("refused", ({ error }) => resolve(error.reason)));
    expect(await failure(b.call(echo, 1))).toMatchObject({ code: "ERR_DENIED", reason });
    expect(await refusedByA).toMatch(/CLOSED_DURING_HANDSHAKE|BARREL_STREAM_ENDED/);
  });

  it("pin nobody who has not the cookie", async () => {
    const a = await acceptor();
    const b = await dialler(a, "tofu", { cookie: "another-cookie-of-the-tests" });
    expect(await failure(b.call(echo, 1))).toMatchObject({ code: "ERR_DENIED" });
    expect(b.peers()).toEqual([]);
    expect([firstUse(A), firstUse(B)]).toEqual([[], []]);
  });

  it.each([
    ["by the side that dialled", B, A],
    ["by the side that was dialled", A, B],
  ])("end when a key is revoked %s", async (_by, at, whose) => {
    await rig.acquainted(A, B);
    const a = await acceptor("strict");
    const b = await dialler(a, "strict");
    expect(await b.call(echo, 1)).toBe(1);
    const downs = [a, b].map((node) => new Promise((resolve) => node.on("nodedown", (_peer, why) => resolve(why))));
    revoke(at, whose);
    expect(await downs[at === A ? 0 : 1]).toBe("TRUST_WITHDRAWN");
    await Promise.all(downs);
    expect(await failure(b.call(echo, 1))).toMatchObject({ code: "ERR_DENIED" });
  });

  it("go on after their engines were killed, with a warning and new sessions", async () => {
    const before = engines();
    const a = await acceptor();
    const b = await dialler(a);
    expect(await b.call(echo, 1)).toBe(1);
    const warned = new Promise((resolve) =>
      b.on("warning", ({ reason }) => reason.startsWith("QUIC_") && resolve(reason)),
    );
    const down = new Promise((resolve) => b.on("nodedown", (_peer, why) => resolve(why)));
    expect(enginesSince(before)).toHaveLength(2);
    for (const pid of enginesSince(before)) process.kill(pid, "SIGKILL");
    expect(await down).toBe("QUIC_ENGINE_LOST");
    expect(await warned).toBe("QUIC_ENGINE_RESTART");
    await expect.poll(() => b.call(echo, 2).catch((error: Error) => error.message), { timeout: 30_000 }).toBe(2);
  });
});

describe("a node whose QUIC engine was killed", () => {
  it("is not ready until its listener is back, which it tells", async () => {
    const before = engines();
    const a = await acceptor();
    const warned = (wanted: string): Promise<unknown> =>
      new Promise((resolve) => a.on("warning", ({ reason, message }) => reason === wanted && resolve(message)));
    const [restart, back] = [warned("QUIC_ENGINE_RESTART"), warned("QUIC_LISTENER_BACK")];
    expect(a.vitals()).toMatchObject({ state: "green", isReady: true, away: [] });
    for (const pid of enginesSince(before)) process.kill(pid, "SIGKILL");
    expect(await restart).toBe(
      "the QUIC engine was ended by the system or by hand; all QUIC connections are lost; it is started anew in 1000 ms",
    );
    expect(a.vitals()).toMatchObject({ state: "red", isReady: false, away: a.endpoints, problems: ["NOT_LISTENING"] });
    expect(await back).toBe(`the QUIC listener on ${a.endpoints[0]?.replace("quic://", "")} is back`);
    expect(a.vitals()).toMatchObject({ state: "green", isReady: true, away: [] });
  });
});

describe("what a node over QUIC rotates", () => {
  const world = {
    files: new RealFiles(),
    random: new RealRandom(),
    crypto: new RealIdentityCrypto(),
    clock: new RealClock(),
  };
  const profile = "standard";

  it("its certificate: later connections see the new one, and the session that stands goes on", async () => {
    const a = await acceptor();
    const b = await dialler(a);
    expect(await b.call(echo, 1)).toBe(1);
    const before = b.peers()[0]?.certificate;
    const usable = () => true;
    const name = parseNodeName(A);
    await rotateOwnCertificate({ ...world, directory: rig.keyDir(A), name, profile, usable });
    expect(await a.identity?.reload()).toBe(0);
    expect(await b.call(echo, 2)).toBe(2);
    expect(b.peers()[0]?.certificate).toEqual(before);
    const gone = new Promise((resolve) => a.on("nodedown", resolve));
    b.disconnect(A);
    await gone;
    expect(await b.call(echo, 3)).toBe(3);
    expect(b.peers()[0]?.certificate?.equals(before as Buffer)).toBe(false);
    expect(b.peers()[0]?.assurance).toBe("tofu");
  });

  it("its key: the session that stands goes on, who pinned the old one refuses the next, until the pin is replaced", async () => {
    await rig.acquainted(A, B);
    const a = await acceptor("strict");
    const b = await dialler(a, "strict");
    expect(await b.call(echo, 1)).toBe(1);
    const name = parseNodeName(A);
    const { key } = rotateNodeKey({ ...world, directory: rig.keyDir(A), profile, nowMs: Date.now(), name });
    await a.identity?.reload();
    expect(a.identity?.fingerprint).toBe(key.fingerprint);
    expect(await b.call(echo, 2)).toBe(2);
    const gone = new Promise((resolve) => a.on("nodedown", resolve));
    b.disconnect(A);
    await gone;
    expect(await failure(b.call(echo, 3))).toMatchObject({ code: "ERR_DENIED", reason: "KEY_MISMATCH" });
    rig.pin(B, A);
    await expect.poll(() => b.call(echo, 4).catch(() => "refused"), { timeout: 20_000 }).toBe(4);
    expect(b.peers()[0]).toMatchObject({ fingerprint: key.fingerprint, assurance: "pinned" });
  });
});

describe("a node and the outside, over QUIC", () => {
  it.each([
    ["an address", "203.0.113.7"],
    ["an IPv4 address as IPv6", "[::ffff:203.0.113.7]"],
    // 203.0.113.7 again: text that is no address to this node, and that the system resolves without a name service.
    ["what a name means", "3405803783"],
  ])("does not dial beyond private addresses unless that was asked for: %s", async (_what, host) => {
    const resolve = { [A]: `quic://${host}:4433` };
    const b = await rig.node(B, "tofu", { ...QUIC, listen: [], resolve });
    const error = await failure(b.connect(A));
    expect(error).toMatchObject({ code: "ERR_CONFIG", reason: "QUIC_PUBLIC_ADDRESS" });
    expect(error.message).toContain("203.0.113.7");
    await b.close({ timeoutMs: 0 });
    const asked = await rig.node(B, "tofu", { ...QUIC, listen: [], resolve, quic: { allowPublic: true } });
    expect(await failure(asked.connect(A, { timeoutMs: 300 }))).not.toMatchObject({ reason: "QUIC_PUBLIC_ADDRESS" });
  });

  it("dials a name that means a private address", async () => {
    const a = await acceptor();
    const { port } = new URL(a.endpoints[0] as string);
    const b = await dialler(a, "tofu", { resolve: { [A]: `quic://127.1:${port}` } });
    expect(await b.call(echo, 1)).toBe(1);
    expect(b.peers()[0]?.address).toBe(`127.0.0.1:${port}`);
  });

  it.each([
    ["without an identity", { identity: undefined }, "QUIC_NEEDS_IDENTITY"],
    ["on a public address", { listen: ["quic://0.0.0.0:0"] }, "QUIC_PUBLIC_ADDRESS"],
  ] as const)("does not start %s", async (_what, extra, reason) => {
    const identity = { dir: rig.keyDir(A), trust: "tofu" } as const;
    const options = {
      name: A,
      epmd: "off",
      listen: ["quic://127.0.0.1:0"],
      identity,
      ...QUIC,
      ...extra,
    } as NodeOptions;
    expect(await failure(createNode(options))).toMatchObject({ code: "ERR_CONFIG", reason });
  });

  it("leaves no engine behind when it cannot start", async () => {
    const taken = await rig.node(B, "tofu");
    const before = engines();
    const listen = ["quic://127.0.0.1:0", taken.endpoints[0] as string];
    const identity = { dir: rig.keyDir(A), trust: "tofu" } as const;
    const made = createNode({ name: A, epmd: "off", identity, ...QUIC, listen });
    expect(await failure(made)).toMatchObject({ code: "ERR_CONFIG", reason: "PORT_IN_USE" });
    await expect.poll(() => enginesSince(before), { timeout: 10_000 }).toEqual([]);
  });
});

describe("a command that speaks QUIC once", () => {
  it("tells its peer at once why it goes, though its process ends right after", async () => {
    const a = await acceptor();
    const refused = new Promise((resolve) => a.on("refused", ({ error }) => resolve(error.reason)));
    await rig.makeKey(B);
    const cookie = rig.place(B, "cookie");
    writeFileSync(cookie, COOKIE);
    const args = [
      "ping",
      A,
      "--protocol",
      "barrel",
      "--no-config",
      "--name",
      B,
      "--key-dir",
      rig.keyDir(B),
      "--cookie-file",
      cookie,
    ];
    const at = `${A}=${new URL(a.endpoints[0] as string).host}`;
    const { code, out } = await new Cli(rig.root, [...args, "--resolve", at, "--json"]).ended;
    expect({ code, reason: JSON.parse(out).error?.reason }).toEqual({ code: 3, reason: "KEY_UNTRUSTED" });
    expect(await refused).toMatch(/CLOSED_DURING_HANDSHAKE|BARREL_STREAM_ENDED/);
  });
});
