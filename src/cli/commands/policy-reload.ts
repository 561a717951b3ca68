import type { CommandWorld } from "../command-world.ts";
import type { ControlFlags } from "../control-path.ts";
import { reportResult } from "../report.ts";
import { askRunningNode } from "../running-node.ts";

/**
 * `policy reload`: the running node takes its policy file as it is now, or says why not and keeps the old one.
 * @throws {SallyportError} ERR_CONFIG NO_POLICY, POLICY_REJECTED, and as `askRunningNode`
 */
export async function policyReload(world: CommandWorld, flags: ControlFlags): Promise<void> {
  const result = await askRunningNode(world, flags, "policy.reload");
  reportResult(world.terminal, result, `the policy is in force, generation ${String(result["generation"])}`);
}
