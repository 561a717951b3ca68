import { assuranceAtLeast } from "../../base/assurance.ts";
import { type CompiledRule, concerns } from "../compiled-rule.ts";
import type { CompiledPeer, Policy } from "../policy.ts";
import { type JsonPath, type PolicyProblem, ProblemList } from "../problem.ts";

const DIALLED_ONLY = "holds only in sessions that this node dials";

/**
 * What a policy says that does not hold for who dials in over QUIC: such a peer counts as `cookie`, and its key for nothing.
 * `onlyQuic`: the node takes connections over nothing else, so that this is true of every peer.
 */
export function lintQuic(policy: Policy, onlyQuic: boolean): readonly PolicyProblem[] {
  const problems = new ProblemList();
  for (const [i, rule] of policy.rules.entries()) lintRule(policy, rule, ["rules", i, "when"], problems);
  if (!onlyQuic) return problems.all;
  for (const [alias, peer] of policy.peers) {
    if (isLetIn(peer)) continue;
    problems.add(
      ["peers", alias],
      `${alias} is not let in where it dials this node, which listens on QUIC alone: who dials in so counts as cookie and its key for ` +
        'nothing; dial it from here, or give its entry names and assurance "cookie" and no keys',
    );
  }
  return problems.all;
}

function lintRule(policy: Policy, rule: CompiledRule, path: JsonPath, problems: ProblemList): void {
  const { transport, assurance } = rule.when;
  if (rule.effect === "deny" || transport === undefined || transport.some((protocol) => protocol !== "barrel")) return;
  if (assurance !== undefined && assurance !== "cookie") {
    problems.add([...path, "assurance"], `${rule.id} ${DIALLED_ONLY}: who dials in over QUIC counts as cookie`);
    return;
  }
  const members = [...policy.peers.values()].filter(({ alias, entry: { level, domain } }) =>
    concerns(rule, { alias, level, domain }),
  );
  if (members.length > 0 && !members.some(isLetIn)) {
    problems.add(
      [...path, "transport"],
      `${rule.id} ${DIALLED_ONLY}: an entry with keys, or that asks for more than cookie, does not let in who dials over QUIC`,
    );
  }
}

function isLetIn({ keys, entry }: CompiledPeer): boolean {
  return keys.length === 0 && assuranceAtLeast("cookie", entry.assurance ?? "tofu");
}
