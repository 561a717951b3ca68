import type { Clock } from "../base/clock.ts";
import type { Authority } from "../policy/authority.ts";
import type { Grant, PeerFacts, Verdict } from "../policy/decision.ts";
import type { Verb } from "../policy/verbs.ts";
import type { TermLimits } from "../term/limits.ts";
import type { Term } from "../term/types.ts";
import type { AllowRule } from "./allow.ts";
import type { PeerBudget } from "./budgets.ts";
import type { GuardLimits } from "./limits.ts";
import { TokenBucket } from "./token-bucket.ts";
import { type Access, type LiveTarget, Verdicts } from "./verdicts.ts";
import { hasBounds, type PayloadBytes, type Shortfall, weigh } from "./weigh.ts";

/** What the policy in force says of one session. */
export interface SessionRules {
  readonly authority: Authority;
  /** Of the policy; 0 without one. */
  readonly generation: number;
  /** Atoms that are new in no payload. */
  readonly knownAtoms: ReadonlySet<string>;
}

export interface SessionGuardParts {
  readonly facts: PeerFacts;
  readonly rules: SessionRules;
  /** Names of this node and of the peer, as on the wire. */
  readonly nodes: readonly [string, string];
  readonly budget: PeerBudget;
  readonly limits: GuardLimits;
  readonly clock: Clock;
}

/** What one session may do here: its rules, the verdicts they led to, and what is left of its bounds. */
export class SessionGuard {
  #facts: PeerFacts;
  readonly budget: PeerBudget;
  readonly #limits: GuardLimits;
  readonly #clock: Clock;
  readonly #denials: TokenBucket;
  /** The peer has bounds of its own: nothing is open to it whatever it sends. */
  #isBounded: boolean;
  readonly #nodes: readonly [string, string];
  #rules: SessionRules;
  #verdicts: Verdicts;
  /** Those of the rules and the names of the two nodes; made when first needed. */
  #knownAtoms: ReadonlySet<string> | undefined;

  constructor({ facts, rules, nodes, budget, limits, clock }: SessionGuardParts) {
    this.#facts = facts;
    this.budget = budget;
    this.#limits = limits;
    this.#clock = clock;
    this.#nodes = nodes;
    this.#rules = rules;
    this.#verdicts = this.#newVerdicts(rules.authority);
    this.#isBounded = hasBounds(rules.authority.peerBounds);
    this.#denials = new TokenBucket({ count: limits.maxDenialsPerSecond, perMs: 1_000 }, clock.now());
  }

  get facts(): PeerFacts {
    return this.#facts;
  }

  get generation(): number {
    return this.#rules.generation;
  }

  get authority(): Authority {
    return this.#rules.authority;
  }

  /** Other rules hold from now on; verdicts of the old ones are gone. */
  rejudge(rules: SessionRules): void {
    this.#rules = rules;
    this.#knownAtoms = undefined;
    this.#verdicts = this.#newVerdicts(rules.authority);
    this.#isBounded = hasBounds(rules.authority.peerBounds);
  }

  /** The same peer on another connection, with another address or certificate. */
  moved(facts: PeerFacts, rules: SessionRules): void {
    this.#facts = facts;
    this.rejudge(rules);
  }

  /** See `Verdicts.onProcess`. */
  onProcess(verb: Verb, process: LiveTarget, access: Access, namesGeneration: number): Verdict {
    return this.#verdicts.onProcess(verb, process, access, namesGeneration);
  }

  /** See `Verdicts.onMissing`. */
  onMissing(verb: Verb, name: string | undefined, former: AllowRule | undefined): Verdict {
    return this.#verdicts.onMissing(verb, name, former);
  }

  /** See `Verdicts.onFunction`. */
  onFunction(verb: "rpc" | "spawn", label: string, rule: AllowRule | undefined): Verdict {
    return this.#verdicts.onFunction(verb, label, rule);
  }

  /** See `Verdicts.onStream`. */
  onStream(tag: string, rule: AllowRule | undefined): Verdict {
    return this.#verdicts.onStream(tag, rule);
  }

  /** Whether the peer may watch a process: with `monitor`, or because it may call it (rulings U16). */
  watching(process: LiveTarget, access: Access, namesGeneration: number): Verdict {
    const monitor = this.onProcess("monitor", process, access, namesGeneration);
    return monitor.outcome === "deny-default"
      ? this.#or(this.onProcess("call", process, access, namesGeneration), monitor)
      : monitor;
  }

