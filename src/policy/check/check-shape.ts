import { type JsonPath, type ProblemList, quoted } from "../problem.ts";
import { field, isPlain } from "./check-values.ts";

/** Deepest nesting of a shape; the matcher recurses this deep. */
export const MAX_SHAPE_DEPTH = 16;
/** Most parts of one shape, so that matching costs at most so many looks at each byte. */
export const MAX_SHAPE_PARTS = 256;

/** Words of a shape that name a type; every other word is an atom. */
export const SHAPE_WORDS = [
  "any",
  "atom",
  "binary",
  "bitstring",
  "boolean",
  "float",
  "fun",
  "integer",
  "list",
  "map",
  "nil",
  "number",
  "pid",
  "port",
  "reference",
  "string",
  "tuple",
] as const;

export type ShapeWord = (typeof SHAPE_WORDS)[number];

/** True for a type word. */
export function isShapeWord(text: string): text is ShapeWord {
  return (SHAPE_WORDS as readonly string[]).includes(text);
}

const FORMS: Readonly<Record<string, readonly string[]>> = {
  atom: ["atom"],
  tuple: ["tuple"],
  list: ["list", "max"],
  map: ["map", "open"],
  oneOf: ["oneOf"],
};

/** Checks a `ShapeEntry`. */
export function checkShape(value: unknown, path: JsonPath, problems: ProblemList): void {
  new ShapeChecker(path, problems).check(value, path, 0);
}

class ShapeChecker {
  readonly #root: JsonPath;
  readonly #problems: ProblemList;
  #parts = 0;

  constructor(root: JsonPath, problems: ProblemList) {
    this.#root = root;
    this.#problems = problems;
  }

  check(value: unknown, path: JsonPath, depth: number): void {
    if (++this.#parts === MAX_SHAPE_PARTS + 1) {
      this.#problems.add(this.#root, `has more than ${MAX_SHAPE_PARTS} parts`);
    }
    if (this.#parts > MAX_SHAPE_PARTS) return;
    if (depth > MAX_SHAPE_DEPTH) {
      this.#problems.add(path, `nests deeper than ${MAX_SHAPE_DEPTH}`);
    } else if (typeof value === "string") this.#atom(value, path);
    else if (typeof value === "number") {
      if (!Number.isSafeInteger(value)) this.#problems.add(path, `${value} is no whole number that can be compared`);
    } else if (isPlain(value)) this.#form(value, path, depth);
    else
      this.#problems.add(path, `is no shape: ${quoted(value)}; write a type word, an atom, a whole number or a form`);
  }

  #form(value: Readonly<Record<string, unknown>>, path: JsonPath, depth: number): void {
    const keys = Object.keys(value);
    const form = Object.keys(FORMS).find((name) => keys.includes(name));
    if (form === undefined) {
      this.#problems.add(path, `is no shape; an object has one of ${Object.keys(FORMS).join(", ")}`);
      return;
    }
    for (const key of keys) {
      if (!FORMS[form]?.includes(key)) this.#problems.add([...path, key], `unknown key in a shape of form ${form}`);
    }
    const inner = field(value, form);
    const at = [...path, form];
    if (form === "atom") {
      if (typeof inner === "string") this.#atom(inner, at);
      else this.#problems.add(at, `must be the atom's text, not ${quoted(inner)}`);
    } else if (form === "list") {
      this.check(inner, at, depth + 1);
      const max = field(value, "max");
      if (max !== undefined && !(typeof max === "number" && Number.isSafeInteger(max) && max >= 0)) {
        this.#problems.add([...path, "max"], `must be a whole number from 0 on, not ${quoted(max)}`);
      }
    } else if (form === "map") this.#map(inner, field(value, "open"), path, depth);
    else if (!Array.isArray(inner)) this.#problems.add(at, `must be a list of shapes, not ${quoted(inner)}`);
    else if (form === "oneOf" && inner.length === 0) this.#problems.add(at, "is an empty list, which nothing can be");
    else
      for (const [i, part] of inner.entries()) {
        if (this.#parts > MAX_SHAPE_PARTS) break;
        this.check(part, [...at, i], depth + 1);
      }
  }

  #map(inner: unknown, open: unknown, path: JsonPath, depth: number): void {
    if (open !== undefined && typeof open !== "boolean") {
      this.#problems.add([...path, "open"], `must be true or false, not ${quoted(open)}`);
    }
    if (!isPlain(inner)) {
      this.#problems.add([...path, "map"], `must be an object of shapes by key, not ${quoted(inner)}`);
      return;
    }
    for (const [key, part] of Object.entries(inner)) {
      if (this.#parts > MAX_SHAPE_PARTS) break;
      this.#atom(key, [...path, "map", key]);
      this.check(part, [...path, "map", key], depth + 1);
    }
  }

  #atom(text: string, path: JsonPath): void {
    if (/\p{Cs}/u.test(text) || text.length > 510 || [...text].length > 255) {
      this.#problems.add(path, "is no atom: at most 255 characters of well-formed text");
    }
  }
}
