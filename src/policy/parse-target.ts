import type { Target } from "./decision.ts";
import type { Verb } from "./verbs.ts";

/** One entry of `to`, parsed. */
export type TargetMatcher =
  /** A process or function registered under this atom. */
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "function"; readonly module: string; readonly function: string; readonly arity: number }
  /** `M:*` `/*`. */
  | { readonly kind: "module"; readonly module: string }
  | { readonly kind: "granted-pids" }
  | { readonly kind: "any-pid" }
  | { readonly kind: "star" };

/** Module, function and arity, as a label holds them. */
export interface FunctionName {
  readonly module: string;
  readonly function: string;
  readonly arity: number;
}

const ATOM = String.raw`'(?:[^'\\]|\\['\\])*'`;
const FUNCTION_TEXT = new RegExp(
  String.raw`^(${ATOM}|[A-Za-z_][A-Za-z0-9_.@]*):(?:\*\/\*|(${ATOM}|[A-Za-z_][A-Za-z0-9_@]*[?!]?)\/(\d{1,3}))$`,
);
const NAME_TEXT = /^[^\s'":/*#\\]+$/;
const QUOTED_TEXT = new RegExp(`^${ATOM}$`);
const PLAIN_IN_LABEL = /^[A-Za-z_][A-Za-z0-9_.@?!]*$/;
const MAX_ATOM_CHARS = 255;
const MAX_TEXT_CHARS = 2_000;
const MAX_ARITY = 255;
const ELIXIR = "Elixir.";

/**
 * Parses one entry of `to`: a name, `M:F/A`, `M:*` `/*`, `granted-pids`, `any-pid` or `*`; undefined when it is none. A
 * module that begins upper-case means Elixir's; in quotes any atom is meant as it stands.
 */
export function parseTargetText(text: string): TargetMatcher | undefined {
  if (text === "*") return { kind: "star" };
  if (text === "granted-pids" || text === "any-pid") return { kind: text };
  if (text.length > MAX_TEXT_CHARS) return undefined;
  const called = FUNCTION_TEXT.exec(text);
  if (called !== null) return functionMatcher(called[1] ?? "", called[2], called[3]);
  const name = QUOTED_TEXT.test(text) ? unquote(text) : NAME_TEXT.test(text) ? text : "";
  return name.length === 0 || name.length > MAX_ATOM_CHARS ? undefined : { kind: "name", name };
}

/**
 * Parses the target of one operation, as tests and the command line name it: `jobs`, `M:F/A`, `worker`, `granted-pids` (a
 * pid that was granted), `any-pid` (one that was not). Undefined when it is none, as `*` is not. For `connect`, no text.
 */
export function parseOperationTarget(verb: Verb, text: string | undefined): Target | undefined {
  if (verb === "connect") return text === undefined ? { kind: "node" } : undefined;
  const matcher = text === undefined ? undefined : parseTargetText(text);
  switch (matcher?.kind) {
    case "name":
      if (verb === "rpc" || verb === "spawn") return { kind: "function", label: namedFunctionLabel(matcher.name) };
      return { kind: "name", name: matcher.name };
    case "function":
      return { kind: "function", label: functionLabel(matcher.module, matcher.function, matcher.arity) };
    case "granted-pids":
      return { kind: "pid", name: undefined, granted: true };
    case "any-pid":
      return { kind: "pid", name: undefined, granted: false };
    default:
      return undefined;
  }
}

/** The target of the test verb `reply`: true for `call#open`, false for `call#closed`, undefined for anything else. */
export function parseReplyTarget(text: string | undefined): boolean | undefined {
  return text === "call#open" ? true : text === "call#closed" ? false : undefined;
}

/**
 * The label of `module:function/arity`, the atoms as they are on the wire. Atoms with unusual characters are quoted, so that
 * no two functions have one label.
 */
export function functionLabel(module: string, name: string, arity: number): string {
  return `${quoteUnlessPlain(module)}:${quoteUnlessPlain(name)}/${arity}`;
}

/** The label of a function registered under one name. Never equal to a label with a module. */
export function namedFunctionLabel(name: string): string {
  return NAME_TEXT.test(name) ? name : quote(name);
}

/** The parts of a label with a module; undefined for that of a named function. */
export function splitFunctionLabel(label: string): FunctionName | undefined {
  const parts = LABEL.exec(label);
  if (parts === null) return undefined;
  return { module: unquote(parts[1] ?? ""), function: unquote(parts[2] ?? ""), arity: Number(parts[3]) };
}

const LABEL = new RegExp(String.raw`^(${ATOM}|[^':]+):(${ATOM}|[^':/]+)\/(\d+)$`, "s");

/** A parsed entry of `to` as text that parses to the same. */
export function formatMatcher(matcher: TargetMatcher): string {
  switch (matcher.kind) {
    case "name":
      return matcher.name === "granted-pids" || matcher.name === "any-pid" || !NAME_TEXT.test(matcher.name)
        ? quote(matcher.name)
        : matcher.name;
    case "function":
      return `${formatModuleName(matcher.module)}:${formatFunction(matcher.function)}/${matcher.arity}`;
    case "module":
      return `${formatModuleName(matcher.module)}:*/*`;
    case "star":
      return "*";
    default:
      return matcher.kind;
  }
}

/** The target of an operation as text; parses back, but for a pid with a name, of which the name is given. Not escaped. */
export function formatTarget(target: Target): string {
  switch (target.kind) {
    case "name":
      return formatMatcher({ kind: "name", name: target.name });
    case "pid":
      if (target.name !== undefined) return formatMatcher({ kind: "name", name: target.name });
      return target.granted ? "granted-pids" : "any-pid";
    case "function": {
      const parts = splitFunctionLabel(target.label);
      return parts === undefined ? target.label : formatMatcher({ kind: "function", ...parts });
    }
    case "node":
      return "node";
  }
}

function functionMatcher(module: string, name: string | undefined, arity: string | undefined) {
  const atom = moduleAtom(module);
  if (atom.length === 0 || atom.length > MAX_ATOM_CHARS) return undefined;
  if (name === undefined) return { kind: "module", module: atom } as const;
  const called = unquote(name);
  const count = Number(arity);
  if (called.length === 0 || called.length > MAX_ATOM_CHARS || count > MAX_ARITY) return undefined;
  return { kind: "function", module: atom, function: called, arity: count } as const;
}

function moduleAtom(text: string): string {
  if (text.startsWith("'")) return unquote(text);
  return /^[A-Z]/.test(text) && !text.startsWith(ELIXIR) ? ELIXIR + text : text;
}

/** A module as one writes it: Elixir modules without their prefix, unusual atoms quoted. */
export function formatModuleName(atom: string): string {
  if (/^Elixir\.[A-Z][A-Za-z0-9_.@]*$/.test(atom)) {
    const short = atom.slice(ELIXIR.length);
    return short.startsWith(ELIXIR) ? atom : short;
  }
  return /^[a-z_][A-Za-z0-9_.@]*$/.test(atom) ? atom : quote(atom);
}

function formatFunction(atom: string): string {
  return /^[A-Za-z_][A-Za-z0-9_@]*[?!]?$/.test(atom) ? atom : quote(atom);
}

function quoteUnlessPlain(atom: string): string {
  return PLAIN_IN_LABEL.test(atom) ? atom : quote(atom);
}

function quote(atom: string): string {
  return `'${atom.replace(/[\\']/g, "\\$&")}'`;
}

function unquote(text: string): string {
  return text.startsWith("'") ? text.slice(1, -1).replace(/\\(['\\])/g, "$1") : text;
}
