import type { CommandWorld } from "../command-world.ts";
import type { ControlFlags } from "../control-path.ts";
import { policyRows } from "../policy-state.ts";
import { reportResult } from "../report.ts";
import { askRunningNode } from "../running-node.ts";
import { seedRows } from "../seed-rows.ts";
import { fields } from "../table.ts";

/** `health`: whether the running node needs a look, and its counters. */
export async function health(world: CommandWorld, flags: ControlFlags): Promise<void> {
  const result = await askRunningNode(world, flags, "health");
  const { state, problems, connectedCount, processes, openCalls, counters, policy, seeds } = result;
  const { colours } = world.terminal;
  const all = typeof counters === "object" && counters !== null ? Object.entries(counters) : [];
  const { banner, rows } = policyRows(policy, colours);
  const text = fields(
    [
      ["health", Array.isArray(problems) && problems.length > 0 ? `${state}: ${problems.join(", ")}` : String(state)],
      ...rows,
      ...seedRows(seeds),
      ["sessions", String(connectedCount)],
      ["processes", String(processes)],
      ["open calls", String(openCalls)],
      ...all.filter(([, value]) => value !== 0).map(([name, value]) => [name, String(value)] as const),
    ],
    colours.dim,
  );
  reportResult(world.terminal, result, [...banner, text].join("\n"));
}
