// What the options of the peer change: trust, message form, visibility, tags, auth switched off, ALPN, liveness.

import { X509Certificate } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { makeRoom, PeerProcess } from "./harness.ts";

const A = "a@127.0.0.1";
const B = "b@127.0.0.1";
const room = makeRoom();
const running: PeerProcess[] = [];

afterEach(async () => {
  await Promise.all(running.splice(0).map((peer) => peer.stop()));
});
afterAll(() => room.remove());

function start(name: string, ...args: string[]): PeerProcess {
  const peer = new PeerProcess(room, name, args);
  running.push(peer);
  return peer;
}

async function listener(name: string, ...args: string[]): Promise<{ peer: PeerProcess; address: string }> {
  const peer = start(name, "--listen", "127.0.0.1:0", ...args);
  return { peer, address: `127.0.0.1:${(await peer.wait({ event: "listening" }))["port"]}` };
}

describe("the peer's own files", () => {
  it("are an Ed25519 pair of raw bytes and one self-signed P-256 certificate, all private", async () => {
    const { peer } = await listener("files@127.0.0.1");
    for (const [file, size] of [
      ["node.key", 32],
      ["node.pub", 32],
    ] as const) {
      expect(statSync(join(peer.keyDir, file))).toMatchObject({ size });
      expect(statSync(join(peer.keyDir, file)).mode & 0o777).toBe(0o600);
    }
    const certificate = new X509Certificate(readFileSync(join(peer.keyDir, "quic/node.crt")));
    expect(certificate.subject).toBe("CN=barrel_p2p-node\nO=Barrel P2P");
    expect(certificate.issuer).toBe(certificate.subject);
    expect(certificate.ca).toBe(false);
    expect(certificate.publicKey.asymmetricKeyDetails).toMatchObject({ namedCurve: "prime256v1" });
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(readFileSync(join(peer.keyDir, "quic/node.key"), "utf8")).toMatch(/^-----BEGIN EC PRIVATE KEY-----/);
    expect((await peer.wait({ event: "listening" }))["binding"]).toBe(
      certificate.fingerprint256.replaceAll(":", "").toLowerCase(),
    );
  });
});

describe("trust", () => {
  it("in strict mode needs a pin on both sides and records nothing", async () => {
    const { peer: b, address } = await listener(B, "--trust", "strict");
    const a = start(A, "--trust", "strict");
    const keyA = (await a.command("identity"))["key"];
    const keyB = (await b.command("identity"))["key"];
    const first = await a.dial(B, address);
    expect(await a.wait({ event: "auth", connection: first })).toMatchObject({
      error: "{auth_rejected,untrusted_key}",
    });
    await b.command("pin", { name: A, key: keyA });
    const second = await a.dial(B, address);
    expect(await a.wait({ event: "auth", connection: second })).toMatchObject({ error: "untrusted_key" });
    await a.command("pin", { name: B, key: keyB });
    const third = await a.dial(B, address);
    expect(await a.wait({ event: "auth", connection: third })).toMatchObject({ outcome: "ok" });
    expect(readdirSync(join(a.keyDir, "trusted"))).toEqual([`${B}.pub`]);
  });

  it("on first use is written to disk, refuses a rotated key, and can be dropped", async () => {
    const { peer: b, address } = await listener(B);
    const a = start("tofu@127.0.0.1");
    await a.dial(B, address);
    await b.wait({ event: "up" });
    const file = join(b.keyDir, "trusted", "tofu@127.0.0.1.pub");
    expect(readFileSync(file).toString("hex")).toBe((await a.command("identity"))["key"]);
    await a.command("rotate");
    const refused = await a.dial(B, address);
    expect(await a.wait({ event: "auth", connection: refused })).toMatchObject({
      error: "{auth_rejected,key_mismatch}",
    });
    await b.command("unpin", { name: "tofu@127.0.0.1" });
    expect(existsSync(file)).toBe(false);
    const again = await a.dial(B, address);
    expect(await a.wait({ event: "auth", connection: again })).toMatchObject({ outcome: "ok" });
  });

  it("switched off on both sides starts with the distribution; on one side alone nothing comes up", async () => {
    const { peer: b, address } = await listener("open@127.0.0.1", "--auth", "off");
    const a = start("off@127.0.0.1", "--auth", "off");
    await a.dial("open@127.0.0.1", address);
    await Promise.all([a.wait({ event: "up" }), b.wait({ event: "up", name: "off@127.0.0.1" })]);
    expect(await a.command("ping", { node: "open@127.0.0.1" })).toEqual({ answer: "pong" });
    const on = start("on@127.0.0.1", "--auth-timeout", "1000");
    const connection = await on.dial("open@127.0.0.1", address);
    expect(await on.wait({ event: "auth", connection })).toMatchObject({ error: "auth_stream_timeout" });
  });
});

describe("the message form", () => {
  it("is pass-through when one side does not negotiate FRAGMENTS, any size in one frame", async () => {
    const { peer: b, address } = await listener(B, "--fragments", "off");
    const a = start(A);
    await a.dial(B, address);
    expect(await a.wait({ event: "up", name: B })).toMatchObject({ flags: "0xd075f5fbd" });
    await b.wait({ event: "up", name: A });
    expect(await a.command("ping", { node: B })).toEqual({ answer: "pong" });
    const term = { tuple: ["z".repeat(200_000), 1] };
    await b.command("send", { node: A, to: "nowhere", term });
    expect((await a.wait({ event: "received", to: { atom: "nowhere" } }))["message"]).toEqual(term);
  });
});

