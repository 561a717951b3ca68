import { formatPath, type JsonPath } from "../policy/problem.ts";
import { type Environment, expandVariables, explainExpansion } from "./expand-variables.ts";
import { JSONC_ADVICE, JsoncText, type JsonNode } from "./jsonc-text.ts";

/** What is wrong at one place of a policy file. */
export interface PlacedProblem {
  readonly reason: "POLICY_INVALID" | "ENV_UNSET";
  /** `line:column`, both from 1. */
  readonly place: string;
  readonly message: string;
  readonly advice: string;
}

/** Longest policy file, in UTF-16 units. */
export const MAX_POLICY_CHARS: number = 1024 * 1024;

/** Objects and lists inside each other in a policy file; shapes need a few, nothing needs more. */
const MAX_NESTING = 64;

/** The text of a policy file as a value, with the place of each part. */
export class PolicyText {
  /** The root, variables filled in; undefined when it is no JSON. */
  readonly value: unknown;
  /** What makes it no JSON, or no value without doubt: syntax, keys that stand twice, variables. */
  readonly problems: readonly PlacedProblem[];
  readonly #text: JsoncText;
  readonly #root: JsonNode | undefined;
  readonly #environment: Environment;

  /** Never throws. */
  constructor(text: string, environment: Environment) {
    this.#text = new JsoncText(text);
    this.#environment = environment;
    const problems: PlacedProblem[] = [];
    const reading = this.#text.read();
    if (reading.ok) {
      this.#root = reading.root;
      this.value = this.#valueOf(reading.root, [], problems);
    } else {
      problems.push(this.#problem(reading.offset, reading.what, JSONC_ADVICE));
    }
    this.problems = problems;
  }

  /**
   * `line:column` of the value at a path; of its key, when `atKey`. Of the nearest thing around it, when there is none: that
   * is where something is missing.
   */
  placeOf(path: JsonPath, atKey = false): string {
    return this.#text.place(this.offsetOf(path, atKey));
  }

  /** The same as an offset from the beginning of the text. */
  offsetOf(path: JsonPath, atKey = false): number {
    let node = this.#root;
    let offset = node?.offset ?? 0;
    for (const [i, step] of path.entries()) {
      const found = node === undefined ? undefined : childOf(node, step);
      if (found === undefined) break;
      node = found.value;
      offset = atKey && i === path.length - 1 ? found.at.offset : node.offset;
    }
    return offset;
  }

  #valueOf(node: JsonNode, path: JsonPath, problems: PlacedProblem[]): unknown {
    if (path.length > MAX_NESTING) {
      problems.push(this.#problem(node.offset, `lists and objects nest deeper than ${MAX_NESTING}`, "flatten them"));
      return undefined;
    }
    switch (node.type) {
      case "object":
        return this.#objectOf(node, path, problems);
      case "array":
        return (node.children ?? []).map((child, i) => this.#valueOf(child, [...path, i], problems));
      case "string":
        return this.#stringOf(node, path, problems);
      default:
        return node.value;
    }
  }

  #objectOf(node: JsonNode, path: JsonPath, problems: PlacedProblem[]): unknown {
    const entries = new Map<string, unknown>();
    for (const property of node.children ?? []) {
      const [keyNode, valueNode] = property.children ?? [];
      if (keyNode === undefined || valueNode === undefined) {
        problems.push(this.#problem(property.offset, "a value is missing", JSONC_ADVICE));
        continue;
      }
      const key = String(keyNode.value);
      const inner = [...path, key];
      if (entries.has(key)) {
        problems.push(this.#problem(keyNode.offset, `${formatPath(inner)} stands twice`, "remove one of the two"));
        continue;
      }
      entries.set(key, this.#valueOf(valueNode, inner, problems));
    }
    return Object.fromEntries(entries);
  }

  #stringOf(node: JsonNode, path: JsonPath, problems: PlacedProblem[]): string {
    const text = String(node.value);
    const expansion = expandVariables(text, this.#environment);
    if (expansion.ok) return expansion.text;
    const { reason, message, advice } = explainExpansion(expansion, formatPath(path));
    if (reason === "ENV_UNSET") problems.push({ reason, place: this.#text.place(node.offset), message, advice });
    else problems.push(this.#problem(node.offset, message, advice));
    return text;
  }

  #problem(offset: number, message: string, advice: string): PlacedProblem {
    return { reason: "POLICY_INVALID", place: this.#text.place(offset), message, advice };
  }
}

function childOf(
  node: JsonNode,
  step: string | number,
): { readonly at: JsonNode; readonly value: JsonNode } | undefined {
  if (typeof step === "number") {
    const value = node.type === "array" ? node.children?.[step] : undefined;
    return value === undefined ? undefined : { at: value, value };
  }
  if (node.type !== "object") return undefined;
  const [at, value] = node.children?.find((property) => property.children?.[0]?.value === step)?.children ?? [];
  return at === undefined || value === undefined ? undefined : { at, value };
}
