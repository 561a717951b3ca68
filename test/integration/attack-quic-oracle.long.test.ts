import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import type { Node } from "../../src/node/api.ts";
import { encodeChallenge, encodeHello, framed } from "../barrel-peer/auth-codec.mjs";
import type { PeerEvent } from "../barrel-peer/harness.ts";
import { newKeys } from "../barrel-peer/identity.mjs";
import { BarrelRig, type BarrelRigOptions, EVIL, GOOD, VICTIM } from "./barrel-rig.ts";

// Over QUIC: what nodes have said and signed, used against them or against others. barrel's proof covers nonce, time, key and the
// listener's certificate, and neither role nor verifier nor name. Where an attack needs it, the attacker has stolen the TLS key.

const REAL = "real@127.0.0.1";
const OTHER = "other@127.0.0.1";
const FRESH = (): string => framed(encodeChallenge(Buffer.alloc(32, 7), Date.now())).toString("hex");

let rig: BarrelRig;
const start = async (options: BarrelRigOptions = {}): Promise<BarrelRig> => {
  rig = await BarrelRig.start(options);
  return rig;
};
afterEach(() => rig.stop());

const failureOf = (dial: Promise<unknown>): Promise<unknown> =>
  dial.then(
    () => "it worked",
    (error: { reason: string }) => error.reason,
  );
const raw = (connection: unknown, stream: number, ...frames: readonly unknown[]): Promise<unknown> =>
  rig.evil.command("raw", { connection, stream, hex: frames.join("") });
/** HELLO of the attacker, with its own key unless another is given. */
const helloOf = async (name: string, key?: unknown): Promise<string> => {
  const own = key ?? (await rig.evil.command("identity"))["key"];
  return framed(encodeHello(name, Buffer.from(String(own), "hex"))).toString("hex");
};
const saw = (connection: unknown, what: string): Promise<PeerEvent> =>
  rig.evil.wait({ event: "saw", what, connection });
const hasSeen = (connection: unknown, what: string): boolean =>
  rig.evil.since(0, { event: "saw", what, connection }).length > 0;

/** The victim dials `to` and finds the attacker; until it has said HELLO. */
async function lure(
  to: string,
  certificate: Readonly<Record<string, unknown>> = {},
): Promise<{ readonly connection: unknown; readonly outcome: Promise<unknown> }> {
  const mark = rig.evil.mark;
  rig.addresses.set(to, await rig.evil.listen({ attack: "silence", ...certificate }));
  const outcome = failureOf(rig.node.connect(to, { timeoutMs: 30_000 }));
  const { connection } = await rig.evil.wait({ event: "saw", what: "hello" }, mark);
  return { connection, outcome };
}

/** The attacker dials the victim and says nothing. */
async function call(): Promise<number> {
  const connection = await rig.evil.dial(VICTIM, rig.address, { attack: "silence" });
  await rig.evil.wait({ event: "tls", connection });
  return connection;
}

/** A relay with the TLS key of `REAL` heard all that `REAL` and the victim, which dialled it, said to each other. */
async function overhear(): Promise<{
  readonly files: { readonly certFile: string; readonly keyFile: string };
  readonly said: string;
  readonly frames: readonly string[];
}> {
  const { evil, node } = rig;
  const real = rig.peer(REAL);
  const target = await real.listen();
  const files = { certFile: join(real.keyDir, "quic/node.crt"), keyFile: join(real.keyDir, "quic/node.key") };
  const { port } = await evil.command("relay", { address: "127.0.0.1:0", target, ...files });
  rig.addresses.set(REAL, `127.0.0.1:${port}`);
  await node.connect(REAL, { timeoutMs: 30_000 });
  node.disconnect(REAL);
  await expect.poll(() => rig.holdings(), { timeout: 30_000 }).toMatchObject({ peers: [], engineSessions: 0 });
  const said = evil
    .since(0, { event: "relayed", from: "listener", stream: 3 })
    .map(({ hex }) => hex ?? "")
    .join("");
  const bytes = Buffer.from(said, "hex");
  const frames: string[] = [];
  for (let at = 0; at < bytes.length; at += 2 + bytes.readUInt16BE(at)) {
    frames.push(bytes.toString("hex", at, at + 2 + bytes.readUInt16BE(at)));
  }
  return { files, said, frames };
}

describe("replay over QUIC (AU-01, AU-02)", () => {
  it("all that an honest acceptor said before proves nothing to whoever dials it again", async () => {
    await start();
    const { files, said, frames } = await overhear();
    expect(frames).toHaveLength(4);
    const before = rig.holdings();
    const { connection, outcome } = await lure(REAL, files);
    await raw(connection, 3, said);
    expect(await outcome).toBe("PROOF_INVALID");
    await rig.expectNothingStays(before);
    await rig.servesGood();
  });

  it("one proof of an acceptor proves nothing behind a fresh challenge", async () => {
    await start();
    const { files, frames } = await overhear();
    const [hello, , response, ok] = frames;
    const { connection, outcome } = await lure(REAL, files);
    await raw(connection, 3, hello, FRESH(), response, ok);
    expect(await outcome).toBe("PROOF_INVALID");
    expect(rig.node.peers()).toEqual([]);
  });

  it("one proof of a dialler proves nothing behind a fresh challenge", async () => {
    const { evil, good, node } = await start();
    const { port } = await evil.command("relay", { address: "127.0.0.1:0", target: rig.address, ...rig.certificate });
    const honest = await good.dial(VICTIM, `127.0.0.1:${port}`);
    await good.wait({ event: "up", connection: honest });
    const said = evil.since(0, { event: "relayed", from: "dialer", stream: 2 }).map(({ hex }) => String(hex ?? ""));
    await good.command("close", { connection: honest });
    await rig.until(() => node.peers().length === 0);
    const bytes = Buffer.from(said.join(""), "hex");
    const response = bytes.toString("hex", bytes.length - 67);
    const { key } = await good.command("identity");
    const connection = await call();
    await raw(connection, 2, await helloOf(GOOD, key), FRESH(), response);
    expect((await rig.refusal(0)).error.reason).toBe("PROOF_INVALID");
  });
});

