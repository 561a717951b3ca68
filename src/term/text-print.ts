import { type KeySteps, sortedEntries } from "./compare.ts";
import { overLimit } from "./faults.ts";
import { printFloat } from "./floats.ts";
import { DEFAULT_TERM_LIMITS } from "./limits.ts";
import {
  Atom,
  BitString,
  ExportFun,
  Float,
  Fun,
  ImproperList,
  NativeRecord,
  Pid,
  Port,
  Reference,
  type Term,
  Tuple,
} from "./types.ts";
import { Unencodable, unencodableError } from "./unencodable.ts";
import { countUtf8, NOT_UTF8 } from "./utf8.ts";

/** Words of Erlang that must be quoted to be atoms. */
export const RESERVED_WORDS: ReadonlySet<string> = new Set(
  (
    "after and andalso band begin bnot bor bsl bsr bxor case catch cond div end fun if let not of or orelse receive " +
    "rem try when xor"
  ).split(" "),
);

/** Not printed as they are: controls, formatting marks that turn text around, separators, what stands for no character. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/u;

/**
 * A term as Erlang's `~p` prints it, on one line (rulings U3): a non-empty list of printable ASCII, `\n`, `\r`, `\t` as
 * `"..."`, a binary likewise as `<<"...">>`, or `<<"é"/utf8>>`; map keys in term order; pids, references, ports and
 * closures as `#Pid<node.id.serial>`, which cannot be read back. The output has no control characters.
 * @throws {SallyportError} ERR_API_MISUSE TERM_UNENCODABLE for what is no term, ERR_LIMIT TERM_DEPTH beyond 512 levels
 */
export function printTerm(term: Term): string {
  const limit = DEFAULT_TERM_LIMITS.maxKeySteps;
  try {
    return print(term, 0, { left: limit, limit });
  } catch (error) {
    throw error instanceof Unencodable ? unencodableError(term, error) : error;
  }
}

/** An atom as text: quoted when it must be. */
export function printAtom(name: string): string {
  // Erlang leaves the lower-case letters of Latin-1 bare; any other letter beyond ASCII is quoted.
  if (/^[a-zß-öø-ÿ][A-Za-z0-9_@À-ÖØ-öø-ÿ]*$/.test(name) && !RESERVED_WORDS.has(name)) return name;
  return quoted(name, "'");
}

function print(term: Term, depth: number, steps: KeySteps): string {
  if (depth > DEFAULT_TERM_LIMITS.maxDepth) {
    throw overLimit(
      "TERM_DEPTH",
      "maxDepth",
      DEFAULT_TERM_LIMITS.maxDepth,
      "the nesting of a printed term (or one that contains itself)",
    );
  }
  switch (typeof term) {
    case "number":
      return printNumber(term);
    case "bigint":
      return String(term);
    case "string":
      return printBinary(Buffer.from(term, "utf8"));
    case "boolean":
    case "undefined":
      return String(term);
    case "object":
      return term === null ? "nil" : printObject(term, depth, steps);
    default:
      throw new Unencodable(term, `a ${typeof term}`);
  }
}

function printNumber(value: number): string {
  if (Number.isSafeInteger(value)) return String(value === 0 ? 0 : value);
  if (!Number.isFinite(value)) throw new Unencodable(value, `the float ${value}`);
  return printFloat(value);
}

function printObject(term: Term & object, depth: number, steps: KeySteps): string {
  if (term instanceof Atom) return printAtom(term.name);
  if (term instanceof Tuple) return `{${printAll(term.elements, depth, steps)}}`;
  if (Array.isArray(term)) return printList(term, depth, steps);
  if (term instanceof Uint8Array) return printBinary(term);
  if (term instanceof Map) return printMap(term, depth, steps);
  if (term instanceof Float) return printFloat(term.value);
  if (term instanceof ImproperList) {
    const joined = joinTail(term);
    if (!(joined instanceof ImproperList)) return printList(joined, depth, steps);
    return `[${printAll(joined.elements, depth, steps)}|${print(joined.tail, depth + 1, steps)}]`;
  }
  if (term instanceof BitString) return printBits(term);
  if (term instanceof Pid) return `#Pid<${printAtom(term.node)}.${term.id}.${term.serial}>`;
  if (term instanceof Reference) return `#Ref<${[printAtom(term.node), ...[...term.words].reverse()].join(".")}>`;
  if (term instanceof Port) return `#Port<${printAtom(term.node)}.${term.id}>`;
  if (term instanceof ExportFun) return `fun ${printAtom(term.module)}:${printAtom(term.function)}/${term.arity}`;
  if (term instanceof Fun) return `#Fun<${printAtom(term.module)}.${term.index}.${term.oldUniq}>`;
  if (term instanceof NativeRecord) {
    const fields = term.fields.map(([name, value]) => `${printAtom(name)} = ${print(value, depth + 1, steps)}`);
    return `#${printAtom(term.module)}:${printAtom(term.recordName)}{${fields.join(",")}}`;
  }
  throw new Unencodable(term, "an object that is no term");
}

