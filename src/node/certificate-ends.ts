import { addMs, type Clock, type Timer } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { CarrierInfo } from "../carrier/carrier.ts";
import { certificateEnded } from "./policy-keeper.ts";
import type { CertificateReader } from "./ports.ts";
import type { Session } from "./session.ts";

/** Longest time between two looks at the wall clock, which may jump, milliseconds. */
const MAX_LOOK_MS = 60_000;

/** Longest time before the end of a certificate in use at which its sessions are renewed, milliseconds. */
export const RENEW_MARGIN_MS = 3_600_000;

/** Of the life of a certificate that is the margin, where that is less: one part in so many. */
export const RENEW_MARGIN_SHARE = 10;

/** Least time before a session is renewed, and between two tries, milliseconds. */
export const MIN_RENEW_WAIT_MS = 1_000;

/** Tries within the time that is left: each waits for a quarter of it. */
const TRIES_PER_REST = 4;

export interface CertificateEndsParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly read: CertificateReader | undefined;
  /** This node's certificate is of an authority, so that peers end sessions with it. */
  readonly isOwnIssued: boolean;
  /** A certificate that the session rests on ends in `leftMs` milliseconds: try to have it on newer ones. May come again. */
  renew(session: Session, leftMs: number): void;
}

/** The certificate of a session that ends first. */
interface End {
  readonly notAfterMs: number;
  readonly lifeMs: number;
}

interface Watched {
  /** When this node ends the session; undefined when it does not rest on the peer's certificate. */
  readonly cutAtMs: number | undefined;
  readonly end: End;
  renewAtMs: number;
  timer: Timer | undefined;
}

/**
 * Ends sessions that rest on a certificate when that ends, and has them renewed before (docs/certificates.md): from a margin
 * before the end on, each at a moment of its own, and again while nothing newer is to be had.
 */
export class CertificateEnds {
  readonly #parts: CertificateEndsParts;
  readonly #watched = new Map<Session, Watched>();

  constructor(parts: CertificateEndsParts) {
    this.#parts = parts;
  }

  /** A session has come up, or goes on over another connection; `info` of that. */
  watch(session: Session, info: CarrierInfo): void {
    this.forget(session);
    const { clock } = this.#parts;
    const end = this.#end(session, info);
    if (end === undefined) return;
    const cutAtMs = this.#peerEnd(session, info)?.notAfterMs;
    const watched = { cutAtMs, end, renewAtMs: this.#firstTry(end), timer: undefined };
    this.#watched.set(session, watched);
    // In a later turn: who hears of a session must hear of its beginning first.
    clock.later(() => this.#look(session, watched));
  }

  /** Whether these certificates last longer than those of the session. */
  isLater(session: Session, info: CarrierInfo): boolean {
    const now = this.#watched.get(session)?.end.notAfterMs;
    const then = this.#end(session, info)?.notAfterMs;
    return now !== undefined && then !== undefined && then > now;
  }

  /** A session is over. */
  forget(session: Session): void {
    this.#watched.get(session)?.timer?.cancel();
    this.#watched.delete(session);
  }

  #look(session: Session, watched: Watched): void {
    const { clock, renew } = this.#parts;
    if (this.#watched.get(session) !== watched || !session.connection.isUp) return;
    const now = clock.wallMs();
    if (watched.cutAtMs !== undefined && now >= watched.cutAtMs) {
      session.connection.destroy(certificateEnded(session.peer.name));
      return;
    }
    const leftMs = watched.end.notAfterMs - now;
    if (leftMs > 0 && now >= watched.renewAtMs) {
      watched.renewAtMs = now + Math.max(MIN_RENEW_WAIT_MS, leftMs / TRIES_PER_REST);
      renew(session, leftMs);
      if (this.#watched.get(session) !== watched) return;
    }
    const next = Math.min(
      leftMs > 0 ? watched.renewAtMs : now + MAX_LOOK_MS,
      watched.cutAtMs ?? Number.POSITIVE_INFINITY,
    );
    const waitMs = Math.max(1, Math.min(next - now, MAX_LOOK_MS));
    watched.timer = clock.at(addMs(clock.now(), waitMs), () => this.#look(session, watched), true);
  }

  /** Sessions that began together are not renewed together. */
  #firstTry({ notAfterMs, lifeMs }: End): number {
    const { clock, random } = this.#parts;
    const marginMs = Math.min(RENEW_MARGIN_MS, lifeMs / RENEW_MARGIN_SHARE);
    const share = 0.5 + random.uint32() / 2 ** 33;
    return Math.max(notAfterMs - marginMs * share, clock.wallMs() + MIN_RENEW_WAIT_MS);
  }

  #end(session: Session, info: CarrierInfo): End | undefined {
    const peer = this.#peerEnd(session, info);
    const own = this.#parts.isOwnIssued ? this.#endOf(info.ownCertDer) : undefined;
    if (peer === undefined || own === undefined) return peer ?? own;
    return own.notAfterMs < peer.notAfterMs ? own : peer;
  }

  #peerEnd({ facts }: Session, { peerCertDer }: CarrierInfo): End | undefined {
    return facts.assurance === "ca" ? this.#endOf(peerCertDer) : undefined;
  }

  #endOf(certDer: Buffer | undefined): End | undefined {
    const facts = certDer === undefined ? undefined : this.#parts.read?.(certDer);
    if (facts === undefined) return undefined;
    return { notAfterMs: facts.notAfterMs, lifeMs: facts.notAfterMs - facts.notBeforeMs };
  }
}
