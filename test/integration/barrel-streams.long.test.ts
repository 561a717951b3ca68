import { createHash, randomBytes } from "node:crypto";
import { beforeEach, describe, expect, it } from "vitest";
import type { SallyportError } from "../../src/base/errors.ts";
import type { Node } from "../../src/node/api.ts";
import type { PeerStream } from "../../src/node/peer-stream.ts";
import { makeRoom, PeerProcess } from "../barrel-peer/harness.ts";
import { A, NativeRig } from "./native-rig.ts";

// Tagged streams between a node and the conformance peer of barrel_p2p, which knows nothing of credit.

const C = "c@127.0.0.1";
const COOKIE = "cookie-of-the-barrel-tests";
const MIB = 1024 * 1024;
const PATIENT = { timeout: 45_000 };
const rig = new NativeRig();

const cut = (error: SallyportError | null): unknown[] => [error?.reason, error?.detail["resetCode"]];
const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

async function readAll(stream: PeerStream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

describe.each(["dials", "is dialled"])("streams of a node that %s a barrel peer", (role) => {
  let a: Node;
  let c: PeerProcess;
  /** Streams that the peer opened, in order. */
  let arrived: PeerStream[];

  beforeEach(async () => {
    const room = makeRoom(COOKIE);
    rig.atEnd(room.remove);
    c = new PeerProcess(room, C, ["--listen", "127.0.0.1:0", "--auth-timeout", "60000"]);
    rig.atEnd(() => c.stop());
    const port = (await c.wait({ event: "listening" }))["port"];
    a = await rig.node(A, "tofu", {
      cookie: COOKIE,
      quic: { visible: true },
      listen: ["quic://127.0.0.1:0"],
      tickTimeMs: 600_000,
      resolve: { [C]: `quic://127.0.0.1:${port}` },
      limits: { maxTlsHandshakeMs: 60_000, maxHandshakeMs: 60_000 },
    });
    arrived = [];
    a.register("echo", { call: (request) => request }, { allow: "cookie" });
    a.onStream("take", (stream) => void arrived.push(stream), { allow: "cookie" });
    if (role === "dials") await a.connect(C, { timeoutMs: 45_000 });
    else await c.dial(A, new URL(a.endpoints[0] ?? "").host);
    await c.wait({ event: "accepting" });
    await expect.poll(() => a.peers().length, PATIENT).toBe(1);
  });

  const fromPeer = async (): Promise<{ id: unknown; stream: PeerStream }> => {
    const count = arrived.length;
    const { stream: id } = await c.command("openStream", { node: A, tag: "take" });
    await expect.poll(() => arrived.length, PATIENT).toBe(count + 1);
    return { id, stream: arrived[count] as PeerStream };
  };
  const say = (id: unknown, bytes: Buffer, fin = false): Promise<unknown> =>
    c.command("writeStream", { node: A, stream: id, hex: bytes.toString("hex"), fin });
  /** Calls both ways: the session stands. */
  const stillUp = async (): Promise<void> => {
    expect(await c.command("call", { node: A, name: "echo", term: 6 })).toMatchObject({ value: 6 });
  };

  it("offer credit once, take no for an answer, and carry megabytes both ways without it", async () => {
    const sent = randomBytes(5 * MIB);
    const stream = await a.openStream(C, "echo");
    const back = readAll(stream);
    for (let at = 0; at < sent.length; at += 65_536) await stream.write(sent.subarray(at, at + 65_536));
    stream.end();
    expect(sha256(await back)).toBe(sha256(sent));
    expect(await stream.closed).toBeNull();
    const refused = await a.openStream(C, "nobody");
    expect(cut(await refused.closed)).toEqual(["STREAM_REFUSED", 0x100]);
    await stillUp();
    // One refusal for the offer, one for the tag that nobody serves; nothing came on a refused stream, where it would stay.
    expect(c.since(0, { event: "stream", what: "refused" })).toHaveLength(2);
    expect(c.since(0, { event: "stream", what: "held" })).toEqual([]);
  });

  it("tell the code with which they are cut, in both directions", async () => {
    const first = await fromPeer();
    first.stream.reset(77);
    expect(cut(await first.stream.closed)).toEqual(["STREAM_RESET", 77]);
    await c.wait({ event: "stream", what: "reset", id: first.id, code: 77 });
    const second = await fromPeer();
    await c.command("resetStream", { node: A, stream: second.id, code: 33 });
    expect(cut(await second.stream.closed)).toEqual(["STREAM_RESET", 33]);
    // STOP_SENDING, to one that is at rest.
    const third = await fromPeer();
    await say(third.id, Buffer.from("all"), true);
    expect((await readAll(third.stream)).toString()).toBe("all");
    await c.command("stopStream", { node: A, stream: third.id, code: 2 ** 32 - 1 });
    expect(cut(await third.stream.closed)).toEqual(["STREAM_RESET", 2 ** 32 - 1]);
    // And to one that writes.
    const fourth = await fromPeer();
    await c.command("stopStream", { node: A, stream: fourth.id, code: 34 });
    const writing = (async () => {
      for (;;) await fourth.stream.write(Buffer.alloc(65_536));
    })();
    expect(cut(await fourth.stream.closed)).toEqual(["STREAM_RESET", 34]);
    await expect(writing).rejects.toMatchObject({ reason: "STREAM_RESET" });
    await stillUp();
  });

  it("go on in one direction when the other has ended", async () => {
    const sent = randomBytes(3 * MIB);
    const ended = await fromPeer();
    await say(ended.id, Buffer.from("go"), true);
    expect((await readAll(ended.stream)).toString()).toBe("go");
    for (let at = 0; at < sent.length; at += 65_536) await ended.stream.write(sent.subarray(at, at + 65_536));
    ended.stream.end();
    expect(await ended.stream.closed).toBeNull();
    await c.wait({ event: "stream", what: "data", id: ended.id, fin: true });
    const octets = c
      .since(0, { event: "stream", what: "data", id: ended.id })
      .reduce((sum, { length }) => sum + Number(length), 0);
    expect(octets).toBe(sent.length);

    const ending = await fromPeer();
    ending.stream.end();
    await c.wait({ event: "stream", what: "data", id: ending.id, fin: true });
    const got = readAll(ending.stream);
    for (let at = 0; at < sent.length; at += MIB)
      await say(ending.id, sent.subarray(at, at + MIB), at + MIB === sent.length);
    expect(sha256(await got)).toBe(sha256(sent));
    expect(await ending.stream.closed).toBeNull();
  });

  it("are cut where nobody reads them and the peer knows no credit, and they alone", async () => {
    const { id, stream } = await fromPeer();
    const beside = await fromPeer();
    const piece = randomBytes(MIB);
    for (let n = 0; n < 18; n++) await say(id, piece);
    expect(cut(await stream.closed)).toEqual(["STREAM_OVERRUN", 0x101]);
    await c.wait({ event: "stream", what: "reset", id, code: 0x101 });
    await say(beside.id, piece, true);
    expect(sha256(await readAll(beside.stream))).toBe(sha256(piece));
    await stillUp();
  });

  it("give their places back: those that are cut at once, and those that end within their tag", async () => {
    const step = 4;
    const start = role === "dials" ? 65 : 68;
    // More than the places there are, of each kind. Their numbers are the peer's own.
    for (let n = 0; n < 150; n++) {
      await c.command("raw", { node: A, stream: start + step * n, hex: n % 3 === 0 ? "" : "0474616b", fin: true });
    }
    for (let n = 150; n < 300; n++) {
      await c.command("raw", { node: A, stream: start + step * n, hex: "0474616b65" });
      await c.command("resetStream", { node: A, stream: start + step * n, code: 5 });
    }
    const last = start + step * 300;
    await c.command("raw", {
      node: A,
      stream: last,
      hex: `0474616b65${Buffer.from("here").toString("hex")}`,
      fin: true,
    });
    // Those that the node saw before they were cut have been closed; the last one is read.
    await expect.poll(() => arrived.length, PATIENT).toBeGreaterThan(0);
    await expect
      .poll(async () => (await Promise.all(arrived.map((each) => readAll(each).catch(String)))).map(String), PATIENT)
      .toContain("here");
    await stillUp();
  });
});
