import type { Pid, Reference } from "../term/types.ts";

/** A key for tables: equal for equal pids, different for different ones. Bounded by the node's name. */
export function pidKey(pid: Pid): string {
  return `${pid.id}.${pid.serial}.${pid.creation}@${pid.node}`;
}

/** As `pidKey`, for references. */
export function refKey(ref: Reference): string {
  return `${ref.words.join(".")}:${ref.creation}@${ref.node}`;
}

/** A key for two pids in this order. Begins with numbers and a creation, so no node name can blur where the first ends. */
export function pairKey(first: Pid, second: Pid): string {
  const key = pidKey(first);
  return `${key.length}:${key}${pidKey(second)}`;
}

/** A key for what a monitor watches. */
export function targetKey(target: Pid | string): string {
  return typeof target === "string" ? `name:${target}` : pidKey(target);
}
