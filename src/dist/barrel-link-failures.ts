import { SallyportError, type Stage } from "../base/errors.ts";
import { quotePeerText } from "../base/escape.ts";
import type { NodeName } from "../base/node-name.ts";
import type { ChannelId } from "../carrier/carrier.ts";

/** The other side of QUIC is no barrel listener, or one that does not say so. */
export function alpnWrong(alpn: string | undefined): SallyportError {
  return new SallyportError(
    "ERR_PEER_INCOMPATIBLE",
    "BARREL_ALPN",
    `the QUIC connection negotiated ${alpn === undefined ? "no protocol" : `"${quotePeerText(alpn)}"`}, not erlang-dist`,
    { stage: "tls", advice: "check the address: what listens there is no barrel_p2p or Sallyport node" },
  );
}

/** The name in Erlang's handshake is not the one that was proven. */
export function nameNotProven(proven: NodeName, claimed: NodeName): SallyportError {
  return new SallyportError(
    "ERR_DENIED",
    "PEER_NAME_MISMATCH",
    `the peer authenticated as ${proven} and calls itself ${claimed}`,
    {
      stage: "identity",
      peer: proven,
      // Not ours, as a wrong address would be.
      detail: { proven, claimed, fault: "remote" },
      advice: "treat the peer as hostile: no honest node has two names",
    },
  );
}

/** Data came on a stream where nothing may come yet, or more of it than may wait. */
export function earlyBytes(value: number, limit: number): SallyportError {
  return new SallyportError(
    "ERR_PEER_MISBEHAVED",
    "EARLY_BYTES",
    `${value} bytes came before the session stood; at most ${limit} may wait`,
    {
      stage: "session",
      detail: { value, limit },
      advice: "the peer sends before it may, or is hostile; look at it before connecting again",
    },
  );
}

/** The step of a link in which something happened. */
export type LinkStep = "auth" | "dist" | "session";

/** `state`: that of the link. */
export function linkStep(state: string, isUp: boolean): LinkStep {
  if (isUp) return "session";
  return state === "open" ? "dist" : "auth";
}

const STAGE_OF_STEP: Readonly<Record<LinkStep, Stage>> = { auth: "identity", dist: "cookie", session: "session" };

/** A stream that the distribution needs is gone. */
export function streamLost(channel: ChannelId, code: number | undefined, step: LinkStep): SallyportError {
  const how = code === undefined ? "ended in the middle of a frame" : `was reset with code ${code}`;
  return new SallyportError("ERR_CLOSED", "BARREL_STREAM_LOST", `stream ${channel} of the distribution ${how}`, {
    stage: STAGE_OF_STEP[step],
    detail: { channel, ...(code === undefined ? {} : { resetCode: code }), ...(step === "session" ? {} : { step }) },
    advice: "connect again; look into the log of the other side",
  });
}

/** Our own bug, or an option that this transport cannot have. */
export function atomCacheOffered(): SallyportError {
  return new SallyportError(
    "ERR_API_MISUSE",
    "BARREL_ATOM_CACHE",
    "the flag DIST_HDR_ATOM_CACHE was offered over many streams, where a cache of the whole connection cannot hold",
    { stage: "flags", advice: "leave the flag 0x2000 out of the offered flags" },
  );
}

/** A single-stream question to a link, which nobody asks. */
export function linkHasOneStream(): SallyportError {
  return new SallyportError("ERR_API_MISUSE", "CHANNEL_UNSUPPORTED", "a link opens its streams itself", {
    advice: "open a tagged stream",
  });
}
