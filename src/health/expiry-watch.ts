import { addMs, type Clock, type Timer } from "../base/clock.ts";
import type { CertificateRole, WatchedCertificate } from "./watched-certificates.ts";

/** Milliseconds of a day. */
export const DAY_MS = 86_400_000;

/** Days before its end at which a certificate is told of; 0: it has ended. */
export const EXPIRY_DAYS = [30, 14, 7, 1, 0] as const;

/** Days before the end of a certificate from which on health is yellow. */
export const EXPIRY_YELLOW_DAYS = 14;

/** Longest time between two looks at the wall clock, which may jump, milliseconds. */
const MAX_LOOK_MS = 60_000;

/** Certificates of which it is remembered what was told, so that a peer that comes again is no news. The oldest goes. */
export const MAX_TOLD_CERTIFICATES = 16_384;

/** A certificate is near its end, or past it. */
export interface CertificateExpiry {
  readonly role: CertificateRole;
  /** Whose it is: the name of a node; at a gateway the pair and the side. */
  readonly of: string;
  /** First name in the certificate, escaped. */
  readonly subject: string;
  /** SHA-256 of the DER: `AB:CD:...`. */
  readonly fingerprint: string;
  /** ISO time, UTC. */
  readonly notAfter: string;
  /** The mark that was reached; 0: it has ended, told again each day. */
  readonly withinDays: (typeof EXPIRY_DAYS)[number];
  /** Whole days that are left; 0 on the last one and afterwards. */
  readonly daysLeft: number;
}

/** How long a certificate is still good. */
export interface CertificateState {
  readonly role: CertificateRole;
  readonly of: string;
  readonly subject: string;
  readonly fingerprint: string;
  /** ISO times, UTC. */
  readonly notBefore: string;
  readonly notAfter: string;
  /** Whole days; 0 on the last one, below that when it has ended. */
  readonly daysLeft: number;
  /** Below zero when it has ended. */
  readonly secondsLeft: number;
}

/** What is wrong with the dates of certificates. `isGrave`: the process cannot do its work. */
export interface ExpiryProblem {
  readonly reason: "CERT_EXPIRED" | "CERT_NOT_YET_VALID" | "CERT_EXPIRING" | "CA_EXPIRING" | "PEER_CERT_EXPIRING";
  readonly isGrave: boolean;
}

export interface ExpiryWatchParts {
  readonly clock: Clock;
  /** Must not throw. */
  readonly tell: (expiry: CertificateExpiry) => void;
}

/**
 * Tells when certificates come near their end: once for each mark and certificate, and daily once it has ended. A certificate
 * that is new after a mark is told of once, for the nearest mark. They come in groups: files that are read together, or what
 * one peer has shown.
 */
export class ExpiryWatch {
  readonly #parts: ExpiryWatchParts;
  readonly #groups = new Map<unknown, readonly WatchedCertificate[]>();
  /** By fingerprint: the last mark that was told, and when. */
  readonly #told = new Map<string, { readonly mark: number; readonly atMs: number }>();
  /** When something will have to be told, Unix milliseconds. */
  #dueMs = Number.POSITIVE_INFINITY;
  #timer: Timer | undefined;
  #isStarted = false;

  constructor(parts: ExpiryWatchParts) {
    this.#parts = parts;
  }

