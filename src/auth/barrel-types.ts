import type { Assurance } from "../base/assurance.ts";
import type { IdentityCrypto } from "../base/identity-crypto.ts";
import type { NodeName } from "../base/node-name.ts";
import type { Random } from "../base/random.ts";
import type { BarrelProofContent } from "../identity/barrel-proof.ts";
import type { PublicKey } from "../identity/public-key.ts";
import type { NativeRole, OpenNonces, TrustAnswer } from "./native-types.ts";

/** Who dialled; as in the native handshake. */
export type BarrelRole = NativeRole;

/** Who we are in one exchange. */
export interface BarrelIdentity {
  readonly name: NodeName;
  readonly publicKey: PublicKey;
  /** Signs with the seed of `publicKey`, as the signer in the proof (`NodeKey.signBarrelProof`). */
  signBarrelProof(content: Omit<BarrelProofContent, "signer">): Buffer;
}

/** How the other side showed who it is. */
export type BarrelMethod = "key" | "cookie-only";

/** Injected parts of the machines; the same for all exchanges of a node. */
export interface BarrelTools {
  readonly crypto: Pick<IdentityCrypto, "sha256" | "equal" | "ed25519Verify">;
  readonly random: Random;
  /** The nonce of our CHALLENGE. Default `barrelNonce`; a recorded exchange brings its own. */
  readonly nonceFor?: (role: BarrelRole) => Buffer;
  /** Nonces of all exchanges and native handshakes of this node that are not finished. */
  readonly openNonces: OpenNonces;
  /** Whether `peer` is listed for cookie-only mode and has no pin. Both ends must list each other. */
  cookieOnly(peer: NodeName): boolean;
  /** From the secured connection to the end of the exchange, milliseconds. Default `BARREL_AUTH_MS`. */
  readonly maxAuthMs?: number;
  /** Half of what clocks may be apart, and the longest a proof may take, milliseconds. Default `BARREL_WINDOW_MS`. */
  readonly windowMs?: number;
}

/** barrel_p2p's `auth_handshake_timeout`. */
export const BARREL_AUTH_MS = 10_000;

/** barrel_p2p's `auth_timestamp_window`; the peer's clock may be off by twice as much. */
export const BARREL_WINDOW_MS = 30_000;

/**
 * What the trust store is asked, when HELLO came and before the peer has proven anything: a yes is worth nothing before
 * `authenticated`, and no pin before Erlang's handshake proved the cookie.
 */
export interface BarrelTrustQuestion {
  readonly role: BarrelRole;
  readonly name: NodeName;
  readonly method: BarrelMethod;
  /** Undefined in cookie-only mode, where the key in HELLO is not looked at. */
  readonly publicKey: PublicKey | undefined;
}

/** As of the native handshake; the peer hears `key_mismatch` or `untrusted_key` for a refusal, and nothing for `full`. */
export type BarrelTrustAnswer = TrustAnswer;

/** What an exchange proved. */
export interface BarrelSession {
  readonly role: BarrelRole;
  /** The name that every later name of this connection must equal. In cookie-only mode it is only a claim. */
  readonly peer: NodeName;
  readonly method: BarrelMethod;
  readonly publicKey: PublicKey | undefined;
  /**
   * Dialling: what the trust store answered. Accepting: never above `cookie`, for an Erlang dialler does not check that the
   * certificate is ours, so its proof can be relayed (rulings S3). In cookie-only mode never above `cookie`.
   */
  readonly assurance: Assurance;
}

/** How one exchange went, under barrel's names for metrics (section 8). */
export interface BarrelAttempt {
  readonly role: "outgoing" | "incoming";
  readonly outcome: "ok" | "fail";
  readonly durationMs: number;
}

/** Names that barrel_p2p has for its metrics (section 8). `BarrelAttempt` feeds the first two, with labels `role` and `outcome`. */
export const BARREL_METRICS = {
  attempts: "barrel_p2p.dist.auth.attempts",
  durationMs: "barrel_p2p.dist.auth.duration_ms",
  /** Changes of a peer's address, with labels `peer` and `outcome`. */
  migrate: "barrel_p2p.dist.migrate",
  /** Tagged streams of peers that were dropped before they had a tag. */
  preambleDropped: "barrel_p2p.streams.preamble_dropped",
} as const;
