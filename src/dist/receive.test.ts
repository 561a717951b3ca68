import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ByteWriter } from "../base/byte-writer.ts";
import type { MonotonicMs } from "../base/clock.ts";
import { encodeTerm } from "../term/encode.ts";
import { Atom, Pid, Reference, type Term, Tuple } from "../term/types.ts";
import { failureOf } from "../testkit/failure.ts";
import { ControlEncoder } from "../wire/control-encoder.ts";
import type { Control } from "../wire/control-types.ts";
import { Deframer, type FrameSink } from "../wire/deframer.ts";
import { FragmentPlan } from "../wire/fragment-plan.ts";
import { DEFAULT_DIST_LIMITS, type DistLimits } from "./limits.ts";
import { Receiver } from "./receive.ts";

const T0 = 1000 as MonotonicMs;

/** Bytes in no particular pattern, so that a piece in the wrong place shows. */
function noise(length: number, seed: number): Buffer {
  const out = Buffer.allocUnsafeSlow(length);
  let state = seed + 1;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    out[i] = state >>> 16;
  }
  return out;
}

function framesOf(seqId: bigint, payload: Term, partBytes: number, control?: Control): Buffer[] {
  const writer = new ByteWriter();
  const encoder = new ControlEncoder({ style: "header", exitPayload: true });
  const send: Control = { kind: "send", from: new Pid("a@h", 1, 0, 9), to: new Pid("b@h", Number(seqId), 0, 5) };
  encoder.encodeInto(writer, control ?? send);
  const term = encodeTerm(payload);
  // Without the version byte; the fragment header replaces `83 44 00`.
  const head = Buffer.from(writer.buffer.subarray(3, writer.length));
  const plan = new FragmentPlan(seqId, head, [{ buffer: term, start: 1, end: term.length }], partBytes);
  const frames: Buffer[] = [];
  for (;;) {
    const pieces: Uint8Array[] = [];
    if (plan.writeNext(pieces) === 0) return frames;
    frames.push(Buffer.concat(pieces));
  }
}

/** Receiver behind a deframer that gives chunks back by wiping them, as if their memory had gone to somebody else. */
function rig(wanted = true, limits: DistLimits = DEFAULT_DIST_LIMITS, passesOn = false) {
  const payloads: Term[] = [];
  const refused: { kind: string; head: Buffer; heldBytes: number }[] = [];
  const seen = {
    joinedFragments: 0,
    released: 0,
    memories: new Set<ArrayBufferLike>(),
    chunk: Buffer.alloc(0),
    controls: [] as Control[],
  };
  const release = (chunks: readonly Buffer[]): void => {
    for (const chunk of chunks) new Uint8Array(chunk.buffer).fill(0xee);
    seen.released += chunks.length;
  };
  const receiver: Receiver = new Receiver(
    "header",
    limits,
    {
      wanted: () => wanted,
      refused: ({ kind }, buffer, start, end) => {
        refused.push({ kind, head: Buffer.from(buffer.subarray(start, end)), heldBytes: receiver.heldBytes });
      },
      message: (control, buffer, start, end) => {
        seen.memories.add(buffer.buffer);
        seen.controls.push(control);
        payloads.push(receiver.terms.decodeAt(passesOn ? Buffer.from(buffer) : buffer, start, end));
      },
    },
    { release, passesOn },
  );
  const deframer = new Deframer({ prefix: 4, maxFrameBytes: DEFAULT_DIST_LIMITS.maxFrameBytes, release });
  if (passesOn) deframer.reuseMemory();
  const sink: FrameSink = {
    frame(buffer, start, end) {
      const isJoined = passesOn ? buffer !== seen.chunk : end - start === buffer.length;
      if (isJoined && (buffer[start + 1] as number) > 0x44) seen.joinedFragments++;
      receiver.frame(buffer, start, end, T0);
    },
    spanned: (parts, chunk, start, end) => receiver.spanned(parts, chunk, start, end, T0),
    tick: () => {},
  };
  const take = (bytes: Buffer, sizes: readonly number[]): void => {
    for (let at = 0, i = 0; at < bytes.length; i++) {
      const size = sizes[i % sizes.length] ?? 1;
      // Memory of its own, of exactly its length, as TLS hands it up.
      const chunk = Buffer.allocUnsafeSlow(Math.min(size, bytes.length - at));
      bytes.copy(chunk, 0, at, at + chunk.length);
      seen.chunk = chunk;
      deframer.receive(chunk, sink);
      at += chunk.length;
      // Longer ones were given back already.
      if (passesOn) chunk.fill(0xee);
    }
  };
  return { receiver, payloads, refused, seen, take };
}

