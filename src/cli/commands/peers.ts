import { asObject } from "../../identity/pin-meta.ts";
import type { CommandWorld } from "../command-world.ts";
import type { ControlFlags } from "../control-path.ts";
import { reportResult } from "../report.ts";
import { askRunningNode } from "../running-node.ts";
import { type Cell, moment, table } from "../table.ts";

const HEAD = ["NAME", "PROTOCOL", "ASSURANCE", "FINGERPRINT", "ADDRESS", "SINCE"];

/** `peers`: the sessions of the running node. */
export async function peers(world: CommandWorld, flags: ControlFlags): Promise<void> {
  const result = await askRunningNode(world, flags, "peers");
  const { colours } = world.terminal;
  const list: readonly unknown[] = Array.isArray(result["peers"]) ? result["peers"] : [];
  const rows = list.map((item): readonly Cell[] => {
    const peer = asObject(item) ?? {};
    const since = peer["sinceMs"];
    return [
      ...["name", "protocol", "assurance", "fingerprint", "address"].map((name) => String(peer[name] ?? "")),
      typeof since === "number" ? moment(since) : "",
    ];
  });
  reportResult(world.terminal, result, rows.length === 0 ? "no sessions" : table(HEAD, rows, colours.dim));
}
