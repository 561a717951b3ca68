import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { encodeHello, framed } from "../barrel-peer/auth-codec.mjs";
import { BarrelRig, type BarrelRigOptions, COOKIE, EVIL, GOOD, VICTIM } from "./barrel-rig.ts";

// The attacks on identity by key, run over QUIC, and those that only QUIC has. What is refused with a name of its own stands in the
// table of refusals (barrel-refusals.test.ts).

let rig: BarrelRig;
const start = async (options: BarrelRigOptions = {}): Promise<BarrelRig> => {
  rig = await BarrelRig.start(options);
  return rig;
};
afterEach(() => rig.stop());

const listeningOn = async (peer: BarrelRig["evil"]): Promise<string> => {
  await peer.wait({ event: "listening" });
  return `127.0.0.1:${peer.events.find(({ event }) => event === "listening")?.["port"]}`;
};
const isPlain = (peer: BarrelRig["evil"], text: string): boolean =>
  peer.since(0, { event: "relayed" }).some(({ hex }) => String(hex).includes(Buffer.from(text).toString("hex")));

describe("a relay with the stolen TLS key of the listener", () => {
  it("succeeds by the protocol's design, and so the session counts as cookie, though the key is pinned", async () => {
    const { evil, good, node } = await start({ trust: "strict" });
    const { port } = await evil.command("relay", { address: "127.0.0.1:0", target: rig.address, ...rig.certificate });
    const connection = await good.dial(VICTIM, `127.0.0.1:${port}`);
    await good.wait({ event: "up", connection });
    expect(await good.command("call", { connection, name: "echo", term: "top secret" })).toMatchObject({
      value: "top secret",
    });
    expect(isPlain(evil, "top secret")).toBe(true);
    expect(node.peers()).toMatchObject([{ name: GOOD, protocol: "barrel", assurance: "cookie" }]);
  });

  it("is why services that ask for a pinned key stay closed to whoever dialled in", async () => {
    const { good, node } = await start({ trust: "strict" });
    node.register("vault", { call: () => "gold" }, { allow: "pinned" });
    const connection = await good.dial(VICTIM, rig.address);
    await good.wait({ event: "up", connection });
    const answer = await good.command("call", { connection, name: "vault", term: 1 });
    expect(answer).not.toMatchObject({ value: "gold" });
  });

  it.each([
    [
      "by a key never lets in",
      "refused",
      (keys: readonly string[]) => ({ keys, names: [GOOD], assurance: "cookie" as const }),
    ],
    ["by its name and the cookie lets in", "up", () => ({ names: [GOOD], assurance: "cookie" as const })],
  ] as const)("is why an entry of the policy %s who dialled in: %s", async (_by, wanted, entry) => {
    const rules = [{ id: "echo", from: "good", allow: "call", to: "echo" }] as const;
    await start({
      nodeFor: (key) => ({ policy: { version: 1, node: VICTIM, peers: { good: entry([key]) }, rules } }),
    });
    const connection = await rig.good.dial(VICTIM, rig.address);
    if (wanted === "up") {
      await rig.good.wait({ event: "up", connection });
      return;
    }
    await rig.good.wait({ event: "closed", connection });
    expect((await rig.refusal(0)).error).toMatchObject({ code: "ERR_DENIED" });
  });

  it("of a node that we dial succeeds too: the certificate is all that the proof is bound to", async () => {
    const { evil, node } = await start();
    const real = rig.peer("real@127.0.0.1", ["--listen", "127.0.0.1:0"]);
    const files = { certFile: join(real.keyDir, "quic/node.crt"), keyFile: join(real.keyDir, "quic/node.key") };
    const target = await listeningOn(real);
    const { port } = await evil.command("relay", { address: "127.0.0.1:0", target, ...files });
    rig.addresses.set(real.name, `127.0.0.1:${port}`);
    expect(await node.connect(real.name, { timeoutMs: 30_000 })).toMatchObject({ name: real.name, assurance: "tofu" });
  });
});

describe("a relay without that key", () => {
  it("that shows a certificate of its own is found out by the binding, on both ends", async () => {
    const { evil, good } = await start();
    const before = rig.holdings();
    const files = { certFile: join(evil.keyDir, "quic/node.crt"), keyFile: join(evil.keyDir, "quic/node.key") };
    const { port } = await evil.command("relay", { address: "127.0.0.1:0", target: rig.address, ...files });
    const connection = await good.dial(VICTIM, `127.0.0.1:${port}`);
    // The listener's proof stands before any FAIL on its stream.
    expect(await good.wait({ event: "auth", connection })).toMatchObject({
      outcome: "fail",
      error: "signature_verification_failed",
    });
    const { error } = await rig.refusal(0);
    // The dialler may be gone before its own proof is looked at.
    expect(["PROOF_INVALID", "CLOSED_DURING_HANDSHAKE", "BARREL_STREAM_ENDED"]).toContain(error.reason);
    await rig.expectNothingStays(before);
    await rig.servesGood();
  });

  it("that shows the certificate without its key is refused by TLS, named on both ends", async () => {
    const { evil, node } = await start();
    const before = rig.holdings();
    const real = rig.peer("real@127.0.0.1");
    await real.command("identity");
    const mark = evil.mark;
    const certFile = join(real.keyDir, "quic/node.crt");
    rig.addresses.set(real.name, await evil.listen({ attack: "certificate-without-key", certFile }));
    await expect(node.connect(real.name, { timeoutMs: 30_000 })).rejects.toMatchObject({
      code: "ERR_PEER_MISBEHAVED",
      reason: "QUIC_CERTIFICATE_UNPROVEN",
    });
    expect(await evil.wait({ event: "forged" }, mark)).toMatchObject({ outcome: "refused", code: 0x133 });
    await rig.expectNothingStays(before);
    await rig.servesGood();
  });
});

