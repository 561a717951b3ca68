import { type Assurance, assuranceAtLeast, isAssurance } from "../base/assurance.ts";
import { SallyportError } from "../base/errors.ts";
import { canonicalName, type NodeName, parseNodeName } from "../base/node-name.ts";

/** What a rule written in code can grant on one target. */
export type AllowVerb = "call" | "cast" | "send" | "monitor" | "link" | "exit" | "rpc" | "spawn";

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

/** The facts about a peer a rule is decided on. */
export interface PeerFacts {
  /** Canonical name. */
  readonly name: NodeName;
  readonly assurance: Assurance;
}

const DEFAULT_VERBS: readonly AllowVerb[] = ["call", "cast", "send", "monitor"];
const ALL_VERBS: readonly string[] = ["call", "cast", "send", "monitor", "link", "exit", "rpc", "spawn"];

/** A compiled `Allow`. */
export class AllowRule {
  readonly #atLeast: Assurance;
  readonly #peers: ReadonlySet<NodeName> | undefined;
  readonly #verbs: ReadonlySet<AllowVerb>;

  private constructor(atLeast: Assurance, peers: ReadonlySet<NodeName> | undefined, verbs: ReadonlySet<AllowVerb>) {
    this.#atLeast = atLeast;
    this.#peers = peers;
    this.#verbs = verbs;
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
  permits(peer: PeerFacts, verb: AllowVerb): boolean {
    return (
      this.#verbs.has(verb) &&
      assuranceAtLeast(peer.assurance, this.#atLeast) &&
      (this.#peers === undefined || this.#peers.has(peer.name))
    );
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
