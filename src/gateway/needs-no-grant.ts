import type { MessageVerb } from "../guard/classify.ts";
import type { TupleHead } from "../term/peek.ts";
import type { Control } from "../wire/control-types.ts";
import { atomAt, tupleAt } from "./encoded-terms.ts";
import type { CallHead } from "./learn.ts";

/** A ping, the question what `rex` can, and the answer to a request to print: every commander may send these. */
export function needsNoGrant(
  control: Control,
  verb: MessageVerb,
  head: TupleHead,
  b: Buffer,
  start: number,
  call: CallHead | undefined,
): boolean {
  if (control.kind !== "reg-send") {
    return verb === "system" && head.arity === 3 && atomAt(b, head.elements) === "io_reply";
  }
  if (control.name === "net_kernel") {
    const [word] = call === undefined ? [] : (tupleAt(b, call.start, 2) ?? []);
    return word !== undefined && verb === "call" && atomAt(b, word) === "is_auth";
  }
  const [, word] = control.name === "rex" ? (tupleAt(b, start, 2) ?? []) : [];
  return word !== undefined && atomAt(b, word) === "features_request";
}
