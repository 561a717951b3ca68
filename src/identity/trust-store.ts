import { SallyportError } from "../base/errors.ts";
import type { IdentityCrypto } from "../base/identity-crypto.ts";
import { canonicalName, type NodeName, sameNode } from "../base/node-name.ts";
import type { StoreFiles } from "../base/store-files.ts";
import { type IdentityWarning, systemCode } from "./key-layout.ts";
import { type PendingLimits, type PendingPeer, PendingPeers } from "./pending-peers.ts";
import { PinFiles, pinStem } from "./pin-files.ts";
import type { PinMeta, PinOrigin } from "./pin-meta.ts";
import type { BrokenPin, Pin, PinPlace, PinTable } from "./pin-table.ts";
import { type Fingerprint, fingerprintOf, type PublicKey, sameKey } from "./public-key.ts";
import { changesBetween, type TrustChange } from "./trust-change.ts";
import {
  type AcceptedSuccession,
  decideTrust,
  type TrustCommit,
  type TrustDecision,
  type TrustFacts,
  type TrustMode,
  type TrustView,
} from "./trust-decision.ts";

export interface TrustLimits extends PendingLimits {
  /** Most keys accepted on first use; further strangers are refused, none is forgotten for them. Default 1,024. */
  readonly maxFirstUse?: number;
  /** When a first-use pin that was not seen lapses, milliseconds. Default: never, since a lapsed pin is a new first use. */
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

/** Where and when a key was seen. */
export interface Sighting {
  /** Of the connection, as the carrier prints it. */
  readonly address: string;
  /** Unix milliseconds. */
  readonly nowMs: number;
}

/** A pin and what is kept about it, for people. */
export interface PinListing extends Pin {
  readonly meta: PinMeta | undefined;
}

export const MAX_FIRST_USE = 1024;

/** The time of the last sight is written at most this often, milliseconds: each write costs a sync. */
const SEEN_GRAIN_MS = 3_600_000;

/**
 * Which keys this node trusts, on disk and in memory. Decisions read memory; changes reach the disk, synced, before
 * memory. `reload` takes over what somebody else changed on disk: call it once a second or after each change. Two
 * processes may use one directory: the exclusive create of a pin file decides which of two first contacts won.
 */
export class TrustStore {
  readonly #crypto: IdentityCrypto;
  readonly #disk: PinFiles;
  readonly #pending: PendingPeers;
  readonly #limits: TrustLimits;
  readonly #ownName: NodeName;
  readonly #allowReusedKeys: boolean;
  readonly #seen = new Map<NodeName, number>();
  /** Revocations that the disk did not take. They hold while this process lives. */
  readonly #unsaved = new Set<Fingerprint>();
  #mode: TrustMode;
  #ownKey: PublicKey;
  #table: PinTable;
  #warnings: IdentityWarning[] = [];

  /** Reads the directory. @throws {SallyportError} ERR_CONFIG TRUST_UNREADABLE, ERR_LIMIT TRUST_FILES */
  constructor(options: TrustStoreOptions) {
    this.#crypto = options.crypto;
    this.#disk = new PinFiles(options.files, options.crypto, options.directory);
    this.#limits = options.limits ?? {};
    this.#pending = new PendingPeers(this.#limits);
    this.#ownName = options.ownName;
    this.#ownKey = options.ownKey;
    this.#mode = options.mode;
    this.#allowReusedKeys = options.allowReusedKeys ?? false;
    this.#table = this.#disk.read(options.nowMs, this.#warnings);
  }

  get mode(): TrustMode {
    return this.#mode;
  }

  /** Takes effect at the next decision. */
  setMode(mode: TrustMode): void {
    this.#mode = mode;
  }