function printAll(items: readonly Term[], depth: number, steps: KeySteps): string {
  let out = "";
  for (let i = 0; i < items.length; i++) out += (i === 0 ? "" : ",") + print(items[i], depth + 1, steps);
  return out;
}

function printList(items: readonly Term[], depth: number, steps: KeySteps): string {
  if (items.length > 0 && items.every(isTextCode)) {
    let text = "";
    for (const code of items) text += String.fromCharCode(Number(code));
    return quoted(text, '"');
  }
  return `[${printAll(items, depth, steps)}]`;
}

/** The characters a list must consist of to be shown as text. */
function isTextCode(item: Term): boolean {
  return (
    typeof item === "number" &&
    ((item >= 32 && item <= 126 && Number.isInteger(item)) || item === 10 || item === 13 || item === 9)
  );
}

/** A list in the tail of a list continues it. */
function joinTail(list: ImproperList): ImproperList | readonly Term[] {
  let tail = list.tail;
  if (!Array.isArray(tail) && !(tail instanceof ImproperList)) return list;
  const items = [...list.elements];
  for (let hops = 0; tail instanceof ImproperList && hops <= DEFAULT_TERM_LIMITS.maxDepth; hops++) {
    for (const item of tail.elements) items.push(item);
    tail = tail.tail;
  }
  if (!Array.isArray(tail)) return new ImproperList(items, tail);
  for (const item of tail) items.push(item);
  return items;
}

function printMap(map: ReadonlyMap<Term, Term>, depth: number, steps: KeySteps): string {
  const pairs = sortedEntries(map, steps).map(
    ([key, value]) => `${print(key, depth + 1, steps)} => ${print(value, depth + 1, steps)}`,
  );
  return `#{${pairs.join(",")}}`;
}

function printBinary(bytes: Uint8Array): string {
  if (bytes.length === 0) return "<<>>";
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (buffer.every(isTextCode)) return `<<${quoted(buffer.toString("latin1"), '"')}>>`;
  if (countUtf8(buffer, 0, buffer.length) !== NOT_UTF8) {
    const text = buffer.toString("utf8");
    if (!UNPRINTABLE.test(text.replace(/[\n\r\t]/g, ""))) return `<<${quoted(text, '"')}/utf8>>`;
  }
  return `<<${buffer.join(",")}>>`;
}

function printBits(term: BitString): string {
  const { bytes, lastBits } = term;
  if (bytes.length === 0 || lastBits === 8) return printBinary(bytes);
  const last = (bytes[bytes.length - 1] ?? 0) >>> (8 - lastBits);
  const whole = bytes.length === 1 ? "" : `${bytes.subarray(0, bytes.length - 1).join(",")},`;
  return `<<${whole}${last}:${lastBits}>>`;
}

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ["\\", "\\\\"],
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"],
  ["\v", "\\v"],
  ["\b", "\\b"],
  ["\f", "\\f"],
  ["\x1b", "\\e"],
  ["\x7f", "\\d"],
]);

/** Text in quotes with Erlang's escapes: three octal digits up to U+009F, `\x{...}` beyond. */
function quoted(text: string, quote: string): string {
  let out = quote;
  for (const char of text) {
    const short = ESCAPES.get(char);
    if (char === quote) out += `\\${char}`;
    else if (short !== undefined) out += short;
    else if (!UNPRINTABLE.test(char)) out += char;
    else {
      const point = char.codePointAt(0) ?? 0;
      out += point < 0xa0 ? `\\${point.toString(8).padStart(3, "0")}` : `\\x{${point.toString(16).toUpperCase()}}`;
    }
  }
  return out + quote;
}
