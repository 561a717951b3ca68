import { SallyportError } from "../base/errors.ts";
import type { IdentityCrypto } from "../base/identity-crypto.ts";
import { canonicalName, type NodeName, sameNode } from "../base/node-name.ts";
import type { StoreFiles } from "../base/store-files.ts";
import type { IdentityWarning } from "./key-layout.ts";
import { type PendingLimits, type PendingPeer, PendingPeers } from "./pending-peers.ts";
import { PinFiles } from "./pin-files.ts";
import type { PinMeta } from "./pin-meta.ts";
import { PinReader } from "./pin-reader.ts";
import { pinStem } from "./pin-stem.ts";
import type { BrokenPin, Pin } from "./pin-table.ts";
import { type Fingerprint, fingerprintOf, type PublicKey, sameKey } from "./public-key.ts";
import type { SuccessionChain } from "./succession.ts";
import { type AddOptions, type Sighting, TrustBooks } from "./trust-books.ts";
import { changesBetween, type TrustChange } from "./trust-change.ts";
import {
  decideTrust,
  type TrustCommit,
  type TrustDecision,
  type TrustFacts,
  type TrustMode,
  type TrustView,
} from "./trust-decision.ts";
import { denied, fingerprintNeeded, notFound } from "./trust-denials.ts";

export interface TrustLimits extends PendingLimits {
  /** Most keys accepted on first use; further strangers are refused, none is forgotten for them. Default 1,024. */
  readonly maxFirstUse?: number;
  /** When a first-use pin that was not seen lapses, milliseconds. Default 180 days. */
  readonly firstUseTtlMs?: number;
}

export interface TrustStoreOptions {
  readonly files: StoreFiles;
  readonly crypto: IdentityCrypto;
  /** The key directory, without a slash at its end. */
  readonly directory: string;
  readonly mode: TrustMode;
  readonly ownName: NodeName;
  readonly ownKey: PublicKey;
  /** Whether one key may stand for several names. Default false. */
  readonly allowReusedKeys?: boolean;
  /** Unix milliseconds. */
  readonly nowMs: number;
  readonly limits?: TrustLimits;
}

/** A pin and what is kept about it, for people. */
export interface PinListing extends Pin {
  readonly meta: PinMeta | undefined;
}

export const MAX_FIRST_USE = 1024;

/** How long a key that was accepted on first use is held for its name when it is not seen, milliseconds: 180 days. */
export const FIRST_USE_TTL_MS: number = 180 * 86_400_000;

/** How often the metadata of first-use pins are read to see which have lapsed, milliseconds. */
const LAPSE_LOOK_MS = 3_600_000;

/** Looks in a row that must find a pin overdue before it goes: one wrong reading of the clock removes nothing. */
const LAPSE_LOOKS = 24;

/**
 * Which keys this node trusts, on disk and in memory. Decisions read memory; changes reach the disk, synced, before
 * memory. `reload` takes over what somebody else changed on disk: call it once a second or after each change. Two
 * processes may use one directory: the exclusive create of a pin file decides which of two first contacts won.
 */
export class TrustStore {
  readonly mode: TrustMode;
  readonly #crypto: IdentityCrypto;
  readonly #reader: PinReader;
  readonly #books: TrustBooks;
  readonly #firstUseTtlMs: number;
  #lapseLookMs: number | undefined;
  /** How many looks in a row found the pin of a name overdue. */
  #overdue = new Map<NodeName, number>();
  /** Revocations that the disk did not take. They hold while this process lives. */
  readonly #unsaved = new Set<Fingerprint>();
  #warnings: IdentityWarning[] = [];
  /** Changes that took effect although the call that made them failed. */
  #owed: TrustChange[] = [];

