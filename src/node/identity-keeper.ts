import type { CommitAnswer, CommitRequest, NativeIdentity, TrustAnswer, TrustQuestion } from "../auth/native-types.ts";
import { addMs, type Clock, type Timer } from "../base/clock.ts";
import { isSallyportError, SallyportError } from "../base/errors.ts";
import type { IdentityCrypto } from "../base/identity-crypto.ts";
import type { NodeName } from "../base/node-name.ts";
import type { CarrierInfo } from "../carrier/carrier.ts";
import type { NativeParts } from "../dist/handshake.ts";
import type { NodeKey } from "../identity/node-key.ts";
import { type Fingerprint, fingerprintOf, type PublicKey } from "../identity/public-key.ts";
import { losesStanding, type TrustChange } from "../identity/trust-change.ts";
import type { TrustDecision, TrustRefusal } from "../identity/trust-decision.ts";
import type { TrustStore } from "../identity/trust-store.ts";
import type { CertificateJudge } from "./ports.ts";

/** How often the trust store is compared with the disk: revocations act within this time and a bit. */
const RELOAD_MS = 500;

export interface IdentityKeeperParts {
  readonly key: NodeKey;
  readonly store: TrustStore;
  readonly native: NativeParts;
  readonly crypto: IdentityCrypto;
  readonly clock: Clock;
  readonly judgeCertificate: CertificateJudge;
}

/** What was decided about one peer, until its commit. */
export interface PendingTrust {
  readonly question: TrustQuestion;
  /** Undefined in cookie-only mode, where no key is involved. */
  readonly decision: Extract<TrustDecision, { kind: "accept" }> | undefined;
}

/** The node's own key and its trust in others': answers the questions of native handshakes. */
export class IdentityKeeper {
  readonly fingerprint: Fingerprint;
  readonly publicKey: PublicKey;
  readonly #parts: IdentityKeeperParts;
  #timer: Timer | undefined;

  constructor(parts: IdentityKeeperParts) {
    this.#parts = parts;
    this.fingerprint = parts.key.fingerprint;
    this.publicKey = parts.key.publicKey;
  }

  get native(): NativeParts {
    return this.#parts.native;
  }

  get identity(): NativeIdentity {
    return this.#parts.native.identity();
  }

  fingerprintOf(key: PublicKey): Fingerprint {
    return fingerprintOf(key, this.#parts.crypto);
  }

  /** True when a key is pinned for this name: it then speaks the native protocol only (rulings S1). */
  hasPin(name: NodeName): boolean {
    return this.#parts.store.lookup(name) !== undefined;
  }

  /** Decides on a peer whose key is proven. Writes nothing. */
  decide(question: TrustQuestion, info: CarrierInfo): { readonly answer: TrustAnswer; readonly pending: PendingTrust } {
    const { store, clock, judgeCertificate } = this.#parts;
    const { publicKey: key, name } = question;
    if (key === undefined) {
      return { answer: { kind: "granted", assurance: "cookie" }, pending: { question, decision: undefined } };
    }
    const cert = info.peerCertDer;
    const decision = store.decide({
      role: question.role,
      name,
      key,
      chain: question.successions,
      caNamesPeer: info.chainTrusted && cert !== undefined && judgeCertificate(cert, name).matched,
      inviteValid: question.inviteProven,
      cookieProven: question.cookieProven,
      nowMs: clock.wallMs(),
    });
    if (decision.kind === "refuse") {
      const error = untrusted(decision.reason, name, this.fingerprintOf(key), decision.pinned);
      return { answer: { kind: "refused", error }, pending: { question, decision: undefined } };
    }
    return { answer: { kind: "granted", assurance: decision.assurance }, pending: { question, decision } };
  }

  /** Makes a decision durable; the peer is confirmed only when this says ok. */
  commit(request: CommitRequest, pending: PendingTrust | undefined, address: string): CommitAnswer {
    const key = request.trust.publicKey;
    if (key === undefined) return { ok: true };
    if (pending?.decision === undefined) return { ok: false, error: undecided(request.trust.name) };
    try {
      const sighting = { address, nowMs: this.#parts.clock.wallMs() };
      this.#parts.store.commit(request.trust.name, key, pending.decision.commit, sighting);
      return { ok: true };
    } catch (error) {
      if (isSallyportError(error)) return { ok: false, error };
      throw error;
    }
  }

  /**
   * Watches the trust store for what others change on disk; `changed` hears of what may end sessions. While the disk
   * cannot be read, what was read before stays in force: `unreadable` hears of it once.
   */
  watch(changed: (changes: readonly TrustChange[]) => void, unreadable: (error: SallyportError) => void): void {
    const { clock, store } = this.#parts;
    let wasReadable = true;
    const look = (): void => {
      this.#timer = clock.at(addMs(clock.now(), RELOAD_MS), look, true);
      let changes: readonly TrustChange[];
      try {
        changes = store.reload(clock.wallMs());
      } catch (error) {
        if (!isSallyportError(error)) throw error;
        if (wasReadable) unreadable(error);
        wasReadable = false;
        return;
      }
      wasReadable = true;
      if (changes.length > 0) changed(changes);
    };
    this.#timer = clock.at(addMs(clock.now(), RELOAD_MS), look, true);
  }

  stop(): void {
    this.#timer?.cancel();
  }
}

/** True when a session of `name` authenticated by `fingerprint` may not go on after these changes. */
export function isCut(changes: readonly TrustChange[], name: NodeName, fingerprint: Fingerprint): boolean {
  return changes.some((change) => losesStanding(change, name, fingerprint));
}

const ADVICE: Readonly<Record<TrustRefusal, string>> = {
  OWN_NAME: "give the other node a name of its own",
  OWN_KEY: "give the other node a key of its own; keys are never copied",
  KEY_REVOKED: "if the key is in good hands after all, take it out of revoked/ and pin it again",
  PIN_BROKEN: "repair or remove the broken pin file",
  KEY_MISMATCH:
    "if the peer really has a new key, remove the old pin and add the new one; else treat this as an attack",
  KEY_REUSED: "remove the other name's pin, or allow reused keys",
  KEY_UNTRUSTED: "add the key to the trusted ones after comparing its fingerprint, or use trust mode tofu",
};

function untrusted(
  reason: TrustRefusal,
  peer: NodeName,
  shown: Fingerprint,
  pinned: Fingerprint | undefined,
): SallyportError {
  const known = pinned === undefined ? "" : `, pinned is ${pinned}`;
  return new SallyportError("ERR_DENIED", reason, `${peer} showed the key ${shown}${known}: ${reason}`, {
    peer,
    stage: "identity",
    detail: { shown, ...(pinned === undefined ? {} : { pinned }) },
    advice: ADVICE[reason],
  });
}

function undecided(peer: NodeName): SallyportError {
  return new SallyportError("ERR_INTERNAL", "TRUST_UNDECIDED", `${peer} was to be committed without a decision`, {
    peer,
    advice: "report it",
  });
}
