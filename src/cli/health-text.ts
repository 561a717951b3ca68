import type { Fields } from "../control/control-protocol.ts";
import { asObject } from "../identity/pin-meta.ts";
import { policyRows } from "./policy-state.ts";
import { seedRows } from "./seed-rows.ts";
import { fields } from "./table.ts";
import type { Colours } from "./terminal.ts";

type Row = readonly [string, string];

/** What `health` tells people. A node of an older version says less. */
export function healthText(result: Fields, colours: Colours): string {
  const { state, problems, connectedCount, processes, openCalls, counters, policy, seeds } = result;
  const { banner, rows } = policyRows(policy, colours);
  const text = fields(
    [
      ["health", Array.isArray(problems) && problems.length > 0 ? `${state}: ${problems.join(", ")}` : String(state)],
      ...listOf(result["checks"]).flatMap(checkRow),
      ...clusterRows(result),
      ...rows,
      ...seedRows(seeds),
      ...listOf(result["certificates"]).map(certificateRow),
      ...pairRows(result["pairs"]),
      ...counted("sessions", connectedCount),
      ...counted("processes", processes),
      ...counted("open calls", openCalls),
      ...refusalRows(asObject(result["lastRefusal"])),
      ...Object.entries(asObject(counters) ?? {})
        .filter(([, value]) => value !== 0)
        .map(([name, value]): Row => [name, String(value)]),
    ],
    colours.dim,
  );
  return [...banner, text].join("\n");
}

/** A gateway counts other things than a node. */
function counted(name: string, value: unknown): Row[] {
  return value === undefined ? [] : [[name, String(value)]];
}

function pairRows(pairs: unknown): Row[] {
  return listOf(pairs).map(({ name, isListening, connected, connecting }) => {
    const state = isListening === true ? "listens" : "does not listen";
    const sessions = Array.isArray(connected) ? connected.length : 0;
    return ["pair", `${name}: ${state}, ${sessions} sessions, ${connecting} connecting`];
  });
}

/** A check that is well needs no row. */
function checkRow({ name, ok, reason }: Fields): Row[] {
  return ok === true ? [] : [["not ready", `${name}: ${reason}`]];
}

function clusterRows({ status, alive, suspect, dead, hasQuorum, peers }: Fields): Row[] {
  if (typeof status !== "string") return [];
  const quorum = hasQuorum === true ? "" : ", no quorum";
  const row: Row = ["peers", `${status}: ${alive} alive, ${suspect} suspect, ${dead} dead${quorum}`];
  const ill = listOf(peers).filter(({ state }) => state !== "alive");
  return [row, ...ill.map(({ name, state, reason }): Row => ["peer", `${name}: ${state}, ${reason}`])];
}

function certificateRow({ role, of, daysLeft, notAfter }: Fields): Row {
  const left = typeof daysLeft === "number" && daysLeft >= 0 ? `${daysLeft} days left` : "expired";
  return ["certificate", `${role} of ${of}: ${left}, ends ${notAfter}`];
}

function refusalRows(refusal: Fields | undefined): Row[] {
  if (refusal === undefined) return [];
  const { at, peer, address, reason } = refusal;
  return [["refused", `${reason} with ${peer ?? "somebody"} at ${address}, ${at}`]];
}

function listOf(value: unknown): readonly Fields[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [];
  return list.map(asObject).filter((one) => one !== undefined);
}
