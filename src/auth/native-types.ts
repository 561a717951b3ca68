import type { Assurance } from "../base/assurance.ts";
import type { SallyportError } from "../base/errors.ts";
import type { IdentityCrypto } from "../base/identity-crypto.ts";
import type { NodeName } from "../base/node-name.ts";
import type { Random } from "../base/random.ts";
import type { InviteProof, InviteVerdict } from "../identity/invite.ts";
import type { PublicKey } from "../identity/public-key.ts";
import type { SuccessionChain } from "../identity/succession.ts";
import type { NativeMethod } from "../wire/native-handshake.ts";
import type { CookieKey } from "./native-cookie.ts";
import type { Transcript } from "./native-transcript.ts";

/** Who dialled. */
export type NativeRole = "dialler" | "acceptor";

/** Who we are in one native handshake. */
export interface NativeIdentity {
  readonly name: NodeName;
  /** 4..2^32-1. */
  readonly creation: number;
  /** max(persisted + 1, unix milliseconds), 64 bits (rulings S13). */
  readonly incarnation: bigint;
  /** The distribution flags we offer. */
  readonly flags: bigint;
  readonly publicKey: PublicKey;
  /** Statements that lead to `publicKey`, oldest first, at most 8; empty when the key was never rotated. */
  readonly successions: SuccessionChain;
  /** Signs with the seed of `publicKey`. The machine gives it only inputs of its own two labels. */
  sign(input: Uint8Array): Buffer;
}

/** What the machine needs of the TLS session. Each undefined part is a refusal: the proof would bind to nothing. */
export interface ChannelBinding {
  /** Exporter `EXPORTER-Channel-Binding`, no context, 32 bytes. */
  readonly exporter: Buffer | undefined;
  /** DER of the certificate that we showed in this very session, not of the one that is configured now. */
  readonly ownCertificate: Buffer | undefined;
  readonly peerCertificate: Buffer | undefined;
}

/** An invite that this node was given for one acceptor. */
export interface DiallerInvite {
  /** 16 bytes, public. */
  readonly id: Buffer;
  /** Whether this is the key that the token names. */
  namesKey(publicKey: PublicKey): boolean;
  /** The proof over `H`, 32 bytes. Asked only after the key was found to be the right one. */
  mac(transcriptHash: Uint8Array): Buffer;
}

/** Injected parts of the native machines; the same for all handshakes of a node. */
export interface NativeTools {
  readonly crypto: IdentityCrypto;
  readonly random: Random;
  /** Nonces of all handshakes of this node that are not finished. */
  readonly openNonces: OpenNonces;
  /** The stretched cookie shared with a peer; undefined when none is configured. */
  cookieFor(peer: NodeName): CookieKey | undefined;
  /** Whether `peer` is listed for cookie-only mode. Both ends must list each other. */
  cookieOnly(peer: NodeName): boolean;
  /** True when any peer is listed at all; false answers cookie-only diallers with `method` at once. */
  readonly hasCookieOnly: boolean;
  /** Cookies under 16 bytes may be used in cookie-only mode. An option named `dangerous`. */
  readonly allowShortCookie: boolean;
  /** Acceptor: what an invite is worth that a peer showed. Uses nothing up. */
  judgeInvite(proof: InviteProof): InviteVerdict;
}

/** What the trust store is asked about a peer whose proof held. */
export interface TrustQuestion {
  readonly role: NativeRole;
  readonly name: NodeName;
  readonly method: NativeMethod;
  /** Undefined in cookie-only mode. The peer holds its secret half, on this channel. */
  readonly publicKey: PublicKey | undefined;
  /**
   * What the peer says of its earlier keys; empty when it said nothing. It names this peer and ends at `publicKey`;
   * signatures, dates and revoked keys are NOT checked: that is `judgeChain`'s work.
   */
  readonly successions: SuccessionChain;
  /** As acceptor: the peer proved our cookie too. As dialler always false: its proof comes later. */
  readonly cookieProven: boolean;
  /**
   * As acceptor: the cookies differ, or only one side has one. The peer hears `secret` unless it is refused; nothing more is to
   * be decided, or told, of somebody who has proven so little. As dialler always false.
   */
  readonly cookieDiffers: boolean;
  /** As acceptor: the peer proved an open invite. As dialler: the key is the one that our invite names. */
  readonly inviteProven: boolean;
  /** As acceptor: why the invite that the peer showed counts for nothing; undefined when it counts, or when there was none. */
  readonly inviteFault: Exclude<InviteVerdict, "valid"> | undefined;
}

