import { SallyportError, systemCode } from "../base/errors.ts";
import type { IdentityCrypto } from "../base/identity-crypto.ts";
import { type NodeName, sameNode } from "../base/node-name.ts";
import type { PendingPeers } from "./pending-peers.ts";
import type { PinFiles } from "./pin-files.ts";
import { MAX_FOLLOWED, type PinMeta, type PinOrigin } from "./pin-meta.ts";
import { pinStem } from "./pin-stem.ts";
import type { PinPlace, PinTable } from "./pin-table.ts";
import { type Fingerprint, fingerprintOf, type PublicKey, sameKey } from "./public-key.ts";
import { isSigned, type SuccessionChain } from "./succession.ts";
import type { TrustChange } from "./trust-change.ts";
import type { AcceptedSuccession, TrustCommit } from "./trust-decision.ts";
import { denied } from "./trust-denials.ts";

/** Where and when a key was seen. */
export interface Sighting {
  /** Of the connection, as the carrier prints it. */
  readonly address: string;
  /** Unix milliseconds. */
  readonly nowMs: number;
}

/** How the operator pins a key. */
export interface AddOptions {
  readonly nowMs: number;
  readonly replace?: boolean;
  readonly origin?: PinOrigin;
  /** When and where a peer with this key was, where that is known. */
  readonly seen?: Sighting;
}

export interface TrustBooksOptions {
  readonly crypto: IdentityCrypto;
  readonly disk: PinFiles;
  readonly pending: PendingPeers;
  readonly table: PinTable;
  readonly ownName: NodeName;
  readonly ownKey: PublicKey;
  readonly allowReusedKeys: boolean;
  readonly maxFirstUse: number;
}

/** The time of the last sight is written at most this often, milliseconds: each write costs a sync. */
const SEEN_GRAIN_MS = 3_600_000;

/** The trust store's state, on disk and in memory, and the writes that keep the two equal: disk first, synced. */
export class TrustBooks {
  readonly disk: PinFiles;
  readonly pending: PendingPeers;
  readonly allowReusedKeys: boolean;
  readonly ownName: NodeName;
  ownKey: PublicKey;
  table: PinTable;
  readonly #crypto: IdentityCrypto;
  readonly #maxFirstUse: number;
  readonly #seen = new Map<NodeName, number>();

  constructor(options: TrustBooksOptions) {
    this.#crypto = options.crypto;
    this.disk = options.disk;
    this.pending = options.pending;
    this.table = options.table;
    this.ownName = options.ownName;
    this.ownKey = options.ownKey;
    this.allowReusedKeys = options.allowReusedKeys;
    this.#maxFirstUse = options.maxFirstUse;
  }