describe("what a node says, said to it again", () => {
  it("its own HELLO, with which it dials, is refused by its own listener", async () => {
    const { evil, node } = await start();
    const trap = await evil.listen({ attack: "silence" });
    rig.addresses.set(EVIL, trap);
    const dial = node.connect(EVIL, { timeoutMs: 30_000 }).catch((error) => error);
    const hello = await evil.wait({ event: "saw", what: "hello" });
    expect(hello).toMatchObject({ name: VICTIM });
    const connection = await evil.dial(VICTIM, rig.address, { attack: "silence" });
    await evil.wait({ event: "tls", connection });
    const own = framed(encodeHello(VICTIM, Buffer.from(String(hello["key"]), "hex")));
    await evil.command("raw", { connection, stream: 2, hex: own.toString("hex") });
    expect((await rig.refusal(0)).error).toMatchObject({ reason: "SELF_CONNECT" });
    await evil.command("closeAll");
    expect(await dial).toMatchObject({ code: "ERR_CLOSED" });
  });

  it("all that an honest dialler said before proves nothing again", async () => {
    const { evil, good, node } = await start();
    const { port } = await evil.command("relay", { address: "127.0.0.1:0", target: rig.address, ...rig.certificate });
    const honest = await good.dial(VICTIM, `127.0.0.1:${port}`);
    await good.wait({ event: "up", connection: honest });
    const said = evil
      .since(0, { event: "relayed", from: "dialer", stream: 2 })
      .map(({ hex }) => hex ?? "")
      .join("");
    await good.command("close", { connection: honest });
    await rig.until(() => node.peers().length === 0);
    const connection = await evil.dial(VICTIM, rig.address, { attack: "silence" });
    await evil.wait({ event: "tls", connection });
    await evil.command("raw", { connection, stream: 2, hex: said });
    expect((await rig.refusal(0)).error).toMatchObject({ reason: "PROOF_INVALID" });
    expect(await evil.wait({ event: "saw", what: "fail", connection })).toMatchObject({ reason: "signature_invalid" });
  });
});

describe("a name", () => {
  it("is pinned for nobody who has not the cookie, and for nobody who dials in; its owner comes in", async () => {
    const { evil } = await start();
    const as = "owner@127.0.0.1";
    const before = rig.holdings();
    expect(await rig.dialled("wrong-cookie")).toMatchObject({ reason: "SECRET_MISMATCH" });
    await rig.expectNothingStays(before);
    // With the cookie: it has its session, and still holds no name.
    const squatter = rig.peer(as, ["--key-dir", join(rig.room.dir, "squatter")]);
    const connection = await squatter.dial(VICTIM, rig.address);
    await squatter.wait({ event: "up", connection });
    expect(rig.holdings().files).toEqual(before.files);
    await squatter.stop();
    await rig.until(() => rig.node.peers().length === 0);
    const owner = rig.peer(as);
    const again = await owner.dial(VICTIM, rig.address);
    await owner.wait({ event: "up", connection: again });
    expect(await owner.command("call", { connection: again, name: "echo", term: 1 })).toMatchObject({ value: 1 });
    expect(evil.name).toBe(EVIL);
  });

  it("tells a stranger whether it is pinned: the answers are part of the protocol, and no more is told than those", async () => {
    await start({ pins: { "pinned@127.0.0.1": Buffer.alloc(32, 0x11) } });
    const unknown = await rig.dialled("forged-signature", { as: "unknown@127.0.0.1" });
    const pinned = await rig.dialled("other-key", { as: "pinned@127.0.0.1" });
    expect(unknown.saw[0]).toBe("hello");
    expect(pinned.saw).toEqual(["fail key_mismatch", "fin"]);
  });

  it("with a pin is never taken by OK alone, also where the name is listed for cookie-only mode", async () => {
    await start({
      pins: { "open@127.0.0.1": Buffer.alloc(32, 0x11) },
      node: { identity: { dir: "", cookieOnly: ["open@*"] } },
    });
    expect(await rig.lured("unsolicited-ok", {}, "open@127.0.0.1")).toMatchObject({ reason: "METHOD_MISMATCH" });
    const dialled = await rig.dialled("other-key", { as: "open@127.0.0.1" });
    expect(dialled).toMatchObject({ reason: "KEY_MISMATCH", theirs: "{auth_rejected,key_mismatch}" });
  });

  it("may be __proto__, and is a name like any other", async () => {
    await start();
    const odd = rig.peer("__proto__@127.0.0.1");
    const connection = await odd.dial(VICTIM, rig.address);
    await odd.wait({ event: "up", connection });
    expect(await odd.command("call", { connection, name: "echo", term: 1 })).toMatchObject({ value: 1 });
  });
});

