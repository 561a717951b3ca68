import { type Detail, type ErrorContext, SallyportError, withNote } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";
import type { KeyFault } from "../identity/public-key.ts";
import type { BarrelDecodeFault, BarrelFailWord, BarrelMessage } from "./barrel-messages.ts";

/** How an exchange of barrel's auth v2 ends badly: the error for us, and the word of FAIL for the peer, where it gets one. */
export interface BarrelFailure {
  readonly error: SallyportError;
  /** Undefined: silence, which is barrel's answer to everything but three things. */
  readonly tell: BarrelFailWord | undefined;
}

/** What a machine waits for from the peer. */
export type BarrelAwaited = "hello" | "challenge" | "response" | "ok";

/** What a machine says to the peer. */
export type BarrelSaid = BarrelMessage["kind"];

const HOSTILE = "the peer's software or something on the path is broken or hostile; look at it before connecting again";
const CHECK_PEER = "check that the other side is a barrel_p2p node of auth version 2, or a Sallyport node";

/** Bytes that are no message, by barrel's name for it. */
export function undecodable(fault: BarrelDecodeFault, detail: Detail): SallyportError {
  const full: Detail = { barrel: "unexpected_message", decode: fault, ...detail };
  switch (fault) {
    case "malformed_message":
      return broken("HANDSHAKE_EMPTY", "an empty message in the exchange of keys", full);
    case "invalid_node_name":
      return broken("HANDSHAKE_BAD_NAME", "a HELLO with a name that is no node name", full);
    case "unknown_message_type":
      return broken("HANDSHAKE_UNKNOWN_MESSAGE", "a message of a type that does not exist", full);
    case "invalid_hello_payload":
    case "invalid_challenge_payload":
    case "invalid_response_payload":
    case "invalid_fail_payload":
      return broken("HANDSHAKE_BAD_FIELD", `a message of the wrong size (${fault})`, full);
  }
}

export function versionUnknown(version: number): SallyportError {
  return new SallyportError(
    "ERR_PEER_INCOMPATIBLE",
    "VERSION_MISMATCH",
    `the peer speaks version ${version} of barrel's auth; only version 2 is spoken here`,
    {
      stage: "flags",
      detail: { barrel: "unexpected_message", decode: "unsupported_version", version },
      advice: "run a barrel_p2p release with auth version 2 on the other side",
    },
  );
}

export function messageTooLong(value: number, limit: number): SallyportError {
  return broken("HANDSHAKE_TOO_LONG", `a message of ${value} bytes; at most ${limit} are taken`, { value, limit });
}

export function tooManyBytes(value: number, limit: number): SallyportError {
  return broken("EARLY_BYTES", `${value} bytes came before anybody could read them; at most ${limit} may wait`, {
    value,
    limit,
  });
}

/** Our own bug. */
export function badFieldLength(field: string, bytes: number): SallyportError {
  return new SallyportError("ERR_INTERNAL", "BARREL_FIELD_LENGTH", `${field} has ${bytes} bytes; please report this`, {
    detail: { field, bytes },
  });
}

export function bindingMissing(whose: "own" | "peer's"): SallyportError {
  return new SallyportError(
    "ERR_DENIED",
    "CHANNEL_BINDING_MISSING",
    `the ${whose} certificate of this connection is not known; a proof bound to nothing could be relayed`,
    {
      stage: "tls",
      detail: {
        barrel: "channel_binding_failed",
        missing: whose,
        ...(whose === "own" ? { fault: "local" } : {}),
      },
      advice: "use a QUIC engine that shows certificates; sessions are never resumed, for those show none",
    },
  );
}

/** The name of this node does not exist in barrel's grammar. */
export function nameUnusable(name: NodeName): SallyportError {
  return new SallyportError("ERR_CONFIG", "BARREL_NAME_UNUSABLE", `${name} is no node name for barrel_p2p`, {
    stage: "name",
    peer: name,
    advice: "use letters, digits, _, - and ., with neither - nor . first on either side of the @, and no IPv6 address",
  });
}

/** The carrier gave no stream for what this node says. */
export function streamNotOpened(cause: unknown): SallyportError {
  return streamFailed("the connection gave no stream for the exchange of keys", {
    detail: { barrel: "open_auth_stream_failed", step: "auth" },
    advice: "connect again; if it stays so, look at the stream limits of the other side",
    cause,
  });
}

/** The carrier took no bytes on our stream. */
export function notSent(said: BarrelSaid, cause: unknown): SallyportError {
  return streamFailed(`the connection did not take this node's ${label(said)}`, {
    detail: { barrel: `send_${said}_failed`, step: "auth" },
    advice: "connect again; look into the log of the other side",
    cause,
  });
}

/** The peer stopped our stream (STOP_SENDING) after the message that we said last. */
export function streamStopped(said: BarrelSaid, resetCode: number): SallyportError {
  return streamFailed(`the peer stopped this node's auth stream after its ${label(said)}, with code ${resetCode}`, {
    detail: { barrel: `send_${said}_failed`, why: "stream_stopped", step: "auth", resetCode },
    advice: "look into the log of the other side: it refused without saying why",
  });
}