  brokenPin(name: NodeName): string | undefined {
    // Stems cost a hash each, and mostly nothing is broken.
    if (!this.table.hasBroken) return undefined;
    return this.table.brokenFor(pinStem(name, this.#crypto), name)?.why;
  }

  acceptedSuccession(name: NodeName): AcceptedSuccession {
    const meta = this.disk.readMeta(name);
    if (meta === "broken") return { kind: "unreadable" };
    return meta?.succession === undefined ? { kind: "none" } : { kind: "known", ...meta.succession };
  }

  /** The keys that the pinned key of a name follows by successions accepted here, the latest first. Reads the disk. */
  followed(name: NodeName, fingerprint: Fingerprint): readonly Fingerprint[] {
    if (this.table.get(name)?.fingerprint !== fingerprint) return [];
    const meta = this.disk.readMeta(name);
    if (meta === undefined || meta === "broken" || meta.succession?.key !== fingerprint) return [];
    return meta.succession.followed ?? [];
  }

  checkKey(name: NodeName, key: PublicKey, fingerprint: Fingerprint): void {
    if (sameNode(name, this.ownName) || sameKey(key, this.ownKey)) {
      throw denied("OWN_IDENTITY", name, "that is this node's own name or key");
    }
    if (this.table.revoked.has(fingerprint)) throw denied("KEY_REVOKED", name, `the key ${fingerprint} is revoked`);
    const other = this.allowReusedKeys ? undefined : this.table.otherName(fingerprint, name);
    if (other !== undefined) throw denied("KEY_REUSED", name, `the same key is pinned for ${other}`);
  }

  check(name: NodeName, key: PublicKey, fingerprint: Fingerprint): void {
    this.checkKey(name, key, fingerprint);
    const broken = this.brokenPin(name);
    if (broken !== undefined) throw denied("PIN_BROKEN", name, `its pin file cannot be used: ${broken}`);
  }

  /** That the pin of a name has not become another since the decision, and still exists when the session rests on it. */
  checkPin(name: NodeName, fingerprint: Fingerprint, needed: boolean): void {
    const pin = this.table.get(name);
    if (pin === undefined ? needed : pin.fingerprint !== fingerprint) {
      throw denied("KEY_MISMATCH", name, "its pin was changed meanwhile");
    }
  }

  /** A pin for a name that has none, or has this very key. */
  commitNew(
    name: NodeName,
    key: PublicKey,
    place: PinPlace,
    origin: PinOrigin,
    sighting: Sighting,
  ): readonly TrustChange[] {
    const fingerprint = fingerprintOf(key, this.#crypto);
    this.check(name, key, fingerprint);
    const pin = this.table.get(name);
    if (pin !== undefined) {
      if (!sameKey(pin.key, key)) throw denied("KEY_MISMATCH", name, `${pin.fingerprint} was pinned meanwhile`);
      return place === "first-use" || pin.place === "trusted"
        ? []
        : this.trust(name, key, seenAs(origin, sighting), false);
    }
    const max = this.#maxFirstUse;
    if (place === "first-use" && this.table.firstUse >= max) {
      const message = `${max} keys were accepted on first use, all that maxFirstUse allows`;
      throw new SallyportError("ERR_LIMIT", "FIRST_USE_FULL", message, {
        stage: "identity",
        detail: { limit: max, value: this.table.firstUse + 1, option: "maxFirstUse" },
        advice: "promote or remove pins in first-use/, or raise maxFirstUse",
      });
    }
    this.durably(name, () => {
      // Another process of this directory may have pinned the name since the last reload.
      for (const elsewhere of ["trusted", "first-use"] as const) this.#expectOnDisk(elsewhere, name, key);
      try {
        this.disk.writePin(place, name, key, true);
      } catch (cause) {
        if (systemCode(cause) !== "EEXIST") {
          this.#withdraw(place, name, key);
          throw cause;
        }
        this.#expectOnDisk(place, name, key);
      }
    });
    this.table.set({ name, key, fingerprint, place });
    this.pending.forget(name);
    this.describe(name, seenAs(origin, sighting));
    return [{ kind: "pinned", name, fingerprint, place }];
  }

  commitSuccession(
    name: NodeName,
    key: PublicKey,
    { from, place, serial }: Extract<TrustCommit, { kind: "succession" }>,
    { address, nowMs }: Sighting,
  ): readonly TrustChange[] {
    const fingerprint = fingerprintOf(key, this.#crypto);
    this.check(name, key, fingerprint);
    const pin = this.table.get(name);
    if (pin !== undefined && sameKey(pin.key, key)) return [];
    if (pin === undefined || pin.place !== place || !sameKey(pin.key, from)) {
      throw denied("KEY_MISMATCH", name, "its pin was changed meanwhile");
    }
    this.durably(name, () => {
      this.#expectOnDisk(place, name, from);
      // First the serial: with the pin alone, an older statement could lead back and forth.
      const before = this.disk.readMeta(name);
      const addedMs = before === undefined || before === "broken" ? nowMs : before.addedMs;
      const earlier = before === undefined || before === "broken" ? undefined : before.succession;
      const older = earlier?.key === pin.fingerprint ? (earlier.followed ?? []) : [];
      const followed = [pin.fingerprint, ...older].slice(0, MAX_FOLLOWED);
      const succession = { serial, key: fingerprint, followed };
      this.disk.writeMeta(name, { origin: "succession", addedMs, lastSeenMs: nowMs, address, succession });
      this.disk.writePin(place, name, key, false);
    });
    this.table.set({ name, key, fingerprint, place });
    return [
      { kind: "unpinned", name, fingerprint: pin.fingerprint },
      { kind: "pinned", name, fingerprint, place },
    ];
  }

  /** Puts a key into `trusted/`. `replacing` says that another key there may go. When the same key was last seen is kept. */
  trust(name: NodeName, key: PublicKey, meta: PinMeta, replacing: boolean): readonly TrustChange[] {
    const fingerprint = fingerprintOf(key, this.#crypto);
    this.checkKey(name, key, fingerprint);
    const before = this.table.get(name);
    if (before?.place === "trusted" && sameKey(before.key, key)) return [];
    this.durably(name, () => {
      if (!replacing) this.#expectOnDisk("trusted", name, key);
      this.disk.writePin("trusted", name, key, false);
      this.disk.removePin("first-use", name);
    });
    this.table.set({ name, key, fingerprint, place: "trusted" });
    this.table.deleteBroken(pinStem(name, this.#crypto));
    this.pending.forget(name);
    const known = before?.fingerprint === fingerprint ? this.disk.readMeta(name) : undefined;
    this.describe(name, { ...(known === "broken" ? {} : known), ...meta });
    if (before?.fingerprint === fingerprint) return [{ kind: "promoted", name, fingerprint }];
    const pinned: TrustChange = { kind: "pinned", name, fingerprint, place: "trusted" };
    return before === undefined ? [pinned] : [{ kind: "unpinned", name, fingerprint: before.fingerprint }, pinned];
  }

  #expectOnDisk(place: PinPlace, name: NodeName, key: PublicKey): void {
    const onDisk = this.disk.keyOnDisk(place, name);
    if (onDisk !== undefined && !onDisk.equals(key)) throw denied("KEY_MISMATCH", name, "its pin on disk is another");
  }

  /** After somebody else changed what is on disk: who has a pin now, or is revoked, waits no more. */
  follow(changes: readonly TrustChange[]): void {
    const { table, pending } = this;
    for (const change of changes) if (change.kind !== "revoked") this.#seen.delete(change.name);
    pending.forgetWhere(({ name, fingerprint }) => table.get(name) !== undefined || table.revoked.has(fingerprint));
  }

  touch(name: NodeName, fingerprint: Fingerprint, { address, nowMs }: Sighting): void {
    if (this.table.get(name)?.fingerprint !== fingerprint) return;
    const last = this.#seen.get(name);
    if (last !== undefined && nowMs - last < SEEN_GRAIN_MS && nowMs >= last) return;
    this.#seen.set(name, nowMs);
    const meta = this.disk.readMeta(name);
    if (meta === "broken") return;
    this.describe(name, { origin: "unknown", addedMs: nowMs, ...meta, lastSeenMs: nowMs, address });
  }

  /**
   * A pinned peer has shown how it came to its key: an older statement of its must not lead away from there, as one of a
   * rotation that was taken back.
   */
  noteSuccession(name: NodeName, key: PublicKey, chain: SuccessionChain, { nowMs }: Sighting): void {
    const last = chain[chain.length - 1];
    const pin = this.table.get(name);
    if (last === undefined || pin === undefined || !sameKey(pin.key, key)) return;
    const before = this.disk.readMeta(name);
    if (before === "broken" || (before?.succession?.serial ?? 0) >= last.serial) return;
    if (!sameNode(last.name, name) || !sameKey(last.newKey, key) || !isSigned(last, this.#crypto)) return;
    const succession = { serial: last.serial, key: pin.fingerprint };
    try {
      this.disk.writeMeta(name, { origin: "unknown", addedMs: nowMs, ...before, succession });
    } catch {
      // The peer says it again at its next contact.
    }
  }

  /** Metadata is for people: a failure to write it stops nothing. What it says of successions is kept. */
  describe(name: NodeName, meta: PinMeta): void {
    try {
      const before = this.disk.readMeta(name);
      if (before === "broken") return;
      const succession = before?.succession;
      this.disk.writeMeta(name, succession === undefined ? meta : { ...meta, succession });
    } catch {
      // The pin counts without it.
    }
  }

  /** After a failed write that may have left the file: the pin must not appear at the next reload. */
  #withdraw(place: PinPlace, name: NodeName, key: PublicKey): void {
    try {
      if (this.disk.keyOnDisk(place, name)?.equals(key) === true) this.disk.removePin(place, name);
    } catch {
      // Then it appears, as the key that was seen; no session counted on it.
    }
  }

  /** Runs a write. @throws {SallyportError} ERR_DENIED PIN_NOT_DURABLE for errors of the system */
  durably(what: string, write: () => void): void {
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

/** What is kept of a pin that was made while its peer was there. */
function seenAs(origin: PinOrigin, { address, nowMs }: Sighting): PinMeta {
  return { origin, addedMs: nowMs, lastSeenMs: nowMs, address };
}
