import type { Fields } from "../../control/control-protocol.ts";
import type { CommandWorld } from "../command-world.ts";
import type { ControlFlags } from "../control-path.ts";
import { policyRows } from "../policy-state.ts";
import { reportResult } from "../report.ts";
import { askRunningNode } from "../running-node.ts";
import { seedRows } from "../seed-rows.ts";
import { fields, moment } from "../table.ts";

/** `status`: what the running node says of itself. */
export async function status(world: CommandWorld, flags: ControlFlags): Promise<void> {
  const result = await askRunningNode(world, flags, "status");
  reportResult(world.terminal, result, human(result, world));
}

function human(result: Fields, { terminal }: CommandWorld): string {
  const { name, creation, endpoints, sessions, fingerprint, trust, startedMs, state, problems, warnings } = result;
  const rows: (readonly [string, string])[] = [
    ["name", String(name)],
    ["creation", String(creation)],
    ["since", typeof startedMs === "number" ? moment(startedMs) : "?"],
    ["endpoints", endpointsText(texts(endpoints), texts(result["away"]))],
    ["health", Array.isArray(problems) && problems.length > 0 ? `${state}: ${problems.join(", ")}` : String(state)],
    ["sessions", String(sessions)],
    ["fingerprint", typeof fingerprint === "string" ? fingerprint : "none, it has no identity by key"],
    ["trust", typeof trust === "string" ? trust : "by certificate authority"],
  ];
  const { banner, rows: policy } = policyRows(result["policy"], terminal.colours);
  rows.push(...policy, ...seedRows(result["seeds"]));
  const list: readonly unknown[] = Array.isArray(warnings) ? warnings : [];
  for (const warning of list) rows.push(["warning", messageOf(warning)]);
  return [...banner, fields(rows, terminal.colours.dim)].join("\n");
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

/** Where it listens, and of that where nobody can reach it now. */
function endpointsText(endpoints: readonly string[], away: readonly string[]): string {
  if (endpoints.length === 0) return "none, it only dials";
  return endpoints
    .map((endpoint) => (away.includes(endpoint) ? `${endpoint} (not listening now)` : endpoint))
    .join(", ");
}

function messageOf(warning: unknown): string {
  return typeof warning === "object" && warning !== null && "message" in warning ? String(warning.message) : "?";
}
