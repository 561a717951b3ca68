import { quotePeerText } from "../base/escape.ts";
import { DEFAULT_TERM_LIMITS } from "./limits.ts";
import { hasEqualKeys } from "./map-keys.ts";
import { MAX_ATOM_CHARS } from "./tags.ts";
import { Lexer, type Token, textOf } from "./text-lexer.ts";
import { RESERVED_WORDS } from "./text-print.ts";
import { atom, BitString, ExportFun, Float, ImproperList, type Term, Tuple } from "./types.ts";

export interface ParseTermOptions {
  /** Containers inside each other. Default and greatest: 512. */
  readonly maxDepth?: number;
}

/**
 * Reads one Erlang term: `{add, 1, 2}`, `"text"` (a list of code points), `<<"bytes">>`, `#{a => 1}`, `fun m:f/1`. A
 * trailing `.` may stand or not. Pids, references, ports and closures have no text form and are refused.
 * @throws {SallyportError} ERR_CONFIG TERM_SYNTAX with line and column
 */
export function parseTermText(text: string, options: ParseTermOptions = {}): Term {
  const parser = new Parser(text, options);
  const term = parser.term(0);
  parser.finish(false);
  return term;
}

/**
 * Reads a file of exactly one term ended by a `.`, as `file:consult/1` does: ssl_dist.conf and the like. Errors as
 * `parseTermText`.
 */
export function parseTermTextDocument(text: string, options: ParseTermOptions = {}): Term {
  const parser = new Parser(text.startsWith("\ufeff") ? text.slice(1) : text, options);
  const term = parser.term(0);
  parser.finish(true);
  return term;
}

class Parser {
  readonly #lexer: Lexer;
  readonly #maxDepth: number;
  #token: Token;

  constructor(text: string, options: ParseTermOptions) {
    this.#lexer = new Lexer(text);
    this.#maxDepth = Math.min(options.maxDepth ?? DEFAULT_TERM_LIMITS.maxDepth, DEFAULT_TERM_LIMITS.maxDepth);
    this.#token = this.#lexer.next();
  }

  finish(needsStop: boolean): void {
    if (this.#token.kind === "stop") this.#advance();
    else if (needsStop && this.#token.kind === "end") throw this.#fault('the term must end with "."');
    if (this.#token.kind !== "end")
      throw this.#fault(`${this.#found()} follows the term; only one term may stand here`);
  }

  term(depth: number): Term {
    if (depth > this.#maxDepth) throw this.#fault(`the term nests deeper than ${this.#maxDepth} levels`);
    const token = this.#token;
    switch (token.kind) {
      case "atom":
        return this.#atom(token);
      case "integer":
        this.#advance();
        return token.value;
      case "float":
        this.#advance();
        return floatOf(token.value);
      case "string":
        return this.#strings();
      case "variable":
        throw this.#fault(
          `"${quotePeerText(token.name)}" is a variable; quote it to write an atom: '${quotePeerText(token.name)}'`,
        );
      case "mark":
        return this.#marked(token.mark, depth);
      case "stop":
      case "end":
        throw this.#fault("a term is missing");
    }
  }

  #marked(mark: string, depth: number): Term {
    switch (mark) {
      case "{":
        this.#advance();
        return new Tuple(this.#items("}", depth));
      case "[":
        this.#advance();
        return this.#list(depth);
      case "<<":
        this.#advance();
        return this.#binary();
      case "#":
        this.#advance();
        return this.#map(depth);
      case "-":
      case "+":
        this.#advance();
        return this.#signed(mark === "-");
      case "<":
        throw this.#fault("pids have no text form: take them from a reply instead");
      default:
        throw this.#fault(`a term is missing before ${this.#found()}`);
    }
  }

  #atom(token: Token & { readonly kind: "atom" }): Term {
    this.#advance();
    if (!token.quoted && token.name === "fun") return this.#exportFun();
    return atom(this.#checkedName(token));
  }

  #checkedName(token: Token & { readonly kind: "atom" }): string {
    if (!token.quoted && RESERVED_WORDS.has(token.name)) {
      throw this.#lexer.fault(
        token.at,
        `"${token.name}" is a reserved word; quote it to write an atom: '${token.name}'`,
      );
    }
    if (token.name.length > MAX_ATOM_CHARS && [...token.name].length > MAX_ATOM_CHARS) {
      throw this.#lexer.fault(token.at, `an atom of more than ${MAX_ATOM_CHARS} characters`);
    }
    return token.name;
  }

  /** `fun m:f/1`; the word `fun` has been read. */
  #exportFun(): Term {
    const module = this.#name();
    this.#expect(":");
    const name = this.#name();
    this.#expect("/");
    const token = this.#token;
    if (token.kind !== "integer" || typeof token.value !== "number" || token.value > 255) {
      throw this.#fault("the arity of a fun must be an integer from 0 to 255");
    }
    this.#advance();
    return new ExportFun(module, name, token.value);
  }