describe("Receiver, messages in fragments", () => {
  it("puts interleaved messages together whatever the chunks are, though chunks are given back as soon as they may", () => {
    const sizes = fc.array(
      fc.oneof(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 900, max: 5000 }), fc.constant(16_384)),
      { minLength: 1, maxLength: 5 },
    );
    const parts = fc.oneof(fc.integer({ min: 500, max: 3000 }), fc.constant(65_536));
    fc.assert(
      fc.property(
        sizes,
        parts,
        fc.nat(150_000),
        fc.nat(40_000),
        fc.boolean(),
        (cuts, partBytes, long, short, passesOn) => {
          const messages = [noise(long, 1), noise(short, 2)];
          const [first, second] = messages.map((message, i) => framesOf(BigInt(i + 1), message, partBytes));
          const wire: Buffer[] = [];
          while ((first?.length ?? 0) + (second?.length ?? 0) > 0) {
            for (const frames of [first, second]) wire.push(frames?.shift() ?? Buffer.alloc(0));
          }
          const { receiver, payloads, take } = rig(true, DEFAULT_DIST_LIMITS, passesOn);
          take(Buffer.concat(wire), cuts);
          expect(receiver.heldBytes).toBe(0);
          expect(payloads).toHaveLength(2);
          for (const message of messages) {
            expect(payloads.some((got) => got instanceof Uint8Array && message.equals(got))).toBe(true);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it("does not join the later fragments one by one, and gives their chunks back", () => {
    const { payloads, seen, take } = rig();
    const message = noise(400_000, 3);
    take(Buffer.concat(framesOf(1n, message, 65_536)), [16_384]);
    expect(message.equals(payloads[0] as Buffer)).toBe(true);
    expect(seen.joinedFragments).toBe(1);
    expect(seen.released).toBeGreaterThan(12);
  });

  it("joins no fragment at all where messages are passed on, and all of them in the same memory until there is quiet", () => {
    const { receiver, payloads, seen, take } = rig(true, DEFAULT_DIST_LIMITS, true);
    const messages = [1, 2, 3].map((n) => noise(65_536 + n, n));
    const wire = messages.map((message, i) => Buffer.concat(framesOf(BigInt(i + 1), message, 65_536)));
    take(Buffer.concat(wire.slice(0, 2)), [50_000]);
    receiver.expire(T0);
    take(wire[2] as Buffer, [50_000]);
    messages.forEach((message, i) => void expect(message.equals(payloads[i] as Buffer)).toBe(true));
    expect(seen).toMatchObject({ joinedFragments: 0, memories: { size: 1 } });
    receiver.expire(T0);
    receiver.expire(T0);
    take(wire[0] as Buffer, [50_000]);
    expect(seen.memories.size).toBe(2);
  });

  it("keeps the options of a spawn that comes in fragments, though the memory they came in is used again", () => {
    const own = (id: number): Pid => new Pid("a@h", id, 0, 9);
    const ref = new Reference("a@h", 9, [1, 2, 3]);
    const options = [new Tuple([new Atom("max_heap_size"), noise(60_000, 1)])];
    const spawn: Control = {
      kind: "spawn-request",
      ...{ ref, from: own(1), groupLeader: own(2), module: "m", function: "f", arity: 1, options },
    };
    const payload = [noise(200_000, 2)];
    for (const size of [1_000, 20_000, 70_000]) {
      const { seen, take } = rig(true, DEFAULT_DIST_LIMITS, true);
      take(Buffer.concat(framesOf(1n, payload, 65_536, spawn)), [size]);
      // Not toEqual: what it prints of 60 KB that differ takes minutes.
      expect(seen.controls.map((control) => isDeepStrictEqual(control, spawn))).toEqual([true]);
    }
  });

  it("finds what is wrong with a spanning first fragment", () => {
    const [first] = framesOf(1n, noise(300_000, 6), 65_536);
    const bytes = first as Buffer;
    const failure = (change: (b: Buffer) => void, ...before: Buffer[]) => {
      const changed = Buffer.from(bytes);
      change(changed);
      const failing = rig(true, DEFAULT_DIST_LIMITS, true);
      return failureOf(() => failing.take(Buffer.concat([...before, changed]), [16_384]));
    };
    // After 4 bytes of length: `131 69`, the ids, no atoms, `{22, ...}`.
    expect(failure((b) => b.writeBigUInt64BE(0n, 6))).toBe("ERR_PEER_MISBEHAVED FRAGMENT_ZERO_SEQUENCE");
    expect(failure((b) => b.writeBigUInt64BE(0n, 14))).toBe("ERR_PEER_MISBEHAVED FRAGMENT_OUT_OF_ORDER");
    expect(failure(() => {}, bytes)).toBe("ERR_PEER_MISBEHAVED FRAGMENT_DUPLICATE");
    expect(failure((b) => b.writeUInt8(99, 26))).toBe("ERR_PEER_MISBEHAVED CONTROL_UNKNOWN_OP");
    // An operation without a payload (link), and a control message that does not end.
    expect(failure((b) => b.writeUInt8(1, 26))).toBe("ERR_PEER_MISBEHAVED PACKET_UNEXPECTED_PAYLOAD");
    expect(failure((b) => b.writeUInt8(255, 24))).toMatch(/^ERR_PEER_MISBEHAVED /);
    const small = rig(true, { ...DEFAULT_DIST_LIMITS, maxReassemblyBytes: 65_535 }, true);
    expect(failureOf(() => small.take(bytes, [16_384]))).toBe("ERR_LIMIT REASSEMBLY_TOO_LARGE");
  });

  it("counts what it holds, and drops an unwanted message of spanning fragments to its end", () => {
    const frames = framesOf(1n, noise(300_000, 4), 65_536);
    const held = rig();
    held.take(Buffer.concat(frames.slice(0, 3)), [16_384]);
    expect(held.receiver.heldBytes).toBe(3 * 65_536);
    const unwanted = rig(false);
    unwanted.take(Buffer.concat([...frames, ...framesOf(1n, noise(10, 5), 65_536)]), [16_384]);
    expect(unwanted.receiver.heldBytes).toBe(0);
    expect(unwanted.payloads).toHaveLength(1);
  });

  it("hands the head of an unwanted message to its refusal, once, and never that of another", () => {
    const message = noise(300_000, 7);
    const frames = framesOf(1n, message, 65_536);
    const unwanted = rig(false);
    unwanted.take(Buffer.concat(frames), [16_384]);
    const first = encodeTerm(message).subarray(1, 1 + 65_536);
    expect(unwanted.refused).toEqual([{ kind: "send", head: first, heldBytes: 0 }]);
    expect(unwanted.payloads).toEqual([]);
    // A message that fits its first fragment is refused like any small one, after it was delivered.
    unwanted.take(Buffer.concat(framesOf(2n, noise(10, 8), 65_536)), [16_384]);
    unwanted.take(Buffer.concat(framesOf(1n, message, 65_536)), [16_384]);
    expect(unwanted.refused).toHaveLength(2);
    const wanted = rig(true);
    wanted.take(Buffer.concat(frames), [16_384]);
    expect(wanted.refused).toEqual([]);
  });

  it("reads the head of an unwanted message with the atoms of its own header", () => {
    const term = (of: Term): Buffer => encodeTerm(of).subarray(1);
    const CACHED = Buffer.from([82, 0]);
    const regSend = [Buffer.from([104, 4, 97, 6]), term(new Pid("a@h", 1, 0, 9)), term(new Atom("")), CACHED];
    // Sequence 9 of two fragments, whose header has one new atom; that is the name, and the payload begins with it.
    const head = Buffer.from([131, 69, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0x08, 0, 4]);
    const frame = Buffer.concat([head, Buffer.from("sink"), ...regSend, CACHED]);
    const atoms: unknown[] = [];
    const receiver: Receiver = new Receiver("header", DEFAULT_DIST_LIMITS, {
      wanted: () => false,
      refused: (_control, buffer, start, end) => atoms.push(receiver.terms.decodeAt(buffer, start, end)),
      message: () => undefined,
    });
    receiver.frame(frame, 0, frame.length, T0);
    expect(atoms).toEqual([new Atom("sink")]);
  });

  it("refuses a spanning fragment out of order, of no sequence, and beyond the bound, as a whole one", () => {
    const frames = framesOf(1n, noise(300_000, 6), 65_536);
    const at = (index: number): Buffer => frames[index] as Buffer;
    const failure = (bytes: Buffer) => failureOf(() => rig().take(bytes, [16_384]));
    expect(failure(Buffer.concat([at(0), at(2)]))).toBe("ERR_PEER_MISBEHAVED FRAGMENT_OUT_OF_ORDER");
    expect(failure(at(1))).toBe("ERR_PEER_MISBEHAVED FRAGMENT_UNKNOWN_SEQUENCE");
    const small = rig(true, { ...DEFAULT_DIST_LIMITS, maxReassemblyBytes: 3 * 65_536 });
    small.take(Buffer.concat(frames.slice(0, 3)), [16_384]);
    expect(failureOf(() => small.take(at(3), [16_384]))).toBe("ERR_LIMIT REASSEMBLY_TOO_LARGE");
  });
});
