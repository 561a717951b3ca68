import { assuranceAtLeast } from "../base/assurance.ts";
import { canonicalName, type NodeName, parseNodeName } from "../base/node-name.ts";
import type { Authority } from "./authority.ts";
import { type AuthoritySubject, buildAuthority, type GrantsOfAll, indexGrants } from "./build-authority.ts";
import { canonicalKeyText } from "./check/check-peers.ts";
import { compileLimits } from "./compile-limits.ts";
import { type CompiledRule, compileRule, timeOr } from "./compiled-rule.ts";
import type { PeerFacts, RefusedWhy } from "./decision.ts";
import { isDialledInOverQuic } from "./dialled-in.ts";
import type { DomainEntry, PeerEntry, PolicyDocument } from "./document.ts";
import { changesOf } from "./rule-timing.ts";

/** Who an authenticated peer is to a policy. */
export type Identified =
  /** May connect. */
  | { readonly kind: "peer"; readonly authority: Authority }
  /** Was dialled by this node and is in no entry: is let up, and may do nothing but answer. */
  | { readonly kind: "stranger"; readonly authority: Authority }
  | {
      readonly kind: "refused";
      readonly outcome: "deny-default" | "deny-identity" | "deny-rule" | "deny-error";
      /** The rule that denies `connect`. */
      readonly rule: string | null;
      /** Of the entry with its name, or null. */
      readonly alias: string | null;
      readonly why: RefusedWhy;
    };

/** A `PeerEntry`, parsed. Immutable. */
export interface CompiledPeer {
  readonly alias: string;
  readonly entry: PeerEntry;
  /** Canonical. */
  readonly names: readonly NodeName[];
  /** In the form of `canonicalKeyText`; empty when the entry is met by name. */
  readonly keys: readonly string[];
}

/** One generation of a policy. Immutable; made by `compilePolicy`. */
export class Policy {
  /** Canonical name of the node whose policy it is. */
  readonly node: NodeName;
  readonly generation: number;
  /** Frozen. */
  readonly document: PolicyDocument;
  readonly peers: ReadonlyMap<string, CompiledPeer>;
  readonly rules: readonly CompiledRule[];
  readonly domain: DomainEntry | undefined;
  /** False for a node without a policy file: whoever is authenticated may connect, and only `allow` in code grants. */
  readonly isFromFile: boolean;
  readonly #byName = new Map<NodeName, CompiledPeer>();
  readonly #byKey = new Map<string, CompiledPeer>();
  readonly #grantsOfAll: GrantsOfAll;
  /** Every moment at which time changes what the policy says; ascending. */
  readonly #changesMs: readonly number[];

  constructor(document: PolicyDocument, generation: number, isFromFile: boolean) {
    this.node = canonicalName(parseNodeName(document.node));
    this.generation = generation;
    this.document = document;
    this.isFromFile = isFromFile;
    this.domain = typeof document.domain === "string" ? { name: document.domain } : document.domain;
    this.rules = Object.freeze((document.rules ?? []).map(compileRule));
    this.#grantsOfAll = indexGrants(this.rules);
    const peers = new Map<string, CompiledPeer>();
    for (const [alias, entry] of Object.entries(document.peers ?? {})) {
      const peer = compilePeer(alias, entry);
      peers.set(alias, peer);
      for (const name of peer.names) this.#byName.set(name, peer);
      for (const key of peer.keys) this.#byKey.set(key, peer);
    }
    this.peers = peers;
    const auditEnds = [...peers.values()].map(({ entry }) => auditUntilOf(entry)).filter(Number.isFinite);
    this.#changesMs = [...this.rules.flatMap(changesOf), ...auditEnds].sort((a, b) => a - b);
  }

