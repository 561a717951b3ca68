import { EXIT_PAYLOAD, FRAGMENTS, frameStyle } from "../wire/flags.ts";
import type { SenderOptions } from "./send.ts";

/** How to send to a peer with these working flags. */
export function senderOptions(
  flags: bigint,
  { congestedBytes, maxQueuedBytes }: Pick<SenderOptions, "congestedBytes" | "maxQueuedBytes">,
): SenderOptions {
  return {
    header: frameStyle(flags) === "header",
    fragments: (flags & FRAGMENTS) !== 0n,
    exitPayload: (flags & EXIT_PAYLOAD) !== 0n,
    congestedBytes,
    maxQueuedBytes,
  };
}