  /** After a rotation: the key that nobody else may claim from now on. */
  setOwnKey(key: PublicKey): void {
    this.#ownKey = key;
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
   * @throws {SallyportError} ERR_DENIED KEY_MISMATCH, KEY_REVOKED, KEY_REUSED, PIN_BROKEN, OWN_IDENTITY, PIN_NOT_DURABLE;
   * ERR_LIMIT FIRST_USE_FULL
   */
  commit(peerName: NodeName, key: PublicKey, commit: TrustCommit, sighting: Sighting): readonly TrustChange[] {
    const name = canonicalName(peerName);
    const fingerprint = fingerprintOf(key, this.#crypto);
    switch (commit.kind) {
      case "none":
        if (this.#table.revoked.has(fingerprint)) throw denied("KEY_REVOKED", name, "its key was revoked");
        this.#touch(name, fingerprint, sighting);
        return [];
      case "pending":
        this.#check(name, key, fingerprint);
        if (this.#table.get(name) !== undefined) throw denied("KEY_MISMATCH", name, "another key was pinned meanwhile");
        this.#pending.see(name, key, fingerprint, sighting.address, sighting.nowMs);
        return [];
      case "first-use":
        return this.commitFirstUse(name, key, sighting);
      case "invite":
        return this.#commitNew(name, key, "trusted", "invite", sighting);
      case "succession":
        return this.#commitSuccession(name, key, commit, sighting);
    }
  }

  /** Pins a key in `first-use/`. Of several keys that race for one name exactly one gets it. Errors as `commit`. */
  commitFirstUse(peerName: NodeName, key: PublicKey, sighting: Sighting): readonly TrustChange[] {
    return this.#commitNew(canonicalName(peerName), key, "first-use", "first-use", sighting);
  }

  /**
   * The operator trusts a key that came on first use, or, with its fingerprint, one that waits as pending.
   * @throws {SallyportError} ERR_CONFIG PIN_NOT_FOUND, FINGERPRINT_NEEDED; ERR_DENIED as `commit`
   */
  promote(peerName: NodeName, fingerprint: Fingerprint | undefined, nowMs: number): readonly TrustChange[] {
    const name = canonicalName(peerName);
    const pin = this.#table.get(name);
    if (pin !== undefined) {
      if (fingerprint !== undefined && pin.fingerprint !== fingerprint) {
        throw denied("KEY_MISMATCH", name, `it has the key ${pin.fingerprint}`);
      }
      return this.#trust(name, pin.key, "promoted", nowMs, true);
    }
    const waiting = this.#pending.list(nowMs).filter((peer) => peer.name === name);
    if (fingerprint === undefined && waiting.length > 0) {
      throw new SallyportError("ERR_CONFIG", "FINGERPRINT_NEEDED", `${waiting.length} keys wait under ${name}`, {
        stage: "identity",
        advice: "name the fingerprint that the peer's operator reads to you: a pending key proves no name",
      });
    }
    const peer = fingerprint === undefined ? undefined : this.#pending.find(name, fingerprint, nowMs);
    if (peer === undefined) throw notFound(name);
    return this.#trust(name, peer.key, "promoted", nowMs, false);
  }

  /**
   * Pins a key in `trusted/` by the operator's word. A different key, or a broken pin file, needs `replace`.
   * @throws {SallyportError} ERR_CONFIG PIN_EXISTS; ERR_DENIED as `commit`
   */
  add(
    peerName: NodeName,
    key: PublicKey,
    options: { readonly nowMs: number; readonly replace?: boolean; readonly origin?: PinOrigin },
  ): readonly TrustChange[] {
    const name = canonicalName(peerName);
    const conflict = this.conflictOf(name, key);
    if (conflict !== undefined && options.replace !== true) {
      throw new SallyportError("ERR_CONFIG", "PIN_EXISTS", `${name} has ${conflict}`, {
        stage: "identity",
        advice: "compare fingerprints with the peer's operator, then ask for replacement explicitly",
      });
    }
    return this.#trust(name, key, options.origin ?? "operator", options.nowMs, true);
  }

  /** What stands against pinning this key under this name without replacement; undefined when nothing does. */
  conflictOf(peerName: NodeName, key: PublicKey): string | undefined {
    const name = canonicalName(peerName);
    const pin = this.#table.get(name);
    if (pin !== undefined && !sameKey(pin.key, key)) return `the key ${pin.fingerprint} already`;
    return this.#brokenPin(name) === undefined ? undefined : "a pin file that cannot be used";
  }

  /** Checks what no replacement can lift: own name or key, revoked, pinned under another name. @throws as `commit`. */
  checkImport(peerName: NodeName, key: PublicKey): void {
    this.#checkKey(canonicalName(peerName), key, fingerprintOf(key, this.#crypto));
  }

  /**
   * Forgets the pin of a name, also a broken one. In `tofu` mode the next contact is a first one again: to shut a key
   * out, revoke it.
   * @throws {SallyportError} ERR_CONFIG PIN_NOT_FOUND; ERR_DENIED PIN_NOT_DURABLE
   */
  remove(peerName: NodeName): readonly TrustChange[] {
    const name = canonicalName(peerName);
    const pin = this.#table.get(name);
    const stem = pinStem(name, this.#crypto);
    if (pin === undefined && this.#table.brokenFor(stem, name) === undefined) throw notFound(name);
    this.#durably(name, () => {
      this.#disk.removePin("trusted", name);
      this.#disk.removePin("first-use", name);
    });
    const meta = this.#disk.readMeta(name);
    try {
      // The record of the last succession stays: an old statement must not lead away from a key that is pinned later.
      if (meta !== undefined && (meta === "broken" || meta.succession === undefined)) this.#disk.removeMeta(name);
    } catch {
      // What is left is about a pin that is gone.
    }
    this.#table.delete(name);
    this.#table.deleteBroken(stem);
    return pin === undefined ? [] : [{ kind: "unpinned", name, fingerprint: pin.fingerprint }];
  }

  /**
   * Shuts out a key, whatever pins, CAs, invites and successions say. Holds at once; nothing here ever lifts it.
   * @throws {SallyportError} ERR_DENIED PIN_NOT_DURABLE when it holds only until this process ends
   */
  revoke(fingerprint: Fingerprint, nowMs: number): readonly TrustChange[] {
    const known = this.#table.revoked.has(fingerprint) && !this.#unsaved.has(fingerprint);
    if (known) return [];
    this.#table.revoked.add(fingerprint);
    this.#unsaved.add(fingerprint);
    this.#durably(fingerprint, () => {
      this.#disk.writeRevoked(fingerprint, `${fingerprint} ${new Date(nowMs).toISOString()}\n`);
    });
    this.#unsaved.delete(fingerprint);
    return [{ kind: "revoked", fingerprint }];
  }

  isRevoked(fingerprint: Fingerprint): boolean {
    return this.#table.revoked.has(fingerprint);
  }

  /** The pin of a name; undefined when there is none or its file is broken. */
  lookup(peerName: NodeName): Pin | undefined {
    const name = canonicalName(peerName);
    return this.#brokenPin(name) === undefined ? this.#table.get(name) : undefined;
  }

  /** All pins by name, with what is kept about them. Reads the disk. */
  list(): readonly PinListing[] {
    const pins = [...this.#table.pins()].sort((a, b) => (a.name < b.name ? -1 : 1));
    return pins.map((pin) => {
      const meta = this.#disk.readMeta(pin.name);
      return { ...pin, meta: meta === "broken" ? undefined : meta };
    });
  }

  /** Strangers that wait for `promote`, the one not seen for the longest time first. */
  pending(nowMs: number): readonly PendingPeer[] {
    return this.#pending.list(nowMs);
  }

  revoked(): readonly Fingerprint[] {
    return [...this.#table.revoked].sort();
  }

  /** Pin files that cannot be used. Their names are refused. */
  broken(): readonly BrokenPin[] {
    return [...this.#table.allBroken()];
  }

  /**
   * Takes over what is on disk now and says what changed. When reading fails, what was read before stays in force.
   * @throws {SallyportError} ERR_CONFIG TRUST_UNREADABLE, ERR_LIMIT TRUST_FILES
   */
  reload(nowMs: number): readonly TrustChange[] {
    const warnings: IdentityWarning[] = [];
    const next = this.#disk.read(nowMs, warnings);
    for (const fingerprint of this.#unsaved) next.revoked.add(fingerprint);
    const before = this.#table;
    this.#table = next;
    this.#warnings = warnings;
    return [...changesBetween(before, next, (name) => this.#brokenPin(name) !== undefined), ...this.#lapse(nowMs)];
  }

  #view(): TrustView {
    return {
      mode: this.#mode,
      ownName: this.#ownName,
      ownKey: this.#ownKey,
      allowReusedKeys: this.#allowReusedKeys,
      table: this.#table,
      brokenPin: (name) => this.#brokenPin(name),
      acceptedSuccession: (name) => this.#acceptedSuccession(name),
    };
  }

  #brokenPin(name: NodeName): string | undefined {
    return this.#table.brokenFor(pinStem(name, this.#crypto), name)?.why;
  }

  #acceptedSuccession(name: NodeName): AcceptedSuccession {
    const meta = this.#disk.readMeta(name);
    if (meta === "broken") return { kind: "unreadable" };
    return meta?.succession === undefined ? { kind: "none" } : { kind: "known", ...meta.succession };
  }

  #checkKey(name: NodeName, key: PublicKey, fingerprint: Fingerprint): void {
    if (sameNode(name, this.#ownName) || sameKey(key, this.#ownKey)) {
      throw denied("OWN_IDENTITY", name, "that is this node's own name or key");
    }
    if (this.#table.revoked.has(fingerprint)) throw denied("KEY_REVOKED", name, `the key ${fingerprint} is revoked`);
    const other = this.#allowReusedKeys ? undefined : this.#table.otherName(fingerprint, name);
    if (other !== undefined) throw denied("KEY_REUSED", name, `the same key is pinned for ${other}`);
  }

  #check(name: NodeName, key: PublicKey, fingerprint: Fingerprint): void {
    this.#checkKey(name, key, fingerprint);
    const broken = this.#brokenPin(name);
    if (broken !== undefined) throw denied("PIN_BROKEN", name, `its pin file cannot be used: ${broken}`);
  }

  /** A pin for a name that has none, or has this very key. */
  #commitNew(
    name: NodeName,
    key: PublicKey,
    place: PinPlace,
    origin: PinOrigin,
    sighting: Sighting,
  ): readonly TrustChange[] {
    const fingerprint = fingerprintOf(key, this.#crypto);
    this.#check(name, key, fingerprint);
    const pin = this.#table.get(name);
    if (pin !== undefined) {
      if (!sameKey(pin.key, key)) throw denied("KEY_MISMATCH", name, `${pin.fingerprint} was pinned meanwhile`);
      return place === "first-use" || pin.place === "trusted"
        ? []
        : this.#trust(name, key, origin, sighting.nowMs, false);
    }
    const max = this.#limits.maxFirstUse ?? MAX_FIRST_USE;
    if (place === "first-use" && this.#table.firstUse >= max) {
      const message = `${max} keys were accepted on first use, all that maxFirstUse allows`;
      throw new SallyportError("ERR_LIMIT", "FIRST_USE_FULL", message, {
        stage: "identity",
        detail: { limit: max, value: this.#table.firstUse + 1, option: "maxFirstUse" },
        advice: "promote or remove pins in first-use/, or raise maxFirstUse",
      });
    }
    this.#durably(name, () => {
      // Another process of this directory may have pinned the name since the last reload.
      for (const elsewhere of ["trusted", "first-use"] as const) this.#expectOnDisk(elsewhere, name, key);
      try {
        this.#disk.writePin(place, name, key, true);
      } catch (cause) {
        if (systemCode(cause) !== "EEXIST") {
          this.#withdraw(place, name);
          throw cause;
        }
        this.#expectOnDisk(place, name, key);
      }
    });
    this.#table.set({ name, key, fingerprint, place });
    this.#pending.forget(name);
    const { address, nowMs } = sighting;
    this.#describe(name, { origin, addedMs: nowMs, lastSeenMs: nowMs, address });
    return [{ kind: "pinned", name, fingerprint, place }];
  }

  #commitSuccession(
    name: NodeName,
    key: PublicKey,
    { from, place, serial }: Extract<TrustCommit, { kind: "succession" }>,
    { address, nowMs }: Sighting,
  ): readonly TrustChange[] {
    const fingerprint = fingerprintOf(key, this.#crypto);
    this.#check(name, key, fingerprint);
    const pin = this.#table.get(name);
    if (pin !== undefined && sameKey(pin.key, key)) return [];
    if (pin === undefined || pin.place !== place || !sameKey(pin.key, from)) {
      throw denied("KEY_MISMATCH", name, "its pin was changed meanwhile");
    }
    this.#durably(name, () => {
      this.#expectOnDisk(place, name, from);
      // First the serial: with the pin alone, an older statement could lead back and forth.
      const before = this.#disk.readMeta(name);
      const addedMs = before === undefined || before === "broken" ? nowMs : before.addedMs;
      const succession = { serial, key: fingerprint };
      this.#disk.writeMeta(name, { origin: "succession", addedMs, lastSeenMs: nowMs, address, succession });
      this.#disk.writePin(place, name, key, false);
    });
    this.#table.set({ name, key, fingerprint, place });
    return [
      { kind: "unpinned", name, fingerprint: pin.fingerprint },
      { kind: "pinned", name, fingerprint, place },
    ];
  }

  /** Puts a key into `trusted/`. `replacing` says that another key there may go. */
  #trust(name: NodeName, key: PublicKey, origin: PinOrigin, nowMs: number, replacing: boolean): readonly TrustChange[] {
    const fingerprint = fingerprintOf(key, this.#crypto);
    this.#checkKey(name, key, fingerprint);
    const before = this.#table.get(name);
    if (before?.place === "trusted" && sameKey(before.key, key)) return [];
    this.#durably(name, () => {
      if (!replacing) this.#expectOnDisk("trusted", name, key);
      this.#disk.writePin("trusted", name, key, false);
      this.#disk.removePin("first-use", name);
    });
    this.#table.set({ name, key, fingerprint, place: "trusted" });
    this.#table.deleteBroken(pinStem(name, this.#crypto));
    this.#pending.forget(name);
    this.#describe(name, { origin, addedMs: nowMs });
    if (before?.fingerprint === fingerprint) return [{ kind: "promoted", name, fingerprint }];
    const pinned: TrustChange = { kind: "pinned", name, fingerprint, place: "trusted" };
    return before === undefined ? [pinned] : [{ kind: "unpinned", name, fingerprint: before.fingerprint }, pinned];
  }

