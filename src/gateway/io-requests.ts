import {
  BINARY_EXT,
  EXPORT_EXT,
  INTEGER_EXT,
  LIST_EXT,
  NEW_FUN_EXT,
  NIL_EXT,
  SMALL_INTEGER_EXT,
  STRING_EXT,
} from "../term/tags.ts";
import { atomAt, Step, stepInto, termEnd, tupleAt } from "./encoded-terms.ts";
import { readFormat } from "./io-format.ts";
import { prettyPadding } from "./io-pretty.ts";
import { isPlainAtom, TextCleaner } from "./io-text.ts";
import type { LeaderProfile } from "./return-paths.ts";

/** Most requests inside one `{requests, List}`. */
const MAX_REQUESTS = 64;

/** A request that may pass. */
export interface AllowedRequest {
  /** What it may print, in bytes: those of the message and the padding that formats ask for. */
  readonly cost: number;
  /** The whole payload without control characters; undefined when there were none, and for a shell. */
  readonly cleaned: Buffer | undefined;
}

/**
 * Judges a request to a group leader (threat model 4.3). `b[start..end)` is the whole payload, the request stands at `at`.
 * Undefined when it is not among those allowed: everything that would apply a function of the worker's choice at the
 * commander, or wait for somebody's input unless the leader is a shell.
 */
export function judgeRequest(
  b: Buffer,
  start: number,
  end: number,
  at: number,
  profile: LeaderProfile,
): AllowedRequest | undefined {
  const judge = new Judge(b, new TextCleaner(b, start, end), profile);
  const isAllowed = judge.single(at) || judge.several(at);
  return isAllowed ? { cost: end - start + judge.padding, cleaned: judge.cleaned } : undefined;
}

/**
 * True when each fun of the payload `b[start..end)`, whose request stands at `at`, is the one by which the shell of a BEAM
 * tells reserved words. It runs in the leader, so no other one may be there, and none in another request than `get_until`,
 * which alone is a tuple of six.
 */
export function readsReservedWords(b: Buffer, start: number, end: number, at: number): boolean {
  if (tupleAt(b, at, 6) === undefined) return false;
  const step = new Step();
  for (let p = start; p < end; p = step.next) {
    stepInto(b, p, step);
    if (step.tag === NEW_FUN_EXT || (step.tag === EXPORT_EXT && !isReservedWord(b, step.next))) return false;
  }
  return true;
}

/** `erl_scan:reserved_word/1`, its module at `at`. */
function isReservedWord(b: Buffer, at: number): boolean {
  if (atomAt(b, at) !== "erl_scan") return false;
  const fn = termEnd(b, at);
  const arity = termEnd(b, fn);
  return atomAt(b, fn) === "reserved_word" && b[arity] === SMALL_INTEGER_EXT && b[arity + 1] === 1;
}

class Judge {
  padding = 0;
  readonly #b: Buffer;
  readonly #cleaner: TextCleaner;
  readonly #isShell: boolean;

  constructor(b: Buffer, cleaner: TextCleaner, profile: LeaderProfile) {
    this.#b = b;
    this.#cleaner = cleaner;
    this.#isShell = profile === "shell";
  }

  get cleaned(): Buffer | undefined {
    return this.#isShell ? undefined : this.#cleaner.cleaned;
  }

  several(at: number): boolean {
    const b = this.#b;
    const [name, list] = tupleAt(b, at, 2) ?? [];
    if (name === undefined || list === undefined || atomAt(b, name) !== "requests") return false;
    const places = elementsAt(b, list, MAX_REQUESTS);
    return places?.every((place) => this.single(place)) === true;
  }

  single(at: number): boolean {
    const b = this.#b;
    if (atomAt(b, at) === "getopts") return true;
    const step = new Step();
    stepInto(b, at, step);
    const places = step.inside < 2 || step.inside > 6 ? undefined : tupleAt(b, at, step.inside);
    if (places === undefined) return false;
    const [name = 0, ...rest] = places.slice(0, step.inside);
    const isOutput = this.#output(atomAt(b, name), rest);
    return isOutput || (this.#isShell && this.#input(atomAt(b, name), rest));
  }

  #output(name: string | undefined, rest: readonly number[]): boolean {
    const b = this.#b;
    if (name === "get_geometry") return rest.length === 1;
    if (name !== "put_chars") return false;
    const [first = 0, second = 0, third = 0, fourth = 0] = rest;
    if (rest.length === 1) return this.#isShell || this.#cleaner.text(first, "latin1");
    const encoding = atomAt(b, first);
    if (encoding !== "unicode" && encoding !== "latin1") return false;
    if (rest.length === 2)
      return this.#isShell || this.#cleaner.text(second, encoding === "unicode" ? "utf8" : "latin1");
    if (rest.length !== 4 || atomAt(b, second) !== "io_lib") return false;
    const fn = atomAt(b, third);
    // `io:write`: one term, written out as by `~w`.
    if (fn === "write") return isOneArgument(b, fourth);
    return (fn === "format" || fn === "fwrite") && this.#format(fourth);
  }

