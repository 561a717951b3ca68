import type { Pid, Reference } from "../term/types.ts";

// Keys are for tables, not for reading: each number is two characters of 16 bits, for decimal digits cost a conversion each. The first
// character says what it is, and all in front of the node's name has a fixed length: nothing blurs into the name.

const PID = 1;
const REFERENCE = 2;

/** A key for tables: equal for equal pids, different for different ones. Bounded by the node's name. */
export function pidKey({ id, serial, creation, node }: Pid): string {
  return pidKeyOf(id, serial, creation, node);
}

/** As `pidKey`, for references. */
export function refKey({ words, creation, node }: Reference): string {
  const [a = 0, b = 0, c = 0, d = 0, e = 0] = words;
  return refKeyOf(words.length, a, b, c, d, e, creation, node);
}

/** The key of the pid with these fields. */
export function pidKeyOf(id: number, serial: number, creation: number, node: string): string {
  // Each is a number of 32 bits at most; `fromCharCode` takes the lower 16 of what it is given.
  return String.fromCharCode(PID, id >>> 16, id, serial >>> 16, serial, creation >>> 16, creation) + node;
}

/** The key of the reference with these words, 0 for those beyond its `count`. */
export function refKeyOf(
  count: number,
  a: number,
  b: number,
  c: number,
  d: number,
  e: number,
  creation: number,
  node: string,
): string {
  return (
    // biome-ignore format: one number a line is not easier to read
    String.fromCharCode(
      REFERENCE, count, a >>> 16, a, b >>> 16, b, c >>> 16, c, d >>> 16, d, e >>> 16, e, creation >>> 16, creation,
    ) + node
  );
}

/** A key for two pids in this order. */
export function pairKey(first: Pid, second: Pid): string {
  const key = pidKey(first);
  return `${key.length}:${key}${pidKey(second)}`;
}

/** A key for what a monitor watches. */
export function targetKey(target: Pid | string): string {
  return typeof target === "string" ? `name:${target}` : pidKey(target);
}
