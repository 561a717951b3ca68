import { headIs, peekTupleHead, type TupleHead } from "../term/peek.ts";
import type { Term } from "../term/types.ts";

/** What a message to a process is, as far as a policy tells messages apart. */
export type MessageVerb = "send" | "call" | "cast" | "io" | "system";

/**
 * The verb of a message to a process, from the head of its bytes (rulings C11): `$gen_call` and `$gen_cast` whatever follows
 * them, `io_request`, and what only a node's own machinery makes (`system`, `EXIT`, `DOWN`, `io_reply`); all else is `send`.
 * Fills `head`; allocates nothing and never throws. Bytes that are no term are `send`: decoding refuses them.
 */
export function classifyMessage(
  buffer: Buffer,
  start: number,
  end: number,
  head: TupleHead,
  atomRefs?: readonly Term[],
): MessageVerb {
  if (!peekTupleHead(buffer, start, end, head) || head.arity === 0) return "send";
  if (head.atomRef >= 0) return classifyByName(buffer, head, atomRefs);
  switch (head.atomEnd - head.atomStart) {
    case 4:
    case 6:
    case 8:
    case 9:
    case 10:
      return head.atomStart < 0 ? "send" : classifyByName(buffer, head, undefined);
    default:
      return "send";
  }
}

function classifyByName(buffer: Buffer, head: TupleHead, atomRefs: readonly Term[] | undefined): MessageVerb {
  if (headIs(head, buffer, "$gen_call", atomRefs)) return "call";
  if (headIs(head, buffer, "$gen_cast", atomRefs)) return "cast";
  if (headIs(head, buffer, "io_request", atomRefs)) return "io";
  if (
    headIs(head, buffer, "system", atomRefs) ||
    headIs(head, buffer, "EXIT", atomRefs) ||
    headIs(head, buffer, "DOWN", atomRefs) ||
    headIs(head, buffer, "io_reply", atomRefs)
  ) {
    return "system";
  }
  return "send";
}
