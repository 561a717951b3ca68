import type { BarrelIdentity, BarrelTrustQuestion } from "../auth/barrel-types.ts";
import {
  type CommitAnswer,
  type CommitRequest,
  type NativeIdentity,
  type NativeTools,
  OpenNonces,
  type TrustAnswer,
  type TrustQuestion,
} from "../auth/native-types.ts";
import { assuranceAtLeast } from "../base/assurance.ts";
import { addMs, type Clock, type Timer } from "../base/clock.ts";
import { isSallyportError, type SallyportError } from "../base/errors.ts";
import type { IdentityCrypto } from "../base/identity-crypto.ts";
import type { NodeName } from "../base/node-name.ts";
import type { Random } from "../base/random.ts";
import type { CarrierInfo } from "../carrier/carrier.ts";
import type { NativeParts } from "../dist/handshake.ts";
import type { DirectoryGuard } from "../identity/directory-guard.ts";
import type { HeldInvites } from "../identity/held-invites.ts";
import type { InviteStore } from "../identity/invite.ts";
import type { InviteContent } from "../identity/invite-token.ts";
import type { LoadedKey } from "../identity/key-files.ts";
import type { IdentityWarning } from "../identity/key-layout.ts";
import type { NamePatterns } from "../identity/name-patterns.ts";
import type { NodeKey } from "../identity/node-key.ts";
import type { NodeTrust } from "../identity/node-trust.ts";
import type { PendingPeer } from "../identity/pending-peers.ts";
import { type Fingerprint, fingerprintOf, type PublicKey } from "../identity/public-key.ts";
import type { SuccessionChain } from "../identity/succession.ts";
import { losesStanding, type TrustChange } from "../identity/trust-change.ts";
import type { TrustDecision, TrustMode, TrustRefusal } from "../identity/trust-decision.ts";
import type { CertificateJudge } from "./ports.ts";
import { trustWithdrawn, undecided, untrusted } from "./trust-failures.ts";

/** How often the trust store is compared with the disk: revocations act within this time and a bit. */
const RELOAD_MS = 500;

/** Who this node is in its native handshakes, besides its key. */
export type OwnFacts = Pick<NativeIdentity, "name" | "creation" | "incarnation" | "flags">;

/** How long a replaced key is kept for handshakes that began with it, milliseconds. */
const FORMER_KEY_MS = 60_000;

export interface IdentityKeeperParts {
  readonly own: OwnFacts;
  /** Reads the pair from disk anew, as after a rotation. Makes none. */
  readonly reloadKey: () => LoadedKey;
  readonly store: NodeTrust;
  readonly directory: Pick<DirectoryGuard, "check">;
  readonly invites: Pick<InviteStore, "check" | "burn">;
  readonly heldInvites: Pick<HeldInvites, "find" | "hold" | "drop">;
  /** Names that are known by the cookie alone, unless they have a pin. */
  readonly cookieOnly: NamePatterns;
  readonly allowShortCookie: boolean;
  readonly cookieFor: NativeTools["cookieFor"];
  /** What this node's operator does about a key that is refused, where it is something else than usual. */
  readonly adviceOn?: (reason: TrustRefusal, shown: Fingerprint) => string | undefined;
  readonly crypto: IdentityCrypto;
  readonly random: Random;
  readonly clock: Clock;
  readonly judgeCertificate: CertificateJudge;
}

/** Who hears of what others change in the key directory. */
export interface IdentityWatcher {
  /** May end sessions. */
  changed(changes: readonly TrustChange[]): void;
  warned(warning: IdentityWarning): void;
}

/** What was decided about one peer, until its commit. */
export interface PendingTrust {
  readonly question: TrustQuestion;
  /** Undefined in cookie-only mode, where no key is involved. */
  readonly decision: Extract<TrustDecision, { kind: "accept" }> | undefined;
}

