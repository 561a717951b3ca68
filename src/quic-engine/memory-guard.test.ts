import { describe, expect, it } from "vitest";
import {
  GROWTH_BYTES,
  HIGH_NATIVE_BYTES,
  MAX_NATIVE_BYTES,
  MemoryGuard,
  NATIVE_BYTES_PER_SESSION,
  SUSPECT_BYTES,
  SUSPECT_HALF_OPEN_BYTES,
} from "./memory-guard.ts";

const MIB: number = 1024 * 1024;

/** Connections by name: what each withholds, and whether its peer is unknown. */
type Holders = Readonly<Record<string, readonly [withheldBytes: number, halfOpen: boolean]>>;

/** A guard, and what it does in a look at so much memory, and so much when what is dead was collected. */
function world() {
  const did: string[] = [];
  let values: number[] = [];
  let current: Holders = {};
  const guard = new MemoryGuard({
    nativeBytes: () => values.shift() ?? Number.NaN,
    collect: () => did.push("collect"),
    later(run) {
      did.push("later");
      run();
    },
    holders: () =>
      Object.entries(current).map(([name, [withheldBytes, halfOpen]]) => ({
        withheldBytes,
        halfOpen,
        overrun: () => did.push(name),
      })),
    exceeded: () => did.push("end"),
  });
  return (native: number, holders: Holders, collected: number = native): string[] => {
    values = [native, collected];
    current = holders;
    const halfOpen = Object.values(holders).filter(([, isHalfOpen]) => isHalfOpen).length;
    guard.look(Object.keys(holders).length - halfOpen, halfOpen);
    return did.splice(0);
  };
}

function look(native: number, holders: Holders, collected: number = native): string[] {
  return world()(native, holders, collected);
}

const TWO: Holders = { a: [SUSPECT_BYTES, false], b: [SUSPECT_BYTES + 1, false] };
const own = (connections: number): number => connections * NATIVE_BYTES_PER_SESSION;

describe("the guard over the memory of the QUIC engine", () => {
  it("does nothing below its first mark, which is higher with each connection", () => {
    expect(look(HIGH_NATIVE_BYTES + own(2), TWO)).toEqual([]);
    expect(look(HIGH_NATIVE_BYTES + own(2) + 1, TWO)).toEqual(["collect", "later", "b"]);
  });

  it("cuts nobody when the memory of closed connections was all", () => {
    expect(look(MAX_NATIVE_BYTES + own(2) + 1, TWO, HIGH_NATIVE_BYTES)).toEqual(["collect", "later"]);
  });

  it("cuts the connection that withholds most, if it is much", () => {
    const high = HIGH_NATIVE_BYTES + 1024 * 1024;
    expect(look(high, { a: [0.99 * SUSPECT_BYTES, false], b: [10, false] })).toEqual(["collect", "later"]);
    expect(look(high, { a: [10, false], b: [SUSPECT_BYTES, false], c: [0, false] })).toEqual(["collect", "later", "b"]);
  });

  it("is content with less, the nearer its second mark", () => {
    const between = (share: number): number =>
      HIGH_NATIVE_BYTES + share * (MAX_NATIVE_BYTES - HIGH_NATIVE_BYTES) + own(1);
    const of = (withheld: number): Holders => ({ a: [withheld, false] });
    expect(look(between(0.5), of(SUSPECT_BYTES / 2 - 1))).toEqual(["collect", "later"]);
    expect(look(between(0.5), of(SUSPECT_BYTES / 2))).toEqual(["collect", "later", "a"]);
    expect(look(between(1), of(SUSPECT_HALF_OPEN_BYTES - 1))).toEqual(["collect", "later"]);
    expect(look(between(1), of(SUSPECT_HALF_OPEN_BYTES))).toEqual(["collect", "later", "a"]);
  });

  it("cuts all those of strangers that withhold something", () => {
    const high = HIGH_NATIVE_BYTES + 1024 * 1024;
    const strangers: Holders = {
      a: [SUSPECT_HALF_OPEN_BYTES, true],
      b: [SUSPECT_HALF_OPEN_BYTES - 1, true],
      c: [SUSPECT_HALF_OPEN_BYTES + 1, true],
      d: [SUSPECT_HALF_OPEN_BYTES + 2, false],
    };
    expect(look(high, strangers)).toEqual(["collect", "later", "a", "c"]);
  });

  it("ends the process above the second mark", () => {
    expect(look(MAX_NATIVE_BYTES + own(2) + 1, TWO)).toEqual(["collect", "later", "end"]);
    expect(look(MAX_NATIVE_BYTES + own(2), TWO)).toEqual(["collect", "later", "b"]);
  });

  it("asks for nothing more until memory has grown, for what a process has had stays with it", () => {
    const lookAt = world();
    const high = HIGH_NATIVE_BYTES + own(2) + MIB;
    expect(lookAt(high, TWO)).toEqual(["collect", "later", "b"]);
    expect(lookAt(high + GROWTH_BYTES, TWO)).toEqual([]);
    expect(lookAt(high + GROWTH_BYTES + 1, TWO)).toEqual(["collect", "later", "b"]);
    // It fell, and rises anew.
    expect(lookAt(high - MIB, TWO)).toEqual([]);
    expect(lookAt(high - MIB + GROWTH_BYTES, TWO)).toEqual([]);
    expect(lookAt(high - MIB + GROWTH_BYTES + 1, TWO)).toEqual(["collect", "later", "b"]);
  });

  it("ends the process above the second mark also where it would cut nobody", () => {
    const lookAt = world();
    const almost = MAX_NATIVE_BYTES + own(2);
    expect(lookAt(almost, TWO)).toEqual(["collect", "later", "b"]);
    expect(lookAt(almost, TWO)).toEqual([]);
    expect(lookAt(almost + 1, TWO)).toEqual(["collect", "later", "end"]);
  });

  it("goes by the most connections at once: their memory stays when they are gone", () => {
    const lookAt = world();
    const most = HIGH_NATIVE_BYTES + own(2);
    expect(lookAt(most, TWO)).toEqual([]);
    expect(lookAt(most, {})).toEqual([]);
    expect(lookAt(most + 1, {})).toEqual(["collect", "later"]);
    // Strangers count while they are there: a crowd of them raises no mark for good.
    const stranger: Holders = { c: [0, true] };
    expect(lookAt(most + own(1), stranger)).toEqual([]);
    expect(lookAt(most + own(1), {})).toEqual(["collect", "later"]);
  });

  it("waits with its judgement until what was collected is freed, once at a time", () => {
    const did: string[] = [];
    const waiting: (() => void)[] = [];
    const guard = new MemoryGuard({
      nativeBytes: () => MAX_NATIVE_BYTES + MIB,
      collect: () => did.push("collect"),
      later: (run) => waiting.push(run),
      holders: () => [],
      exceeded: () => did.push("end"),
    });
    guard.look(0, 0);
    guard.look(0, 0);
    expect([did, waiting.length]).toEqual([["collect"], 1]);
    waiting.shift()?.();
    expect(did).toEqual(["collect", "end"]);
  });
});
