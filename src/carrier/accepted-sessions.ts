import type { Server as TlsServer } from "node:tls";
import { addMs, type Clock, type MonotonicMs } from "../base/clock.ts";
import { readTlsSession } from "./tls-session-data.ts";
import { fingerprintOf, isWithin, MAX_RESUMPTION_MS, type VerifiedChain } from "./verified-chain.ts";

/** Certificates of peers that are remembered as verified; with one more, all begin anew. */
export const MAX_VERIFIED_CHAINS = 1_024;

/** Sessions of TLS 1.2 that are kept by their id; the oldest goes first. */
export const MAX_ACCEPTED_SESSIONS = 512;

/** Why a resumed session is not taken. */
export type ResumptionFault = "no-certificate" | "not-verified" | "ended";

/** What comes of a resumed session: what the full handshake verified, or why it is not taken. */
export type ResumptionVerdict =
  | { readonly kind: "verified"; readonly chain: VerifiedChain }
  | { readonly kind: "refused"; readonly why: ResumptionFault };

interface KeptById {
  readonly data: Buffer;
  readonly fingerprint: string;
}

/**
 * Sessions that one listener may resume, all made under the same material and ticket keys. It is over after an hour, with the
 * first certificate in it that ends, and when it is full: the next has other keys, and every older session a full handshake.
 */
export class SessionEpoch {
  readonly #clock: Clock;
  readonly #endsAt: MonotonicMs;
  readonly #verified = new Map<string, VerifiedChain>();
  /** TLS 1.2 without tickets: the session itself is kept here. */
  readonly #byId = new Map<string, KeptById>();
  #endsMs = Number.POSITIVE_INFINITY;
  #isFull = false;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#endsAt = addMs(clock.now(), MAX_RESUMPTION_MS);
  }

  get isOver(): boolean {
    return this.#isFull || this.#clock.now() >= this.#endsAt || this.#clock.wallMs() >= this.#endsMs;
  }

  /** A full handshake has verified it. */
  note(chain: VerifiedChain): void {
    const { fingerprint } = chain;
    if (!isWithin(chain, this.#clock.wallMs())) return;
    if (this.#verified.size >= MAX_VERIFIED_CHAINS && !this.#verified.has(fingerprint)) {
      this.#isFull = true;
      return;
    }
    this.#verified.set(fingerprint, chain);
    this.#endsMs = Math.min(this.#endsMs, chain.endsMs);
  }

  /** Whether a session with this certificate (DER) may stand without its chain being shown again. */
  judge(peerDer: Buffer | undefined): ResumptionVerdict {
    if (peerDer === undefined) return { kind: "refused", why: "no-certificate" };
    return this.#judge(fingerprintOf(peerDer));
  }

  #judge(fingerprint: string): ResumptionVerdict {
    const chain = this.#verified.get(fingerprint);
    if (chain === undefined) return { kind: "refused", why: "not-verified" };
    if (this.#clock.now() >= this.#endsAt || !isWithin(chain, this.#clock.wallMs())) {
      return { kind: "refused", why: "ended" };
    }
    return { kind: "verified", chain };
  }

  /** The certificate has to be shown and verified again before anything with it is resumed. */
  forget(fingerprint: string): void {
    this.#verified.delete(fingerprint);
  }

  /** Keeps a session of TLS 1.2 under its id. */
  keep(id: Buffer, data: Buffer): void {
    const session = readTlsSession(data);
    if (session?.peerDer === undefined || session.isTls13) return;
    this.#byId.set(id.toString("latin1"), { data, fingerprint: fingerprintOf(session.peerDer) });
    for (const [oldest] of this.#byId) {
      if (this.#byId.size <= MAX_ACCEPTED_SESSIONS) break;
      this.#byId.delete(oldest);
    }
  }

  /** The session of this id; undefined, and so a full handshake, for one that would be refused afterwards. */
  find(id: Buffer): Buffer | undefined {
    const key = id.toString("latin1");
    const kept = this.#byId.get(key);
    if (kept === undefined) return undefined;
    if (this.#judge(kept.fingerprint).kind === "verified") return kept.data;
    this.#byId.delete(key);
    return undefined;
  }
}

/** The epochs of one listener, one after the other. */
export class AcceptedSessions {
  #epoch: SessionEpoch;
  readonly #clock: Clock;
  readonly #renewKeys: () => void;

  /** @param renewKeys makes every ticket of before worthless, for handshakes that begin after it */
  constructor(clock: Clock, renewKeys: () => void) {
    this.#clock = clock;
    this.#renewKeys = renewKeys;
    this.#epoch = new SessionEpoch(clock);
  }

  /** The epoch of a handshake that begins now. */
  begin(): SessionEpoch {
    if (this.#epoch.isOver) {
      this.#renewKeys();
      this.replaced();
    }
    return this.#epoch;
  }

  /** The keys are other ones already, with other material. */
  replaced(): void {
    this.#epoch = new SessionEpoch(this.#clock);
  }

  get current(): SessionEpoch {
    return this.#epoch;
  }
}

/** What one accepted connection has to do with sessions. */
export class SessionOfAccept {
  readonly #epoch: SessionEpoch;
  #chain: VerifiedChain | undefined;

  constructor(epoch: SessionEpoch) {
    this.#epoch = epoch;
  }

  /** TLS stands. `chain` is that of the certificate the peer showed, or had shown before. */
  secured(chain: VerifiedChain | undefined): void {
    this.#chain = chain;
    if (chain !== undefined && chain.chainError === undefined) this.#epoch.note(chain);
  }

  /** The peer has proven who it is, so a certificate that no authority vouches for is worth its place too. */
  readonly up = (): void => {
    if (this.#chain !== undefined) this.#epoch.note(this.#chain);
  };

  readonly forget = (): void => {
    if (this.#chain !== undefined) this.#epoch.forget(this.#chain.fingerprint);
    this.#chain = undefined;
  };
}

/** Sessions of TLS 1.2 whose clients take no tickets, as BEAM nodes. Those of TLS 1.3 are in tickets alone. */
export function keepById(tls: TlsServer, sessions: AcceptedSessions): void {
  tls.on("newSession", (id: Buffer, data: Buffer, done: () => void) => {
    sessions.current.keep(id, data);
    done();
  });
  tls.on("resumeSession", (id: Buffer, done: (error: Error | null, data: Buffer | null) => void) => {
    done(null, sessions.current.find(id) ?? null);
  });
}
