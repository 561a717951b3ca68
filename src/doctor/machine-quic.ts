import { publicListenerWarning } from "../carrier/quic/public-address.ts";
import { parseListen } from "../node/listen-option.ts";
import type { NodeOptions } from "../node/options.ts";
import { visibleWarning } from "../node/quic-visible.ts";
import { type Check, doubtful } from "./check.ts";

const VISIBLE_ADVICE = "leave quic.visible out, or name the peers that need it";
const PUBLIC_ADVICE = "listen on a loopback or private address, or let a firewall choose who reaches the UDP port";

/** What a start warns of that is about QUIC. What it refuses is found with the ports. @throws as `visibleWarning` */
export function checkQuic({ quic, listen = [] }: NodeOptions): readonly Check[] {
  const visible = visibleWarning(quic?.visible).map(({ reason, message }) =>
    doubtful("config", reason, message, VISIBLE_ADVICE),
  );
  const open = listen
    .filter((text) => quic?.allowPublic === true && text.startsWith("quic:"))
    .flatMap(hostIn)
    .flatMap(publicListenerWarning)
    .map(({ reason, message }) => doubtful("config", reason, message, PUBLIC_ADVICE));
  return [...visible, ...open];
}

/** None of what is no address: that is found with the ports. */
function hostIn(text: string): readonly string[] {
  try {
    return [parseListen(text, false, false).host];
  } catch {
    return [];
  }
}
