import type { NodeName } from "../base/node-name.ts";
import { openPolicy } from "../config/policy-source.ts";
import type { Side } from "../gateway/message-filter.ts";
import type { PairFilterOption } from "../gateway/options.ts";
import { PairRules } from "../gateway/pair-rules.ts";
import { readRules } from "../gateway/read-rules.ts";
import { DEFAULT_GUARD_LIMITS } from "../guard/limits.ts";
import { PolicyKeeper } from "../node/policy-keeper.ts";
import type { PairWorld } from "./gateway-world.ts";
import { pairInvalid } from "./pair-invalid.ts";
import { SIDES } from "./port-mappers.ts";

/** @throws {SallyportError} ERR_CONFIG for rules or policies that must not be taken */
export function pairRulesOf(
  inside: NodeName,
  outside: readonly NodeName[],
  option: PairFilterOption,
  { system, budgets, decisions, said }: PairWorld,
): PairRules {
  const { clock, files, identityCrypto: crypto } = system;
  const policies: Partial<Record<Side, PolicyKeeper>> = {};
  for (const side of SIDES) {
    const given = option.policies?.[side];
    if (given === undefined) continue;
    const [name, ...others] = side === "inside" ? [inside] : outside;
    if (name === undefined || others.length > 0)
      throw pairInvalid(`one policy cannot be that of ${outside.length} outside nodes`, "make a pair of each of them");
    const source = openPolicy(typeof given === "string" ? { file: given } : given, { clock, files, crypto, name });
    policies[side] = new PolicyKeeper({ name, clock, policy: source.first });
  }
  return new PairRules({
    settings: readRules(inside, option, clock.wallMs()),
    policies,
    clock,
    guardLimits: DEFAULT_GUARD_LIMITS,
    budgets,
    record: (made) => decisions.record(made),
    tell: said,
  });
}
