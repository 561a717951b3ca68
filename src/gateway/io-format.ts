/** How an argument of a format is printed: as it is read (text of characters or of UTF-8, a character, an atom), or written out. */
export type ArgumentUse = "latin1" | "utf8" | "character" | "atom" | "written";

/** One directive, and the text in front of it. */
export interface FormatStep {
  /** The text has an end of line. */
  readonly resets: boolean;
  /** Columns of the text, or of what is behind its last end of line. */
  readonly columns: number;
  readonly directive: string;
  readonly width: number | undefined;
  readonly precision: number | undefined;
  /** Which of the arguments is its first. */
  readonly use: number;
}

/** What a format string does. */
export interface Format {
  readonly uses: readonly ArgumentUse[];
  readonly steps: readonly FormatStep[];
  /** Characters that its widths and precisions may add to what the arguments have. */
  readonly padding: number;
}

/** Most digits of a width or precision. */
const MAX_DIGITS = 3;

const USES: Readonly<Record<string, readonly ArgumentUse[]>> = {
  "~": [],
  n: [],
  c: ["character"],
  a: ["atom"],
  s: ["latin1"],
  w: ["written"],
  p: ["written"],
  W: ["written", "written"],
  P: ["written", "written"],
  B: ["written"],
  b: ["written"],
  "#": ["written"],
  "+": ["written"],
  X: ["written", "latin1"],
  x: ["written", "latin1"],
  e: ["written"],
  f: ["written"],
  g: ["written"],
  i: ["written"],
};

/**
 * Reads a format string of `io_lib:format`. Undefined for one that is not let through: unknown directives, `*` for a width,
 * precision or padding taken from the arguments, and numbers of four digits and more.
 */
export function readFormat(text: string): Format | undefined {
  const uses: ArgumentUse[] = [];
  const steps: FormatStep[] = [];
  let padding = 0;
  let after = 0;
  // A `*` for a width or precision is no digit and no directive, and so not read.
  for (let i = text.indexOf("~"); i >= 0; i = text.indexOf("~", i)) {
    const before = columnsOf(text.slice(after, i));
    const numbers: Record<string, number | undefined> = {};
    i++;
    if (text[i] === "-") i++;
    for (const part of ["width", "precision"]) {
      if (part === "precision") {
        if (text[i] !== ".") break;
        i++;
      }
      let digits = 0;
      while (isDigit(text[i])) {
        i++;
        digits++;
      }
      if (digits > MAX_DIGITS) return undefined;
      if (digits > 0) numbers[part] = Number(text.slice(i - digits, i));
      padding += numbers[part] ?? 0;
    }
    if (text[i] === ".") {
      if (text[i + 1] === "*" || text[i + 1] === undefined) return undefined;
      i += 2;
    }
    let isUnicode = false;
    for (; text[i] === "t" || text[i] === "l" || text[i] === "k"; i++) isUnicode ||= text[i] === "t";
    const directive = text[i];
    const used = directive !== undefined && Object.hasOwn(USES, directive) ? USES[directive] : undefined;
    if (used === undefined) return undefined;
    const { width, precision } = numbers;
    steps.push({ ...before, directive: directive as string, width, precision, use: uses.length });
    for (const use of used) uses.push(use === "latin1" && isUnicode && directive === "s" ? "utf8" : use);
    i++;
    after = i;
  }
  return { uses, steps, padding };
}

/** A tab counts as the most that it can be. */
function columnsOf(text: string): { readonly resets: boolean; readonly columns: number } {
  const line = text.lastIndexOf("\n") + 1;
  let columns = text.length - line;
  for (let i = text.indexOf("\t", line); i >= 0; i = text.indexOf("\t", i + 1)) columns += 7;
  return { resets: line > 0, columns };
}

function isDigit(char: string | undefined): boolean {
  return char !== undefined && char >= "0" && char <= "9";
}
