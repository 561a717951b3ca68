import { describe, expect, it } from "vitest";
import {
  HIGH_NATIVE_BYTES,
  MAX_NATIVE_BYTES,
  MemoryGuard,
  NATIVE_BYTES_PER_SESSION,
  SUSPECT_BYTES,
  SUSPECT_HALF_OPEN_BYTES,
} from "./memory-guard.ts";

/** Connections by name: what each withholds, and whether its peer is unknown. */
type Holders = Readonly<Record<string, readonly [withheldBytes: number, halfOpen: boolean]>>;

/** What a look does where so much memory is taken, and so much when what is dead was collected. */
function look(native: number, holders: Holders, collected: number = native): string[] {
  const did: string[] = [];
  const values = [native, collected];
  new MemoryGuard({
    nativeBytes: () => values.shift() ?? Number.NaN,
    collect: () => did.push("collect"),
    holders: () =>
      Object.entries(holders).map(([name, [withheldBytes, halfOpen]]) => ({
        withheldBytes,
        halfOpen,
        overrun: () => did.push(name),
      })),
    exceeded: () => did.push("end"),
  }).look();
  return did;
}

const TWO: Holders = { a: [SUSPECT_BYTES, false], b: [SUSPECT_BYTES + 1, false] };
const own = (connections: number): number => connections * NATIVE_BYTES_PER_SESSION;

describe("the guard over the memory of the QUIC engine", () => {
  it("does nothing below its first mark, which is higher with each connection", () => {
    expect(look(HIGH_NATIVE_BYTES + own(2), TWO)).toEqual([]);
    expect(look(HIGH_NATIVE_BYTES + own(2) + 1, TWO)).toEqual(["collect", "b"]);
  });

  it("cuts nobody when the memory of closed connections was all", () => {
    expect(look(MAX_NATIVE_BYTES + own(2) + 1, TWO, HIGH_NATIVE_BYTES)).toEqual(["collect"]);
  });

  it("cuts the connection that withholds most, if it is much", () => {
    const high = HIGH_NATIVE_BYTES + 1024 * 1024;
    expect(look(high, { a: [0.99 * SUSPECT_BYTES, false], b: [10, false] })).toEqual(["collect"]);
    expect(look(high, { a: [10, false], b: [SUSPECT_BYTES, false], c: [0, false] })).toEqual(["collect", "b"]);
  });

  it("is content with less, the nearer its second mark", () => {
    const between = (share: number): number =>
      HIGH_NATIVE_BYTES + share * (MAX_NATIVE_BYTES - HIGH_NATIVE_BYTES) + own(1);
    const of = (withheld: number): Holders => ({ a: [withheld, false] });
    expect(look(between(0.5), of(SUSPECT_BYTES / 2 - 1))).toEqual(["collect"]);
    expect(look(between(0.5), of(SUSPECT_BYTES / 2))).toEqual(["collect", "a"]);
    expect(look(between(1), of(SUSPECT_HALF_OPEN_BYTES - 1))).toEqual(["collect"]);
    expect(look(between(1), of(SUSPECT_HALF_OPEN_BYTES))).toEqual(["collect", "a"]);
  });

  it("cuts all those of strangers that withhold something", () => {
    const high = HIGH_NATIVE_BYTES + 1024 * 1024;
    const strangers: Holders = {
      a: [SUSPECT_HALF_OPEN_BYTES, true],
      b: [SUSPECT_HALF_OPEN_BYTES - 1, true],
      c: [SUSPECT_HALF_OPEN_BYTES + 1, true],
      d: [SUSPECT_HALF_OPEN_BYTES + 2, false],
    };
    expect(look(high, strangers)).toEqual(["collect", "a", "c"]);
  });

  it("ends the process above the second mark", () => {
    expect(look(MAX_NATIVE_BYTES + own(2) + 1, TWO)).toEqual(["collect", "end"]);
    expect(look(MAX_NATIVE_BYTES + own(2), TWO)).toEqual(["collect", "b"]);
  });
});