  #expectOnDisk(place: PinPlace, name: NodeName, key: PublicKey): void {
    const onDisk = this.#disk.keyOnDisk(place, name);
    if (onDisk !== undefined && !onDisk.equals(key)) throw denied("KEY_MISMATCH", name, "its pin on disk is another");
  }

  /** Removes first-use pins whose time is over. */
  #lapse(nowMs: number): readonly TrustChange[] {
    const ttlMs = this.#limits.firstUseTtlMs;
    if (ttlMs === undefined) return [];
    const changes: TrustChange[] = [];
    for (const pin of [...this.#table.pins()]) {
      if (pin.place !== "first-use") continue;
      const meta = this.#disk.readMeta(pin.name);
      if (meta === undefined || meta === "broken" || nowMs - (meta.lastSeenMs ?? meta.addedMs) <= ttlMs) continue;
      changes.push(...this.remove(pin.name));
    }
    return changes;
  }

  #touch(name: NodeName, fingerprint: Fingerprint, { address, nowMs }: Sighting): void {
    if (this.#table.get(name)?.fingerprint !== fingerprint) return;
    const last = this.#seen.get(name);
    if (last !== undefined && nowMs - last < SEEN_GRAIN_MS && nowMs >= last) return;
    this.#seen.set(name, nowMs);
    const meta = this.#disk.readMeta(name);
    if (meta === "broken") return;
    this.#describe(name, { origin: "unknown", addedMs: nowMs, ...meta, lastSeenMs: nowMs, address });
  }