describe("tagged streams", () => {
  it("of a hidden peer are always refused, though it pings", async () => {
    const { peer: b, address } = await listener(B);
    const a = start(A, "--hidden");
    await a.dial(B, address);
    expect(await a.wait({ event: "up", name: B })).toMatchObject({ hidden: true });
    expect(await b.wait({ event: "up", name: A })).toMatchObject({ hidden: true, flags: "0xd07df5fbc" });
    expect(await a.command("ping", { node: B })).toEqual({ answer: "pong" });
    const { stream } = await a.command("openStream", { node: B, tag: "echo" });
    expect(await a.wait({ event: "stream", what: "reset", id: stream })).toMatchObject({ code: 0x100 });
    expect(await b.wait({ event: "stream", what: "refused" })).toMatchObject({ why: "no_acceptor" });
  });

  it("are refused until the acceptor has registered, and a retry on a new stream passes", async () => {
    const { peer: b, address } = await listener(B, "--acceptor-delay", "3000");
    const a = start(A);
    await a.dial(B, address);
    await a.wait({ event: "up", name: B });
    const early = await a.command("openStream", { node: B, tag: "echo" });
    expect(await a.wait({ event: "stream", what: "reset" })).toMatchObject({ id: early["stream"], code: 0x100 });
    await b.wait({ event: "accepting" });
    const { stream } = await a.command("openStream", { node: B, tag: "echo" });
    await b.wait({ event: "stream", what: "open", id: stream });
  });

  it("wait for a whole tag, at most 64 of them: one more is ended with FIN", async () => {
    const { peer: b, address } = await listener(B);
    const a = start(A, "--trace");
    const connection = await a.dial(B, address);
    await b.wait({ event: "accepting" });
    await a.wait({ event: "up", name: B });
    for (let i = 0; i < 65; i++) await a.command("raw", { connection, stream: 68 + 4 * i, hex: "0465" });
    expect(await b.wait({ event: "stream", what: "dropped" })).toMatchObject({ id: 68 + 4 * 64 });
    await a.wait({ event: "saw", what: "fin", stream: 68 + 4 * 64 });
    await a.command("raw", { connection, stream: 68, hex: "63686f" });
    expect(await b.wait({ event: "stream", what: "open" })).toMatchObject({ id: 68, tag: "echo" });
    await a.command("raw", { connection, stream: 328, hex: "00" });
    expect(await b.wait({ event: "stream", what: "refused" })).toMatchObject({ id: 328, why: "unknown_tag" });
  });
});

describe("the connection", () => {
  it("of two peers that dial each other at once is one in the end", async () => {
    const [left, right] = await Promise.all([listener(A), listener(B)]);
    const { peer: a, address: toA } = left;
    const { peer: b, address: toB } = right;
    await Promise.all([a.dial(B, toB), b.dial(A, toA)]);
    await Promise.all([a.wait({ event: "up", name: B }), b.wait({ event: "up", name: A })]);
    const live = async (): Promise<number> => {
      const { connections } = await a.command("status");
      return (connections as readonly { phase: string }[]).filter(({ phase }) => phase !== "stuck").length;
    };
    for (let mark = a.mark; (await live()) > 1; mark = a.mark) await a.wait({ event: "closed" }, mark);
    expect(await a.command("ping", { node: B })).toEqual({ answer: "pong" });
    expect(await b.command("ping", { node: A })).toEqual({ answer: "pong" });
  });

  it("is ended when no packet has come for four tick periods", async () => {
    const { address } = await listener(B);
    const a = start(A, "--tick-ms", "400");
    const connection = await a.dial(B, address);
    await a.wait({ event: "up", name: B });
    await a.command("deafen", { connection });
    expect(await a.wait({ event: "down", name: B })).toMatchObject({ reason: "own" });
  });

  it("stays up over more periods than that when nothing is said, without one tick", async () => {
    const { peer: b, address } = await listener(B, "--tick-ms", "400");
    const a = start(A, "--tick-ms", "400", "--trace");
    await a.dial(B, address);
    await Promise.all([a.wait({ event: "up", name: B }), b.wait({ event: "up", name: A })]);
    const periods = (): number => a.since(0, { event: "period" }).length;
    while (periods() < 6) await a.wait({ event: "period" }, a.mark);
    for (const peer of [a, b]) {
      expect(peer.since(0, { event: "down" })).toEqual([]);
      expect(peer.since(0, { event: "tick" })).toEqual([]);
    }
  });

  it("answers a tick with a tick when it has been silent", async () => {
    const { peer: b, address } = await listener(B);
    const a = start(A);
    await a.dial(B, address);
    await Promise.all([a.wait({ event: "up", name: B }), b.wait({ event: "up", name: A })]);
    const rested = async (): Promise<boolean> => ((await b.command("idle", { node: A }))["ms"] as number) > 1_100;
    while (!(await rested())) await new Promise((resolve) => setTimeout(resolve, 100));
    await a.command("tick", { node: B });
    await b.wait({ event: "tick" });
    await a.wait({ event: "tick" });
  });

  it("needs the protocol name erlang-dist", async () => {
    const { peer: b, address } = await listener(B);
    const a = start(A, "--alpn", "something-else");
    const connection = await a.dial(B, address);
    expect(await a.wait({ event: "closed", connection })).toMatchObject({ isApp: false, code: 0x178 });
    expect(b.since(0, { event: "auth", outcome: "ok" })).toEqual([]);
  });
});
