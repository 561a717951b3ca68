import { quotePeerText } from "../base/escape.ts";

/** Keys and indices from the root of a document. */
export type JsonPath = readonly (string | number)[];

/** One thing that is wrong, or questionable, in a policy. */
export interface PolicyProblem {
  readonly path: JsonPath;
  /** One sentence without the place. */
  readonly message: string;
}

/** Most problems that are collected; a file with more is not read further. */
export const MAX_PROBLEMS = 100;

/** Collects problems, the first hundred. */
export class ProblemList {
  readonly #problems: PolicyProblem[] = [];

  add(path: JsonPath, message: string): void {
    if (this.#problems.length < MAX_PROBLEMS) this.#problems.push({ path, message });
  }

  get all(): readonly PolicyProblem[] {
    return this.#problems;
  }

  /** True once no more are kept, so that checking may stop. */
  get isFull(): boolean {
    return this.#problems.length >= MAX_PROBLEMS;
  }
}

/** `rules[2].to[0]`; the whole document is `policy`. */
export function formatPath(path: JsonPath): string {
  let out = "";
  for (const step of path) {
    if (typeof step === "number") out += `[${step}]`;
    else out += /^[A-Za-z_$][\w$]*$/.test(step) ? `.${step}` : `["${quotePeerText(step)}"]`;
  }
  return out === "" ? "policy" : out.replace(/^\./, "");
}

/** A value of a document in a message: short and escaped. */
export function quoted(value: unknown): string {
  if (typeof value === "string") return `"${quotePeerText(value.length > 80 ? `${value.slice(0, 80)}...` : value)}"`;
  if (value === null || ["number", "boolean", "undefined", "bigint"].includes(typeof value)) return String(value);
  return Array.isArray(value) ? "a list" : "an object";
}