/** The node's own key and its trust in others': answers the questions of native handshakes. */
export class IdentityKeeper {
  /** What connections bring to their handshakes; each takes the key that is in use when it begins. */
  readonly native: NativeParts;
  readonly #parts: IdentityKeeperParts;
  #key: NodeKey;
  #identity: NativeIdentity & BarrelIdentity;
  /** What the last readings of the pair and of the trust store had to say. */
  #keyWarnings: readonly IdentityWarning[];
  #trustWarnings: readonly IdentityWarning[];
  #watcher: IdentityWatcher | undefined;
  #timer: Timer | undefined;

  /** @param loaded the pair to begin with */
  constructor(parts: IdentityKeeperParts, loaded: LoadedKey) {
    this.#parts = parts;
    this.#key = loaded.key;
    this.#identity = identityOf(parts.own, loaded.key, loaded.chain);
    this.#keyWarnings = loaded.warnings;
    this.#trustWarnings = parts.store.warnings;
    const { crypto, random, clock, heldInvites, invites, cookieOnly } = parts;
    this.native = {
      identity: () => this.#identity,
      inviteFor: (acceptor) => heldInvites.find(acceptor, clock.wallMs()),
      tools: {
        crypto,
        random,
        openNonces: new OpenNonces(),
        cookieFor: parts.cookieFor,
        cookieOnly: (peer) => cookieOnly.matches(peer) && !this.needsKey(peer),
        hasCookieOnly: !cookieOnly.isEmpty,
        allowShortCookie: parts.allowShortCookie,
        judgeInvite: (proof) => invites.check(proof, clock.wallMs()),
      },
    };
  }

  /** Who this node is in an exchange of keys over QUIC that begins now. */
  get barrelIdentity(): BarrelIdentity {
    return this.#identity;
  }

  get fingerprint(): Fingerprint {
    return this.#key.fingerprint;
  }

