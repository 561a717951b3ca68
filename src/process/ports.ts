import type { Pid, Term } from "../term/types.ts";
import type { Control } from "../wire/control-types.ts";

/** What the process layer needs of one live session to a peer. */
export interface RemoteEnd {
  /** The peer's node name as it stands in its pids. */
  readonly node: string;
  readonly creation: number;
  /**
   * Sends one signal; signals leave in call order. `payload` counts only
   * when `hasPayload(control)`: then it is the exit reason, and the value `undefined` is the atom `undefined`. Must not
   * throw; a session that is going down drops the signal.
   */
  signal(control: Control, payload?: Term): void;
}

/** Postponed work. */
export interface Scheduler {
  /** Calls `run` once in a later turn, after pending I/O had its chance (`setImmediate`, not a microtask). */
  later(run: () => void): void;
}

/**
 * What a process does. One message at a time: while a returned promise is pending no further message is taken. `Meta` is
 * whatever the node passes beside a message; this layer never looks into it.
 */
export interface Behaviour<Meta> {
  message(term: Term, meta: Meta): void | Promise<void>;
  /** Called once, after the process left the table and its signals went out. `reason` is the unscrubbed one. */
  terminated?(reason: Term): void;
}

/** What becomes of a process whose behaviour threw: it exits with this reason, or, for `undefined`, it lives on. */
export type CrashVerdict = { readonly exit: Term } | undefined;

/** One end of a monitor, told. */
export interface Down {
  /** `target` as it was given when monitoring: a pid, or a registered name on `node`. */
  readonly target: Pid | string;
  readonly node: string;
  readonly reason: Term;
}
