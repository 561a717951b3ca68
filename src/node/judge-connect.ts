import type { PeerFacts } from "../policy/decision.ts";
import type { NodeCore } from "./node-core.ts";
import type { PolicyKeeper, Standing } from "./policy-keeper.ts";

/** Whether the policy lets an authenticated peer connect; a refusal is recorded as a decision. */
export function judgeConnect(
  { decisions, name }: Pick<NodeCore, "decisions" | "name">,
  policy: PolicyKeeper,
  facts: PeerFacts,
  role: "acceptor" | "dialler",
): Standing {
  const standing = policy.judge(facts, role);
  if (standing.kind === "refused") {
    const { outcome, rule, alias, why } = standing;
    decisions.record({
      outcome,
      rule,
      why,
      nearestMiss: null,
      alias,
      peer: facts.name,
      key: facts.fingerprints[0] ?? null,
      verb: "connect",
      target: name,
      generation: policy.generation,
      mode: "enforce",
    });
  }
  return standing;
}