  /** As `watching`, of what is not there. */
  watchingMissing(name: string | undefined, former: AllowRule | undefined): Verdict {
    const monitor = this.onMissing("monitor", name, former);
    return monitor.outcome === "deny-default" ? this.#or(this.onMissing("call", name, former), monitor) : monitor;
  }

  /**
   * True when exit signals of the peer over a link may end a process: only where nothing about them needs weighing or
   * recording, since the process layer does neither. Otherwise they arrive as messages.
   */
  mayEnd(process: LiveTarget, namesGeneration: number): boolean {
    return this.isOpen(this.onProcess("exit", process, "by-pid", namesGeneration));
  }

  /** True when the peer may connect, and with that ask whether this node is there. */
  get mayConnect(): boolean {
    return this.authority.decide("connect", { kind: "node" }, this.#clock.wallMs()).outcome === "allow";
  }

  /** True when payloads of the peer may hold funs: by this grant, or all of them. */
  mayFuns(grant: Grant | undefined): boolean {
    return grant?.limits?.funs === true || this.authority.peerBounds.funs === true;
  }

  /** The same for identifiers of third nodes. */
  mayForeign(grant: Grant | undefined): boolean {
    return grant?.limits?.foreign === true || this.authority.peerBounds.foreign === true;
  }

  /**
   * Uses the rates of a verdict for an operation without a payload, or with `bytes` of one: the grant by which it passes, or
   * undefined when the verdict does not allow, or no grant has any left.
   */
  spend(verdict: Verdict, bytes: number = 0): Grant | undefined {
    if (this.isOpen(verdict)) return verdict.grants[0];
    const now = this.#clock.now();
    const { peerBounds } = this.authority;
    if (verdict.outcome !== "allow" || !this.budget.spend(null, peerBounds, bytes, now)) return undefined;
    return verdict.grants.find(
      ({ rule, limits }) => limits === undefined || this.budget.spend(rule, limits, bytes, now),
    );
  }

  #or(other: Verdict, otherwise: Verdict): Verdict {
    return other.outcome === "allow" ? other : otherwise;
  }

  /** True when the verdict allows whatever the message holds: then there is nothing to weigh. */
  isOpen(verdict: Verdict): boolean {
    return verdict.plain && !this.#isBounded;
  }

  /** The grant of an allowing verdict that lets this very message through, or what it lacks. Uses up rates. */
  weigh(
    verdict: Verdict,
    payload: PayloadBytes,
    terms: { readonly limits: TermLimits; readonly atomRefs: readonly Term[] | undefined },
  ): Grant | Shortfall {
    const { limits, atomRefs } = terms;
    this.#knownAtoms ??= new Set([...this.#rules.knownAtoms, ...this.#nodes]);
    const scales = { limits, nodes: this.#nodes, knownAtoms: this.#knownAtoms, atomRefs };
    return weigh(verdict, this.authority.peerBounds, this.budget, payload, scales, this.#clock.now());
  }

  /**
   * A place for one more call or function under a grant; false when the peer, or the rule, has none left. Given back with
   * `leave`. Functions have a bound of their own beside that of the policy.
   */
  enter(kind: "call" | "function", grant: Grant | undefined): boolean {
    const { budget } = this;
    const peerMax = this.authority.peerBounds.inflight ?? Number.POSITIVE_INFINITY;
    if (!budget.enterAny(kind, peerMax, this.#limits.maxInflightPerPeer)) return false;
    const max = grant?.limits?.inflight;
    if (grant === undefined || max === undefined || budget.enter(grant.rule, max)) return true;
    budget.leaveAny(kind);
    return false;
  }

  leave(kind: "call" | "function", grant: Grant | undefined): void {
    this.budget.leaveAny(kind);
    if (grant?.limits?.inflight !== undefined) this.budget.leave(grant.rule);
  }

  /** One more operation of this session was refused; true when there were so many that it should not be read for a while. */
  isFlooding(): boolean {
    return !this.#denials.take(1, this.#clock.now());
  }

  #newVerdicts(authority: Authority): Verdicts {
    return new Verdicts(authority, this.facts, this.#limits.maxKeptVerdicts, () => this.#clock.wallMs());
  }
}
