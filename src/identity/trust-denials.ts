import { SallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";

/** Why a key is not accepted for a name, when it comes to writing. */
export type DeniedReason =
  | "KEY_MISMATCH"
  | "KEY_UNTRUSTED"
  | "KEY_REVOKED"
  | "KEY_REUSED"
  | "PIN_BROKEN"
  | "OWN_IDENTITY";

const ADVICE: Readonly<Record<DeniedReason, string>> = {
  KEY_MISMATCH:
    "ask the peer's operator whether the key changed; if so, pin the new one: sallyport trust add --replace NAME KEY",
  KEY_UNTRUSTED: "pin its key, give it an invite, or use the tofu mode",
  KEY_REVOKED: "the peer needs a new key; a revocation is lifted only by removing its file in revoked/",
  KEY_REUSED: "give each node a key of its own, or allow reused keys",
  PIN_BROKEN: "repair the file, or remove the pin and pin the key again",
  OWN_IDENTITY: "leave this node itself out",
};

/** The error for a key that is not accepted; `why` completes "NAME is not accepted: ". */
export function denied(reason: DeniedReason, name: NodeName, why: string): SallyportError {
  return new SallyportError("ERR_DENIED", reason, `${name} is not accepted: ${why}`, {
    stage: "identity",
    peer: name,
    advice: ADVICE[reason],
  });
}

/** The error for a name without a pin. */
export function notFound(name: NodeName): SallyportError {
  return new SallyportError("ERR_CONFIG", "PIN_NOT_FOUND", `${name} has no pin and does not wait as pending`, {
    stage: "identity",
    peer: name,
    advice: "list the pins and the pending peers",
  });
}

/** The error for a name under which keys wait, none of which was named. */
export function fingerprintNeeded(name: NodeName, waiting: number): SallyportError {
  const keys = waiting === 1 ? "a key waits" : `${waiting} keys wait`;
  return new SallyportError("ERR_CONFIG", "FINGERPRINT_NEEDED", `${keys} under ${name}`, {
    stage: "identity",
    peer: name,
    advice: "name the fingerprint that the peer's operator reads to you: a pending key proves no name",
  });
}
