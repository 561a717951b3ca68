import type { Pid, Reference } from "../term/types.ts";

/** A key for tables: equal for equal pids, different for different ones. Bounded by the node name's length. */
export function pidKey(pid: Pid): string {
  return (
    String.fromCharCode(
      pid.id & 0xffff,
      pid.id >>> 16,
      pid.serial & 0xffff,
      pid.serial >>> 16,
      pid.creation & 0xffff,
      pid.creation >>> 16,
    ) + pid.node
  );
}

/**
 * A key for tables over all words, the creation and the node of a reference. The leading length keeps references with
 * fewer words apart, and the node comes last, so no two references share a key.
 */
export function refKey(ref: Reference): string {
  const words = ref.words;
  let key = String.fromCharCode(words.length, ref.creation & 0xffff, ref.creation >>> 16);
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? 0;
    key += String.fromCharCode(word & 0xffff, word >>> 16);
  }
  return key + ref.node;
}

/** True when both name the same process of the same incarnation of a node. */
export function samePid(a: Pid, b: Pid): boolean {
  return a === b || (a.id === b.id && a.serial === b.serial && a.creation === b.creation && a.node === b.node);
}

/** True when both are the same pid, or the same registered name. */
export function sameTarget(a: Pid | string, b: Pid | string): boolean {
  if (typeof a === "string" || typeof b === "string") return a === b;
  return samePid(a, b);
}
