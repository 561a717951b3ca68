import {
  type Node as JsonNode,
  type ParseError,
  type ParseOptions,
  parseTree,
  printParseErrorCode,
} from "jsonc-parser";

export type { Node as JsonNode } from "jsonc-parser";

/** What a text was read as: its tree, or the first thing that is no JSON, with its offset. */
export type JsoncReading =
  | { readonly ok: true; readonly root: JsonNode }
  | { readonly ok: false; readonly offset: number; readonly what: string };

/** What a syntax error asks for. */
export const JSONC_ADVICE = "write JSON; comments and a comma after the last entry are allowed";

const SYNTAX: ParseOptions = { allowTrailingComma: true, disallowComments: false };

/** A text of JSON with comments and trailing commas, and where things stand in it. */
export class JsoncText {
  readonly #text: string;

  constructor(text: string) {
    // A byte order mark becomes a space, so that columns stay what they are.
    this.#text = text.startsWith("\ufeff") ? ` ${text.slice(1)}` : text;
  }

  /** Never throws; an empty text is a fault. */
  read(): JsoncReading {
    const errors: ParseError[] = [];
    let root: JsonNode | undefined;
    try {
      root = parseTree(this.#text, errors, SYNTAX);
    } catch {
      // The parser calls itself for each level and fails with the platform's own error when there are thousands.
      return { ok: false, offset: 0, what: "lists and objects nest too deep" };
    }
    const [first] = errors;
    // The parser misses a value where the text ends: there are only blanks and comments.
    if (first !== undefined && root === undefined && first.offset >= this.#text.length)
      return { ok: false, offset: first.offset, what: "the file is empty" };
    if (first !== undefined)
      return { ok: false, offset: first.offset, what: wordsOf(printParseErrorCode(first.error)) };
    return root === undefined ? { ok: false, offset: 0, what: "the file is empty" } : { ok: true, root };
  }

  /** `line:column` of an offset, both from 1. */
  place(offset: number): string {
    const before = this.#text.slice(0, offset);
    return `${before.split("\n").length}:${offset - before.lastIndexOf("\n")}`;
  }
}

/** `CloseBraceExpected` as `close brace expected`. */
function wordsOf(name: string): string {
  return name.replace(/(?<=[a-z])(?=[A-Z])/g, " ").toLowerCase();
}
