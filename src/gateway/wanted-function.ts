import { wantedByErpc, wantedByRex } from "../guard/peek-function.ts";
import { STRING_EXT } from "../term/tags.ts";
import { atomName, type Pid, type Term, Tuple } from "../term/types.ts";
import type { Control } from "../wire/control-types.ts";
import { pidAt, tupleAt } from "./encoded-terms.ts";
import { elementsAt } from "./io-requests.ts";
import { SPAWN_LINK, SPAWN_MONITOR } from "./spawn-flags.ts";

type Kind<K extends Control["kind"]> = Extract<Control, { kind: K }>;

/** Most arguments that a function has. */
const MAX_ARGUMENTS = 255;

/** A function, and where the list of its arguments stands. */
export interface WantedAt {
  readonly label: string;
  readonly args: number;
}

/** The function that a message to `rex` would run, as call or as cast. */
export function rexFunction(b: Buffer, start: number, end: number): WantedAt | undefined {
  const request = tupleAt(b, start, 3)?.[2] ?? tupleAt(b, start, 2)?.[1];
  if (request === undefined) return undefined;
  const wanted = wantedByRex(b, request, end);
  if (wanted === undefined || !isWhole(b, wanted.args)) return undefined;
  return { label: `${wanted.module}:${wanted.fn}/${wanted.arity}`, args: wanted.args };
}

/** The group leader in `{call | block_call, M, F, A, Leader}`. */
export function rexLeader(b: Buffer, request: number): Pid | undefined {
  const places = tupleAt(b, request, 5);
  return places === undefined ? undefined : pidAt(b, places[4] as number);
}

/** What a spawn request runs; undefined when it cannot be told. */
export function spawnFunction(
  control: Kind<"spawn-request">,
  b: Buffer,
  start: number,
  end: number,
): (WantedAt & { readonly verb: "rpc" | "spawn"; readonly isCall: boolean }) | undefined {
  const { module, arity } = control;
  const isErpc = module === "erpc" && (control.function === "execute_call" || control.function === "execute_cast");
  if (!isErpc) return { verb: "spawn", label: `${module}:${control.function}/${arity}`, args: start, isCall: false };
  const isCall = control.function === "execute_call";
  if (arity !== (isCall ? 4 : 3)) return undefined;
  const wanted = wantedByErpc(b, start, end, arity);
  if (wanted === undefined || !isWhole(b, wanted.args)) return undefined;
  const { module: called, fn, args } = wanted;
  return { verb: "rpc", label: `${called}:${fn}/${wanted.arity}`, args, isCall };
}

export function spawnFlags(options: Term): number {
  let flags = 0;
  if (!Array.isArray(options)) return flags;
  for (const option of options as readonly Term[]) {
    const name = atomName(option instanceof Tuple ? option.elements[0] : option);
    if (name === "link") flags |= SPAWN_LINK;
    if (name === "monitor") flags |= SPAWN_MONITOR;
  }
  return flags;
}

/** Offsets of arguments; those of a list written as a string are all the list's, since nothing but their number counts. */
export function argumentsAt(b: Buffer, at: number): number[] | undefined {
  if (b[at] !== STRING_EXT) return elementsAt(b, at, MAX_ARGUMENTS);
  const size = b.readUInt16BE(at + 1);
  return size > MAX_ARGUMENTS ? undefined : new Array<number>(size).fill(at);
}

/** True when the list at `at` is written in one piece, so that its length is what it says. */
function isWhole(b: Buffer, at: number): boolean {
  return argumentsAt(b, at) !== undefined;
}
