import { asObject } from "../identity/pin-meta.ts";
import type { AuditedPart } from "../policy/audit-mode.ts";
import { auditModeText } from "./start-events.ts";
import { type Colours, printable } from "./terminal.ts";

/** What is shown of how a policy stands. */
export interface PolicyRows {
  /** Above all else, while rules are not enforced or a file is refused. */
  readonly banner: readonly string[];
  readonly rows: readonly (readonly [string, string])[];
}

/** The `policy` field of `status` and `health` for people. A node of an older version has none. */
export function policyRows(told: unknown, colours: Colours): PolicyRows {
  if (told === undefined) return { banner: [], rows: [] };
  const state = asObject(told);
  if (state === undefined) return { banner: [], rows: [["policy", "none, only `allow` in code grants"]] };
  const { generation, file, audited, problem } = state;
  const parts = (Array.isArray(audited) ? audited : []).map(partOf);
  const refused = asObject(problem)?.["message"];
  const loud = (text: string): string => colours.red(colours.bold(printable(text)));
  return {
    banner: parts.length === 0 ? [] : [loud(auditModeText(parts))],
    rows: [
      ["policy", `generation ${String(generation)}${typeof file === "string" ? ` of ${file}` : ", given in code"}`],
      ...(typeof refused === "string" ? ([["refused", withoutCode(refused)]] as const) : []),
    ],
  };
}

function partOf(told: unknown): AuditedPart {
  const { kind, id, until } = asObject(told) ?? {};
  return { kind: kind === "peer" ? "peer" : "rule", id: String(id), until: String(until) };
}

function withoutCode(message: string): string {
  return message.replace(/^\[ERR_[A-Z_]+\] /, "");
}
