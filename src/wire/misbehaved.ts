import { type Detail, SallyportError } from "../base/errors.ts";

/** What every protocol violation asks of its reader. */
const ADVICE =
  "the peer's software or something on the path is broken or hostile; look at the peer before connecting again";

/**
 * Makes the error for bytes that break the protocol. The connection cannot go on after it. `message` must carry no text
 * of the peer that did not go through `quotePeerText`, and never a payload.
 */
export function misbehaved(
  reason: string,
  message: string,
  detail: Detail = {},
  advice: string = ADVICE,
): SallyportError {
  return new SallyportError("ERR_PEER_MISBEHAVED", reason, message, { detail, advice });
}
