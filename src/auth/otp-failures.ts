import { SallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";

/** A handshake message that its state does not know. */
export function unexpectedMessage(expected: string, got: string): SallyportError {
  return new SallyportError(
    "ERR_PEER_MISBEHAVED",
    "HANDSHAKE_UNEXPECTED",
    `expected ${expected} in the handshake, got ${got}`,
    {
      stage: "session",
      detail: { expected, got },
      advice: "check that the other side is an Erlang node of OTP 25 or newer",
    },
  );
}

export function cookieMissing(peer: NodeName): SallyportError {
  return new SallyportError(
    "ERR_CONFIG",
    "COOKIE_MISSING",
    `no cookie is set for ${peer}; the OTP handshake needs one`,
    {
      stage: "cookie",
      peer,
      advice: "give the cookie of the cluster, for example with --cookie-file",
    },
  );
}

export function flagsMissing(peer: NodeName, missing: readonly string[]): SallyportError {
  return new SallyportError(
    "ERR_PEER_INCOMPATIBLE",
    "FLAGS_MISSING",
    `${peer} lacks the capabilities ${missing.join(", ")}`,
    { stage: "flags", peer, detail: { missing: missing.join(" ") }, advice: "run OTP 25 or newer on the other side" },
  );
}

/** The other side does not know our cookie. `where`: which of its two proofs was wrong. */
export function wrongDigest(peer: NodeName, where: "reply" | "ack"): SallyportError {
  return new SallyportError(
    "ERR_DENIED",
    "SECRET_MISMATCH",
    `${peer} does not have the same cookie (challenge ${where})`,
    {
      stage: "cookie",
      peer,
      advice: "set the same cookie on both sides",
    },
  );
}
