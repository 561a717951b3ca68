import type { Crypto } from "../base/crypto.ts";
import type { NodeName } from "../base/node-name.ts";
import type { Random } from "../base/random.ts";

/** Who we are in one handshake. The name is per connection, not per node: a gateway speaks for others. */
export interface OtpIdentity {
  readonly name: NodeName;
  /** Our incarnation, 4..2^32-1. */
  readonly creation: number;
  /** The distribution flags we offer. */
  readonly flags: bigint;
}

/** What an acceptor shows of itself where that is known only after the claim: a gateway shows the node behind it. */
export interface ShownIdentity {
  readonly creation: number;
  readonly flags: bigint;
}

/** What both sides agreed on when the OTP handshake has ended well. Cookies were proven in both directions. */
export interface OtpSession {
  readonly peer: NodeName;
  readonly peerCreation: number;
  /** Flags that both sides set: the working set of the session. */
  readonly flags: bigint;
}

/** Injected parts of the handshake machines. */
export interface OtpHandshakeTools {
  readonly crypto: Crypto;
  readonly random: Random;
  /** Challenges we have sent as acceptor and that are still open, over all connections of this node. */
  readonly openChallenges: OpenChallenges;
  /** The cookie shared with a peer, or undefined when none is configured. The machine does not keep it. */
  cookieFor(peer: NodeName): Uint8Array | undefined;
}

/**
 * Challenges this node has outstanding as acceptor. A dialled peer that sends one of them back is reflecting our own
 * handshake to make us compute its answer (threat model HS-09, rulings S16). Size is bounded by the half-open cap.
 */
export class OpenChallenges {
  readonly #open = new Set<number>();

  add(challenge: number): void {
    this.#open.add(challenge);
  }

  remove(challenge: number): void {
    this.#open.delete(challenge);
  }

  has(challenge: number): boolean {
    return this.#open.has(challenge);
  }
}
