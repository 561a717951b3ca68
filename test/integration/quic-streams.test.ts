import { createHash, randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { SallyportError } from "../../src/base/errors.ts";
import type { Node } from "../../src/node/api.ts";
import type { PeerStream } from "../../src/node/peer-stream.ts";
import { A, B, failure, NativeRig } from "./native-rig.ts";

// Streams of bytes beside messages, between two nodes over real QUIC.

const MIB = 1024 * 1024;
const PIECE = 64 * 1024;
const rig = new NativeRig();

/** Two nodes with a session that `b` dialled, and what opens a stream from one to the other: both ends of it. */
async function pair() {
  const common = { cookie: "cookie-of-the-stream-tests", quic: {} } as const;
  const a = await rig.node(A, "tofu", { ...common, listen: ["quic://127.0.0.1:0"] });
  const resolve = { [A]: a.endpoints[0] as string };
  const b = await rig.node(B, "tofu", { ...common, listen: [], resolve });
  const arrived: ((stream: PeerStream) => void)[] = [];
  for (const node of [a, b]) {
    node.register("echo", { call: (request) => request }, { allow: "cookie" });
    node.onStream("both", (stream) => arrived.shift()?.(stream), { allow: "cookie" });
  }
  await b.connect(A);
  await expect.poll(() => a.peers().length).toBe(1);
  const open = async (from: Node, to: Node) => {
    const served = new Promise<PeerStream>((resolve) => arrived.push(resolve));
    const opener = await from.openStream(to.name, "both");
    return { opener, acceptor: await served };
  };
  return { a, b, open };
}

async function digestOf(stream: PeerStream): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of stream) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { bytes, sha256: hash.digest("hex") };
}

const digest = (bytes: Buffer): { bytes: number; sha256: string } => ({
  bytes: bytes.length,
  sha256: createHash("sha256").update(bytes).digest("hex"),
});

async function pour(stream: PeerStream, bytes: Buffer, wrote: (octets: number) => void = () => {}): Promise<void> {
  for (let at = 0; at < bytes.length; at += PIECE) {
    const piece = bytes.subarray(at, at + PIECE);
    await stream.write(piece);
    wrote(piece.length);
  }
  stream.end();
}

async function read(stream: PeerStream): Promise<string> {
  for await (const chunk of stream) return chunk.toString();
  return "";
}

const cut = (error: SallyportError | null): unknown[] => [error?.reason, error?.detail["resetCode"]];

