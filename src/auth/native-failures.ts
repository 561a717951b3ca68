import { type ErrorContext, SallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";
import type { KeyFault } from "../identity/public-key.ts";
import { NATIVE_VERSION, type NativeMessage } from "../wire/native-handshake.ts";
import type { RefuseReason } from "../wire/refuse-reason.ts";

/** How a native handshake ends badly: the error with all detail for us, one word of the closed list for the peer. */
export interface NativeFailure {
  readonly error: SallyportError;
  /** Undefined: nothing is told, because the peer ended it or knows already. */
  readonly tell: RefuseReason | undefined;
}

/** The failure for an error of the message decoder. Whatever broke the rules is told `auth`, like every other no. */
export function decodeFailure(error: SallyportError): NativeFailure {
  if (error.reason === "VERSION_MISMATCH") return { error, tell: "version" };
  if (error.reason === "METHOD_MISMATCH") return { error, tell: "method" };
  return { error, tell: "auth" };
}

export function unexpected(expected: string, got: NativeMessage["kind"] | "a second chain"): NativeFailure {
  return misbehaved("HANDSHAKE_UNEXPECTED", `expected ${expected} in the native handshake, got ${got}`, {
    detail: { expected, got },
  });
}

export function bindingMissing(what: string): NativeFailure {
  const error = new SallyportError(
    "ERR_DENIED",
    "CHANNEL_BINDING_MISSING",
    `the TLS session has no ${what}; a proof bound to nothing could be relayed`,
    {
      stage: "tls",
      detail: { missing: what },
      advice: "use TLS 1.3 with a certificate on both sides, without a proxy that ends TLS",
    },
  );
  return { error, tell: "cert" };
}

export function selfConnect(peer: NodeName): NativeFailure {
  return denied("SELF_CONNECT", `the other side is, or claims to be, this node: ${peer}`, "auth", peer, {
    advice: "give each node a name of its own and correct the address",
  });
}

export function ownKeyShown(peer: NodeName): NativeFailure {
  return denied("OWN_KEY", `${peer} shows this node's own public key`, "auth", peer, {
    advice: "a copied key directory, or an attack by reflection: make a key for each node",
  });
}

export function nonceReflected(peer: NodeName): NativeFailure {
  return misbehaved("NONCE_REFLECTED", `${peer} sent back a nonce that this node has open itself`, { peer });
}

export function keyUnsafe(peer: NodeName, fault: KeyFault): NativeFailure {
  return misbehaved("KEY_UNSAFE", `${peer} shows a public key that is no key to trust: ${fault}`, {
    peer,
    detail: { fault },
  });
}

export function wrongNode(target: NodeName, peer: NodeName): NativeFailure {
  return denied("PEER_NAME_MISMATCH", `dialled ${target}, but ${peer} answered`, "wrong-node", target, {
    detail: { answered: peer },
    advice: "correct the address the name resolves to",
  });
}

export function versionUnknown(peer: NodeName, version: number): NativeFailure {
  const error = new SallyportError(
    "ERR_PEER_INCOMPATIBLE",
    "VERSION_MISMATCH",
    `${peer} chose version ${version} of the native handshake, this node speaks ${NATIVE_VERSION}`,
    { stage: "flags", peer, detail: { version, own: NATIVE_VERSION }, advice: "run the same release on both sides" },
  );
  return { error, tell: "version" };
}

export function methodsDiffer(peer: NodeName, why: string): NativeFailure {
  const error = new SallyportError("ERR_PEER_INCOMPATIBLE", "METHOD_MISMATCH", `${peer}: ${why}`, {
    stage: "flags",
    peer,
    advice:
      "list the peer for cookie-only mode on both sides, or on neither; a peer with a pinned key is never taken by cookie alone",
  });
  return { error, tell: "method" };
}

export function nativeFlagsMissing(peer: NodeName, missing: readonly string[]): NativeFailure {
  const error = new SallyportError(
    "ERR_PEER_INCOMPATIBLE",
    "FLAGS_MISSING",
    `${peer} lacks the capabilities ${missing.join(", ")}`,
    { stage: "flags", peer, detail: { missing: missing.join(" ") }, advice: "run the same release on both sides" },
  );
  return { error, tell: "version" };
}

export function proofInvalid(peer: NodeName): NativeFailure {
  return denied("PROOF_INVALID", `the signature of ${peer} does not hold on this channel`, "auth", peer, {
    advice: "something between the nodes ends TLS, or the peer does not own the key it shows; do not promote it",
  });
}

export function inviteInvalid(peer: NodeName): NativeFailure {
  return denied("INVITE_INVALID", `${peer} names an open invite without knowing its secret`, "auth", peer, {
    advice: "make a new invite; this one may have been seen by others",
  });
}

export function inviteWrongNode(peer: NodeName): NativeFailure {
  return denied("INVITE_WRONG_NODE", `${peer} does not have the key that the invite names`, "auth", peer, {
    advice: "check the address, or ask the owner of the node for a new invite",
  });
}

export function successionForeign(peer: NodeName): NativeFailure {
  return misbehaved("SUCCESSION_FOREIGN", `${peer} sent statements of succession that lead to another name or key`, {
    peer,
  });
}

/** `where`: what showed that the cookies differ. */
export function secretDiffers(peer: NodeName, where: "proof" | "set on one side only"): NativeFailure {
  return denied("SECRET_MISMATCH", `${peer} does not have the same cookie (${where})`, "secret", peer, {
    stage: "cookie",
    detail: { where },
    advice: "set the same cookie on both sides, or on neither",
  });
}

export function cookieUnusable(target: NodeName, cookieBytes: number, least: number): NativeFailure {
  const error =
    cookieBytes === 0
      ? new SallyportError(
          "ERR_CONFIG",
          "COOKIE_MISSING",
          `${target} is listed for cookie-only mode without a cookie`,
          {
            stage: "cookie",
            peer: target,
            advice: "set a cookie of at least 16 random bytes, or use keys",
          },
        )
      : new SallyportError(
          "ERR_CONFIG",
          "COOKIE_TOO_SHORT",
          `the cookie for ${target} has ${cookieBytes} bytes; cookie-only mode needs ${least}`,
          {
            stage: "cookie",
            peer: target,
            detail: { value: cookieBytes, limit: least },
            advice: "set a cookie of at least 16 random bytes, or use keys",
          },
        );
  return { error, tell: undefined };
}

export function otherWins(peer: NodeName, tell: "other-wins" | undefined): NativeFailure {
  const error = new SallyportError(
    "ERR_CLOSED",
    "OTHER_CONNECTION_WINS",
    `another connection between this node and ${peer} goes on, this one ends`,
    { stage: "session", peer, advice: "nothing: the other connection serves both sides" },
  );
  return { error, tell };
}

/** The owner said no: to somebody who is not trusted `auth`, else `busy`. */
export function turnedAway({
  kind,
  error,
}: {
  readonly kind: "refused" | "full";
  readonly error: SallyportError;
}): NativeFailure {
  return { error, tell: kind === "full" ? "busy" : "auth" };
}

export function peerGaveUp(peer: NodeName): NativeFailure {
  const error = new SallyportError(
    "ERR_CLOSED",
    "PEER_GAVE_UP",
    `${peer} keeps its existing connection and gave this one up`,
    { stage: "session", peer, advice: "nothing: the existing session goes on" },
  );
  return { error, tell: undefined };
}

export function staleIncarnation(peer: NodeName, incarnation: bigint): NativeFailure {
  return denied(
    "STALE_INCARNATION",
    `${peer} shows incarnation ${incarnation}; a younger one was seen`,
    "stale",
    peer,
    {
      stage: "session",
      detail: { incarnation: String(incarnation) },
      advice: "its clock went back or an old copy of it runs: stop the copy, or override it by trust",
    },
  );
}

/** The other side ended the handshake and said why. Its word, nothing more: it may not have proven anything. */
export function refusedByPeer(reason: RefuseReason, peer: NodeName | undefined): NativeFailure {
  const who = peer ?? "the peer";
  const context: ErrorContext = {
    stage: "session",
    ...(peer === undefined ? {} : { peer }),
    detail: { toldBy: "peer", told: reason },
    advice: ADVICE[reason],
  };
  const said = `${who} refused the native handshake: ${reason}`;
  return { error: refusal(reason, said, context), tell: undefined };
}

function refusal(reason: RefuseReason, said: string, context: ErrorContext): SallyportError {
  switch (reason) {
    case "version":
      return new SallyportError("ERR_PEER_INCOMPATIBLE", "VERSION_MISMATCH", said, context);
    case "method":
      return new SallyportError("ERR_PEER_INCOMPATIBLE", "METHOD_MISMATCH", said, context);
    case "cert":
      return new SallyportError("ERR_DENIED", "CHANNEL_BINDING_MISSING", said, context);
    case "wrong-node":
      return new SallyportError("ERR_DENIED", "PEER_NAME_MISMATCH", said, context);
    case "busy":
      return new SallyportError("ERR_CLOSED", "PEER_BUSY", said, context);
    case "auth":
      return new SallyportError("ERR_DENIED", "REFUSED_BY_PEER", said, context);
    case "secret":
      return new SallyportError("ERR_DENIED", "SECRET_MISMATCH", said, context);
    case "other-wins":
      return new SallyportError("ERR_CLOSED", "OTHER_CONNECTION_WINS", said, context);
    case "stale":
      return new SallyportError("ERR_DENIED", "STALE_INCARNATION", said, context);
    case "failed":
      return new SallyportError("ERR_CLOSED", "PEER_COMMIT_FAILED", said, context);
  }
}

const ADVICE: Readonly<Record<RefuseReason, string>> = {
  version: "run the same release on both sides",
  method: "list the peer for cookie-only mode on both sides, or on neither",
  cert: "use TLS 1.3 with a certificate on both sides",
  "wrong-node": "correct the address the name resolves to",
  busy: "try again later",
  auth: "look into the log of the other side: it does not say over the wire what it did not like",
  secret: "set the same cookie on both sides, or on neither",
  "other-wins": "nothing: the other connection serves both sides",
  stale: "the other side has seen a younger incarnation of this node: look for a second copy of it",
  failed: "look into the log of the other side: it could not save the pin",
};

function denied(
  reason: string,
  message: string,
  tell: RefuseReason,
  peer: NodeName,
  context: ErrorContext,
): NativeFailure {
  return { error: new SallyportError("ERR_DENIED", reason, message, { stage: "identity", peer, ...context }), tell };
}

function misbehaved(reason: string, message: string, context: ErrorContext): NativeFailure {
  const advice =
    "the peer's software or something on the path is broken or hostile; look at it before connecting again";
  const error = new SallyportError("ERR_PEER_MISBEHAVED", reason, message, { stage: "identity", advice, ...context });
  return { error, tell: "auth" };
}