  #name(): string {
    const token = this.#token;
    if (token.kind !== "atom") throw this.#fault('only "fun module:function/arity" can be written; an atom is missing');
    this.#advance();
    return this.#checkedName(token);
  }

  #signed(negative: boolean): Term {
    const token = this.#token;
    if (token.kind !== "integer" && token.kind !== "float") throw this.#fault("a number must follow the sign");
    this.#advance();
    if (token.kind === "float") return floatOf(negative ? -token.value : token.value);
    if (!negative || token.value === 0) return token.value;
    return -token.value;
  }

  /** Adjacent strings are one. */
  #strings(): Term {
    const points: number[] = [];
    while (this.#token.kind === "string") {
      for (const point of this.#token.points) points.push(point);
      this.#advance();
    }
    return points;
  }

  #items(close: string, depth: number): Term[] {
    const items: Term[] = [];
    if (this.#accept(close)) return items;
    do items.push(this.term(depth + 1));
    while (this.#accept(","));
    this.#expect(close);
    return items;
  }

  #list(depth: number): Term {
    const items: Term[] = [];
    if (this.#accept("]")) return items;
    do items.push(this.term(depth + 1));
    while (this.#accept(","));
    if (!this.#accept("|")) {
      this.#expect("]");
      return items;
    }
    const tail = this.term(depth + 1);
    this.#expect("]");
    if (Array.isArray(tail)) return items.concat(tail);
    if (tail instanceof ImproperList) return new ImproperList(items.concat(tail.elements), tail.tail);
    return new ImproperList(items, tail);
  }

  #map(depth: number): Term {
    const before = this.#token;
    if (before.kind === "variable" || before.kind === "atom") {
      throw this.#fault("records, pids, references, ports and closures have no text form");
    }
    this.#expect("{");
    const map = new Map<Term, Term>();
    const keys: Term[] = [];
    if (this.#accept("}")) return map;
    do {
      const key = this.term(depth + 1);
      this.#expect("=>");
      keys.push(key);
      map.set(key, this.term(depth + 1));
    } while (this.#accept(","));
    this.#expect("}");
    const limit = DEFAULT_TERM_LIMITS.maxKeySteps;
    if (map.size < keys.length || hasEqualKeys(keys, { left: limit, limit })) {
      throw this.#lexer.fault(before.at, "the map has the same key twice");
    }
    return map;
  }

  /** Segments: `"text"`, `"text"/utf8`, an integer byte, and `value:bits`, whole bytes or the last of all. */
  #binary(): Term {
    const bytes: number[] = [];
    let lastBits = 8;
    if (this.#accept(">>")) return Buffer.alloc(0);
    do {
      if (lastBits !== 8) throw this.#fault("only the last segment may leave a byte unfilled");
      lastBits = this.#segment(bytes);
    } while (this.#accept(","));
    this.#expect(">>");
    const buffer = Buffer.from(bytes);
    return lastBits === 8 ? buffer : new BitString(buffer, lastBits);
  }

  /** Adds one segment to `bytes`; returns how many bits of the last byte count. */
  #segment(bytes: number[]): number {
    const token = this.#token;
    if (token.kind === "string") {
      this.#advance();
      const utf8 = this.#utf8();
      if (utf8) for (const byte of Buffer.from(textOf(token.points), "utf8")) bytes.push(byte);
      else {
        for (const point of token.points) {
          if (point > 255)
            throw this.#lexer.fault(token.at, 'the text has characters beyond byte 255; write <<"..."/utf8>>');
          bytes.push(point);
        }
      }
      return 8;
    }
    const negative = this.#accept("-");
    const number = this.#token;
    if (number.kind !== "integer") throw this.#fault("a binary is made of bytes and strings");
    this.#advance();
    if (this.#accept(":")) return this.#sized(bytes, negative ? -BigInt(number.value) : BigInt(number.value));
    if (!negative && this.#utf8()) {
      const point = Number(number.value);
      if (point > 0x10_ffff || (point >= 0xd800 && point <= 0xdfff))
        throw this.#lexer.fault(number.at, "no such character");
      for (const byte of Buffer.from(String.fromCodePoint(point), "utf8")) bytes.push(byte);
      return 8;
    }
    bytes.push(Number(BigInt.asUintN(8, negative ? -BigInt(number.value) : BigInt(number.value))));
    return 8;
  }

  #utf8(): boolean {
    if (!this.#accept("/")) return false;
    const token = this.#token;
    if (token.kind !== "atom" || token.name !== "utf8") throw this.#fault('only the type "utf8" is known');
    this.#advance();
    return true;
  }

  /** `value:bits`, big-endian. */
  #sized(bytes: number[], value: bigint): number {
    const token = this.#token;
    if (token.kind !== "integer" || typeof token.value !== "number" || token.value > MAX_SEGMENT_BITS) {
      throw this.#fault(`the size of a segment must be an integer from 0 to ${MAX_SEGMENT_BITS}`);
    }
    this.#advance();
    const bits = token.value;
    const rest = bits % 8;
    const size = Math.ceil(bits / 8);
    if (size === 0) return 8;
    const shifted = BigInt.asUintN(bits, value) << BigInt(rest === 0 ? 0 : 8 - rest);
    for (const byte of Buffer.from(shifted.toString(16).padStart(size * 2, "0"), "hex")) bytes.push(byte);
    return rest === 0 ? 8 : rest;
  }

  #advance(): void {
    this.#token = this.#lexer.next();
  }

  #accept(mark: string): boolean {
    if (this.#token.kind !== "mark" || this.#token.mark !== mark) return false;
    this.#advance();
    return true;
  }

  #expect(mark: string): void {
    if (!this.#accept(mark)) throw this.#fault(`"${mark}" is missing before ${this.#found()}`);
  }

  #fault(what: string): Error {
    return this.#lexer.fault(this.#token.at, what);
  }

  #found(): string {
    const token = this.#token;
    switch (token.kind) {
      case "atom":
      case "variable":
        return `"${quotePeerText(token.name)}"`;
      case "mark":
        return `"${token.mark}"`;
      case "stop":
        return '"."';
      case "end":
        return "the end of the text";
      case "integer":
      case "float":
        return "a number";
      case "string":
        return "a string";
    }
  }
}

const MAX_SEGMENT_BITS = 524_288;

function floatOf(value: number): Term {
  return Number.isInteger(value) ? new Float(value) : value;
}