describe("streams of two nodes over QUIC", () => {
  it("carry megabytes both ways at once, whole and in order, while calls go on", async () => {
    const { a, b, open } = await pair();
    const sent = randomBytes(4 * MIB);
    for (const [from, to] of [
      [b, a],
      [a, b],
    ] as const) {
      const { opener, acceptor } = await open(from, to);
      const got = Promise.all([digestOf(opener), digestOf(acceptor)]);
      const writing = Promise.all([pour(opener, sent), pour(acceptor, sent)]);
      for (let n = 0; n < 20; n++) expect(await from.call({ name: "echo", node: to.name }, n)).toBe(n);
      await writing;
      expect(await got).toEqual([digest(sent), digest(sent)]);
      expect([await opener.closed, await acceptor.closed]).toEqual([null, null]);
    }
  });

  it("end in one direction alone: the other carries megabytes on, then ends too", async () => {
    const { a, b, open } = await pair();
    const sent = randomBytes(2 * MIB);
    for (const half of ["opener", "acceptor"] as const) {
      const ends = await open(b, a);
      const [ended, other] = half === "opener" ? [ends.opener, ends.acceptor] : [ends.acceptor, ends.opener];
      await ended.write(Buffer.from("that is all"));
      ended.end();
      expect((await digestOf(other)).bytes).toBe(11);
      expect(await failure(ended.write(Buffer.from("more")))).toMatchObject({ reason: "STREAM_ENDED" });
      const got = digestOf(ended);
      await pour(other, sent);
      expect(await got).toEqual(digest(sent));
      expect([await ended.closed, await other.closed]).toEqual([null, null]);
    }
  });

  it("tell the other end the code with which they are cut, by whichever end and whenever", async () => {
    const { a, b, open } = await pair();
    let code = 0x200;
    const run = async (from: Node, to: Node, cutter: "opener" | "acceptor", before: string): Promise<void> => {
      const ends = await open(from, to);
      const [near, far] = cutter === "opener" ? [ends.opener, ends.acceptor] : [ends.acceptor, ends.opener];
      if (before === "bytes both ways") {
        await Promise.all([near.write(Buffer.from("near")), far.write(Buffer.from("far"))]);
        expect([await read(near), await read(far)]).toEqual(["far", "near"]);
      }
      // RESET_STREAM alone: nobody writes the other direction any more.
      if (before === "the end of the other side") {
        far.end();
        expect(await read(near)).toBe("");
      }
      // STOP_SENDING alone, to a writer that is at rest: nothing is left to reset.
      if (before === "its own end") {
        near.end();
        expect(await read(far)).toBe("");
      }
      near.reset(++code);
      near.reset(1);
      expect(cut(await near.closed)).toEqual(["STREAM_RESET", code]);
      expect(cut(await far.closed)).toEqual(["STREAM_RESET", code]);
      expect(await failure(far.write(Buffer.from("late")))).toMatchObject({ reason: "STREAM_RESET" });
    };
    for (const before of ["the first byte", "bytes both ways", "the end of the other side", "its own end"]) {
      for (const cutter of ["opener", "acceptor"] as const) {
        await run(a, b, cutter, before);
        await run(b, a, cutter, before);
      }
    }
    const { opener, acceptor } = await open(b, a);
    for (const bad of [-1, 1.5, 2 ** 32, Number.NaN, 0x100, 0x101]) {
      expect(() => opener.reset(bad)).toThrowError(expect.objectContaining({ reason: "STREAM_CODE" }));
    }
    opener.reset(2 ** 32 - 1);
    expect(cut(await acceptor.closed)).toEqual(["STREAM_RESET", 2 ** 32 - 1]);
    const second = await open(b, a);
    second.opener.reset();
    expect(cut(await second.acceptor.closed)).toEqual(["STREAM_OWNER_GONE", 0]);
    expect(await b.call({ name: "echo", node: A }, 1)).toBe(1);
  });

  it("stop a writer that nobody reads, and it alone; read on, every byte comes", async () => {
    const { a, b, open } = await pair();
    for (const [from, to] of [
      [b, a],
      [a, b],
    ] as const) {
      const { opener, acceptor } = await open(from, to);
      const sent = randomBytes(6 * MIB);
      let written = 0;
      const writing = pour(opener, sent, (octets) => {
        written += octets;
      });
      // Other streams of the session, and calls, see nothing of it.
      const others = randomBytes(MIB);
      let held = -1;
      while (held !== written) {
        held = written;
        const beside = await open(from, to);
        const got = digestOf(beside.acceptor);
        await pour(beside.opener, others);
        expect(await got).toEqual(digest(others));
        for (let n = 0; n < 20; n++) expect(await from.call({ name: "echo", node: to.name }, n)).toBe(n);
      }
      // All that is held anywhere: unread, the largest window, and one piece on top of each.
      expect(held).toBeLessThanOrEqual(256 * 1024 + 2 * MIB + 2 * PIECE);
      acceptor.end();
      const got = digestOf(acceptor);
      await writing;
      expect(await got).toEqual(digest(sent));
      expect((await digestOf(opener)).bytes).toBe(0);
      expect([await opener.closed, await acceptor.closed]).toEqual([null, null]);
    }
  });

  it("give their places back, also where hundreds are cut before the peer has room for them", async () => {
    const { a, b, open } = await pair();
    for (const [from, to] of [
      [b, a],
      [a, b],
    ] as const) {
      for (let n = 0; n < 200; n++) (await from.openStream(to.name, "both")).reset(9);
      for (let n = 0; n < 90; n++) await (await from.openStream(to.name, "nobody")).closed;
      const { opener, acceptor } = await open(from, to);
      const got = digestOf(acceptor);
      await pour(opener, Buffer.from("here"));
      expect(await got).toEqual(digest(Buffer.from("here")));
      acceptor.end();
      expect(await opener.closed).toBeNull();
    }
  });

  it("are refused where no rule opens the tag, or nobody serves it, and neither handler nor byte is reached", async () => {
    const { a, b } = await pair();
    const denied: unknown[] = [];
    a.on("denied", ({ verb, target }) => denied.push([verb, target]));
    const seen: string[] = [];
    a.onStream("vault", (stream) => void seen.push(stream.tag));
    for (const tag of ["vault", "nobody"]) {
      const stream = await b.openStream(A, tag);
      await stream.write(Buffer.from("hello")).catch(() => undefined);
      expect(await stream.closed).toMatchObject({ reason: "STREAM_REFUSED" });
    }
    expect(seen).toEqual([]);
    await expect.poll(() => denied).toContainEqual(["stream", "vault"]);
    expect(await b.call({ name: "echo", node: A }, 1)).toBe(1);
  });

  it("end with their session on both sides", async () => {
    const { a, b, open } = await pair();
    const { opener, acceptor } = await open(b, a);
    b.disconnect(A);
    expect([await opener.closed, await acceptor.closed].map((error) => error?.code)).toEqual([
      "ERR_CLOSED",
      "ERR_CLOSED",
    ]);
  });
});