describe("a node as its own oracle over QUIC (AU-02, AU-03)", () => {
  it("its dialler signs no challenge of its listener, though the certificate is its own", async () => {
    await start();
    const before = rig.holdings();
    const right = await call();
    await raw(right, 2, await helloOf(EVIL));
    const { hex: challenge } = await saw(right, "challenge");
    const left = await lure(EVIL, rig.certificate);
    await raw(left.connection, 3, await helloOf(EVIL), challenge);
    expect(await left.outcome).toBe("NONCE_REFLECTED");
    // What it signs for others it would have signed: the same, with a nonce that nobody here waits for.
    expect(hasSeen(left.connection, "response")).toBe(false);
    await rig.evil.command("close", { connection: right });
    await rig.until(() => rig.refusals.length === 2);
    await rig.expectNothingStays({ ...before, waiting: 0 });
    await rig.servesGood();
  });

  it("its listener signs no challenge of its dialler", async () => {
    await start();
    const left = await lure(EVIL, rig.certificate);
    await raw(left.connection, 3, await helloOf(EVIL));
    const { hex: challenge } = await saw(left.connection, "challenge");
    const right = await call();
    await raw(right, 2, await helloOf("another@127.0.0.1"), challenge);
    expect((await rig.refusal(0)).error.reason).toBe("NONCE_REFLECTED");
    expect(hasSeen(right, "response")).toBe(false);
    await rig.evil.command("closeAll");
    expect(await left.outcome).toBe("CLOSED_DURING_HANDSHAKE");
  });

  it("its listener asks nobody for a proof of the node's own key", async () => {
    await start();
    const { key } = await lure(EVIL, rig.certificate).then(({ connection }) => saw(connection, "hello"));
    const right = await call();
    await raw(right, 2, await helloOf("ghost@127.0.0.1", key));
    expect((await rig.refusal(0)).error.reason).toBe("OWN_KEY");
    expect(hasSeen(right, "challenge")).toBe(false);
  });
});

describe("another node as an oracle over QUIC (AU-05, AU-06)", () => {
  /** A second node, which the victim dials by a pinned key and does not reach. */
  async function other(): Promise<Node> {
    const keys = newKeys();
    await start({ trust: "strict", pins: { [OTHER]: keys.publicKey } });
    const dir = join(rig.room.dir, OTHER);
    mkdirSync(dir, { mode: 0o700 });
    writeFileSync(join(dir, "node.key"), keys.seed, { mode: 0o600 });
    writeFileSync(join(dir, "node.pub"), keys.publicKey, { mode: 0o600 });
    return rig.second(OTHER);
  }

  it("who dials the attacker makes no proof that serves the attacker as the one that was dialled", async () => {
    const node = await other();
    const trap = await rig.evil.listen({ attack: "borrowed-proof", as: OTHER, victim: VICTIM });
    rig.addresses.set(EVIL, trap);
    rig.addresses.set(OTHER, trap);
    const lending = failureOf(node.connect(EVIL, { timeoutMs: 30_000 }));
    const dialling = failureOf(rig.node.connect(OTHER, { timeoutMs: 30_000 }));
    expect(await rig.evil.wait({ event: "attack", name: "borrowed-proof" })).toMatchObject({ accepted: false });
    expect(await lending).toBe("NONCE_REFLECTED");
    await rig.evil.command("closeAll");
    expect(await dialling).toBe("CLOSED_DURING_HANDSHAKE");
    expect(rig.node.peers()).toEqual([]);
  });

  it("a barrel node does make one, in whatever role it is asked: that is its protocol", async () => {
    await start();
    const lender = rig.peer(OTHER);
    const trap = await rig.evil.listen({ attack: "borrowed-proof", as: OTHER, victim: VICTIM });
    rig.addresses.set(OTHER, trap);
    await lender.dial(EVIL, trap);
    expect(await rig.node.connect(OTHER, { timeoutMs: 30_000 })).toMatchObject({ name: OTHER, assurance: "tofu" });
  });

  it("a relay between two nodes that shows a certificate of its own is found out by the one that dialled", async () => {
    const node = await other();
    const files = { certFile: join(rig.evil.keyDir, "quic/node.crt"), keyFile: join(rig.evil.keyDir, "quic/node.key") };
    const target = new URL(node.endpoints[0] ?? "").host;
    const { port } = await rig.evil.command("relay", { address: "127.0.0.1:0", target, ...files });
    rig.addresses.set(OTHER, `127.0.0.1:${port}`);
    expect(await failureOf(rig.node.connect(OTHER, { timeoutMs: 30_000 }))).toBe("PROOF_INVALID");
    expect(rig.node.peers()).toEqual([]);
    // Without the relay it gets there.
    rig.addresses.set(OTHER, target);
    expect(await rig.node.connect(OTHER, { timeoutMs: 30_000 })).toMatchObject({ assurance: "pinned" });
  });
});