/** The peer opened no stream at all before the deadline, or not the next message came. */
export function timedOut(awaited: BarrelAwaited, hasHeard: boolean, ms: number): SallyportError {
  return new SallyportError(
    "ERR_DEADLINE",
    "HANDSHAKE_TIMEOUT",
    hasHeard
      ? `the peer sent no ${label(awaited)} within ${Math.round(ms)} ms`
      : `the peer said nothing within ${Math.round(ms)} ms`,
    {
      stage: "identity",
      detail: hasHeard
        ? { barrel: `recv_${awaited}_failed`, why: "timeout", step: "auth", ms: Math.round(ms) }
        : { barrel: "auth_stream_timeout", step: "auth", ms: Math.round(ms) },
      advice: hasHeard
        ? `it stopped in the exchange of keys, before its ${label(awaited)}: read its log; and ${CHECK_PEER}`
        : `${CHECK_PEER}, with auth switched on`,
    },
  );
}

export function streamReset(awaited: BarrelAwaited, resetCode: number): SallyportError {
  return new SallyportError(
    "ERR_CLOSED",
    "BARREL_STREAM_RESET",
    `the peer reset its auth stream before its ${label(awaited)}`,
    {
      stage: "identity",
      detail: { barrel: `recv_${awaited}_failed`, why: "stream_reset", step: "auth", resetCode },
      advice: leftAdvice(awaited),
    },
  );
}

export function streamEnded(awaited: BarrelAwaited): SallyportError {
  return new SallyportError(
    "ERR_CLOSED",
    "BARREL_STREAM_ENDED",
    `the peer ended its auth stream before its ${label(awaited)}`,
    {
      stage: "identity",
      detail: { barrel: `recv_${awaited}_failed`, why: "stream_ended", step: "auth", ...guess(awaited) },
      advice: leftAdvice(awaited),
    },
  );
}

/** Who has answered our HELLO and leaves at our CHALLENGE has one thing that it can dislike there: the time in it. */
function guess(awaited: BarrelAwaited): Detail {
  return awaited === "response" ? { diagnosis: "CLOCK_SKEW", fault: "either" } : {};
}

/** What a peer that left without a word has seen last, and so most likely did not like. */
function leftAdvice(awaited: BarrelAwaited): string {
  switch (awaited) {
    case "hello":
      return "look into the log of the other side: it refused without saying why";
    case "challenge":
      return "it left when it saw this node's name and key: most likely it has another key pinned for this node, trusts no unpinned one, or meant another node; compare with sallyport keys show, and read its log";
    case "response":
      return "it left when it saw this node's CHALLENGE: most likely the clocks are apart; set both by NTP, and read its log";
    case "ok":
      return "it left when it saw this node's proof: read its log";
  }
}

/** The connection is gone. With a cause of the carrier's before the peer was heard, that one. */
export function connectionLost(
  awaited: BarrelAwaited,
  hasHeard: boolean,
  cause: SallyportError | undefined,
): SallyportError {
  if (!hasHeard && cause !== undefined) return withNote(cause, "", { barrel: "transport_error" });
  // Nobody on the other side did anything.
  if (cause?.reason === "QUIC_ENGINE_LOST" || cause?.reason === "QUIC_ENGINE_CLOSED") {
    return withNote(cause, "", { barrel: `recv_${awaited}_failed`, why: "connection_closed" });
  }
  return new SallyportError(
    "ERR_CLOSED",
    "CLOSED_DURING_HANDSHAKE",
    `the connection ended before the peer's ${label(awaited)}`,
    {
      stage: "identity",
      detail: hasHeard
        ? { barrel: `recv_${awaited}_failed`, why: "connection_closed", step: "auth", ...guess(awaited) }
        : { barrel: "connection_closed", step: "auth" },
      advice: leftAdvice(awaited),
      ...(cause === undefined ? {} : { cause }),
    },
  );
}

export function unexpected(expected: string, got: BarrelMessage["kind"]): BarrelFailure {
  return quiet(
    broken("HANDSHAKE_UNEXPECTED", `expected ${expected}, got ${label(got)}`, {
      barrel: "unexpected_message",
      expected,
      got,
    }),
  );
}

/** OK, which proves nothing, from a node that must prove its key. */
export function unexpectedOk(target: NodeName): BarrelFailure {
  return quiet(
    new SallyportError("ERR_PEER_INCOMPATIBLE", "METHOD_MISMATCH", `${target} wants no proof, and must give one`, {
      stage: "identity",
      peer: target,
      detail: { barrel: "unexpected_auth_ok" },
      advice:
        "list the peer for cookie-only mode on both sides, or on neither; a peer with a pinned key is never taken by cookie alone",
    }),
  );
}

export function selfConnect(peer: NodeName): BarrelFailure {
  return denied("SELF_CONNECT", `the other side is, or claims to be, this node: ${peer}`, peer, {
    advice: "give each node a name of its own and correct the address",
  });
}

