import type { ErlangText } from "./erlang-text.ts";

/** A word of an argument file, quotes taken off, variables not filled in. */
export interface Word {
  readonly word: string;
  /** Offset of its first character. */
  readonly at: number;
  readonly text: ErlangText;
}

const BLANK = /[\n\f\r\t\v ]/;

/**
 * Cuts an argument file into words as `erl -args_file` does: blanks separate, `"` and `'` quote without escapes, a backslash
 * takes the next character as it is, and `#` begins a comment, also within a word.
 * @throws {SallyportError} ERR_CONFIG VMARGS_SYNTAX for a quote without end, which `erl` closes at the end of the file
 */
export function wordsOf(text: ErlangText): Word[] {
  const source = text.text.startsWith("\ufeff") ? ` ${text.text.slice(1)}` : text.text;
  const words: Word[] = [];
  let at = 0;
  while (at < source.length) {
    const char = source[at] ?? "";
    if (BLANK.test(char)) at++;
    else if (char === "#") at = endOfLine(source, at);
    else {
      const start = at;
      let word = "";
      for (;;) {
        const next = source[at];
        if (next === undefined || next === "#" || BLANK.test(next)) break;
        if (next === '"' || next === "'") {
          const end = source.indexOf(next, at + 1);
          if (end < 0) throw unclosed(text, at);
          word += source.slice(at + 1, end);
          at = end + 1;
        } else if (next === "\\") {
          word += source[at + 1] ?? "";
          at += 2;
        } else {
          word += next;
          at++;
        }
      }
      words.push({ word, at: start, text });
    }
  }
  return words;
}

function endOfLine(source: string, at: number): number {
  const end = source.indexOf("\n", at);
  return end < 0 ? source.length : end;
}

function unclosed(text: ErlangText, at: number): Error {
  return text.fault(
    "VMARGS_SYNTAX",
    at,
    "the quote that starts here is never closed",
    "close it, or write a \\ before it",
  );
}
