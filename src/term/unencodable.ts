import { SallyportError } from "../base/errors.ts";
import { DEFAULT_TERM_LIMITS } from "./limits.ts";
import { Fun, ImproperList, NativeRecord, type Term, Tuple } from "./types.ts";

/** Thrown inside the encoder for a value that has no encoding; never leaves it. */
export class Unencodable extends Error {
  readonly culprit: unknown;
  constructor(culprit: unknown, what: string) {
    super(what);
    this.culprit = culprit;
  }
}

/** The error a user sees: what cannot be encoded, and where in `term` it stands. Shows no value. */
export function unencodableError(term: Term, fault: Unencodable): SallyportError {
  const path = pathTo(term, fault.culprit, 0) ?? "";
  const where = path === "" ? "the term itself" : `term${path}`;
  return new SallyportError(
    "ERR_API_MISUSE",
    "TERM_UNENCODABLE",
    `${where} is ${fault.message}, which is no Erlang term`,
    {
      detail: { path: path === "" ? "." : path },
      advice:
        "use the values of the Term type: Map for maps, tuple(...) for tuples, Buffer for bytes, atom(name) for atoms",
    },
  );
}

/** The way to `culprit`, searched in the order of encoding, so that the search ends where encoding ended. */
function pathTo(term: unknown, culprit: unknown, depth: number): string | undefined {
  if (Object.is(term, culprit)) return "";
  if (depth > DEFAULT_TERM_LIMITS.maxDepth) return undefined;
  if (Array.isArray(term)) return inside(term, "", culprit, depth);
  if (term instanceof Tuple) return inside(term.elements, ".elements", culprit, depth);
  if (term instanceof ImproperList) {
    return inside(term.elements, ".elements", culprit, depth) ?? step(".tail", term.tail, culprit, depth);
  }
  if (term instanceof Fun) return inside(term.free, ".free", culprit, depth);
  if (term instanceof NativeRecord) {
    for (const [i, field] of term.fields.entries()) {
      const path = step(`.fields[${i}][1]`, field[1], culprit, depth);
      if (path !== undefined) return path;
    }
  }
  if (term instanceof Map) {
    let i = 0;
    for (const [key, value] of term) {
      const path = step(`(key ${i})`, key, culprit, depth) ?? step(`(value ${i})`, value, culprit, depth);
      if (path !== undefined) return path;
      i++;
    }
  }
  return undefined;
}

function inside(items: readonly unknown[], prefix: string, culprit: unknown, depth: number): string | undefined {
  for (let i = 0; i < items.length; i++) {
    const path = step(`${prefix}[${i}]`, items[i], culprit, depth);
    if (path !== undefined) return path;
  }
  return undefined;
}

function step(name: string, value: unknown, culprit: unknown, depth: number): string | undefined {
  const path = pathTo(value, culprit, depth + 1);
  return path === undefined ? undefined : name + path;
}
