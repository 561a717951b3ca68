import { describe, expect, it } from "vitest";
import { reasonOf } from "../testkit/failure.ts";
import { decodeTerm } from "./decode.ts";
import { NumericKeyMap } from "./numeric-key-map.ts";
import { skipTerm } from "./skip.ts";
import type { Term } from "./types.ts";

/** Processor time, so that a busy machine does not fail the test; generous against what linear work takes. */
function cpuMs(run: () => void): number {
  const start = process.cpuUsage();
  run();
  const used = process.cpuUsage(start);
  return (used.user + used.system) / 1000;
}

function head(tag: number, count: number): Buffer {
  const bytes = Buffer.alloc(6);
  bytes[0] = 131;
  bytes[1] = tag;
  bytes.writeUInt32BE(count, 2);
  return bytes;
}

function mapOf(keys: readonly Buffer[]): Buffer {
  const parts: Uint8Array[] = [head(116, keys.length)];
  const nil = Buffer.from([106]);
  for (const key of keys) parts.push(key, nil);
  return Buffer.concat(parts);
}

/** The unseeded hash by which V8 has long placed small integers in a Map. */
function placeOf(key: number): number {
  let x = key | 0;
  x = (~x + (x << 15)) | 0;
  x ^= x >>> 12;
  x = (x + (x << 2)) | 0;
  x ^= x >>> 4;
  x = Math.imul(x, 2057);
  return x ^ (x >>> 16);
}