export function ownKeyShown(peer: NodeName): BarrelFailure {
  return denied("OWN_KEY", `${peer} shows this node's own public key`, peer, {
    advice: "a copied key directory, or an attack by reflection: make a key for each node",
  });
}

export function keyUnsafe(peer: NodeName, fault: KeyFault): BarrelFailure {
  return quiet(broken("KEY_UNSAFE", `${peer} shows a public key that is no key to trust: ${fault}`, { fault }, peer));
}

export function nonceReflected(peer: NodeName, whose: "this node" | "another dialler"): BarrelFailure {
  const text = `${peer} wants a proof for a nonce that ${whose} has made, which would pass for it there`;
  return quiet(broken("NONCE_REFLECTED", text, { madeBy: whose }, peer));
}

export function wrongNode(target: NodeName, answered: NodeName): BarrelFailure {
  return denied("PEER_NAME_MISMATCH", `dialled ${target}, but ${answered} answered`, target, {
    detail: { answered },
    advice: "correct the address the name resolves to",
  });
}

/** The peer's clock and ours are too far apart; `skewMs` is positive when the peer's is ahead. */
export function clockSkew(peer: NodeName, skewMs: number, limitMs: number): BarrelFailure {
  return denied("CLOCK_SKEW", `the clock of ${peer} is ${skewMs} ms off; at most ${limitMs} are taken`, peer, {
    detail: { barrel: "peer_ts_skew", skewMs, limitMs },
    advice: "set both clocks by NTP; the clocks, not the network, are apart",
  });
}

/** `isLate`: it holds, but came after the window. barrel tells the two apart as little as the wire does. */
export function proofInvalid(peer: NodeName, isLate: boolean, tell: BarrelFailWord | undefined): BarrelFailure {
  const why = isLate ? "came too late" : "does not hold on this connection";
  const { error } = denied("PROOF_INVALID", `the signature of ${peer} ${why}`, peer, {
    detail: { barrel: "signature_verification_failed", isLate },
    advice: "something between the nodes ends TLS, or the peer does not own the key it shows; do not promote it",
  });
  return { error, tell };
}

interface Told {
  readonly diagnosis: string;
  readonly fault: string;
  readonly advice: string;
}

/** What the three words of FAIL mean, seen from the side that was refused (docs/doctor.md). */
const TOLD: Readonly<Record<BarrelFailWord, Told>> = {
  key_mismatch: {
    diagnosis: "KEY_MISMATCH",
    fault: "remote",
    advice:
      "it has another key pinned for this node: replace the pin there by the key that sallyport keys show prints here",
  },
  untrusted_key: {
    diagnosis: "KEY_UNTRUSTED",
    fault: "remote",
    advice:
      "let its operator add the key that sallyport keys show prints here, unless it was revoked there: that is told in the same word",
  },
  signature_invalid: {
    diagnosis: "PROOF_INVALID",
    fault: "either",
    advice: "something between the nodes ends TLS, or the key pair of this node is broken",
  },
};

/** FAIL came. Its text is the peer's word, nothing more, and was escaped when it was read. */
export function rejected(told: string, peer: NodeName): BarrelFailure {
  const known = Object.hasOwn(TOLD, told) ? TOLD[told as BarrelFailWord] : undefined;
  return denied("REFUSED_BY_PEER", `the other side refused this node: ${told}`, peer, {
    detail: {
      barrel: "auth_rejected",
      told,
      ...(known === undefined ? {} : { diagnosis: known.diagnosis, fault: known.fault }),
    },
    advice: known?.advice ?? "let the other side's operator look into its log",
  });
}

/** The owner said no. Only `key_mismatch` and `untrusted_key` have a word on the wire; who is only turned away hears nothing. */
export function untrusted(kind: "refused" | "full", error: SallyportError): BarrelFailure {
  if (kind === "full") return quiet(error);
  const word: BarrelFailWord = error.reason === "KEY_MISMATCH" ? "key_mismatch" : "untrusted_key";
  return { error: withNote(error, "", { barrel: word }), tell: word };
}

function streamFailed(message: string, context: ErrorContext): SallyportError {
  return new SallyportError("ERR_CLOSED", "BARREL_STREAM_FAILED", message, { stage: "identity", ...context });
}

/** What is told nobody. */
export function quiet(error: SallyportError): BarrelFailure {
  return { error, tell: undefined };
}

function denied(reason: string, message: string, peer: NodeName, context: ErrorContext): BarrelFailure {
  return quiet(new SallyportError("ERR_DENIED", reason, message, { stage: "identity", peer, ...context }));
}

function broken(reason: string, message: string, detail: Detail, peer?: NodeName): SallyportError {
  return new SallyportError("ERR_PEER_MISBEHAVED", reason, message, {
    stage: "identity",
    detail,
    advice: HOSTILE,
    ...(peer === undefined ? {} : { peer }),
  });
}

function label(awaited: BarrelAwaited | BarrelMessage["kind"]): string {
  return awaited.toUpperCase();
}
