import { SallyportError } from "../base/errors.ts";
import { tryNodeName } from "../base/node-name.ts";
import { PolicyText } from "../config/policy-text.ts";
import { asObject } from "../identity/pin-meta.ts";
import type { ExpectedEdge, Matrix } from "../policy/review/matrix.ts";
import { isVerb, type Verb } from "../policy/verbs.ts";
import type { ReadPolicy } from "./policy-file.ts";

/** The edges of a matrix as a file of expected edges holds them: every pair with a grant, with its verbs in order. */
export function edgesOf(matrix: Matrix): readonly ExpectedEdge[] {
  return matrix.edges
    .filter(({ entries }) => entries.length > 0)
    .map(({ from, to, entries }) => ({ from, to, verbs: [...new Set(entries.map(({ verb }) => verb))].sort() }));
}

/**
 * Reads a file of expected edges: a list of `{"from", "to", "verbs"}` in JSON with comments. Without `verbs` any will do. An
 * empty list is one: then no edge is expected.
 * @throws {SallyportError} ERR_CONFIG POLICY_EXPECT_INVALID
 */
export function parseExpectedEdges({ file, text }: ReadPolicy): readonly ExpectedEdge[] {
  const read = new PolicyText(text, () => undefined);
  const [problem] = read.problems;
  if (problem !== undefined) throw invalid(`${file}:${problem.place}: ${problem.message}`);
  if (!Array.isArray(read.value)) throw invalid(`${file}:${read.placeOf([])}: this is no list of edges`);
  const seen = new Set<string>();
  return read.value.map((item: unknown, i): ExpectedEdge => {
    const place = `${file}:${read.placeOf([i])}`;
    const edge = asObject(item);
    const unknown = Object.keys(edge ?? {}).find((key) => !["from", "to", "verbs"].includes(key));
    if (edge === undefined || unknown !== undefined) throw invalid(`${place}: an edge has from, to and verbs`);
    const from = nameOf(edge["from"], `${place}: from`);
    const to = nameOf(edge["to"], `${place}: to`);
    if (seen.has(`${from} ${to}`)) throw invalid(`${place}: the edge from ${from} to ${to} stands twice`);
    seen.add(`${from} ${to}`);
    return edge["verbs"] === undefined ? { from, to } : { from, to, verbs: verbsOf(edge["verbs"], `${place}: verbs`) };
  });
}

function nameOf(value: unknown, place: string): string {
  const name = typeof value === "string" ? tryNodeName(value) : undefined;
  if (name === undefined) throw invalid(`${place} is no node name`);
  return name;
}

function verbsOf(value: unknown, place: string): readonly Verb[] {
  if (!Array.isArray(value) || value.length === 0 || !value.every(isVerb))
    throw invalid(`${place} is no list of verbs`);
  return value;
}

function invalid(message: string): SallyportError {
  return new SallyportError("ERR_CONFIG", "POLICY_EXPECT_INVALID", message, {
    stage: "policy",
    advice: "write it from `result.expected` of `sallyport policy matrix --json`",
  });
}
