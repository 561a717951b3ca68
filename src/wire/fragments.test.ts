import { describe, expect, it } from "vitest";
import type { MonotonicMs } from "../base/clock.ts";
import { failureOf } from "../testkit/failure.ts";
import { Reassembler } from "./fragments.ts";

const T0 = 1000 as MonotonicMs;

function first(r: Reassembler<string>, seqId: bigint, fragId: bigint, text: string, now: MonotonicMs = T0) {
  return r.first(seqId, fragId, `ctx${seqId}`, Buffer.from(text), 0, text.length, now);
}

function next(r: Reassembler<string>, seqId: bigint, fragId: bigint, text: string) {
  return r.next(seqId, fragId, Buffer.from(text), 0, text.length);
}

function text(done: { buffer: Buffer; start: number; end: number } | undefined): string | undefined {
  return done?.buffer.toString("latin1", done.start, done.end);
}

describe("Reassembler", () => {
  it("joins interleaved sequences and gives each its context back", () => {
    const r = new Reassembler<string>();
    expect(first(r, 7n, 3n, "aa")).toBeUndefined();
    expect(first(r, 2n ** 64n - 1n, 2n, "x")).toBeUndefined();
    expect(next(r, 7n, 2n, "bb")).toBeUndefined();
    expect([r.bytes, r.sequences]).toEqual([5, 2]);
    const other = next(r, 2n ** 64n - 1n, 1n, "y");
    expect([text(other), other?.context]).toEqual(["xy", "ctx18446744073709551615"]);
    const done = next(r, 7n, 1n, "cc");
    expect([text(done), done?.context]).toEqual(["aabbcc", "ctx7"]);
    expect([r.bytes, r.sequences]).toEqual([0, 0]);
  });

  it("hands on a message of one fragment without a copy", () => {
    const r = new Reassembler<string>();
    const frame = Buffer.from("..abc");
    expect(r.first(1n, 1n, "c", frame, 2, 5, T0)).toEqual({ context: "c", buffer: frame, start: 2, end: 5 });
    expect(r.first(1n, 1n, "c", frame, 2, 5, T0)?.buffer).toBe(frame);
  });

  it("refuses every misuse of ids", () => {
    const r = new Reassembler<string>();
    first(r, 5n, 3n, "a");
    const cases: readonly [() => unknown, string][] = [
      [() => first(r, 0n, 2n, "a"), "FRAGMENT_ZERO_SEQUENCE"],
      [() => next(r, 0n, 2n, "a"), "FRAGMENT_ZERO_SEQUENCE"],
      [() => first(r, 6n, 0n, "a"), "FRAGMENT_OUT_OF_ORDER"],
      [() => first(r, 5n, 3n, "a"), "FRAGMENT_DUPLICATE"],
      [() => first(r, 5n, 1n, "a"), "FRAGMENT_DUPLICATE"],
      [() => next(r, 6n, 1n, "a"), "FRAGMENT_UNKNOWN_SEQUENCE"],
      [() => next(r, 5n, 3n, "a"), "FRAGMENT_OUT_OF_ORDER"],
      [() => next(r, 5n, 1n, "a"), "FRAGMENT_OUT_OF_ORDER"],
      [() => next(r, 5n, 0n, "a"), "FRAGMENT_OUT_OF_ORDER"],
    ];
    for (const [run, reason] of cases) expect(failureOf(run)).toBe(`ERR_PEER_MISBEHAVED ${reason}`);
  });

  it("bounds bytes over all sequences, sequences, and fragments of one message", () => {
    const r = new Reassembler<string>({ maxBytes: 10, maxSequences: 2, maxFragments: 4 });
    expect(failureOf(() => first(r, 1n, 5n, "a"))).toBe("ERR_LIMIT TOO_MANY_FRAGMENTS");
    expect(failureOf(() => first(r, 1n, 1n, "a".repeat(11)))).toBe("ERR_LIMIT REASSEMBLY_TOO_LARGE");
    first(r, 1n, 4n, "aaaa");
    first(r, 2n, 2n, "bbbb");
    expect(failureOf(() => first(r, 3n, 2n, "c"))).toBe("ERR_LIMIT TOO_MANY_SEQUENCES");
    expect(first(r, 3n, 1n, "cc")).toBeDefined();
    expect(failureOf(() => next(r, 1n, 3n, "aaa"))).toBe("ERR_LIMIT REASSEMBLY_TOO_LARGE");
    expect(failureOf(() => next(r, 2n, 1n, "bbb"))).toBe("ERR_LIMIT REASSEMBLY_TOO_LARGE");
    expect(text(next(r, 2n, 1n, "bb"))).toBe("bbbbbb");
    expect(r.bytes).toBe(4);
  });

  it("frees the bytes of an aborted sequence and drops the rest of it quietly, still in order", () => {
    const r = new Reassembler<string>({ maxBytes: 10 });
    first(r, 1n, 4n, "aaaaaaaa");
    r.abort(1n);
    r.abort(1n);
    r.abort(9n);
    expect([r.bytes, r.sequences]).toEqual([0, 1]);
    expect(next(r, 1n, 3n, "a".repeat(1000))).toBeUndefined();
    expect(r.bytes).toBe(0);
    expect(failureOf(() => next(r, 1n, 3n, "a"))).toBe("ERR_PEER_MISBEHAVED FRAGMENT_OUT_OF_ORDER");
    expect(next(r, 1n, 2n, "a")).toBeUndefined();
    expect(next(r, 1n, 1n, "a")).toBeUndefined();
    expect(r.sequences).toBe(0);
    expect(failureOf(() => next(r, 1n, 1n, "a"))).toBe("ERR_PEER_MISBEHAVED FRAGMENT_UNKNOWN_SEQUENCE");
  });

  it("expires sequences by the age of their first fragment", () => {
    const r = new Reassembler<string>();
    first(r, 1n, 3n, "a", 0 as MonotonicMs);
    first(r, 2n, 3n, "bb", 10_000 as MonotonicMs);
    next(r, 1n, 2n, "a");
    expect(r.expire(30_000 as MonotonicMs)).toEqual([]);
    expect(r.expire(30_001 as MonotonicMs)).toEqual(["ctx1"]);
    expect([r.bytes, r.sequences]).toEqual([2, 1]);
    expect(r.expire(10_101 as MonotonicMs, 100)).toEqual(["ctx2"]);
    expect(r.bytes).toBe(0);
    expect(failureOf(() => next(r, 2n, 2n, "b"))).toBe("ERR_PEER_MISBEHAVED FRAGMENT_UNKNOWN_SEQUENCE");
  });

  it("forgets everything when cleared", () => {
    const r = new Reassembler<string>();
    first(r, 1n, 2n, "abc");
    r.clear();
    expect([r.bytes, r.sequences]).toEqual([0, 0]);
  });

  it("does not keep a large buffer alive for a small part of it", () => {
    const r = new Reassembler<string>();
    const before = process.memoryUsage().arrayBuffers;
    r.first(1n, 40n, "c", Buffer.allocUnsafeSlow(1024 * 1024), 0, 2000, T0);
    for (let id = 39n; id > 9n; id--) r.next(1n, id, Buffer.allocUnsafeSlow(1024 * 1024), 500, 2500);
    globalThis.gc?.();
    expect(r.bytes).toBe(31 * 2000);
    if (globalThis.gc !== undefined) expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2_000_000);
  });
});