  /** Reads the directory. @throws {SallyportError} ERR_CONFIG TRUST_UNREADABLE, ERR_LIMIT TRUST_FILES */
  constructor(options: TrustStoreOptions) {
    const { crypto, ownName, ownKey, limits = {} } = options;
    this.#reader = new PinReader(options.files, crypto, options.directory);
    this.#crypto = crypto;
    this.mode = options.mode;
    this.#firstUseTtlMs = limits.firstUseTtlMs ?? FIRST_USE_TTL_MS;
    this.#books = new TrustBooks({
      crypto,
      disk: new PinFiles(options.files, crypto, options.directory),
      pending: new PendingPeers(limits),
      table: this.#reader.read(options.nowMs, this.#warnings),
      ownName,
      ownKey,
      allowReusedKeys: options.allowReusedKeys ?? false,
      maxFirstUse: limits.maxFirstUse ?? MAX_FIRST_USE,
    });
  }

  /** Whether one key may stand for several names. */
  get allowReusedKeys(): boolean {
    return this.#books.allowReusedKeys;
  }

  /** After a rotation: the key that nobody else may claim from now on. */
  setOwnKey(key: PublicKey): void {
    this.#books.ownKey = key;
  }

  /** Warnings of the last reading, each naming a file. */
  get warnings(): readonly IdentityWarning[] {
    return this.#warnings;
  }

  /** What the trust table says of a proven key. Changes nothing. */
  decide(facts: TrustFacts): TrustDecision {
    return decideTrust(this.#view(), facts, this.#crypto);
  }

  /**
   * Makes an acceptance count: its pin is on disk, synced, when this returns. What was decided is checked again, since
   * another handshake or process may have been faster.
   * @throws {SallyportError} ERR_DENIED KEY_MISMATCH, KEY_REVOKED, KEY_REUSED, PIN_BROKEN, OWN_IDENTITY, KEY_UNTRUSTED,
   * PIN_NOT_DURABLE;
   * ERR_LIMIT FIRST_USE_FULL
   * @param chain what the peer said of its earlier keys: the last statement counts from now on, and none before it
   */
  commit(
    peerName: NodeName,
    key: PublicKey,
    commit: TrustCommit,
    sighting: Sighting,
    chain: SuccessionChain = [],
  ): readonly TrustChange[] {
    const changes = this.#carryOut(canonicalName(peerName), key, commit, sighting);
    this.#books.noteSuccession(canonicalName(peerName), key, chain, sighting);
    return changes;
  }

  #carryOut(name: NodeName, key: PublicKey, commit: TrustCommit, sighting: Sighting): readonly TrustChange[] {
    const fingerprint = fingerprintOf(key, this.#crypto);
    switch (commit.kind) {
      case "none":
        this.#books.check(name, key, fingerprint);
        this.#books.checkPin(name, fingerprint, commit.rests === "pin");
        this.#books.touch(name, fingerprint, sighting);
        return [];
      case "pending":
        this.#needTofu(name);
        this.#books.check(name, key, fingerprint);
        this.#books.checkPin(name, fingerprint, false);
        this.#books.pending.see(name, key, fingerprint, sighting.address, sighting.nowMs);
        return [];
      case "first-use":
        this.#needTofu(name);
        return this.#books.commitNew(name, key, "first-use", "first-use", sighting);
      case "invite":
        return this.#books.commitNew(name, key, "trusted", "invite", sighting);
      case "succession":
        return this.#books.commitSuccession(name, key, commit, sighting);
    }
  }

  /** The keys that the pinned key of a name follows by successions accepted here, the latest first. Reads the disk. */
  followed(peerName: NodeName, fingerprint: Fingerprint): readonly Fingerprint[] {
    return this.#books.followed(canonicalName(peerName), fingerprint);
  }

  /**
   * The operator trusts a key that came on first use, or, with its fingerprint, one that waits as pending.
   * @throws {SallyportError} ERR_CONFIG PIN_NOT_FOUND, FINGERPRINT_NEEDED; ERR_DENIED as `commit`
   */
  promote(peerName: NodeName, fingerprint: Fingerprint | undefined, nowMs: number): readonly TrustChange[] {
    const name = canonicalName(peerName);
    const pin = this.#books.table.get(name);
    if (pin !== undefined) {
      if (fingerprint !== undefined && pin.fingerprint !== fingerprint) {
        throw denied("KEY_MISMATCH", name, `it has the key ${pin.fingerprint}`);
      }
      return this.#books.trust(name, pin.key, { origin: "promoted", addedMs: nowMs }, false);
    }
    const waiting = this.#books.pending.list(nowMs).filter((peer) => peer.name === name);
    if (fingerprint === undefined && waiting.length > 0) throw fingerprintNeeded(name, waiting.length);
    const peer = fingerprint === undefined ? undefined : this.#books.pending.find(name, fingerprint, nowMs);
    if (peer === undefined) throw notFound(name);
    const { key, address, lastSeenMs } = peer;
    return this.#books.trust(name, key, { origin: "promoted", addedMs: nowMs, lastSeenMs, address }, false);
  }

  /**
   * Pins a key in `trusted/` by the operator's word. A different key, or a broken pin file, needs `replace`.
   * @throws {SallyportError} ERR_CONFIG PIN_EXISTS; ERR_DENIED as `commit`
   */
  add(peerName: NodeName, key: PublicKey, options: AddOptions): readonly TrustChange[] {
    const name = canonicalName(peerName);
    const { nowMs, origin = "operator", seen, replace = false } = options;
    const conflict = this.conflictOf(name, key);
    if (conflict !== undefined && !replace) {
      throw new SallyportError("ERR_CONFIG", "PIN_EXISTS", `${name} has ${conflict}`, {
        stage: "identity",
        advice: "compare fingerprints with the peer's operator, then add it with --replace",
      });
    }
    const last = seen === undefined ? {} : { lastSeenMs: seen.nowMs, address: seen.address };
    return this.#books.trust(name, key, { origin, addedMs: nowMs, ...last }, replace);
  }

  /** What stands against pinning this key under this name without replacement; undefined when nothing does. */
  conflictOf(peerName: NodeName, key: PublicKey): string | undefined {
    const name = canonicalName(peerName);
    const pin = this.#books.table.get(name);
    if (pin !== undefined && !sameKey(pin.key, key)) return `the key ${pin.fingerprint} already`;
    return this.#books.brokenPin(name) === undefined ? undefined : "a pin file that cannot be used";
  }

  /** Checks what no replacement can lift: own name or key, revoked, pinned under another name. @throws as `commit`. */
  checkImport(peerName: NodeName, key: PublicKey): void {
    this.#books.checkKey(canonicalName(peerName), key, fingerprintOf(key, this.#crypto));
  }

  /**
   * Forgets the pin of a name, also a broken one. In `tofu` mode the next contact is a first one again: to shut a key
   * out, revoke it.
   * @throws {SallyportError} ERR_CONFIG PIN_NOT_FOUND; ERR_DENIED PIN_NOT_DURABLE
   */
  remove(peerName: NodeName): readonly TrustChange[] {
    const name = canonicalName(peerName);
    const pin = this.#books.table.get(name);
    const stem = pinStem(name, this.#crypto);
    if (pin === undefined && this.#books.table.brokenFor(stem, name) === undefined) throw notFound(name);
    this.#books.durably(name, () => {
      this.#books.disk.removePin("trusted", name);
      this.#books.disk.removePin("first-use", name);
    });
    const meta = this.#books.disk.readMeta(name);
    try {
      // The record of the last succession stays: an old statement must not lead away from a key that is pinned later.
      if (meta !== undefined && (meta === "broken" || meta.succession === undefined)) this.#books.disk.removeMeta(name);
    } catch {
      // What is left is about a pin that is gone.
    }
    this.#books.table.delete(name);
    this.#books.table.deleteBroken(stem);
    return pin === undefined ? [] : [{ kind: "unpinned", name, fingerprint: pin.fingerprint }];
  }

  /**
   * Shuts out a key, whatever pins, CAs, invites and successions say. Holds at once; nothing here ever lifts it.
   * @throws {SallyportError} ERR_DENIED PIN_NOT_DURABLE when it holds only until this process ends; `reload` then tells
   * the change
   */
  revoke(fingerprint: Fingerprint, nowMs: number): readonly TrustChange[] {
    const known = this.#books.table.revoked.has(fingerprint) && !this.#unsaved.has(fingerprint);
    if (known) return [];
    this.#books.table.revoked.add(fingerprint);
    this.#books.pending.forgetWhere((peer) => peer.fingerprint === fingerprint);
    this.#unsaved.add(fingerprint);
    this.#owed.push({ kind: "revoked", fingerprint });
    this.#books.durably(fingerprint, () => {
      this.#books.disk.writeRevoked(fingerprint, `${fingerprint} ${new Date(nowMs).toISOString()}\n`);
    });
    this.#unsaved.delete(fingerprint);
    this.#owed.pop();
    return [{ kind: "revoked", fingerprint }];
  }

  isRevoked(fingerprint: Fingerprint): boolean {
    return this.#books.table.revoked.has(fingerprint);
  }

  /** Whether the operator vouches for this key, under whatever name, or it is our own; and it is not revoked. */
  vouchesFor(key: PublicKey): boolean {
    const fingerprint = fingerprintOf(key, this.#crypto);
    if (this.isRevoked(fingerprint)) return false;
    if (sameKey(key, this.#books.ownKey)) return true;
    for (const pin of this.#books.table.pins()) {
      if (pin.place === "trusted" && pin.fingerprint === fingerprint && this.lookup(pin.name) === pin) return true;
    }
    return false;
  }

  /** Whether this is the node itself: its name or its key. */
  isOwn(peerName: NodeName, key: PublicKey): { readonly name: boolean; readonly key: boolean } {
    return { name: sameNode(peerName, this.#books.ownName), key: sameKey(key, this.#books.ownKey) };
  }

  /** The pin of a name; undefined when there is none or its file is broken. */
  lookup(peerName: NodeName): Pin | undefined {
    const name = canonicalName(peerName);
    return this.#books.brokenPin(name) === undefined ? this.#books.table.get(name) : undefined;
  }

  /** Whether a name has a pin, also one whose file is broken. */
  hasPin(peerName: NodeName): boolean {
    const name = canonicalName(peerName);
    return this.#books.table.get(name) !== undefined || this.#books.brokenPin(name) !== undefined;
  }

  /** All pins by name, with what is kept about them. Reads the disk. */
  list(): readonly PinListing[] {
    const pins = [...this.#books.table.pins()].sort((a, b) => (a.name < b.name ? -1 : 1));
    return pins.map((pin) => {
      const meta = this.#books.disk.readMeta(pin.name);
      return { ...pin, meta: meta === "broken" ? undefined : meta };
    });
  }

  /** Strangers that wait for `promote`, the one not seen for the longest time first. */
  pending(nowMs: number): readonly PendingPeer[] {
    return this.#books.pending.list(nowMs);
  }

  revoked(): readonly Fingerprint[] {
    return [...this.#books.table.revoked].sort();
  }

  /** Pin files that cannot be used. Their names are refused. */
  broken(): readonly BrokenPin[] {
    return [...this.#books.table.allBroken()];
  }

  /**
   * Takes over what is on disk now and says what changed. When reading fails, what was read before stays in force. Costs
   * little when nothing changed: of many pin files, those that somebody wrote over in place are seen by and by
   * (docs/limits.md), unless `everyFile` is asked for.
   * @throws {SallyportError} ERR_CONFIG TRUST_UNREADABLE, ERR_LIMIT TRUST_FILES
   */
  reload(nowMs: number, everyFile: boolean = false): readonly TrustChange[] {
    const changes = everyFile || this.#reader.mayHaveChanged(nowMs) ? this.#readAgain(nowMs) : [];
    const owed = this.#owed;
    this.#owed = [];
    return [...owed, ...changes, ...this.#lapse(nowMs)];
  }

  #readAgain(nowMs: number): readonly TrustChange[] {
    const warnings: IdentityWarning[] = [];
    const next = this.#reader.read(nowMs, warnings);
    for (const fingerprint of this.#unsaved) next.revoked.add(fingerprint);
    const before = this.#books.table;
    this.#books.table = next;
    this.#warnings = warnings;
    const changes = changesBetween(before, next, (name) => this.#books.brokenPin(name) !== undefined);
    this.#books.follow(changes);
    return changes;
  }

  /** Whoever decided: a strict store takes nobody in at first sight. */
  #needTofu(name: NodeName): void {
    if (this.mode !== "tofu") throw denied("KEY_UNTRUSTED", name, "the trust mode is strict");
  }

  #view(): TrustView {
    return {
      mode: this.mode,
      ownName: this.#books.ownName,
      ownKey: this.#books.ownKey,
      allowReusedKeys: this.#books.allowReusedKeys,
      table: this.#books.table,
      brokenPin: (name) => this.#books.brokenPin(name),
      acceptedSuccession: (name) => this.#books.acceptedSuccession(name),
    };
  }

  /** Removes first-use pins whose time is over. */
  #lapse(nowMs: number): readonly TrustChange[] {
    const ttlMs = this.#firstUseTtlMs;
    const last = this.#lapseLookMs;
    // One read a pin: not at each reload. A clock that was set back looks again.
    if (last !== undefined && nowMs >= last && nowMs - last < Math.min(LAPSE_LOOK_MS, ttlMs)) return [];
    this.#lapseLookMs = nowMs;
    const changes: TrustChange[] = [];
    const overdue = new Map<NodeName, number>();
    for (const pin of [...this.#books.table.pins()]) {
      if (pin.place !== "first-use") continue;
      const meta = this.#books.disk.readMeta(pin.name);
      if (meta === undefined || meta === "broken" || nowMs - (meta.lastSeenMs ?? meta.addedMs) <= ttlMs) continue;
      const looks = (this.#overdue.get(pin.name) ?? 0) + 1;
      overdue.set(pin.name, looks);
      if (looks < LAPSE_LOOKS) continue;
      try {
        for (const change of this.remove(pin.name)) changes.push(change);
      } catch {
        // It stays pinned, and the next look tries again; the other changes must reach the caller.
      }
    }
    this.#overdue = overdue;
    return changes;
  }
}
