import type {
  GatewayAuditStatus,
  GatewayPairStatus,
  GatewayPolicyStatus,
  GatewaySessionStatus,
  GatewaySourceStatus,
  GatewayStatus,
} from "../gateway/api.ts";
import { fields, moment, table } from "./table.ts";
import { type Colours, printable } from "./terminal.ts";

type Row = readonly [string, string];

/** The status of a gateway for people: what it is, then each pair with its sessions, tables and counters. */
export function statusText(told: object, colours: Colours): string {
  // A gateway of this version has all fields; those of another may lack some.
  const status = { pairs: [], epmd: {}, ...told } as unknown as GatewayStatus;
  const loud = (text: string): string => colours.red(colours.bold(printable(text)));
  const banner = [
    ...(status.plaintext === false || status.plaintext === undefined
      ? []
      : ["plain TCP on the outside is on: whoever can read the network reads and forges everything"]),
    ...status.pairs.flatMap(({ name, observedUntil }) =>
      observedUntil === null
        ? []
        : [`${name} is observed: what is refused passes all the same, until ${observedUntil}`],
    ),
    ...status.pairs.flatMap(({ duty }) => duty.map(({ message, advice }) => `${message}; ${advice}`)),
  ].map(loud);
  const { epmd, audit, sources } = status;
  const rows: Row[] = [
    ["gateway", `${status.state}, since ${moment(status.startedMs)}`],
    ...Object.entries(epmd).map(([side, at]): Row => ["port mapper", `for ${side} nodes at ${at}`]),
    ["audit", audit === null ? "none" : auditText(audit)],
    ...Object.entries(sources ?? {}).flatMap(([side, counted]) => sourceRows(side, counted)),
  ];
  const parts = [
    [...banner, fields(rows, colours.dim)].join("\n"),
    ...status.pairs.map((pair) => pairText(pair, colours)),
  ];
  return parts.join("\n\n");
}

function sourceRows(side: string, { refusedAddress, refusedShut }: GatewaySourceStatus): readonly Row[] {
  if (refusedAddress + refusedShut === 0) return [];
  return [
    ["sources", `${side}: ${refusedAddress} connections cut by address, ${refusedShut} while the audit log failed`],
  ];
}

function auditText({ dir, commands, isFailing, isClosed, written, lost, summarised }: GatewayAuditStatus): string {
  const what = commands ? ", what is let through too" : "";
  const effect = isClosed ? "no new connection is taken" : "up to 1,000 records wait, further ones are lost";
  const state = isFailing ? `CANNOT BE WRITTEN, ${effect}; ` : "";
  return `${state}${dir}: ${written} records, ${summarised} counted together, ${lost} lost${what}`;
}

function pairText(pair: GatewayPairStatus, colours: Colours): string {
  const { name, inside, outside, commander, policies, endpoints, connecting, sessions, totals } = pair;
  // One that runs an earlier version says nothing of them.
  const { keys = [] } = pair as Partial<GatewayPairStatus>;
  const rows: Row[] = [
    ["inside", inside],
    ["outside", outside.join(", ")],
    ...endpoints.map(({ from, target, endpoint }): Row => ["listens", `${from} nodes dial ${target} at ${endpoint}`]),
    ...keys.map(({ side, standsFor, fingerprint }): Row => ["key", `${fingerprint}, shown ${side} for ${standsFor}`]),
    ["rules", commander === null ? "each may do what the policy of the other says" : `the ${commander} node commands`],
    ...Object.entries(policies).map(([side, policy]): Row => ["policy", policyText(side, policy)]),
    ["connections", `${totals.up} came up, ${totals.refused} refused, ${connecting} in their handshake`],
    ["messages", `${totals.forwarded.outside} of the outside, ${totals.forwarded.inside} of the inside let through`],
  ];
  const parts = [`${colours.bold(printable(`pair ${name}`))}\n${indented(fields(rows, colours.dim))}`];
  if (sessions.length > 0) parts.push(indented(sessionTable(sessions, colours)));
  const tables = sessions.flatMap((session) => tableRows(session));
  if (tables.length > 0) parts.push(indented(table(["TABLE", "ROWS", "LIMIT", "OF"], tables, colours.dim)));
  const rules = Object.entries(totals.rules).map(([rule, { allowed, denied }]) => [rule, `${allowed}`, `${denied}`]);
  if (rules.length > 0) parts.push(indented(table(["RULE", "ALLOWED", "DENIED"], rules, colours.dim)));
  const denied = Object.entries(totals.denied).map(([why, count]) => {
    const [by = "", reason = ""] = why.split(":");
    return [reason, by, `${count}`];
  });
  if (denied.length > 0) parts.push(indented(table(["REFUSED", "BY", "MESSAGES"], denied, colours.dim)));
  return parts.join("\n\n");
}

function policyText(side: string, { file, generation, problem }: GatewayPolicyStatus): string {
  const where = file === null ? "given in code" : `of ${file}`;
  const stays =
    problem === null ? "" : `; the file as it is now is refused: ${problem.replace(/^\[ERR_[A-Z_]+\] /, "")}`;
  return `of the ${side} node: generation ${generation} ${where}${stays}`;
}

function sessionTable(sessions: readonly GatewaySessionStatus[], colours: Colours): string {
  const rows = sessions.map(({ outside, inside, dialledBy, address, sinceMs, protocol, assurance, report }) => [
    outside,
    inside,
    `${dialledBy}, ${address}`,
    moment(sinceMs),
    protocol?.outside ?? "?",
    assurance?.outside ?? "?",
    `${assurance?.inside ?? "?"} by ${protocol?.inside ?? "?"}`,
    `${report?.forwarded.outside ?? "?"}/${report?.forwarded.inside ?? "?"}`,
    `${Object.values(report?.denied ?? {}).reduce((sum, count) => sum + count, 0)}`,
  ]);
  const head = [
    "OUTSIDE",
    "INSIDE",
    "DIALLED BY",
    "SINCE",
    "PROTOCOL",
    "ASSURANCE",
    "INSIDE'S",
    "LET THROUGH",
    "REFUSED",
  ];
  return table(head, rows, colours.dim);
}

/** Tables that hold something. */
function tableRows({ outside, inside, report }: GatewaySessionStatus): readonly (readonly string[])[] {
  return Object.entries(report?.tables ?? {})
    .filter(([, { size }]) => size > 0)
    .map(([name, { size, limit }]) => [name, `${size}`, `${limit}`, `${outside} and ${inside}`]);
}

function indented(text: string): string {
  return text.replaceAll(/^/gm, "  ");
}
