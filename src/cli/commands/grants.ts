import { asObject } from "../../identity/pin-meta.ts";
import type { CommandWorld } from "../command-world.ts";
import type { ControlFlags } from "../control-path.ts";
import { reportResult } from "../report.ts";
import { askRunningNode } from "../running-node.ts";
import { type Cell, table } from "../table.ts";
import { printable } from "../terminal.ts";

const HEAD = ["ID", "PROCESS", "HELD BY", "MAY", "USES LEFT", "ENDS IN"];

/** `grants list`: processes that the running node has handed to peers. */
export async function grantsList(world: CommandWorld, flags: ControlFlags): Promise<void> {
  const result = await askRunningNode(world, flags, "grants");
  const list: readonly unknown[] = Array.isArray(result["grants"]) ? result["grants"] : [];
  const rows = list.map((item): readonly Cell[] => {
    const { id, pid, to, verbs, usesLeft, expiresInMs } = asObject(item) ?? {};
    return [
      String(id),
      String(pid),
      String(to),
      Array.isArray(verbs) ? verbs.join(", ") : "",
      typeof usesLeft === "number" ? String(usesLeft) : "any",
      typeof expiresInMs === "number" ? `${Math.ceil(expiresInMs / 1000)} s` : "",
    ];
  });
  const { colours } = world.terminal;
  reportResult(world.terminal, result, rows.length === 0 ? "no grants" : table(HEAD, rows, colours.dim));
}

/** `grants revoke ID`: takes one back. @throws {SallyportError} ERR_CONFIG GRANT_UNKNOWN, and as `askRunningNode` */
export async function grantsRevoke(world: CommandWorld, flags: ControlFlags, id: string): Promise<void> {
  await askRunningNode(world, flags, "grants.revoke", { id });
  reportResult(world.terminal, { id }, `${printable(id)} is taken back`);
}