describe("floods and exhaustion", () => {
  it("half-open connections of one address take its places and no more; others are served", async () => {
    const { evil } = await start();
    const before = rig.holdings();
    await evil.command("dial", {
      to: VICTIM,
      address: rig.address,
      attack: "half-open",
      count: 100,
      from: "127.0.0.2",
    });
    await expect
      .poll(() => rig.node.vitals().counters["accept_refused_source"], { timeout: 30_000 })
      .toBeGreaterThan(0);
    expect(rig.holdings().halfOpen).toBeLessThanOrEqual(64);
    await rig.servesGood("127.0.0.9");
    await evil.stop();
    await rig.expectNothingStays({ ...before, waiting: 1 });
  });

  it("half-open connections of many addresses, most of which never finish TLS, are bounded in all, and give way", async () => {
    const { evil } = await start({ node: { acceptLimits: { maxHalfOpen: 40 } } });
    for (let i = 0; i < 8; i++) {
      const attack = i % 4 === 0 ? "half-open" : "half-open-tls";
      await evil.command("dial", { to: VICTIM, address: rig.address, attack, count: 10, from: `127.0.0.${20 + i}` });
    }
    for (let i = 0; i < 3; i++) {
      await rig.servesGood(`127.0.1.${i + 1}`);
      expect(rig.holdings().halfOpen).toBeLessThanOrEqual(40);
    }
  });

  it.each([
    ["a lane", 4, 65_536],
    ["the control stream", 0, 4_096],
  ])("any amount on %s before the exchange is over ends the connection at its bound", async (_what, stream, most) => {
    await start();
    const before = rig.holdings();
    const outcome = await rig.dialled("flood", { bytes: 32 * 1024 * 1024, stream });
    expect(outcome).toMatchObject({ reason: "EARLY_BYTES" });
    expect(Number(outcome.detail["limit"])).toBeLessThanOrEqual(most);
    await rig.expectNothingStays(before);
    await rig.servesGood();
  });

  it("every stream that QUIC grants, opened before the exchange, is refused and costs nothing", async () => {
    const { evil } = await start();
    const before = rig.holdings();
    const connection = await evil.dial(VICTIM, rig.address, { attack: "silence" });
    await evil.wait({ event: "tls", connection });
    for (let stream = 68; stream < 400; stream += 4) await evil.command("raw", { connection, stream, hex: "00" });
    await evil.wait({ event: "saw", what: "reset", connection, stream: 396 });
    await rig.servesGood();
    await evil.command("close", { connection });
    await rig.refusal(0);
    await rig.expectNothingStays({ ...before, waiting: 1 });
  });

  // HELLO, CHALLENGE and RESPONSE of a name of this length, each behind two bytes of length; a listener says OK too.
  const OF_DIALLER = 2 + 36 + EVIL.length + 2 + 41 + 2 + 65;

  it("an exchange that is cut after each byte of its dialler leaves nothing", async () => {
    const { evil } = await start();
    await rig.servesGood();
    const before = rig.holdings();
    for (let at = 0; at < OF_DIALLER; at++) {
      const connection = await evil.dial(VICTIM, rig.address, { attack: "cut-after", at });
      await evil.wait({ event: "closed", connection });
    }
    await rig.until(() => rig.refusals.length === OF_DIALLER);
    expect(rig.refusals.at(-1)?.error.detail).toMatchObject({ barrel: "recv_response_failed" });
    await rig.expectNothingStays(before);
    await rig.servesGood();
  });

  it("an exchange that is cut after each byte of its listener leaves nothing, not even a pin", async () => {
    const { evil, node } = await start();
    const before = rig.holdings();
    const ofListener = OF_DIALLER + 3;
    for (let at = 0; at < ofListener; at++) {
      rig.addresses.set(EVIL, await evil.listen({ attack: "cut-after", at }));
      await expect(node.connect(EVIL, { timeoutMs: 30_000 })).rejects.toThrow();
    }
    await rig.until(() => rig.refusals.length === ofListener);
    expect(rig.refusals.at(-1)?.error.detail).toMatchObject({ barrel: "recv_ok_failed" });
    await rig.expectNothingStays(before);
    await rig.servesGood();
  });

  it("no secret is in what the node tells of all that", async () => {
    await start();
    await rig.dialled("wrong-cookie");
    await rig.dialled("forged-signature");
    const told = JSON.stringify(rig.refusals.map(({ error }) => ({ ...error, message: error.message })));
    expect(told).not.toContain(COOKIE);
    expect(told).not.toContain(readFileSync(join(rig.keyDir, "node.key")).toString("hex"));
  });
});
