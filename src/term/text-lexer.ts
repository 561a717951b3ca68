import { SallyportError } from "../base/errors.ts";
import { quotePeerText } from "../base/escape.ts";

/** One piece of term text, with the offset where it starts. */
export type Token =
  | { readonly kind: "atom"; readonly name: string; readonly quoted: boolean; readonly at: number }
  | { readonly kind: "integer"; readonly value: number | bigint; readonly at: number }
  | { readonly kind: "float"; readonly value: number; readonly at: number }
  | { readonly kind: "string"; readonly points: readonly number[]; readonly at: number }
  | { readonly kind: "variable"; readonly name: string; readonly at: number }
  | { readonly kind: "mark"; readonly mark: string; readonly at: number }
  /** A full stop: a `.` before blank space, a comment or the end. */
  | { readonly kind: "stop"; readonly at: number }
  | { readonly kind: "end"; readonly at: number };

/** Longest integer, in digits: about the 65,536 bytes that a term's integer may have. */
const MAX_DIGITS = 157_826;

const ATOM = /[a-zß-öø-ÿ][A-Za-z0-9_@À-ÖØ-öø-ÿ]*/y;
const VARIABLE = /[A-Z_À-ÖØ-Þ][A-Za-z0-9_@À-ÖØ-öø-ÿ]*/y;
const FLOAT = /\d+(?:_\d+)*\.\d+(?:_\d+)*(?:[eE][+-]?\d+(?:_\d+)*)?/y;
const INTEGER = /\d+(?:_\d+)*/y;
const DIGITS = /[0-9A-Za-z]+(?:_[0-9A-Za-z]+)*/y;
const MARK = /<<|>>|=>|[{}[\](),|:/#\-+<>=]/y;
const LETTER_ESCAPES: Readonly<Record<string, number>> = {
  b: 8,
  d: 127,
  e: 27,
  f: 12,
  n: 10,
  r: 13,
  s: 32,
  t: 9,
  v: 11,
};

/** Cuts term text into tokens, one at a time. */
export class Lexer {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /**
   * The next token; `end` again and again at the end.
   * @throws {SallyportError} ERR_CONFIG TERM_SYNTAX
   */
  next(): Token {
    this.#skipBlank();
    const at = this.#at;
    const char = this.#text[at];
    if (char === undefined) return { kind: "end", at };
    if (char === '"') return { kind: "string", points: this.#quoted('"'), at };
    if (char === "'") return { kind: "atom", name: textOf(this.#quoted("'")), quoted: true, at };
    if (char === "$") return this.#character(at);
    if (char >= "0" && char <= "9") return this.#number(at);
    const name = this.#match(ATOM);
    if (name !== undefined) return { kind: "atom", name, quoted: false, at };
    const variable = this.#match(VARIABLE);
    if (variable !== undefined) return { kind: "variable", name: variable, at };
    if (char === ".") {
      this.#at++;
      return { kind: "stop", at };
    }
    const mark = this.#match(MARK);
    if (mark !== undefined) return { kind: "mark", mark, at };
    throw this.fault(at, `"${quotePeerText(String.fromCodePoint(this.#text.codePointAt(at) ?? 0))}" cannot stand here`);
  }

  /** The error for the text at offset `at`; says line and column, both from 1. The caller throws it. */
  fault(at: number, what: string): SallyportError {
    const before = this.#text.slice(0, at);
    const line = before.split("\n").length;
    const column = at - before.lastIndexOf("\n");
    return new SallyportError("ERR_CONFIG", "TERM_SYNTAX", `line ${line}, column ${column}: ${what}`, {
      detail: { line, column },
      advice: 'write one Erlang term, for example {add, 1, 2}, "text", <<"bytes">> or #{a => 1}',
    });
  }

  /** Blanks are what Erlang takes for them: up to U+0020, and from U+0080 to U+00A0; comments run to the line's end. */
  #skipBlank(): void {
    const text = this.#text;
    for (; this.#at < text.length; this.#at++) {
      const unit = text.charCodeAt(this.#at);
      if (unit === 0x25) {
        const end = text.indexOf("\n", this.#at);
        this.#at = end < 0 ? text.length - 1 : end;
      } else if (unit > 0x20 && (unit < 0x80 || unit > 0xa0)) return;
    }
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #number(at: number): Token {
    const float = this.#match(FLOAT);
    if (float !== undefined) {
      const value = Number(float.replaceAll("_", ""));
      if (!Number.isFinite(value)) throw this.fault(at, "the float is too large");
      return { kind: "float", value, at };
    }
    const digits = this.#match(INTEGER) ?? "";
    if (this.#text[this.#at] !== "#" || this.#text[this.#at + 1] === "{") {
      return { kind: "integer", value: this.#integer(digits, 10, at), at };
    }
    const base = Number(digits.replaceAll("_", ""));
    if (base < 2 || base > 36) throw this.fault(at, `the base of a number is ${base}, 2 to 36 are allowed`);
    this.#at++;
    const inBase = this.#match(DIGITS);
    if (inBase === undefined) throw this.fault(at, `digits must follow "${base}#"`);
    return { kind: "integer", value: this.#integer(inBase, base, at), at };
  }

  #integer(text: string, base: number, at: number): number | bigint {
    const digits = text.replaceAll("_", "");
    if (digits.length > MAX_DIGITS)
      throw this.fault(at, `an integer of ${digits.length} digits, at most ${MAX_DIGITS} are allowed`);
    let value: bigint;
    if (base === 10 && /^\d+$/.test(digits)) value = BigInt(digits);
    else if (base === 16 && /^[0-9a-fA-F]+$/.test(digits)) value = BigInt(`0x${digits}`);
    else {
      // Digit by digit is quadratic, so the other bases are kept short.
      if (digits.length > 4096)
        throw this.fault(at, `an integer of ${digits.length} digits in base ${base}, at most 4096 are allowed`);
      value = 0n;
      for (const digit of digits) {
        const number = Number.parseInt(digit, 36);
        if (number >= base) throw this.fault(at, `"${digit}" is not a digit in base ${base}`);
        value = value * BigInt(base) + BigInt(number);
      }
    }
    return BigInt.asIntN(54, value) === value && Number.isSafeInteger(Number(value)) ? Number(value) : value;
  }

  #character(at: number): Token {
    this.#at++;
    const point = this.#text.codePointAt(this.#at);
    if (point === undefined) throw this.fault(at, 'a character must follow "$"');
    if (point === 0x5c) return { kind: "integer", value: this.#escape(), at };
    this.#at += point > 0xffff ? 2 : 1;
    return { kind: "integer", value: point, at };
  }

  /** The code points up to the closing quote; the opening one stands at the cursor. */
  #quoted(quote: string): number[] {
    const at = this.#at;
    const points: number[] = [];
    this.#at++;
    for (;;) {
      const point = this.#text.codePointAt(this.#at);
      if (point === undefined) throw this.fault(at, `the text that starts here has no closing ${quote}`);
      if (point >= 0xd800 && point <= 0xdfff) throw this.fault(this.#at, "half of a surrogate pair");
      if (point === 0x5c) {
        // A backslash at the end of a line is kept as that line's end, as Erlang does.
        points.push(this.#escape());
        continue;
      }
      this.#at += point > 0xffff ? 2 : 1;
      if (String.fromCodePoint(point) === quote) return points;
      points.push(point);
    }
  }

  /** An escape; the backslash stands at the cursor. */
  #escape(): number {
    const at = this.#at;
    this.#at++;
    const octal = this.#match(/[0-7]{1,3}/y);
    if (octal !== undefined) return Number.parseInt(octal, 8);
    const hex = this.#match(/x(?:\{[0-9a-fA-F]{1,8}\}|[0-9a-fA-F]{2})/y);
    if (hex !== undefined) {
      const point = Number.parseInt(hex.replace(/[x{}]/g, ""), 16);
      if (point > 0x10_ffff || (point >= 0xd800 && point <= 0xdfff)) throw this.fault(at, "no such character");
      return point;
    }
    const control = this.#match(/\^[@-_a-z?]/y);
    if (control !== undefined) return control === "^?" ? 127 : control.charCodeAt(1) & 31;
    const point = this.#text.codePointAt(this.#at);
    if (point === undefined) throw this.fault(at, "the text ends after a backslash");
    if (point === 0x78) throw this.fault(at, 'two hexadecimal digits or {...} must follow "\\x"');
    this.#at += point > 0xffff ? 2 : 1;
    return LETTER_ESCAPES[String.fromCodePoint(point)] ?? point;
  }
}

/** The text of code points; joined piece by piece, since a call takes only so many arguments. */
export function textOf(points: readonly number[]): string {
  let text = "";
  for (const point of points) text += String.fromCodePoint(point);
  return text;
}