  /** Metadata is for people: a failure to write it stops nothing. What it says of successions is kept. */
  #describe(name: NodeName, meta: PinMeta): void {
    try {
      const before = this.#disk.readMeta(name);
      if (before === "broken") return;
      const succession = before?.succession;
      this.#disk.writeMeta(name, succession === undefined ? meta : { ...meta, succession });
    } catch {
      // The pin counts without it.
    }
  }

  /** After a failed write that may have left the file: the pin must not appear at the next reload. */
  #withdraw(place: PinPlace, name: NodeName): void {
    try {
      this.#disk.removePin(place, name);
    } catch {
      // Then it appears, as the key that was seen; no session counted on it.
    }
  }

  #durably(what: string, write: () => void): void {
    try {
      write();
    } catch (cause) {
      if (cause instanceof SallyportError) throw cause;
      throw new SallyportError("ERR_DENIED", "PIN_NOT_DURABLE", `cannot save the change of trust for ${what}`, {
        stage: "identity",
        detail: { system: systemCode(cause) },
        advice: "let this process's user write the key directory, and see that the disk has room",
        cause,
      });
    }
  }
}

function denied(reason: DeniedReason, name: NodeName, why: string): SallyportError {
  return new SallyportError("ERR_DENIED", reason, `${name} is not accepted: ${why}`, {
    stage: "identity",
    peer: name,
    advice: ADVICE[reason],
  });
}

type DeniedReason = "KEY_MISMATCH" | "KEY_REVOKED" | "KEY_REUSED" | "PIN_BROKEN" | "OWN_IDENTITY";

const ADVICE: Readonly<Record<DeniedReason, string>> = {
  KEY_MISMATCH: "ask the peer's operator whether the key changed; if so, remove the pin and pin the new key",
  KEY_REVOKED: "the peer needs a new key; a revocation is lifted only by removing its file in revoked/",
  KEY_REUSED: "give each node a key of its own, or allow reused keys",
  PIN_BROKEN: "repair the file, or remove the pin and pin the key again",
  OWN_IDENTITY: "leave this node itself out",
};

function notFound(name: NodeName): SallyportError {
  return new SallyportError("ERR_CONFIG", "PIN_NOT_FOUND", `${name} has no pin and does not wait as pending`, {
    stage: "identity",
    peer: name,
    advice: "list the pins and the pending peers",
  });
}