describe("hostile terms", () => {
  it.each([105, 108, 109, 111, 116, 77, 67])(
    "refuses a claim of 2^32-1 behind tag %i without allocating for it",
    (tag) => {
      const bytes = Buffer.concat([head(tag, 0xffff_ffff), Buffer.alloc(1000, 106)]);
      const before = process.memoryUsage().rss;
      expect(reasonOf(() => decodeTerm(bytes))).toMatch(/TERM_TRUNCATED|TERM_INTEGER_BYTES/);
      expect(reasonOf(() => skipTerm(bytes, 1, bytes.length))).toMatch(/TERM_TRUNCATED|TERM_INTEGER_BYTES/);
      expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024);
    },
  );

  it("refuses a million levels of each container", () => {
    for (const level of ["6801", "6c00000001", "7400000001", "690000 0001", "4300000001 00770161 770162 770163"]) {
      const one = Buffer.from(level.replaceAll(" ", ""), "hex");
      const bytes = Buffer.alloc(1 + one.length * 1_000_000, one);
      bytes[0] = 131;
      for (let i = 0; i < one.length; i++) bytes[bytes.length - one.length + i] = 106;
      const term = Buffer.concat([Buffer.from([131]), Buffer.alloc(one.length * 1_000_000, one)]);
      expect(reasonOf(() => decodeTerm(term))).toBe("TERM_DEPTH");
      expect(reasonOf(() => skipTerm(term, 1, term.length))).toBe("TERM_DEPTH");
    }
  });

  it("reads a million lists, each the tail of the one before", () => {
    const one = Buffer.from("6c000000016101", "hex");
    const bytes = Buffer.concat([Buffer.from([131]), Buffer.alloc(one.length * 1_000_000, one), Buffer.from([106])]);
    expect(decodeTerm(bytes)).toHaveLength(1_000_000);
    expect(skipTerm(bytes, 1, bytes.length)).toBe(bytes.length);
  });

  it("bounds what nested containers may claim together", () => {
    const parts: Buffer[] = [Buffer.from([131])];
    for (let i = 0; i < 500; i++) parts.push(head(108, 50_000_000 - i * 5).subarray(1));
    parts.push(Buffer.alloc(51_000_000, 106));
    expect(reasonOf(() => decodeTerm(Buffer.concat(parts)))).toBe("TERM_ELEMENTS");
  });

  it("reads an integer of 64 KiB fast", () => {
    const bytes = Buffer.concat([head(111, 65_536), Buffer.alloc(65_537, 0xff)]);
    expect(cpuMs(() => expect(typeof decodeTerm(bytes)).toBe("bigint"))).toBeLessThan(200);
  });

  it("reads a map of 100,000 keys in near-linear time, whatever the keys are", () => {
    const count = 100_000;
    const integer = (value: number): Buffer => {
      const key = Buffer.alloc(5, 98);
      key.writeInt32BE(value, 1);
      return key;
    };
    const big = (i: number): Buffer => {
      const key = Buffer.alloc(15, 0);
      key[0] = 110;
      key[1] = 12;
      key.writeUInt32LE(i + 1, 11);
      return key;
    };
    const text = (i: number): Buffer => Buffer.concat([head(109, 8).subarray(1), Buffer.from(String(10_000_000 + i))]);
    const pair = (i: number): Buffer => Buffer.concat([Buffer.from([104, 2, 97, 1]), integer(i)]);
    const colliding: Buffer[] = [];
    for (let i = 0; colliding.length < count; i++) if ((placeOf(i) & 0x3ff) === 5) colliding.push(integer(i));
    const kinds: Record<string, Buffer[]> = {
      integers: Array.from({ length: count }, (_, i) => integer(i)),
      colliding,
      bigs: Array.from({ length: count }, (_, i) => big(i)),
      texts: Array.from({ length: count }, (_, i) => text(i)),
      tuples: Array.from({ length: count }, (_, i) => pair(i)),
    };
    for (const [kind, keys] of Object.entries(kinds)) {
      const bytes = mapOf(keys);
      let term: Term;
      expect(
        cpuMs(() => {
          term = decodeTerm(bytes);
        }),
        kind,
      ).toBeLessThan(4000);
      expect(term! instanceof Map && term!.size, kind).toBe(count);
      const twice = mapOf([...keys, keys[50_000]!]);
      expect(
        reasonOf(() => decodeTerm(twice)),
        kind,
      ).toBe("TERM_MAP_DUPLICATE_KEY");
    }
  });

  it("stops when telling keys apart takes more steps than allowed", () => {
    const keys = Array.from({ length: 2000 }, (_, i) => Buffer.from([104, 2, 98, 0, 0, i >>> 8, i & 255, 106]));
    expect(reasonOf(() => decodeTerm(mapOf(keys), { limits: { maxKeySteps: 5000 } }))).toBe("TERM_KEY_STEPS");
    expect(reasonOf(() => decodeTerm(mapOf(keys)))).toBe("no error");
    // Equal length and low digits: engines compare such keys in full.
    const long = Array.from({ length: 400 }, (_, i) => {
      const key = Buffer.alloc(6 + 4096, 0);
      key[0] = 111;
      key.writeUInt32BE(4096, 1);
      key.writeUInt16LE(i + 1, key.length - 2);
      return key;
    });
    expect(reasonOf(() => decodeTerm(mapOf(long)))).toBe("TERM_KEY_STEPS");
  });
});

describe("NumericKeyMap", () => {
  it("behaves as a Map", () => {
    const key = {} as unknown as Term;
    const entries: [Term, Term][] = [
      [1, "one"],
      [1n << 70n, "big"],
      [1.5, "half"],
      ["1", "text"],
      [key, "object"],
      [undefined, "nothing"],
    ];
    const map = new NumericKeyMap(entries);
    const plain = new Map(entries);
    expect(map instanceof Map).toBe(true);
    for (const [k, v] of entries) expect(map.has(k) && map.get(k)).toBe(v);
    map.set(1, 2);
    plain.set(1, 2);
    expect([...map]).toEqual([...plain]);
    expect([...map.keys()]).toEqual([...plain.keys()]);
    expect([...map.values()]).toEqual([...plain.values()]);
    const seen: Term[] = [];
    map.forEach((value, k) => {
      seen.push(k, value);
    });
    expect(seen).toEqual([...plain].flat());
    expect(map.delete(1.5)).toBe(true);
    expect(map.delete(1.5)).toBe(false);
    expect(map.size).toBe(5);
    map.clear();
    expect(map.size).toBe(0);
  });
});