  /**
   * The first moment after `nowMs` at which time alone changes what some rule or entry counts, Unix milliseconds; Infinity
   * when all such moments are past, undefined when there is none at all.
   */
  nextChangeMs(nowMs: number): number | undefined {
    if (this.#changesMs.length === 0) return undefined;
    return this.#changesMs.find((changeMs) => changeMs > nowMs) ?? Number.POSITIVE_INFINITY;
  }

  /** The entry with this name or key; undefined when there is none. */
  peerOf(nameOrKey: string): CompiledPeer | undefined {
    return this.#byName.get(canonicalName(nameOrKey as NodeName)) ?? this.#byKey.get(nameOrKey);
  }

  /**
   * Who this authenticated peer is here, and what it may do. `role` is this node's part in the connection. Without
   * `nowMs` (Unix milliseconds) rules that deny `connect` at some time count as denying now. Never throws.
   */
  identify(facts: PeerFacts, role: "acceptor" | "dialler", nowMs: number = Number.NaN): Identified {
    try {
      return this.#identify(facts, role, nowMs);
    } catch {
      return refused("deny-error", "error", null);
    }
  }

  #identify(facts: PeerFacts, role: "acceptor" | "dialler", nowMs: number): Identified {
    const name = canonicalName(facts.name);
    const named = this.#byName.get(name);
    const alias = named?.alias ?? null;
    const isOverQuic = isDialledInOverQuic(facts, role);
    for (const key of keysOf(facts)) {
      const holder = this.#byKey.get(key);
      if (holder !== undefined && holder !== named)
        return refused("deny-identity", named === undefined ? "name" : "key", alias);
    }
    if (named !== undefined) {
      if (named.keys.length > 0 && !keysOf(facts).some((key) => named.keys.includes(key))) {
        return refused("deny-identity", isOverQuic ? "over-quic" : "key", alias);
      }
      if (!assuranceAtLeast(facts.assurance, named.entry.assurance ?? "tofu")) {
        return refused("deny-identity", isOverQuic ? "over-quic" : "assurance", alias);
      }
    }
    const subject = this.#subject(facts, named);
    const authority = buildAuthority(subject, this.rules, this.#grantsOfAll, this.generation);
    const connect = authority.decide("connect", { kind: "node" }, nowMs);
    if (connect.outcome === "deny-rule")
      return { kind: "refused", outcome: "deny-rule", rule: connect.rule, alias, why: "rule" };
    if (connect.outcome === "deny-error") return refused("deny-error", "error", alias);
    if (subject.admittedBy !== undefined) return { kind: "peer", authority };
    if (role === "dialler") return { kind: "stranger", authority };
    return refused("deny-default", isOverQuic ? "no-entry-over-quic" : "no-entry", null);
  }

  #subject(facts: PeerFacts, named: CompiledPeer | undefined): AuthoritySubject {
    const everyPeer = this.domain?.everyPeer;
    // An entry speaks for itself: who has one is a member only if it says so.
    const isMember = named === undefined && everyPeer !== undefined && assuranceAtLeast(facts.assurance, everyPeer);
    const domain = isMember ? this.domain?.name : named?.entry.domain;
    const level = named?.entry.level;
    const isOfDomain = domain !== undefined && domain === this.domain?.name;
    return {
      facts,
      member: { alias: named?.alias ?? null, level, domain },
      admittedBy: named !== undefined ? "peer" : isMember ? "domain" : this.isFromFile ? undefined : "authenticated",
      auditUntilMs: named === undefined ? Number.NEGATIVE_INFINITY : auditUntilOf(named.entry),
      peerBounds: compileLimits(named?.entry.limits ?? this.document.limits ?? {}, isOfDomain),
      isHigher: level !== undefined && this.document.level !== undefined && level > this.document.level,
      isOfDomain,
    };
  }
}

/** Unix milliseconds at which audit mode of a peer ends; -Infinity without it. */
function auditUntilOf({ mode, until }: PeerEntry): number {
  return mode === "audit" ? timeOr(until, Number.NEGATIVE_INFINITY) : Number.NEGATIVE_INFINITY;
}

function compilePeer(alias: string, entry: PeerEntry): CompiledPeer {
  return Object.freeze({
    alias,
    entry,
    names: entry.names.map((name) => canonicalName(parseNodeName(name))),
    keys: (entry.keys ?? []).flatMap((text) => canonicalKeyText(text) ?? []),
  });
}

/** All keys of a peer as an entry may name them. */
function keysOf(facts: PeerFacts): readonly string[] {
  const keys = [...facts.fingerprints, ...facts.publicKeys.map((key) => `ed25519:${key}`)];
  if (facts.spki !== undefined) keys.push(facts.spki);
  return keys;
}

function refused(
  outcome: "deny-default" | "deny-identity" | "deny-error",
  why: RefusedWhy,
  alias: string | null,
): Identified {
  return { kind: "refused", outcome, rule: null, alias, why };
}
