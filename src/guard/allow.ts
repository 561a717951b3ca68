import { type Assurance, assuranceAtLeast, isAssurance } from "../base/assurance.ts";
import { SallyportError } from "../base/errors.ts";
import { canonicalName, type NodeName, parseNodeName } from "../base/node-name.ts";
import type { PeerFacts } from "../policy/decision.ts";
import type { Verb } from "../policy/verbs.ts";

/** What a rule written in code can grant on one target. */
export type AllowVerb = "call" | "cast" | "send" | "monitor" | "link" | "exit" | "rpc" | "spawn" | "stream";

/**
 * A rule written in code, beside the thing it opens: the least assurance (`"ca"`), named peers, or both with a choice of
 * verbs. Without one the target is private to this node.
 */
export type Allow =
  | Assurance
  | readonly string[]
  | {
      /** Least assurance of the peer. */
      readonly atLeast?: Assurance;
      /** Node names that may; when given, no other peer may. */
      readonly peers?: readonly string[];
      /** Default: call, cast, send and monitor. */
      readonly verbs?: readonly AllowVerb[];
    };

/** What a rule in code asks of a peer. */
export type AllowFacts = Pick<PeerFacts, "name" | "assurance"> & Partial<Pick<PeerFacts, "fingerprints">>;

const DEFAULT_VERBS: readonly AllowVerb[] = ["call", "cast", "send", "monitor"];
const ALL_VERBS: readonly string[] = ["call", "cast", "send", "monitor", "link", "exit", "rpc", "spawn", "stream"];

/** A compiled `Allow`. */
export class AllowRule {
  readonly #atLeast: Assurance;
  readonly #peers: ReadonlySet<NodeName> | undefined;
  readonly #verbs: ReadonlySet<AllowVerb>;
  /** The key that one of the named peers must have; undefined: any that speaks for the name. */
  readonly #key: string | undefined;

  private constructor(
    atLeast: Assurance,
    peers: ReadonlySet<NodeName> | undefined,
    verbs: ReadonlySet<AllowVerb>,
    key?: string,
  ) {
    this.#atLeast = atLeast;
    this.#peers = peers;
    this.#verbs = verbs;
    this.#key = key;
  }

  /** A rule for one peer as it stands here now: its name and, where it has proven one, its key. */
  static forPeer(peer: AllowFacts, verbs: readonly AllowVerb[]): AllowRule {
    return new AllowRule("none", new Set([peer.name]), new Set(verbs), peer.fingerprints?.[0]);
  }

  /**
   * Compiles a rule; `undefined` compiles to `undefined`: private.
   * @throws {SallyportError} ERR_API_MISUSE ALLOW_INVALID, ERR_CONFIG NAME_INVALID
   */
  static compile(allow: Allow | undefined, defaultVerbs: readonly AllowVerb[] = DEFAULT_VERBS): AllowRule | undefined {
    if (allow === undefined) return undefined;
    if (isAssurance(allow)) return new AllowRule(allow, undefined, new Set(defaultVerbs));
    if (Array.isArray(allow)) return new AllowRule("cookie", namesOf(allow), new Set(defaultVerbs));
    if (typeof allow !== "object" || allow === null) throw invalid(String(allow));
    const rule = allow as Exclude<Allow, Assurance | readonly string[]>;
    if (rule.atLeast === undefined && rule.peers === undefined) throw invalid("a rule without atLeast and peers");
    if (rule.atLeast !== undefined && !isAssurance(rule.atLeast)) throw invalid(String(rule.atLeast));
    const verbs = rule.verbs ?? defaultVerbs;
    for (const verb of verbs) if (!ALL_VERBS.includes(verb)) throw invalid(`verb ${verb}`);
    return new AllowRule(
      rule.atLeast ?? "cookie",
      rule.peers === undefined ? undefined : namesOf(rule.peers),
      new Set(verbs),
    );
  }

  /** True when this rule lets `peer` do `verb`. No allocation. */
  permits(peer: AllowFacts, verb: AllowVerb): boolean {
    return (
      this.#verbs.has(verb) &&
      assuranceAtLeast(peer.assurance, this.#atLeast) &&
      (this.#peers === undefined || this.#peers.has(peer.name)) &&
      (this.#key === undefined || peer.fingerprints?.[0] === this.#key)
    );
  }

  /** As `permits`, for any verb: who may call may also watch (rulings U16), and what code cannot name it does not grant. */
  grants(peer: AllowFacts, verb: Verb): boolean {
    if (verb === "monitor" && this.permits(peer, "call")) return true;
    return ALL_VERBS.includes(verb) && this.permits(peer, verb as AllowVerb);
  }

  /** For a matrix of who may what: the verbs, the least assurance, and the names where only some may. */
  describe(): {
    readonly verbs: readonly AllowVerb[];
    readonly atLeast: Assurance;
    readonly peers: readonly NodeName[] | null;
  } {
    return {
      verbs: [...this.#verbs],
      atLeast: this.#atLeast,
      peers: this.#peers === undefined ? null : [...this.#peers],
    };
  }
}

function namesOf(names: readonly string[]): ReadonlySet<NodeName> {
  if (names.length === 0) throw invalid("an empty list of peers");
  return new Set(names.map((name) => canonicalName(parseNodeName(name))));
}

function invalid(what: string): SallyportError {
  return new SallyportError(
    "ERR_API_MISUSE",
    "ALLOW_INVALID",
    `allow cannot be ${what}; give an assurance (cookie, tofu, ca, pinned), a list of node names, or {atLeast, peers, verbs}`,
    { advice: 'write for example allow: "ca"' },
  );
}
