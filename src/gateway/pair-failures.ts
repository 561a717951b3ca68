import { flagsMissing } from "../auth/otp-failures.ts";
import { SallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";
import { missingMandatory, REQUIRED_STRICT } from "../wire/flags.ts";
import type { Side } from "./message-filter.ts";

/**
 * A node without all that the filter reckons with: senders of messages, reasons as payloads, spawns and aliases of the protocol
 * (threat model HS-14). Undefined: it has them.
 */
export function strictlyMissing(peer: NodeName, flags: bigint): SallyportError | undefined {
  const missing = missingMandatory(flags, REQUIRED_STRICT);
  return missing.length === 0 ? undefined : flagsMissing(peer, missing);
}

/** A name that the gateway was not told about. Its target hears nothing of it. */
export function notPaired(claimed: NodeName, target: NodeName): SallyportError {
  return new SallyportError("ERR_DENIED", "NOT_PAIRED", `${claimed} is not paired with ${target} on this gateway`, {
    stage: "identity",
    peer: claimed,
    advice: `add ${claimed} to the pair of ${target}, byte for byte as the node calls itself`,
  });
}

export function tooManyAttempts(claimed: NodeName, max: number): SallyportError {
  return new SallyportError(
    "ERR_LIMIT",
    "PAIRING_ATTEMPTS_FULL",
    `${max} connections of ${claimed} are in their handshake already`,
    {
      stage: "session",
      peer: claimed,
      detail: { limit: max, option: "MAX_PAIRING_ATTEMPTS" },
      advice: "look for a peer that dials again and again without finishing",
    },
  );
}

/** The node behind the gateway has not registered with the gateway's EPMD. */
export function notRegistered(target: NodeName): SallyportError {
  return new SallyportError(
    "ERR_UNREACHABLE",
    "NOT_REGISTERED",
    `${target} is not registered with the gateway's port mapper`,
    {
      stage: "resolve",
      peer: target,
      advice: "start the node with ERL_EPMD_PORT of the gateway, or give its address in the pair",
    },
  );
}

/** A HELLO has shown what the far node is not any more, or never was. By now it is known better. */
export function creationChanged(peer: NodeName): SallyportError {
  return new SallyportError(
    "ERR_CLOSED",
    "CREATION_CHANGED",
    `the node on the other side of the gateway is in another life than ${peer} was shown, or has other capabilities`,
    {
      stage: "session",
      peer,
      advice:
        "nothing, if the node dials again and gets through; let the inside node register with the gateway's port mapper",
    },
  );
}

/** First use gives a stranger no name, and the node on the other side of a gateway knows peers by name only. */
export function strangerRefused(peer: NodeName): SallyportError {
  return new SallyportError("ERR_DENIED", "KEY_UNTRUSTED", `the key of ${peer} waits for the operator's word`, {
    stage: "identity",
    peer,
    advice: "pin its key, give it an invite, or let the node on the other side dial it first",
  });
}

/** The session of a pair stays on the connection that it began with. */
export function pairsStay(peer: NodeName): SallyportError {
  return new SallyportError(
    "ERR_CLOSED",
    "PAIR_STAYS",
    `${peer} wanted to move the session of a pair to this connection`,
    {
      stage: "session",
      peer,
      advice: "nothing: the session goes on over the connection that it has",
    },
  );
}

/** More than fits before the other leg stands. */
export function tooEarly(peer: NodeName, max: number): SallyportError {
  return new SallyportError(
    "ERR_LIMIT",
    "EARLY_MESSAGES",
    `${peer} sent more than ${max} messages before the other node was there`,
    {
      stage: "session",
      peer,
      detail: { limit: max, option: "MAX_EARLY_MESSAGES" },
      advice: "let it dial again; messages that small and that many at once are none of a BEAM node's",
    },
  );
}

/** A leg ended because the other one did. */
export function otherLegEnded(side: Side, peer: NodeName, reason: string): SallyportError {
  return new SallyportError("ERR_CLOSED", "OTHER_LEG_ENDED", `the ${side} leg, to ${peer}, has ended: ${reason}`, {
    stage: "session",
    peer,
    detail: { reason },
    advice: "see the end of that leg",
  });
}

/** A control message that the working set of the session does not know. */
export function notForwardable(peer: NodeName, cause: unknown): SallyportError {
  return new SallyportError(
    "ERR_PEER_MISBEHAVED",
    "NOT_FORWARDABLE",
    `${peer} sent a control message that this session has no form for`,
    { stage: "session", peer, advice: "treat the peer as hostile", cause },
  );
}

/** Cached atoms were not negotiated; the bytes of a payload that refers to them mean nothing on the other leg. */
export function cacheNotNegotiated(peer: NodeName): SallyportError {
  return new SallyportError(
    "ERR_PEER_MISBEHAVED",
    "ATOM_CACHE_NOT_NEGOTIATED",
    `${peer} sent atoms in the header of a frame, which this session does without`,
    { stage: "session", peer, advice: "treat the peer as hostile" },
  );
}
