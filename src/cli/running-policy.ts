import { isSallyportError } from "../base/errors.ts";
import type { Fields } from "../control/control-protocol.ts";
import { type Allow, AllowRule } from "../guard/allow.ts";
import { asObject } from "../identity/pin-meta.ts";
import { compilePolicy, policyWithoutFile } from "../policy/compile.ts";
import type { Target } from "../policy/decision.ts";
import type { PolicyDocument } from "../policy/document.ts";
import type { Policy } from "../policy/policy.ts";
import { type ChosenFacts, type CodeAsked, imaginePeer, withChosen } from "../policy/review/judge.ts";
import type { CodeGrantRow } from "../policy/review/matrix.ts";
import { VERBS, type Verb } from "../policy/verbs.ts";
import type { CommandWorld } from "./command-world.ts";
import type { ControlFlags } from "./control-path.ts";
import { policyFileIfAny } from "./policy-file.ts";
import { askIfRunning } from "./running-node.ts";

/** One `allow` of a running node. */
interface AllowedInCode {
  /** `code:NAME` */
  readonly rule: string;
  readonly kind: "process" | "function";
  readonly target: string;
  readonly allow: AllowRule;
  readonly atLeast: string;
  readonly peers: readonly string[] | null;
}

/** All that grants something on the running node: its policy, and `allow` in code. */
export class RunningPolicy {
  /** In force there; grants nothing where the node has none. */
  readonly policy: Policy;
  /** Null for a node without a policy. */
  readonly generation: number | null;
  /** Where the node takes connections; none for a node of an older version, which does not tell. */
  readonly endpoints: readonly string[];
  /** Labels of its registered functions; undefined for a node of an older version. */
  readonly #functions: ReadonlySet<string> | undefined;
  readonly #allowed: readonly AllowedInCode[];

  /** @throws {SallyportError} ERR_CONFIG POLICY_INVALID for what this version cannot read */
  constructor({ node, generation, document, rulesInCode, functions, endpoints }: Fields) {
    const known = asObject(document);
    this.generation = typeof generation === "number" ? generation : null;
    this.policy =
      known === undefined
        ? policyWithoutFile(String(node))
        : compilePolicy(known as unknown as PolicyDocument, this.generation ?? 1);
    this.endpoints = Array.isArray(endpoints) ? endpoints.map(String) : [];
    this.#functions = Array.isArray(functions) ? new Set(functions.map(String)) : undefined;
    const rules: readonly unknown[] = Array.isArray(rulesInCode) ? rulesInCode : [];
    this.#allowed = rules.flatMap(allowedOf);
  }

  /** For `judge`. */
  readonly code: CodeAsked = (verb, target, facts) => {
    const [kind, name] =
      target.kind === "function"
        ? ["function", target.label]
        : ["process", target.kind === "name" ? target.name : undefined];
    const found = this.#allowed.find((allowed) => allowed.kind === kind && allowed.target === name);
    return found === undefined ? undefined : { rule: found.rule, permits: found.allow.grants(facts, verb) };
  };

  /** Whether the node has no function for this target, which no rule can make up for. */
  lacks(target: Target): boolean {
    return target.kind === "function" && this.#functions?.has(target.label) === false;
  }

  /**
   * For the matrix: what code grants to each peer that the policy names, if the policy does not take it away. Without a policy:
   * to those whom `allow` names, and to everybody who is known as surely as it asks. `chosen`: how peers come.
   */
  codeRows(nowMs: number, chosen: ChosenFacts = {}): readonly CodeGrantRow[] {
    return this.generation === null ? this.#rowsWithoutPolicy() : this.#rowsBeside(nowMs, chosen);
  }

  #rowsBeside(nowMs: number, chosen: ChosenFacts): CodeGrantRow[] {
    const rows: CodeGrantRow[] = [];
    const to = this.policy.node;
    for (const from of [...this.policy.peers.values()].flatMap(({ names }) => names)) {
      const imagined = imaginePeer(this.policy, from);
      const facts = imagined === undefined ? undefined : withChosen(imagined, chosen, "acceptor");
      const identified = facts === undefined ? undefined : this.policy.identify(facts, "acceptor", nowMs);
      if (facts === undefined || identified?.kind !== "peer") continue;
      for (const allowed of this.#allowed) {
        const { rule, target } = allowed;
        for (const verb of VERBS.filter((one) => isAbout(allowed, one))) {
          const operation = targetOf(allowed);
          const code = this.code(verb, operation, facts);
          const { grants } = identified.authority.decide(verb, operation, nowMs, code);
          if (grants.some((grant) => grant.rule === rule)) rows.push({ from, to, verb, target, rule });
        }
      }
    }
    return rows;
  }

  #rowsWithoutPolicy(): CodeGrantRow[] {
    const to = this.policy.node;
    return this.#allowed.flatMap((allowed) => {
      const { rule, target, allow, atLeast, peers } = allowed;
      const verbs = allow.describe().verbs.filter((verb) => isAbout(allowed, verb));
      return (peers ?? [`(any peer: ${atLeast})`]).flatMap((from) =>
        verbs.map((verb): CodeGrantRow => ({ from, to, verb, target, rule })),
      );
    });
  }
}

/**
 * The policy of the running node; undefined when none runs, or one of an older version, and when it runs without a policy
 * beside a file that may become one. @throws as `askIfRunning` and `policyFileIfAny`
 */
export async function runningPolicy(world: CommandWorld, flags: ControlFlags): Promise<RunningPolicy | undefined> {
  try {
    const told = await askIfRunning(world, flags, "policy.show");
    if (told === undefined) return undefined;
    const running = new RunningPolicy(told);
    return running.generation === null && policyFileIfAny(flags, world) !== undefined ? undefined : running;
  } catch (failure) {
    if (isSallyportError(failure) && failure.reason === "CONTROL_UNKNOWN_OP") return undefined;
    throw failure;
  }
}

/** @throws {SallyportError} ERR_API_MISUSE ALLOW_INVALID for what this version does not know */
function allowedOf(value: unknown): readonly AllowedInCode[] {
  const { rule, kind, target, verbs, atLeast, peers } = asObject(value) ?? {};
  const named = Array.isArray(peers) ? peers.map(String) : null;
  const allow = AllowRule.compile({ atLeast, verbs, ...(named === null ? {} : { peers: named }) } as Allow);
  if (allow === undefined) return [];
  return [
    {
      rule: String(rule),
      kind: kind === "function" ? "function" : "process",
      target: String(target),
      allow,
      atLeast: String(atLeast),
      peers: named,
    },
  ];
}

/** Functions are run, processes are reached. */
function isAbout({ kind }: AllowedInCode, verb: Verb): boolean {
  return (verb === "rpc" || verb === "spawn") === (kind === "function");
}

function targetOf({ kind, target }: AllowedInCode): Target {
  return kind === "function" ? { kind, label: target } : { kind: "name", name: target };
}
