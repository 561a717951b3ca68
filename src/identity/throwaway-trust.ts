import type { IdentityCrypto } from "../base/identity-crypto.ts";
import { canonicalName, type NodeName } from "../base/node-name.ts";
import type { NodeTrust } from "./node-trust.ts";
import { PinTable } from "./pin-table.ts";
import { type Fingerprint, fingerprintOf, type PublicKey } from "./public-key.ts";
import type { TrustChange } from "./trust-change.ts";
import {
  decideTrust,
  type TrustCommit,
  type TrustDecision,
  type TrustFacts,
  type TrustMode,
} from "./trust-decision.ts";
import { denied } from "./trust-denials.ts";

export interface ThrowawayTrustOptions {
  readonly crypto: IdentityCrypto;
  readonly mode: TrustMode;
  readonly ownName: NodeName;
  readonly ownKey: PublicKey;
  /** Keys that nodes must show. No other one counts for these names, in either mode. */
  readonly expected: ReadonlyMap<NodeName, Fingerprint>;
}

/**
 * The trust of a node that dials, without a directory: whom it takes was said when it was made. It decides by the same table as
 * `TrustStore`, and what it takes at first sight holds for its name while it lives. Reads and writes no file.
 */
export class ThrowawayTrust implements NodeTrust {
  readonly mode: TrustMode;
  readonly warnings: readonly [] = [];
  readonly #options: ThrowawayTrustOptions;
  readonly #expected: ReadonlyMap<NodeName, Fingerprint>;
  readonly #table = new PinTable();
  #ownKey: PublicKey;

  constructor(options: ThrowawayTrustOptions) {
    this.#options = options;
    this.mode = options.mode;
    this.#ownKey = options.ownKey;
    this.#expected = new Map([...options.expected].map(([name, key]) => [canonicalName(name), key]));
  }

  setOwnKey(key: PublicKey): void {
    this.#ownKey = key;
  }

  decide(facts: TrustFacts): TrustDecision {
    const { crypto, ownName } = this.#options;
    const name = canonicalName(facts.name);
    const expected = this.#expected.get(name);
    const fingerprint = fingerprintOf(facts.key, crypto);
    if (expected === fingerprint) this.#table.set({ name, key: facts.key, fingerprint, place: "trusted" });
    const decision = decideTrust(
      {
        mode: this.mode,
        ownName,
        ownKey: this.#ownKey,
        allowReusedKeys: false,
        table: this.#table,
        brokenPin: () => undefined,
        acceptedSuccession: () => ({ kind: "none" }),
      },
      facts,
      crypto,
    );
    if (expected === undefined || expected === fingerprint) return decision;
    const isAboutPins = decision.kind === "accept" || decision.reason === "KEY_UNTRUSTED";
    return isAboutPins ? { kind: "refuse", reason: "KEY_MISMATCH", pinned: expected } : decision;
  }

  /** @throws {SallyportError} ERR_DENIED KEY_MISMATCH when another key of the name came first */
  commit(peerName: NodeName, key: PublicKey, commit: TrustCommit): readonly TrustChange[] {
    const name = canonicalName(peerName);
    const fingerprint = fingerprintOf(key, this.#options.crypto);
    const pin = this.#table.get(name);
    if (pin !== undefined && pin.fingerprint !== fingerprint) {
      throw denied("KEY_MISMATCH", name, `it has the key ${pin.fingerprint}`);
    }
    if (commit.kind !== "first-use" || pin !== undefined) return [];
    this.#table.set({ name, key, fingerprint, place: "first-use" });
    return [{ kind: "pinned", name, fingerprint, place: "first-use" }];
  }

  hasPin(name: NodeName): boolean {
    const canonical = canonicalName(name);
    return this.#expected.has(canonical) || this.#table.get(canonical) !== undefined;
  }

  followed(): readonly Fingerprint[] {
    return [];
  }

  list(): readonly [] {
    return [];
  }

  pending(): readonly [] {
    return [];
  }

  reload(): readonly TrustChange[] {
    return [];
  }
}