  /** Whoever hears of it is there: tells from now on. Idempotent. */
  start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    this.#tellAll();
    this.#arm();
  }

  /** The certificates of a group are these from now on; an empty list ends it. `group` is any value, compared by identity. */
  set(group: unknown, certificates: readonly WatchedCertificate[]): void {
    if (certificates.length === 0) this.#groups.delete(group);
    else this.#groups.set(group, certificates);
    if (!this.#isStarted) return;
    this.#tellDue(certificates);
    this.#arm();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#groups.clear();
    this.#isStarted = false;
  }

  /** Each certificate once for each role and owner, the first to end first. */
  states(): readonly CertificateState[] {
    const nowMs = this.#parts.clock.wallMs();
    const all = this.#all().sort((a, b) => a.notAfterMs - b.notAfterMs);
    return all.map(({ role, of, subject, fingerprint, notBeforeMs, notAfterMs }) => ({
      role,
      of,
      subject,
      fingerprint,
      notBefore: new Date(notBeforeMs).toISOString(),
      notAfter: new Date(notAfterMs).toISOString(),
      daysLeft: Math.floor((notAfterMs - nowMs) / DAY_MS),
      secondsLeft: Math.floor((notAfterMs - nowMs) / 1_000),
    }));
  }

  /** Each reason once, the grave ones first. */
  problems(): readonly ExpiryProblem[] {
    const nowMs = this.#parts.clock.wallMs();
    const found = new Map<ExpiryProblem["reason"], ExpiryProblem>();
    for (const group of this.#groups.values()) {
      for (const problem of [...group.flatMap((one) => problemOf(one, nowMs)), ...allGone(group, nowMs)])
        found.set(problem.reason, problem);
    }
    return [...found.values()].sort((a, b) => Number(b.isGrave) - Number(a.isGrave));
  }

  #all(): WatchedCertificate[] {
    const seen = new Map<string, WatchedCertificate>();
    for (const group of this.#groups.values()) {
      for (const one of group) seen.set(`${one.role} ${one.of} ${one.fingerprint}`, one);
    }
    return [...seen.values()];
  }

  #look(): void {
    this.#timer = undefined;
    if (this.#parts.clock.wallMs() >= this.#dueMs) this.#tellAll();
    this.#arm();
  }

  #tellAll(): void {
    this.#dueMs = Number.POSITIVE_INFINITY;
    for (const group of [...this.#groups.values()]) this.#tellDue(group);
  }

  /** Arms the timer; one that is armed for later gives way. */
  #arm(): void {
    const { clock } = this.#parts;
    if (!this.#isStarted || this.#groups.size === 0) return;
    const waitMs = Math.max(0, this.#dueMs - clock.wallMs());
    if (this.#timer !== undefined && waitMs >= MAX_LOOK_MS) return;
    this.#timer?.cancel();
    this.#timer = clock.at(addMs(clock.now(), Math.min(waitMs, MAX_LOOK_MS)), () => this.#look(), true);
  }

  #tellDue(certificates: readonly WatchedCertificate[]): void {
    const nowMs = this.#parts.clock.wallMs();
    for (const certificate of certificates) {
      const mark = this.#newMark(certificate, nowMs);
      if (mark !== undefined) {
        this.#remember(certificate.fingerprint, mark, nowMs);
        this.#parts.tell(expiryOf(certificate, mark, nowMs));
      }
      this.#dueMs = Math.min(this.#dueMs, this.#nextMs(certificate));
    }
  }

  /** The mark that has been reached and was not told; undefined when there is none. */
  #newMark({ fingerprint, notAfterMs }: WatchedCertificate, nowMs: number): (typeof EXPIRY_DAYS)[number] | undefined {
    const reached = EXPIRY_DAYS.filter((days) => nowMs >= notAfterMs - days * DAY_MS).at(-1);
    if (reached === undefined) return undefined;
    const told = this.#told.get(fingerprint);
    if (told === undefined || reached < told.mark) return reached;
    return reached === 0 && nowMs >= told.atMs + DAY_MS ? 0 : undefined;
  }

  /** When the next mark of a certificate is reached, Unix milliseconds. */
  #nextMs({ fingerprint, notAfterMs }: WatchedCertificate): number {
    const told = this.#told.get(fingerprint);
    if (told?.mark === 0) return told.atMs + DAY_MS;
    const next = EXPIRY_DAYS.find((days) => told === undefined || days < told.mark) ?? 0;
    return notAfterMs - next * DAY_MS;
  }

  #remember(fingerprint: string, mark: number, atMs: number): void {
    this.#told.delete(fingerprint);
    this.#told.set(fingerprint, { mark, atMs });
    const [oldest] = this.#told.keys();
    if (this.#told.size > MAX_TOLD_CERTIFICATES && oldest !== undefined) this.#told.delete(oldest);
  }
}

function expiryOf(
  { role, of, subject, fingerprint, notAfterMs }: WatchedCertificate,
  withinDays: (typeof EXPIRY_DAYS)[number],
  nowMs: number,
): CertificateExpiry {
  const daysLeft = Math.max(0, Math.floor((notAfterMs - nowMs) / DAY_MS));
  return { role, of, subject, fingerprint, notAfter: new Date(notAfterMs).toISOString(), withinDays, daysLeft };
}

function problemOf({ role, isNeeded, notBeforeMs, notAfterMs }: WatchedCertificate, nowMs: number): ExpiryProblem[] {
  if (isNeeded && nowMs >= notAfterMs) return [{ reason: "CERT_EXPIRED", isGrave: true }];
  if (isNeeded && nowMs < notBeforeMs) return [{ reason: "CERT_NOT_YET_VALID", isGrave: true }];
  if (nowMs < notAfterMs - EXPIRY_YELLOW_DAYS * DAY_MS) return [];
  if (role === "peer") return [{ reason: "PEER_CERT_EXPIRING", isGrave: false }];
  return [{ reason: role === "ca" && !isNeeded ? "CA_EXPIRING" : "CERT_EXPIRING", isGrave: false }];
}

/** With no trusted CA left nobody can be believed. */
function allGone(group: readonly WatchedCertificate[], nowMs: number): ExpiryProblem[] {
  const authorities = group.filter(({ role }) => role === "ca");
  if (authorities.length === 0 || authorities.some(({ notAfterMs }) => nowMs < notAfterMs)) return [];
  return [{ reason: "CERT_EXPIRED", isGrave: true }];
}