  /** What the files of the key directory give reason to warn of. */
  get warnings(): readonly IdentityWarning[] {
    return [...this.#keyWarnings, ...this.#trustWarnings];
  }

  get publicKey(): PublicKey {
    return this.#identity.publicKey;
  }

  get trust(): TrustMode {
    return this.#parts.store.mode;
  }

  /** Strangers that wait for an operator, the one not seen for the longest time first. */
  waiting(): readonly PendingPeer[] {
    return this.#parts.store.pending(this.#parts.clock.wallMs());
  }

  /** Keeps an invite for the next dial to its acceptor. @throws as `HeldInvites.hold` */
  join(invite: string): InviteContent {
    const own = { name: this.#parts.own.name, key: this.fingerprint };
    return this.#parts.heldInvites.hold(invite, own, this.#parts.clock.wallMs());
  }

  /**
   * Takes key pair and trust from disk as they are now. Handshakes under way end with the key they began with.
   * @throws as `loadNodeKey` and `TrustStore.reload`; what was read before stays in force then
   */
  reload(): readonly TrustChange[] {
    const loaded = this.#parts.reloadKey();
    let changes: readonly TrustChange[];
    try {
      changes = this.#readTrust(true);
    } catch (error) {
      loaded.key.destroy();
      throw error;
    }
    this.#takeKey(loaded);
    this.#tell(loaded.warnings);
    return changes;
  }

  fingerprintOf(key: PublicKey): Fingerprint {
    return fingerprintOf(key, this.#parts.crypto);
  }

  /** The fingerprint of a proven key, then those of the keys it follows by successions accepted here. Reads the disk. */
  fingerprintsOf(name: NodeName, key: PublicKey): readonly Fingerprint[] {
    const fingerprint = this.fingerprintOf(key);
    return [fingerprint, ...this.#parts.store.followed(name, fingerprint)];
  }

  /** True when a key is pinned for this name, also in a file that is broken: it speaks by key only (rulings S1). */
  hasPin(name: NodeName): boolean {
    return this.#parts.store.hasPin(name);
  }

  /** True when nothing but a key may answer for a name that we dial: it has a pin, or we hold its invite. */
  needsKey(name: NodeName): boolean {
    if (this.hasPin(name)) return true;
    const invite = this.#parts.heldInvites.find(name, this.#parts.clock.wallMs());
    invite?.destroy();
    return invite !== undefined;
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
      const shown = this.fingerprintOf(key);
      const error = untrusted(decision, question, shown, this.#parts.adviceOn?.(decision.reason, shown));
      return { answer: { kind: "refused", error }, pending: { question, decision: undefined } };
    }
    return { answer: { kind: "granted", assurance: decision.assurance }, pending: { question, decision } };
  }

  /**
   * Decides on a peer that says HELLO over QUIC and has proven nothing. It holds no statements of succession and no invite, and as
   * acceptor nobody is pinned by it: names are not covered by barrel's proof, and who dials may be relayed (rulings S3, S5).
   */
  decideBarrel(asked: BarrelTrustQuestion, info: CarrierInfo): ReturnType<IdentityKeeper["decide"]> {
    const { role, name, publicKey } = asked;
    const method = asked.method === "key" ? "key" : "cookie";
    const nothing = { successions: [], inviteProven: false, inviteFault: undefined };
    const cookie = { cookieProven: false, cookieDiffers: false };
    return this.decide({ role, name, method, publicKey, ...nothing, ...cookie }, info);
  }

  /**
   * What was decided at HELLO, as trust is now that Erlang's handshake proved the cookie, made durable.
   * @returns why the peer may not have its session after all
   */
  confirmBarrel({ question }: PendingTrust, info: CarrierInfo): SallyportError | undefined {
    const { name, publicKey } = question;
    if (publicKey === undefined) return this.hasPin(name) ? trustWithdrawn(name) : undefined;
    const { answer, pending } = this.decide(question, info);
    if (answer.kind !== "granted") return trustWithdrawn(name);
    const request = { trust: question, assurance: answer.assurance, inviteId: undefined, moves: false };
    const done = this.commit(request, pending, info.remoteAddress);
    return done.ok ? undefined : done.error;
  }

  /** Addresses at which peers that the operator trusts were last seen. Reads the disk. */
  addressesOfTrusted(): readonly string[] {
    const pins = this.#parts.store.list().filter((pin) => pin.place === "trusted");
    return pins.flatMap((pin) => pin.meta?.address ?? []);
  }

  /**
   * Why a peer that was committed may not have its session after all: what spoke for it was withdrawn since. Undefined when
   * it still stands.
   */
  lostStanding(pending: PendingTrust, info: CarrierInfo): SallyportError | undefined {
    const { question } = pending;
    if (question.publicKey === undefined) return this.hasPin(question.name) ? trustWithdrawn(question.name) : undefined;
    const { answer, pending: now } = this.decide(question, info);
    if (answer.kind !== "granted" || pending.decision === undefined) return trustWithdrawn(question.name);
    const kept = now.decision?.commit.kind;
    // What was pinned by the commit is found as a pin now; a pin that is gone would be asked for anew.
    const isSame = kept === "none" || (kept === "pending" && pending.decision.commit.kind === "pending");
    return isSame && assuranceAtLeast(answer.assurance, pending.decision.assurance)
      ? undefined
      : trustWithdrawn(question.name);
  }

  /** Makes a decision durable; the peer is confirmed only when this says ok. */
  commit(request: CommitRequest, pending: PendingTrust | undefined, address: string): CommitAnswer {
    const key = request.trust.publicKey;
    if (key === undefined) return { ok: true };
    if (pending?.decision === undefined) return { ok: false, error: undecided(request.trust.name) };
    try {
      const { store, invites, heldInvites, clock } = this.#parts;
      const { commit } = pending.decision;
      // Used up before the pin stands: of two handshakes with one invite, one gets it.
      if (commit.kind === "invite" && request.inviteId !== undefined) {
        invites.burn(request.inviteId, this.fingerprintOf(key));
      }
      const changes = store.commit(
        request.trust.name,
        key,
        commit,
        { address, nowMs: clock.wallMs() },
        request.trust.successions,
      );
      if (changes.length > 0) this.#watcher?.changed(changes);
      if (commit.kind === "invite" && request.trust.role === "dialler") heldInvites.drop(request.trust.name);
      return { ok: true };
    } catch (error) {
      if (isSallyportError(error)) return { ok: false, error };
      throw error;
    }
  }

  /**
   * Watches the trust store for what others change on disk. While the disk cannot be read, what was read before stays in
   * force, which is told once.
   */
  watch(watcher: IdentityWatcher): void {
    this.#watcher = watcher;
    const { clock } = this.#parts;
    let wasReadable = true;
    const look = (): void => {
      this.#timer = clock.at(addMs(clock.now(), RELOAD_MS), look, true);
      let changes: readonly TrustChange[];
      try {
        changes = this.#readTrust(false);
      } catch (error) {
        if (!isSallyportError(error)) throw error;
        if (wasReadable) watcher.warned({ reason: error.reason, message: error.message });
        wasReadable = false;
        return;
      }
      wasReadable = true;
      this.#tell(this.#keyWarnings);
      if (changes.length > 0) watcher.changed(changes);
    };
    this.#timer = clock.at(addMs(clock.now(), RELOAD_MS), look, true);
  }

  /** The node closes: no handshake goes on. Overwrites the key. */
  stop(): void {
    this.#timer?.cancel();
    this.#key.destroy();
  }

  /** @throws {SallyportError} ERR_CONFIG TRUST_UNREADABLE, ERR_LIMIT TRUST_FILES: the table stays as it was */
  #readTrust(everyFile: boolean): readonly TrustChange[] {
    const { store, clock, directory } = this.#parts;
    directory.check();
    return store.reload(clock.wallMs(), everyFile);
  }

  #takeKey({ key, chain }: LoadedKey): void {
    const { own, store, clock } = this.#parts;
    const former = this.#key;
    if (key.fingerprint === former.fingerprint) {
      key.destroy();
      this.#identity = identityOf(own, former, chain);
      return;
    }
    this.#key = key;
    this.#identity = identityOf(own, key, chain);
    store.setOwnKey(key.publicKey);
    // A handshake that began with the former key ends with it.
    clock.at(addMs(clock.now(), FORMER_KEY_MS), () => former.destroy(), true);
  }

  /** Tells what was not there at the reading before. */
  #tell(ofKey: readonly IdentityWarning[]): void {
    const ofTrust = this.#parts.store.warnings;
    if (ofKey === this.#keyWarnings && ofTrust === this.#trustWarnings) return;
    const known = new Set(this.warnings.map(({ message }) => message));
    this.#keyWarnings = ofKey;
    this.#trustWarnings = ofTrust;
    for (const warning of this.warnings) if (!known.has(warning.message)) this.#watcher?.warned(warning);
  }
}

function identityOf(own: OwnFacts, key: NodeKey, successions: SuccessionChain): NativeIdentity & BarrelIdentity {
  return {
    ...own,
    publicKey: key.publicKey,
    successions,
    sign: (input) => key.signInput(input),
    signBarrelProof: (content) => key.signBarrelProof(content),
  };
}

/** True when a session of `name` authenticated by `fingerprint` may not go on after these changes. */
export function isCut(changes: readonly TrustChange[], name: NodeName, fingerprint: Fingerprint | undefined): boolean {
  return changes.some((change) => losesStanding(change, name, fingerprint));
}

/** True when a key has become that of a name, which is canonical. */
export function isNamed(
  changes: readonly TrustChange[],
  name: NodeName,
  fingerprint: Fingerprint | undefined,
): boolean {
  return changes.some(
    (change) =>
      (change.kind === "pinned" || change.kind === "promoted") &&
      change.name === name &&
      change.fingerprint === fingerprint,
  );
}
