import type { Authority, CodeRule } from "../policy/authority.ts";
import type { PeerFacts, Target, Verdict } from "../policy/decision.ts";
import { VERBS, type Verb } from "../policy/verbs.ts";
import type { AllowRule } from "./allow.ts";

/** Place of each verb in the slots of a target. */
const INDEX: Readonly<Record<Verb, number>> = Object.fromEntries(VERBS.map((verb, index) => [verb, index])) as Record<
  Verb,
  number
>;

/** How a process of ours is met. */
export type Access = "by-name" | "by-pid" | "by-granted-pid";

const ACCESSES = 3;
const ACCESS: Readonly<Record<Access, number>> = { "by-name": 0, "by-pid": 1, "by-granted-pid": 2 };

/** Verdicts on one target, by verb and access. */
type Slots = (Verdict | undefined)[];

/** A process, as far as rules tell processes apart. */
export interface LiveTarget {
  /** Its registered name, if it has one. */
  readonly name: string | undefined;
  /** What code grants on it. */
  readonly tag: AllowRule | undefined;
}

/**
 * Verdicts of one session, kept until its rules or the registered names change. Using one that is kept allocates nothing.
 * Those on functions and on what is not there stand in a bounded table, which is cleared when it is full.
 */
export class Verdicts {
  readonly authority: Authority;
  readonly #facts: PeerFacts;
  readonly #maxKept: number;
  readonly #wallMs: () => number;
  #live = new WeakMap<LiveTarget, Slots>();
  readonly #others = new Map<string, Verdict>();
  #namesGeneration = -1;

  /** @param maxKept entries for functions and for what is not there */
  constructor(authority: Authority, facts: PeerFacts, maxKept: number, wallMs: () => number) {
    this.authority = authority;
    this.#facts = facts;
    this.#maxKept = maxKept;
    this.#wallMs = wallMs;
  }

  /** Verdicts kept on functions and on what is not there. */
  get size(): number {
    return this.#others.size;
  }

  /** On a process. `namesGeneration` goes up with each name given or taken; older verdicts do not count. */
  onProcess(verb: Verb, process: LiveTarget, access: Access, namesGeneration: number): Verdict {
    if (namesGeneration !== this.#namesGeneration) {
      this.#namesGeneration = namesGeneration;
      this.#live = new WeakMap();
    }
    let slots = this.#live.get(process);
    if (slots === undefined) {
      slots = new Array<Verdict | undefined>(VERBS.length * ACCESSES).fill(undefined);
      this.#live.set(process, slots);
    }
    const slot = INDEX[verb] * ACCESSES + ACCESS[access];
    const kept = slots[slot];
    if (kept !== undefined && this.#holds(kept)) return kept;
    const { name } = process;
    const target: Target =
      access === "by-name" && name !== undefined
        ? { kind: "name", name }
        : { kind: "pid", name, granted: access === "by-granted-pid" };
    const code = this.#code(verb, process.tag, name ?? "process");
    const verdict = this.authority.decide(verb, target, this.#wallMs(), code);
    slots[slot] = verdict;
    return verdict;
  }

  /** On a name that nothing has, or on a pid that lives no more. `former`: the rule it had, where that is remembered. */
  onMissing(verb: Verb, name: string | undefined, former: AllowRule | undefined): Verdict {
    const target: Target = name === undefined ? { kind: "pid", name, granted: false } : { kind: "name", name };
    const code = this.#code(verb, former, name ?? "process");
    const key = name === undefined ? verb : `${verb}:${name}`;
    return code === undefined
      ? this.#other(key, verb, target)
      : this.authority.decide(verb, target, this.#wallMs(), code);
  }

  /** On a function: `worker`, or `module:function/arity`. */
  onFunction(verb: "rpc" | "spawn", label: string, rule: AllowRule | undefined): Verdict {
    const target: Target = { kind: "function", label };
    const code = this.#code(verb, rule, label);
    return this.#other(`${verb}${code?.permits === true ? "+" : "-"}${label}`, verb, target, code);
  }

  /** On streams of a tag. */
  onStream(tag: string, rule: AllowRule | undefined): Verdict {
    const code = this.#code("stream", rule, tag);
    return this.#other(
      `stream${code?.permits === true ? "+" : "-"}${tag}`,
      "stream",
      { kind: "name", name: tag },
      code,
    );
  }

  #other(key: string, verb: Verb, target: Target, code?: CodeRule): Verdict {
    const kept = this.#others.get(key);
    if (kept !== undefined && this.#holds(kept)) return kept;
    const verdict = this.authority.decide(verb, target, this.#wallMs(), code);
    if (this.#others.size >= this.#maxKept) this.#others.clear();
    this.#others.set(key, verdict);
    return verdict;
  }

  #code(verb: Verb, rule: AllowRule | undefined, label: string): CodeRule | undefined {
    if (rule === undefined) return undefined;
    return { rule: `code:${label}`, permits: rule.grants(this.#facts, verb) };
  }

  #holds(verdict: Verdict): boolean {
    if (verdict.validUntilMs === Number.POSITIVE_INFINITY) return true;
    const nowMs = this.#wallMs();
    return verdict.validFromMs <= nowMs && nowMs < verdict.validUntilMs;
  }
}