  /** `[Format, Args]` */
  #format(at: number): boolean {
    const b = this.#b;
    const [formatAt, argsAt, ...more] = elementsAt(b, at, 2) ?? [];
    if (formatAt === undefined || argsAt === undefined || more.length > 0) return false;
    const text = formatText(b, formatAt);
    const format = text === undefined ? undefined : readFormat(text);
    if (format === undefined) return false;
    this.padding += format.padding;
    const { uses, steps } = format;
    // A binary is read byte by byte as a format.
    if (!this.#isShell && !this.#cleaner.text(formatAt, "latin1")) return false;
    if (b[argsAt] === STRING_EXT) {
      if (b.readUInt16BE(argsAt + 1) !== uses.length) return false;
      uses.forEach((use, index) => {
        if (use === "character" && !this.#isShell) this.#cleaner.byte(argsAt + 3 + index);
      });
      return true;
    }
    const args = elementsAt(b, argsAt, uses.length);
    if (args?.length !== uses.length) return false;
    this.padding += prettyPadding(b, steps, args);
    if (this.#isShell) return true;
    return args.every((place, index) => {
      switch (uses[index]) {
        case "written":
          return true;
        case "character":
          return this.#cleaner.character(place);
        case "atom":
          return isPlainAtom(b, place);
        default:
          return isPlainAtom(b, place) || this.#cleaner.text(place, uses[index] === "utf8" ? "utf8" : "latin1");
      }
    });
  }

  #input(name: string | undefined, rest: readonly number[]): boolean {
    const b = this.#b;
    switch (name) {
      case "get_line":
        return (rest.length === 1 && this.#prompt(rest[0])) || (rest.length === 2 && this.#prompt(rest[1]));
      case "get_chars":
        return (rest.length === 2 && this.#prompt(rest[0])) || (rest.length === 3 && this.#prompt(rest[1]));
      case "get_until":
        return (
          rest.length === 5 &&
          this.#prompt(rest[1]) &&
          atomAt(b, rest[2] as number) === "erl_scan" &&
          atomAt(b, rest[3] as number) === "tokens"
        );
      default:
        return false;
    }
  }

  /** Text: a leader also takes `{format, Format, Args}`, of any width. */
  #prompt(at: number | undefined): boolean {
    return at !== undefined && (atomAt(this.#b, at) !== undefined || this.#cleaner.text(at, "utf8"));
  }
}

/** A list of one byte is written as a string. */
function isOneArgument(b: Buffer, at: number): boolean {
  return b[at] === STRING_EXT ? b.readUInt16BE(at + 1) === 1 : elementsAt(b, at, 1)?.length === 1;
}

/** Offsets of the elements of the proper list at `at`, when it is written in one piece and has at most `most`. */
export function elementsAt(b: Buffer, at: number, most: number): number[] | undefined {
  if (b[at] === NIL_EXT) return [];
  if (b[at] !== LIST_EXT) return undefined;
  const size = b.readUInt32BE(at + 1);
  if (size > most) return undefined;
  const places: number[] = [];
  let p = at + 5;
  for (let i = 0; i < size; i++) {
    places.push(p);
    p = termEnd(b, p);
  }
  return b[p] === NIL_EXT ? places : undefined;
}

/** A format string as it is read, each character one of the result; undefined when it is none. */
function formatText(b: Buffer, at: number): string | undefined {
  switch (b[at]) {
    case NIL_EXT:
      return "";
    case STRING_EXT:
      return b.toString("latin1", at + 3, at + 3 + b.readUInt16BE(at + 1));
    case BINARY_EXT:
      return b.toString("latin1", at + 5, at + 5 + b.readUInt32BE(at + 1));
    case LIST_EXT:
      break;
    default:
      return undefined;
  }
  let text = "";
  const places = elementsAt(b, at, Number.MAX_SAFE_INTEGER);
  if (places === undefined) return undefined;
  for (const place of places) {
    // The long form may hold a small number, also that of a tilde.
    if (b[place] !== SMALL_INTEGER_EXT && b[place] !== INTEGER_EXT) return undefined;
    const point = b[place] === SMALL_INTEGER_EXT ? (b[place + 1] as number) : b.readUInt32BE(place + 1);
    text += point > 0xffff ? "\uffff" : String.fromCharCode(point);
  }
  return text;
}
