import type { SallyportError } from "../base/errors.ts";
import { Lexer, type Token, textOf } from "./text-lexer.ts";

/** A term of a text with the offset where each part starts. Atoms and numbers keep their kind, texts are joined. */
export type TermNode =
  | { readonly kind: "atom"; readonly name: string; readonly at: number }
  | { readonly kind: "integer"; readonly value: number | bigint; readonly at: number }
  | { readonly kind: "float"; readonly value: number; readonly at: number }
  /** `"text"`, and `<<"text">>` with `binary` true. */
  | { readonly kind: "text"; readonly text: string; readonly binary: boolean; readonly at: number }
  | { readonly kind: "tuple"; readonly items: readonly TermNode[]; readonly at: number }
  | { readonly kind: "list"; readonly items: readonly TermNode[]; readonly at: number }
  | { readonly kind: "map"; readonly entries: readonly (readonly [TermNode, TermNode])[]; readonly at: number };

export interface TermTreeOptions {
  /** Containers inside each other. */
  readonly maxDepth: number;
  /**
   * Makes the error for what only an evaluation could turn into a term: a fun, a call, a variable, an operator. `inside` are
   * the first atoms of the tuples it stands in, outermost first.
   */
  readonly onCode: (at: number, inside: readonly string[]) => Error;
}

/**
 * Reads a text of exactly one term and a `.`, with comments, for files whose mistakes are told by line and column. No fault
 * shows text of the file except names of atoms the caller takes from the tree: what is misplaced may be a secret.
 * @throws {SallyportError} ERR_CONFIG TERM_SYNTAX with `detail` line and column; what `onCode` makes
 */
export function parseTermTree(text: string, options: TermTreeOptions): TermNode {
  const reader = new TreeReader(text.startsWith("\ufeff") ? ` ${text.slice(1)}` : text, options);
  return reader.document();
}

class TreeReader {
  readonly #lexer: Lexer;
  readonly #options: TermTreeOptions;
  readonly #inside: string[] = [];
  #token: Token;

  constructor(text: string, options: TermTreeOptions) {
    this.#lexer = new Lexer(text);
    this.#options = options;
    this.#token = this.#lexer.next();
  }

  document(): TermNode {
    const node = this.#node(0);
    if (this.#token.kind !== "stop") throw this.#missing(".", "after the term");
    if (this.#advance().kind !== "end") throw this.#fault("only one term may stand here, and this follows it");
    return node;
  }

  #node(depth: number): TermNode {
    if (depth > this.#options.maxDepth) {
      throw this.#fault(`the term nests deeper than ${this.#options.maxDepth} levels`);
    }
    const token = this.#token;
    const { at } = token;
    switch (token.kind) {
      case "atom":
        return this.#atom(token);
      case "integer":
        this.#advance();
        return { kind: "integer", value: token.value, at };
      case "float":
        this.#advance();
        return { kind: "float", value: token.value, at };
      case "string":
        return { kind: "text", text: this.#strings(), binary: false, at };
      case "variable":
        throw this.#code(at);
      case "mark":
        return this.#marked(token.mark, at, depth);
      case "stop":
      case "end":
        throw this.#fault("a term is missing");
    }
  }

  #atom({ name, quoted, at }: Token & { readonly kind: "atom" }): TermNode {
    this.#advance();
    const { kind } = this.#token;
    const isCall = kind === "mark" && (this.#token.mark === ":" || this.#token.mark === "(");
    if (isCall || (!quoted && CODE_WORDS.has(name))) throw this.#code(at);
    return { kind: "atom", name, at };
  }

  #marked(mark: string, at: number, depth: number): TermNode {
    switch (mark) {
      case "{":
        this.#advance();
        return this.#tuple(at, depth);
      case "[":
        this.#advance();
        return { kind: "list", items: this.#items("]", depth), at };
      case "<<":
        this.#advance();
        return this.#binary(at);
      case "#":
        this.#advance();
        return this.#map(at, depth);
      case "-":
        this.#advance();
        return this.#negative(at);
      case "(":
        throw this.#code(at);
      default:
        throw this.#fault("a term is missing");
    }
  }

  #tuple(at: number, depth: number): TermNode {
    const first = this.#token;
    this.#inside.push(first.kind === "atom" ? first.name : "");
    const items = this.#items("}", depth);
    this.#inside.pop();
    return { kind: "tuple", items, at };
  }

  #items(close: string, depth: number): TermNode[] {
    const items: TermNode[] = [];
    if (this.#accept(close)) return items;
    do items.push(this.#node(depth + 1));
    while (this.#accept(","));
    this.#expect(close);
    return items;
  }

  #map(at: number, depth: number): TermNode {
    // A record, or the update of one.
    if (this.#token.kind === "atom") throw this.#code(at);
    this.#expect("{");
    const entries: [TermNode, TermNode][] = [];
    if (this.#accept("}")) return { kind: "map", entries, at };
    do {
      const key = this.#node(depth + 1);
      this.#expect("=>");
      entries.push([key, this.#node(depth + 1)]);
    } while (this.#accept(","));
    this.#expect("}");
    return { kind: "map", entries, at };
  }

  #binary(at: number): TermNode {
    if (this.#accept(">>")) return { kind: "text", text: "", binary: true, at };
    if (this.#token.kind !== "string") throw this.#fault('a binary is written as text here: <<"text">>');
    const text = this.#strings();
    if (this.#accept("/")) this.#utf8();
    this.#expect(">>");
    return { kind: "text", text, binary: true, at };
  }

  #utf8(): void {
    const token = this.#token;
    if (token.kind !== "atom" || token.name !== "utf8") throw this.#fault('only "/utf8" may stand here');
    this.#advance();
  }

  #negative(at: number): TermNode {
    const token = this.#token;
    if (token.kind !== "integer" && token.kind !== "float") throw this.#fault("a number must follow the sign");
    this.#advance();
    if (token.kind === "float") return { kind: "float", value: -token.value, at };
    return { kind: "integer", value: -token.value, at };
  }

  /** Adjacent texts are one. */
  #strings(): string {
    let text = "";
    while (this.#token.kind === "string") {
      text += textOf(this.#token.points);
      this.#advance();
    }
    return text;
  }

  #advance(): Token {
    this.#token = this.#lexer.next();
    return this.#token;
  }

  #accept(mark: string): boolean {
    if (this.#token.kind !== "mark" || this.#token.mark !== mark) return false;
    this.#advance();
    return true;
  }

  #expect(mark: string): void {
    if (this.#accept(mark)) return;
    const { kind, at } = this.#token;
    if (kind === "variable" || (kind === "mark" && OPERATORS.has(this.#token.mark))) throw this.#code(at);
    throw this.#missing(mark, "before what stands here");
  }

  #missing(mark: string, where: string): Error {
    const { kind } = this.#token;
    if (kind === "stop" && mark !== ".") {
      return this.#fault(`"${mark}" is missing before this "."; an atom with a dot needs quotes: 'tlsv1.3'`);
    }
    return this.#fault(`"${mark}" is missing ${kind === "end" ? "at the end of the text" : where}`);
  }

  #code(at: number): Error {
    return this.#options.onCode(at, this.#inside);
  }

  #fault(what: string): SallyportError {
    return this.#lexer.fault(this.#token.at, what);
  }
}

/** Words that begin an expression and no term. */
const CODE_WORDS: ReadonlySet<string> = new Set(["fun", "case", "if", "begin", "try", "receive", "catch", "not"]);

/** Marks that join expressions where a comma or a bracket should stand. */
const OPERATORS: ReadonlySet<string> = new Set(["+", "-", "=", "(", ":"]);
