import type { Pid } from "../term/types.ts";
import type { Control } from "../wire/control-types.ts";
import { atomAt, tupleAt } from "./encoded-terms.ts";
import type { FilterParts } from "./filter-parts.ts";
import { pidKey } from "./identifier-keys.ts";
import type { CallHead } from "./learn.ts";

type MessageControl = Extract<Control, { kind: "send" | "reg-send" | "alias-send" }>;

/** Watched by pings and by calls of `rex`: that they are there goes without saying. */
export const ASKED: readonly string[] = ["net_kernel", "rex"];

/**
 * True for a message of the commander that no rule needs to allow: a ping, the question what `rex` can, and the answer to a
 * request to print, once. `call`: the message, when it is one.
 */
export function needsNoGrant(
  parts: FilterParts,
  control: MessageControl,
  b: Buffer,
  start: number,
  call: CallHead | undefined,
): boolean {
  if (control.kind === "send") return answersPrinting(parts, control.to, b, start);
  const { mayAsk, observation } = parts.options;
  if (control.kind !== "reg-send" || (mayAsk === false && observation?.isOn !== true)) return false;
  if (control.name === "net_kernel") {
    const [word] = call === undefined ? [] : (tupleAt(b, call.start, 2) ?? []);
    return word !== undefined && atomAt(b, word) === "is_auth";
  }
  const [, word] = control.name === "rex" ? (tupleAt(b, start, 2) ?? []) : [];
  return word !== undefined && atomAt(b, word) === "features_request";
}

/** True for a monitor that comes with what needs no grant. */
export function watchesFreely(parts: FilterParts, target: Pid | string): boolean {
  return parts.options.mayAsk !== false && typeof target === "string" && ASKED.includes(target);
}

/** `{io_reply, ReplyAs, Answer}` to a process that asked so. */
function answersPrinting(parts: FilterParts, to: Pid, b: Buffer, start: number): boolean {
  const [name, asStart, asEnd] = tupleAt(b, start, 3) ?? [];
  if (name === undefined || asStart === undefined || atomAt(b, name) !== "io_reply") return false;
  return parts.paths.endPrinting(pidKey(to), b.toString("latin1", asStart, asEnd));
}
