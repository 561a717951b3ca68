/** How an argument of a format is printed: as it is read (text of characters or of UTF-8, a character, an atom), or written out. */
export type ArgumentUse = "latin1" | "utf8" | "character" | "atom" | "written";

/** What a format string does. */
export interface Format {
  readonly uses: readonly ArgumentUse[];
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
  let padding = 0;
  // A `*` for a width or precision is no digit and no directive, and so not read.
  for (let i = text.indexOf("~"); i >= 0; i = text.indexOf("~", i)) {
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
      if (digits > 0) padding += Number(text.slice(i - digits, i));
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
    for (const use of used) uses.push(use === "latin1" && isUnicode && directive === "s" ? "utf8" : use);
    i++;
  }
  return { uses, padding };
}

function isDigit(char: string | undefined): boolean {
  return char !== undefined && char >= "0" && char <= "9";
}
