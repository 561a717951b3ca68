import { addMs, type Clock, type MonotonicMs } from "../base/clock.ts";
import { readTlsSession } from "./tls-session-data.ts";
import { fingerprintOf, isWithin, MAX_RESUMPTION_MS, type VerifiedChain } from "./verified-chain.ts";

/** Endpoints and names of whose sessions something is kept; the one used longest ago goes first. */
export const MAX_SESSION_ENDPOINTS = 256;

/** Sessions that are kept of one endpoint and name: OpenSSL sends two tickets at a time, OTP three. */
export const MAX_SESSIONS_PER_ENDPOINT = 2;

/** A session that can be resumed, and what the full handshake that it goes back to has verified. Holds a secret: never print it. */
export interface KeptSession {
  readonly session: Buffer;
  readonly isTls13: boolean;
  readonly chain: VerifiedChain;
  /** End of the hour since the full handshake, however often it was resumed. */
  readonly expiresAt: MonotonicMs;
}

/** Sessions of one dialer and one material, by endpoint and dialled name; in memory alone. */
export class DialledSessions {
  readonly #clock: Clock;
  /** Oldest use first. */
  readonly #byKey = new Map<string, KeptSession[]>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The newest one that may be offered now. */
  find(key: string): KeptSession | undefined {
    const kept = this.#byKey.get(key);
    if (kept === undefined) return undefined;
    const usable = kept.filter(({ chain, expiresAt }) => this.#isFit(chain, expiresAt));
    this.#byKey.delete(key);
    if (usable.length > 0) this.#byKey.set(key, usable);
    return usable.at(-1);
  }

  /** It has been offered: a ticket of TLS 1.3 is used once, a session of TLS 1.2 as long as it lasts. */
  offered(key: string, session: KeptSession): void {
    if (session.isTls13) this.#remove(key, session);
  }

  add(key: string, session: KeptSession): void {
    if (!this.#isFit(session.chain, session.expiresAt)) return;
    const kept = this.#byKey.get(key) ?? [];
    this.#byKey.delete(key);
    this.#byKey.set(key, [...kept, session].slice(-MAX_SESSIONS_PER_ENDPOINT));
    for (const [oldest] of this.#byKey) {
      if (this.#byKey.size <= MAX_SESSION_ENDPOINTS) break;
      this.#byKey.delete(oldest);
    }
  }

  drop(key: string): void {
    this.#byKey.delete(key);
  }

  get endpoints(): number {
    return this.#byKey.size;
  }

  #remove(key: string, session: KeptSession): void {
    const left = this.#byKey.get(key)?.filter((each) => each !== session) ?? [];
    if (left.length === 0) this.#byKey.delete(key);
    else this.#byKey.set(key, left);
  }

  #isFit(chain: VerifiedChain, expiresAt: MonotonicMs): boolean {
    return this.#clock.now() < expiresAt && isWithin(chain, this.#clock.wallMs());
  }
}

/** What one dialled connection has to do with sessions: the one it offers, and those it brings. */
export class SessionOfDial {
  /** What the connection offers to resume. */
  readonly offer: KeptSession | undefined;
  readonly #sessions: DialledSessions;
  readonly #key: string;
  readonly #fullExpiresAt: MonotonicMs;
  /** Came before the peer was let in. */
  #waiting: Buffer[] = [];
  #state: "opening" | "secured" | "up" | "over" = "opening";
  #origin: Pick<KeptSession, "chain" | "expiresAt"> | undefined;

  constructor(sessions: DialledSessions, clock: Clock, key: string, mayOffer: boolean) {
    this.#sessions = sessions;
    this.#key = key;
    this.#fullExpiresAt = addMs(clock.now(), MAX_RESUMPTION_MS);
    this.offer = mayOffer ? sessions.find(key) : undefined;
  }

  /** The first bytes of TLS are on their way. */
  sent(): void {
    if (this.offer !== undefined) this.#sessions.offered(this.#key, this.offer);
  }

  /** TLS stands. `chain` is what was verified; undefined when the offer was taken. */
  secured(chain: VerifiedChain | undefined): void {
    if (this.#state !== "opening") return;
    this.#state = "secured";
    this.#origin = chain === undefined ? this.offer : { chain, expiresAt: this.#fullExpiresAt };
  }

  /** The connection brought a session that can be resumed. */
  came(session: Buffer): void {
    if (this.#state === "over") return;
    if (this.#state === "up") this.#keep(session);
    else this.#waiting = [...this.#waiting, session].slice(-MAX_SESSIONS_PER_ENDPOINT);
  }

  /** The peer was let in, and has let this node in. */
  readonly up = (): void => {
    if (this.#state !== "secured") return;
    this.#state = "up";
    // A full handshake takes the place of what was kept: the peer may have shown other certificates.
    if (this.#origin !== this.offer) this.#sessions.drop(this.#key);
    for (const session of this.#waiting) this.#keep(session);
    this.#waiting = [];
  };

  /** Nothing of this connection is resumed, and nothing else of this endpoint and name. */
  readonly forget = (): void => {
    this.#state = "over";
    this.#waiting = [];
    this.#sessions.drop(this.#key);
  };

  #keep(session: Buffer): void {
    const data = readTlsSession(session);
    const origin = this.#origin;
    // What would resume as somebody else than was verified is not kept.
    if (data?.peerDer === undefined || origin === undefined) return;
    if (fingerprintOf(data.peerDer) !== origin.chain.fingerprint) return;
    const { chain, expiresAt } = origin;
    this.#sessions.add(this.#key, { session, isTls13: data.isTls13, chain, expiresAt });
  }
}
