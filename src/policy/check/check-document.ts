import { canonicalName, tryNodeName } from "../../base/node-name.ts";
import type { PolicyDocument } from "../document.ts";
import { type PolicyProblem, ProblemList, quoted } from "../problem.ts";
import { checkPeers, DOMAIN_NAME } from "./check-peers.ts";
import { checkRules } from "./check-rules.ts";
import { checkTests } from "./check-tests.ts";
import { checkLimits, checkWhole, checkWord, field, isPlain, objectOf, PROVEN } from "./check-values.ts";

const DOCUMENT_KEYS = ["$schema", "version", "node", "mode", "level", "domain", "limits", "peers", "rules", "tests"];

/** A document that nobody else can change, or what is wrong with it. */
export type CheckedDocument =
  | { readonly kind: "valid"; readonly document: PolicyDocument }
  | { readonly kind: "invalid"; readonly problems: readonly PolicyProblem[] };

/** All that is wrong with a value as a policy document, the first hundred; empty when it is one. Never throws. */
export function checkDocument(value: unknown): readonly PolicyProblem[] {
  const checked = takeDocument(value);
  return checked.kind === "valid" ? [] : checked.problems;
}

/** Copies a value once, checks the copy and freezes it, so that what was checked is what is used. Never throws. */
export function takeDocument(value: unknown): CheckedDocument {
  const problems = new ProblemList();
  try {
    const document: unknown = structuredClone(value);
    checkAll(document, problems);
    if (problems.all.length === 0) return { kind: "valid", document: freezeAll(document) as PolicyDocument };
  } catch (error) {
    problems.add([], `cannot be read as data: ${error instanceof Error ? error.message : "unknown failure"}`);
  }
  return { kind: "invalid", problems: problems.all };
}

function checkAll(value: unknown, problems: ProblemList): void {
  const document = objectOf(value, DOCUMENT_KEYS, [], problems);
  if (document === undefined) return;
  if (field(document, "version") !== 1)
    problems.add(["version"], `must be 1, not ${quoted(field(document, "version"))}`);
  const schema = field(document, "$schema");
  if (schema !== undefined && typeof schema !== "string") problems.add(["$schema"], "must be a text");
  const nodeText = field(document, "node");
  const node = typeof nodeText === "string" ? tryNodeName(nodeText) : undefined;
  if (node === undefined) problems.add(["node"], `${quoted(nodeText)} is no node name; write local@host`);
  const mode = field(document, "mode");
  if (mode !== undefined) {
    checkWord(mode, ["enforce"], ["mode"], problems);
  }
  const level = field(document, "level");
  if (level !== undefined) checkWhole(level, 0, ["level"], problems);
  const domain = field(document, "domain");
  if (domain !== undefined) checkDomain(domain, problems);
  const limits = field(document, "limits");
  if (limits !== undefined) checkLimits(limits, ["limits"], problems);
  const aliases = checkPeers(field(document, "peers"), node === undefined ? undefined : canonicalName(node), problems);
  const rules = checkRules(field(document, "rules"), aliases, problems);
  checkTests(field(document, "tests"), aliases, rules, problems);
}

function checkDomain(value: unknown, problems: ProblemList): void {
  const domain =
    typeof value === "string" ? { name: value } : objectOf(value, ["name", "everyPeer"], ["domain"], problems);
  if (domain === undefined) return;
  const name = field(domain, "name");
  if (typeof name !== "string" || !DOMAIN_NAME.test(name)) {
    problems.add(["domain"], `${quoted(name)} is no name of a domain: letters, digits, _, . and -`);
  }
  const everyPeer = field(domain, "everyPeer");
  if (everyPeer !== undefined) checkWord(everyPeer, PROVEN, ["domain", "everyPeer"], problems);
}

/** Depth is bounded by then: only checked documents come here. */
function freezeAll(value: unknown): unknown {
  if (Array.isArray(value)) for (const item of value) freezeAll(item);
  else if (isPlain(value)) for (const item of Object.values(value)) freezeAll(item);
  return Object.freeze(value);
}
