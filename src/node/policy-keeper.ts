import type { Clock } from "../base/clock.ts";
import { isSallyportError, SallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";
import type { SessionRules } from "../guard/session-guard.ts";
import { policyWithoutFile } from "../policy/compile.ts";
import type { PeerFacts, RefusedWhy } from "../policy/decision.ts";
import { refusalWords } from "../policy/decision-words.ts";
import type { Outcome } from "../policy/document.ts";
import { knownAtomsOf } from "../policy/payload.ts";
import type { Policy } from "../policy/policy.ts";
import type { PolicyReloadResult } from "./api.ts";

/** Where policies come from. @throws {SallyportError} ERR_CONFIG for one that must not be taken */
export type PolicyLoader = (generation: number) => Policy;

export interface PolicyKeeperParts {
  readonly name: NodeName;
  readonly clock: Clock;
  /** Undefined: the node has no policy, and gets none. */
  readonly policy: Policy | undefined;
}

/** Who a peer turned out to be. */
export type Standing =
  | { readonly kind: "may-connect"; readonly rules: SessionRules }
  | {
      readonly kind: "refused";
      readonly error: SallyportError;
      readonly outcome: Outcome;
      readonly rule: string | null;
      /** Of the entry with its name, or null. */
      readonly alias: string | null;
      readonly why: RefusedWhy;
    };

/** The policy in force, and what it says of peers as they come and while they stay. */
export class PolicyKeeper {
  readonly #clock: Clock;
  readonly #hasPolicy: boolean;
  #policy: Policy;
  #knownAtoms: ReadonlySet<string>;
  #problem: string | undefined;

  constructor({ name, clock, policy }: PolicyKeeperParts) {
    this.#clock = clock;
    this.#hasPolicy = policy !== undefined;
    this.#policy = policy ?? policyWithoutFile(name);
    this.#knownAtoms = knownAtomsOf(this.#policy);
  }

  /** Undefined for a node without one. */
  get policy(): Policy | undefined {
    return this.#hasPolicy ? this.#policy : undefined;
  }

  get generation(): number {
    return this.#policy.generation;
  }

  /** True while a policy that was to be taken has been refused. */
  get isRejecting(): boolean {
    return this.#problem !== undefined;
  }

  /** See `Policy.nextChangeMs`. */
  nextChangeMs(nowMs: number): number | undefined {
    return this.#policy.nextChangeMs(nowMs);
  }

  /** What the policy says of an authenticated peer. */
  judge(facts: PeerFacts, role: "acceptor" | "dialler"): Standing {
    const found = this.#policy.identify(facts, role, this.#clock.wallMs());
    if (found.kind === "refused") {
      const { outcome, rule, alias, why } = found;
      return { kind: "refused", error: refusedBy(why, facts, rule), outcome, rule, alias, why };
    }
    const { generation } = this.#policy;
    return { kind: "may-connect", rules: { authority: found.authority, generation, knownAtoms: this.#knownAtoms } };
  }

  /** Takes another policy, or keeps the old one when the new one cannot be had. */
  take(load: PolicyLoader): PolicyReloadResult {
    const generation = this.#policy.generation + 1;
    try {
      this.#policy = load(generation);
    } catch (error) {
      if (!isSallyportError(error)) throw error;
      this.#problem = error.reason;
      return { ok: false, generation: this.#policy.generation, reason: error.reason, message: error.message };
    }
    this.#knownAtoms = knownAtomsOf(this.#policy);
    this.#problem = undefined;
    return { ok: true, generation };
  }
}

function refusedBy(why: RefusedWhy, facts: PeerFacts, rule: string | null): SallyportError {
  const { what, advice } = refusalWords(why);
  const key = facts.fingerprints[0];
  const who = key === undefined ? facts.name : `${facts.name} with key ${key}`;
  return new SallyportError("ERR_DENIED", "PEER_NOT_ALLOWED", `${who} ${what}`, {
    peer: facts.name,
    stage: "policy",
    detail: {
      why,
      assurance: facts.assurance,
      ...(key === undefined ? {} : { shown: key }),
      ...(rule === null ? {} : { rule }),
    },
    advice,
  });
}

/** A session whose peer the policy no longer lets connect. */
export function connectWithdrawn(name: NodeName): SallyportError {
  return new SallyportError("ERR_DENIED", "CONNECT_WITHDRAWN", `the policy no longer lets ${name} connect`, {
    peer: name,
    stage: "policy",
    advice: "see what changed in the policy if that was not meant",
  });
}

/** A session that rested on a certificate which has ended. */
export function certificateEnded(name: NodeName): SallyportError {
  return new SallyportError(
    "ERR_DENIED",
    "CERT_EXPIRED_IN_USE",
    `the certificate of ${name} ended while it was in use`,
    {
      peer: name,
      stage: "tls",
      advice: "renew the certificate of the other side; it may connect again with a new one",
    },
  );
}
