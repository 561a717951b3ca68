import type { Pid, Term } from "../../term/types.ts";
import { Atom, isAtom, Tuple } from "../../term/types.ts";
import type { IoRequest, IoStep } from "./io-requests.ts";

/** A request under way; `at` is the step whose turn it is. */
export interface Job {
  readonly request: IoRequest;
  /** What it counts for while it waits, in bytes. */
  readonly cost: number;
  at: number;
}

/** Steps that wait for a line. */
export type ReadStep = Extract<IoStep, { kind: "line" | "chars" | "tokens" }>;

/** Steps that wait for the screen. */
export type OutputStep = Extract<IoStep, { kind: "put" | "format" }>;

/** What the leader makes happen. Nothing of it may throw, and nothing answers before it returns. */
export interface LeaderSink {
  /** `io_reply`. False: the worker does not read its answers now; `drained` is called when it does again. */
  reply(request: IoRequest, answer: Term): boolean;
  /** Shows text of the worker. False: the screen is behind; `screenReady` is called when it is not. */
  show(bytes: Buffer, isCut: boolean): boolean;
  /** `from` waits for a line. */
  ask(prompt: Buffer, from: Pid): void;
  /** Nobody waits for one any more. */
  asked(): void;
  /** Runs `io_lib:fn(args)` on the worker, then `formatted` is called. */
  format(fn: string, args: readonly Term[]): void;
  /** Runs `erl_scan:tokens([], text, ...args)` on the worker, then `scanned` is called with `number`. */
  scan(number: number, text: string, args: readonly Term[]): void;
  /** Size of the terminal; undefined where there is none. */
  size(): { readonly columns: number; readonly rows: number } | undefined;
}

/** `{error, Why}`. */
export function failed(why: string): Tuple {
  return new Tuple([new Atom("error"), new Atom(why)]);
}

/** What ends `requests` before their last: failures of the leader have this form. */
export function isFailure(result: Term): boolean {
  return result instanceof Tuple && result.length === 2 && isAtom(result.elements[0], "error");
}
