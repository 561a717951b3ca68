import { importsOf, lineAt, resolveFrom, type Source } from "./scan.ts";

/** Every (code, reason) pair that the sources construct, and the places where it could not be read. */
export interface ErrorPairs {
  /** `ERR_X REASON` to the first place that makes it. */
  readonly pairs: ReadonlyMap<string, string>;
  /** Constructions whose code or reason is neither a literal, nor a parameter of a named function, nor a local constant. */
  readonly dynamic: readonly string[];
  /** `new SallyportError(` and calls of helper functions that were read. */
  readonly constructions: number;
}

/** A function that passes its parameters on as code or reason. */
interface Helper {
  readonly path: string;
  readonly name: string;
  readonly code: readonly string[] | number;
  readonly reason: readonly string[] | number;
}

interface Header {
  readonly at: number;
  readonly name: string;
  readonly parameters: readonly string[];
}

const HEADERS: readonly RegExp[] = [
  /\bfunction\s*\*?\s*([\w$]+)\s*(?:<[^>()]*>)?\(/g,
  /^[ \t]+(?:(?:static|async|override|get|set)\s+)*(#?[\w$]+)\s*(?:<[^>()]*>)?\(/gm,
  /\b(?:const|let)\s+([\w$]+)\s*(?::[^=]+)?=\s*(?:async\s*)?\(/g,
];
const NOT_A_NAME = new Set([
  "if",
  "for",
  "while",
  "switch",
  "catch",
  "return",
  "throw",
  "new",
  "await",
  "super",
  "function",
]);

/**
 * Reads all pairs. Understood forms of an argument: one or more string literals (`a ? "X" : "Y"`), a parameter of the
 * enclosing function (then every call of that function is read the same way), a `const` of literals just above.
 */
export function errorPairs(sources: readonly Source[]): ErrorPairs {
  const pairs = new Map<string, string>();
  const dynamic: string[] = [];
  const helpers: Helper[] = [];
  let constructions = 0;

  const read = (source: Source, at: number, args: readonly Span[], codeAt: Slot, reasonAt: Slot): void => {
    constructions++;
    const where = `${source.path}:${lineAt(source.text, at)}`;
    const code = readArgument(source, at, args, codeAt, /^ERR_[A-Z_]+$/);
    const reason = readArgument(source, at, args, reasonAt, /^[A-Z][A-Z0-9_]*$/);
    if (code === undefined || reason === undefined) {
      dynamic.push(`${where}: the ${code === undefined ? "code" : "reason"} is not a literal`);
      return;
    }
    for (const c of code.literals)
      for (const r of reason.literals) if (!pairs.has(`${c} ${r}`)) pairs.set(`${c} ${r}`, where);
    const header = code.header ?? reason.header;
    if (header === undefined) return;
    if (code.header !== undefined && reason.header !== undefined && code.header !== reason.header) {
      dynamic.push(`${where}: code and reason come from different functions`);
      return;
    }
    const helper: Helper = {
      path: source.path,
      name: header.name,
      code: code.parameter ?? code.literals,
      reason: reason.parameter ?? reason.literals,
    };
    if (!helpers.some((h) => JSON.stringify(h) === JSON.stringify(helper))) helpers.push(helper);
  };

  for (const source of sources) {
    for (const m of source.bare.matchAll(/\bnew SallyportError\s*\(/g)) {
      read(source, m.index, argumentsAt(source.bare, m.index + m[0].length), 0, 1);
    }
  }
  for (let i = 0; i < helpers.length; i++) {
    const helper = helpers[i];
    if (helper === undefined) break;
    let calls = 0;
    for (const source of sources.filter((s) => knows(s, helper))) {
      const call = new RegExp(`(?<![\\w$#])${helper.name.replace("$", "\\$")}\\s*(?:<[^>()]*>)?\\(`, "g");
      for (const m of source.bare.matchAll(call)) {
        if (headersOf(source).some((h) => h.name === helper.name && Math.abs(h.at - m.index) <= 40)) continue;
        calls++;
        read(source, m.index, argumentsAt(source.bare, m.index + m[0].length), helper.code, helper.reason);
      }
    }
    if (calls === 0) dynamic.push(`${helper.path}: nobody calls ${helper.name}, which makes errors of its parameters`);
  }
  return { pairs, dynamic, constructions };
}

type Slot = number | readonly string[];
interface Span {
  readonly from: number;
  readonly to: number;
}
interface Value {
  readonly literals: readonly string[];
  readonly header?: Header;
  readonly parameter?: number;
}

/** What an argument can be, or undefined when that cannot be read. */
function readArgument(source: Source, at: number, args: readonly Span[], slot: Slot, form: RegExp): Value | undefined {
  if (typeof slot !== "number") return { literals: slot };
  const span = args[slot];
  if (span === undefined) return undefined;
  const text = source.code.slice(span.from, span.to);
  const literals = literalsIn(text, form);
  const name = /^\s*(?:[\w$]+\.)?([\w$]+)\s*$/.exec(source.bare.slice(span.from, span.to))?.[1];
  if (literals.length > 0 || name === undefined) return literals.length > 0 ? { literals } : undefined;
  const before = headersOf(source).filter((h) => h.at < at);
  const header = before.filter((h) => h.parameters.includes(name)).at(-1);
  const local = [...source.bare.slice(0, at).matchAll(new RegExp(`\\b(?:const|let) ${name}\\b[^=;]*=(?!=)`, "g"))].at(
    -1,
  );
  if (local !== undefined && local.index > (header?.at ?? -1)) {
    const found = literalsIn(source.code.slice(local.index, source.bare.indexOf(";", local.index)), form);
    return found.length > 0 ? { literals: found } : undefined;
  }
  return header === undefined ? undefined : { literals: [], header, parameter: header.parameters.indexOf(name) };
}

function literalsIn(text: string, form: RegExp): string[] {
  return [...text.matchAll(/"([^"\n]*)"/g)].map((m) => m[1] ?? "").filter((literal) => form.test(literal));
}

/** Whether a name in a file means this helper: the same file, or an import of it. */
function knows(source: Source, helper: Helper): boolean {
  if (source.path === helper.path) return true;
  return importsOf(source).some(
    (i) => i.names.includes(helper.name) && resolveFrom(source.path, i.specifier) === helper.path,
  );
}

const headerCache = new WeakMap<Source, readonly Header[]>();

/** Named functions, methods and arrow functions of a file with their parameter names, in order. */
function headersOf(source: Source): readonly Header[] {
  const known = headerCache.get(source);
  if (known !== undefined) return known;
  const found: Header[] = [];
  for (const pattern of HEADERS) {
    for (const m of source.bare.matchAll(pattern)) {
      const name = m[1] ?? "";
      if (NOT_A_NAME.has(name)) continue;
      const spans = argumentsAt(source.bare, m.index + m[0].length);
      const after = source.bare.slice((spans.at(-1)?.to ?? m.index + m[0].length) + 1);
      if (!/^\s*(?::|\{|=>)/.test(after)) continue;
      const parameters = spans.map((s) => /^\s*(?:\.\.\.)?([\w$]+)/.exec(source.bare.slice(s.from, s.to))?.[1] ?? "");
      found.push({ at: m.index + m[0].indexOf(name), name, parameters });
    }
  }
  found.sort((a, b) => a.at - b.at);
  headerCache.set(source, found);
  return found;
}

/** Splits an argument list, given the offset after its opening bracket. */
function argumentsAt(bare: string, from: number): Span[] {
  const spans: Span[] = [];
  let depth = 0;
  let start = from;
  for (let i = from; i < bare.length; i++) {
    const c = bare[i];
    if (c === "(" || c === "[" || c === "{") depth++;
    else if (depth > 0 && (c === ")" || c === "]" || c === "}")) depth--;
    else if (depth === 0 && (c === "," || c === ")")) {
      spans.push({ from: start, to: i });
      start = i + 1;
      if (c === ")") break;
    }
  }
  return spans;
}
