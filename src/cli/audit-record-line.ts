import type { AuditFields, AuditValue } from "../audit/record.ts";
import { type Colours, printable } from "./terminal.ts";

/** Fields that every record has, or that a line shows elsewhere. */
const SHOWN: readonly string[] = ["seq", "at", "kind", "outcome", "event", "id"];

/** Longest word at the front, `deny-identity`. */
const WORD_WIDTH = 13;

/** One record as a line for people. */
export function auditRecordLine(seq: number, fields: AuditFields, colours: Colours): string {
  const word = wordOf(fields);
  const time = String(fields["at"]).replace("T", " ").replace(/Z$/, "");
  const id = typeof fields["id"] === "string" ? ` ${colours.dim(printable(fields["id"]))}` : "";
  return `${colours.dim(printable(time))} ${seq} ${colourOf(word, colours)(printable(word).padEnd(WORD_WIDTH))} ${printable(
    textOf(fields),
  )}${id}`;
}

function wordOf({ kind, outcome, event }: AuditFields): string {
  if (kind === "log") return String(event);
  if (kind === "attempt" || kind === "decision") return String(outcome);
  return String(kind);
}

function colourOf(word: string, { red, yellow, green, dim }: Colours): (text: string) => string {
  if (word === "refused" || word.startsWith("deny")) return red;
  if (["failed", "summary", "gap", "torn", "removed"].includes(word)) return yellow;
  return word === "accepted" || word === "allow" ? green : dim;
}

function textOf(fields: AuditFields): string {
  switch (fields["kind"]) {
    case "attempt":
    case "end":
      return connection(fields);
    case "decision":
      return decision(fields);
    case "summary":
      return summary(fields);
    default:
      return rest(fields);
  }
}

function connection(fields: AuditFields): string {
  const { role, protocol, address, peer, peerIs, assurance, reason, stage, durationMs, pair } = fields;
  const who = peer === null ? "somebody" : `${say(peer)}${peerIs === "proven" ? "" : ` (${say(peerIs)})`}`;
  const way = role === "initiator" ? "to" : "from";
  const how = [protocol, assurance].filter((word) => typeof word === "string").join(", ");
  const why = reason === null ? "" : `: ${say(reason)}${typeof stage === "string" ? ` at ${stage}` : ""}`;
  const behind = pair === undefined ? "" : `, pair ${say(pair)}`;
  return `${way} ${who} at ${say(address)}${how === "" ? "" : ` (${how})`}${why}, ${say(durationMs)} ms${behind}`;
}

function decision({ alias, peer, verb, target, rule, miss, mode, node }: AuditFields): string {
  const who = alias === null ? say(peer) : `${say(alias)} (${say(peer)})`;
  const what = verb === "connect" ? "connect" : `${say(verb)} ${say(target)}`;
  const by = rule !== null ? `rule ${say(rule)}` : miss !== null ? `nearest ${say(miss)}` : "no rule";
  return `${who} ${what}${node === undefined ? "" : ` on ${say(node)}`}: ${by}${mode === "audit" ? ", audit mode" : ""}`;
}

function summary({ of, source, reason, count, lastId }: AuditFields): string {
  const from = source === null ? "several" : say(source);
  const last = lastId === "" ? "" : `, last ${say(lastId)}`;
  return `${say(count)} more of ${say(of)} by ${from}: ${say(reason)}${last}`;
}

function rest(fields: AuditFields): string {
  return Object.entries(fields)
    .filter(([name, value]) => !SHOWN.includes(name) && value !== null)
    .map(([name, value]) => `${name}=${say(value)}`)
    .join(" ");
}

function say(value: AuditValue | undefined): string {
  return value === undefined || value === null ? "-" : String(value);
}
