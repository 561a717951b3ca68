import type { TrustQuestion } from "../auth/native-types.ts";
import { SallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";
import type { Fingerprint } from "../identity/public-key.ts";
import type { TrustDecision, TrustRefusal } from "../identity/trust-decision.ts";

/** The key of a peer lost its standing. */
export function trustWithdrawn(name: NodeName): SallyportError {
  return new SallyportError("ERR_DENIED", "TRUST_WITHDRAWN", `the key of ${name} was revoked, replaced or unpinned`, {
    peer: name,
    stage: "identity",
    advice: "add the peer's key again if it should go on",
  });
}

const ADVICE: Readonly<Record<TrustRefusal, string>> = {
  OWN_NAME: "give the other node a name of its own",
  OWN_KEY: "give the other node a key of its own; keys are never copied",
  KEY_REVOKED: "if the key is in good hands after all, take it out of revoked/ and pin it again",
  PIN_BROKEN: "repair or remove the broken pin file",
  KEY_MISMATCH:
    "if the peer really has a new key, pin it: sallyport trust add --replace NAME KEY; else treat this as an attack",
  KEY_REUSED: "remove the other name's pin, or allow reused keys",
  KEY_UNTRUSTED: "add the key to the trusted ones after comparing its fingerprint, or use trust mode tofu",
};

/** What is wrong with an invite that the peer showed, for the operator. */
const INVITE_FAULTS: Readonly<Record<NonNullable<TrustQuestion["inviteFault"]>, string>> = {
  unknown: "is not known here, or was withdrawn",
  burned: "was used before",
  expired: "has expired",
  "other-name": "is for another node",
  "bad-proof": "was not proven",
};

/**
 * The trust store refuses the key that a peer showed.
 * @param advice what to do instead of the usual
 */
export function untrusted(
  { reason, pinned }: Extract<TrustDecision, { kind: "refuse" }>,
  { name: peer, inviteFault }: TrustQuestion,
  shown: Fingerprint,
  advice: string = ADVICE[reason],
): SallyportError {
  const known = pinned === undefined ? "" : `, pinned is ${pinned}`;
  const invite = inviteFault === undefined ? "" : `; its invite ${INVITE_FAULTS[inviteFault]}`;
  return new SallyportError("ERR_DENIED", reason, `${peer} showed the key ${shown}${known}: ${reason}${invite}`, {
    peer,
    stage: "identity",
    detail: {
      shown,
      ...(pinned === undefined ? {} : { pinned }),
      ...(inviteFault === undefined ? {} : { invite: inviteFault }),
    },
    advice: inviteFault === undefined ? advice : "make a new invite for it, or pin its key",
  });
}

/** A peer came to its commit although nothing was decided of it: a fault of ours. */
export function undecided(peer: NodeName): SallyportError {
  return new SallyportError("ERR_INTERNAL", "TRUST_UNDECIDED", `${peer} was to be committed without a decision`, {
    peer,
    advice: "report it",
  });
}