/**
 * Answer to `TrustQuestion`. The error says locally why; the peer hears `auth`, whatever it is. Only one that is trusted may
 * hear that there is no room for it: `full`.
 */
export type TrustAnswer =
  | { readonly kind: "granted"; readonly assurance: Assurance }
  | { readonly kind: "refused"; readonly error: SallyportError }
  | { readonly kind: "full"; readonly error: SallyportError };

/** What the owner of sessions is asked: may this connection become the session with that peer? */
export interface ArbitrationQuestion {
  readonly role: NativeRole;
  readonly name: NodeName;
  readonly incarnation: bigint;
  /** What the peer's HELLO shows. */
  readonly creation: number;
  readonly flags: bigint;
  /** Dialler: the other side says that a session with us stands there. `alive` means then: keep that one. */
  readonly peerHoldsSession: boolean;
  /** False only for a dialler in cookie-only mode before it has the CONFIRM: end no session for it yet. */
  readonly isProven: boolean;
}

/**
 * `go` this connection goes on; `alive` a session with the peer stands here (the acceptor then asks the dialler);
 * `move`, of a dialler: it does, and goes over to this connection; `other-wins` another connection attempt goes on; `stale` a younger incarnation of the peer was seen. A `TrustAnswer` that
 * is a no may come as late as this, from an owner that joins two handshakes.
 */
export type Arbitration = "go" | "move" | "alive" | "other-wins" | "stale" | Exclude<TrustAnswer, { kind: "granted" }>;

/** What is to be made durable before we confirm. */
export interface CommitRequest {
  readonly trust: TrustQuestion;
  readonly assurance: Assurance;
  /** Acceptor: the invite to burn, in one atomic step with the pin; undefined when none was proven. */
  readonly inviteId: Buffer | undefined;
  /** See NativeSession.moves. */
  readonly moves: boolean;
}

/** Acknowledgement of a commit. */
export type CommitAnswer = { readonly ok: true } | { readonly ok: false; readonly error: SallyportError };

/** What was proven when the handshake has ended well. */
export interface NativeSession {
  readonly role: NativeRole;
  readonly peer: NodeName;
  readonly peerCreation: number;
  readonly peerIncarnation: bigint;
  /** Flags that both sides set: the working set of the session. */
  readonly flags: bigint;
  readonly method: NativeMethod;
  /** Undefined in cookie-only mode. */
  readonly publicKey: PublicKey | undefined;
  /** As the trust store answered; in cookie-only mode never above `cookie`. */
  readonly assurance: Assurance;
  readonly inviteProven: boolean;
  /** The session that stands goes over to this connection: the dialler said so when it was asked by STATUS. */
  readonly moves: boolean;
  /** What both sides agree on. */
  readonly transcript: Transcript;
  /** `H`, 64 bytes: equal on both sides, and on no other session. */
  readonly transcriptHash: Buffer;
}

/**
 * Nonces this node has outstanding. A HELLO that brings one of them is our own handshake, turned against us. Bounded by
 * the number of unfinished connections.
 */
export class OpenNonces {
  readonly #open = new Set<string>();

  add(nonce: Buffer): void {
    this.#open.add(nonce.toString("hex"));
  }

  remove(nonce: Buffer): void {
    this.#open.delete(nonce.toString("hex"));
  }

  has(nonce: Buffer): boolean {
    return this.#open.size > 0 && this.#open.has(nonce.toString("hex"));
  }

  /** Number of unfinished handshakes. */
  get size(): number {
    return this.#open.size;
  }
}
