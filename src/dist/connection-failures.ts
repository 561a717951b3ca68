import { isSallyportError, SallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";
import type { ByeReason } from "../wire/link-frames.ts";
import type { RefuseReason } from "../wire/refuse-reason.ts";
import type { DistLimits } from "./limits.ts";

/** A connection was not a session in time. `isTls`: not even TLS had finished. */
export function handshakeTimeout(isTls: boolean, limits: DistLimits, target: NodeName | undefined): SallyportError {
  const ms = isTls ? limits.maxTlsHandshakeMs : limits.maxHandshakeMs;
  return new SallyportError(
    "ERR_DEADLINE",
    "HANDSHAKE_TIMEOUT",
    `${isTls ? "TLS" : "the handshake"} was not finished within ${ms} ms`,
    {
      ...peerOf(target),
      stage: isTls ? "tls" : "session",
      detail: { ms },
      advice: "check that the other side is an Erlang node listening with the same transport (TLS or plain)",
    },
  );
}

/** The peer of a link has proven its key, and Erlang's handshake did not come to its end. `awaited`: the message of it that did not come. */
export function distStepTimeout(awaited: string | undefined, ms: number, target: NodeName | undefined): SallyportError {
  return new SallyportError(
    "ERR_DEADLINE",
    "HANDSHAKE_TIMEOUT",
    `the peer proved its key, and Erlang's handshake was not finished within ${ms} ms${awaited === undefined ? "" : `: no ${awaited} came`}`,
    {
      ...peerOf(target),
      stage: "cookie",
      detail: { ms, ...DIST_STEP, ...(awaited === undefined ? {} : { awaited }) },
      advice: "it stopped in Erlang's handshake: read its log",
    },
  );
}

/** The step of a barrel connection behind the exchange of keys, in the detail of its failures. */
export const DIST_STEP = { step: "dist" } as const;

/**
 * An OTP acceptor that finds our digest wrong logs it and closes without a word (otp-distribution section 7.4). So does a
 * Sallyport node whose policy does not let us in, and over QUIC (`isOverLink`) that is as likely.
 */
export function closedAfterReply(target: NodeName | undefined, isOverLink: boolean): SallyportError {
  const said = "the peer closed right after our challenge reply";
  const says = isOverLink
    ? `${said}: another cookie there, or a policy that does not let in who dials over QUIC`
    : said;
  const ifSame = isOverLink
    ? "when it is the same, read the log there: a policy whose entry for this node has keys does not let it in over QUIC, where who " +
      "dials counts by the cookie alone; let that node dial this one, or ask for an entry of names with assurance cookie"
    : "when it is the same, the policy there may not let this node connect";
  return new SallyportError("ERR_DENIED", "SECRET_MISMATCH", says, {
    ...peerOf(target),
    stage: "cookie",
    advice: `set the same cookie on both sides; ${ifSame}`,
  });
}

/** The carrier ended in good order before the session stood. */
export function closedDuringHandshake(
  at: "tls" | "identity" | "dist step",
  target: NodeName | undefined,
): SallyportError {
  const inDist = at === "dist step";
  return new SallyportError("ERR_CLOSED", "CLOSED_DURING_HANDSHAKE", "the peer closed before the session stood", {
    ...peerOf(target),
    stage: inDist ? "cookie" : at,
    ...(inDist ? { detail: DIST_STEP } : {}),
    advice: "look into the log of the other side: it refused without saying why",
  });
}

/** What came in the handshake cannot be of a node: another protocol, or TLS where plain TCP was expected. */
export function notADistPeer(target: NodeName | undefined, cause: SallyportError): SallyportError {
  return new SallyportError(
    "ERR_PEER_INCOMPATIBLE",
    "NOT_A_DIST_PEER",
    "what came from the other side is no handshake of the distribution protocol",
    {
      ...peerOf(target),
      stage: "port",
      advice: "check the port, and that both sides use the same transport, TLS or plain",
      cause,
    },
  );
}

/** The native handshake was negotiated under a TLS that it cannot be bound to. */
export function tlsTooOld(version: string | undefined): SallyportError {
  return new SallyportError(
    "ERR_PEER_INCOMPATIBLE",
    "NATIVE_NEEDS_TLS13",
    `the native handshake was negotiated under ${version ?? "an unknown TLS version"}`,
    { stage: "tls", advice: "allow TLS 1.3 on both sides" },
  );
}

/** The peer said goodbye; `isAsked`: we have asked whether the session may end as idle. */
export function goodbye(peer: NodeName, reason: ByeReason, isAsked: boolean): SallyportError {
  return reason === "idle" && isAsked ? idleEnd(peer) : peerLeft(peer, reason);
}

function peerLeft(peer: NodeName, reason: ByeReason): SallyportError {
  return new SallyportError("ERR_CLOSED", "PEER_LEFT", `${peer} left: ${reason}`, {
    peer,
    stage: "session",
    detail: { reason },
    advice: "nothing: connect again when it is wanted",
  });
}

/** Both sides agreed that nothing needs the session. */
export function idleEnd(peer: NodeName): SallyportError {
  return new SallyportError("ERR_CLOSED", "IDLE", `nothing needed the connection with ${peer} any more`, {
    peer,
    stage: "session",
    advice: "nothing: the next message or call opens it again; set idle to false to keep connections",
  });
}

/** The peer lives, and does not say whether it needs the session. */
export function idleUnanswered(peer: NodeName, ms: number): SallyportError {
  return new SallyportError(
    "ERR_CLOSED",
    "IDLE_UNANSWERED",
    `${peer} did not say within ${ms} ms whether it needs the connection`,
    { peer, stage: "session", detail: { ms }, advice: "nothing: the next message or call opens it again" },
  );
}

/** MOVED came on a connection whose session goes nowhere. */
export function movedUnasked(): SallyportError {
  return new SallyportError(
    "ERR_PEER_MISBEHAVED",
    "MOVED_UNASKED",
    "the peer says that the session has moved, and no other connection has taken it over",
    {
      stage: "session",
      advice: "report it to the owner of the other node: its implementation does not follow the protocol",
    },
  );
}

/** The peer ended a standing session for a reason of its own. */
export function endedByPeer(peer: NodeName, reason: RefuseReason): SallyportError {
  return new SallyportError("ERR_CLOSED", "ENDED_BY_PEER", `${peer} ended the session: ${reason}`, {
    peer,
    stage: "session",
    detail: { reason },
    advice: "look into the log of the other side",
  });
}

/** Something arrived that the other side may not send yet. */
export function frameTooEarly(what: string): SallyportError {
  return new SallyportError("ERR_PEER_MISBEHAVED", "FRAME_TOO_EARLY", `the peer sent ${what}`, {
    stage: "session",
    advice: "check that the other side speaks the distribution protocol",
  });
}

/** No byte came for more than the tick time. */
export function peerSilent(peer: NodeName): SallyportError {
  return new SallyportError("ERR_CLOSED", "PEER_SILENT", `${peer} sent nothing for more than the tick time`, {
    stage: "session",
    peer,
    advice: "check the peer and the network; set the same tick time on both sides",
  });
}

/** No byte came since the oldest unanswered PING. */
export function heartbeatTimeout(peer: NodeName): SallyportError {
  return new SallyportError("ERR_CLOSED", "HEARTBEAT_TIMEOUT", `${peer} did not answer a PING in time`, {
    stage: "session",
    peer,
    advice: "check the peer and the network; on slow links set heartbeat to profile wan",
  });
}

/** No byte left for a whole tick time, of native sessions for interval and timeout of the heartbeat. */
export function writeStalled(peer: NodeName, pending: number): SallyportError {
  return new SallyportError(
    "ERR_CLOSED",
    "WRITE_STALLED",
    `${peer} took no byte for as long as a silent peer would be taken for dead`,
    {
      stage: "session",
      peer,
      detail: { pending },
      advice: "the peer ticks but does not read: check what blocks it",
    },
  );
}

/** A started frame took too long. */
export function frameTooSlow(maxMs: number): SallyportError {
  return new SallyportError("ERR_PEER_MISBEHAVED", "FRAME_TOO_SLOW", `a frame took longer than maxFrameMs ${maxMs}`, {
    stage: "session",
    detail: { maxMs },
    advice: "raise maxFrameMs for very slow links",
  });
}

/** A send over a session that is not up. */
export function sessionClosed(): SallyportError {
  return new SallyportError("ERR_CLOSED", "SESSION_CLOSED", "the session is not up", {
    stage: "session",
    advice: "connect again",
  });
}

/** An error that should not exist ended a connection. */
export function connectionBug(cause: unknown): SallyportError {
  return new SallyportError(
    "ERR_INTERNAL",
    "CONNECTION_BUG",
    "an unexpected error ended a connection; please report it",
    { cause, advice: "report it, with the cause that this error carries" },
  );
}

/** A refusal was told to the peer in words that must still leave; whoever broke the rules or the deadline is cut off. */
export function isRefusal(cause: SallyportError | undefined): boolean {
  if (cause === undefined || cause.reason === "NOT_A_DIST_PEER") return false;
  return cause.code === "ERR_DENIED" || cause.code === "ERR_CLOSED" || cause.code === "ERR_PEER_INCOMPATIBLE";
}

/** Whether the peer said what nobody may say. */
export function isMisbehaviour({ code }: SallyportError): boolean {
  return code === "ERR_PEER_MISBEHAVED";
}

/** The error that a connection ends with. */
export function failureOf(error: unknown, kind: string, target: NodeName | undefined): SallyportError {
  const known = isSallyportError(error) ? error : connectionBug(error);
  // Text, a TLS alert or a web request, read as a length: no handshake message is that long.
  return kind === "handshake" && known.reason === "FRAME_TOO_LARGE" ? notADistPeer(target, known) : known;
}

function peerOf(target: NodeName | undefined): { readonly peer?: NodeName } {
  return target === undefined ? {} : { peer: target };
}
