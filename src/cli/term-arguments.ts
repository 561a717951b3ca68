import { SallyportError } from "../base/errors.ts";
import { quotePeerText } from "../base/escape.ts";
import { atomName, parseTermText, type Term } from "../term/public.ts";

/**
 * Reads ARGS: one term, a proper list of arguments.
 * @throws {SallyportError} ERR_CONFIG ARGS_NOT_A_LIST, TERM_SYNTAX
 */
export function argumentList(text: string): readonly Term[] {
  const term = parseTermText(text);
  if (Array.isArray(term)) return term;
  throw new SallyportError(
    "ERR_CONFIG",
    "ARGS_NOT_A_LIST",
    `ARGS is ONE list of arguments, got ${quotePeerText(text.trim())}`,
    {
      advice: `put the arguments in brackets: '[${quotePeerText(text.trim())}]'`,
    },
  );
}

/**
 * Reads NAME or FUNCTION: the text of an atom, without quotes (with quotes it means the same).
 * @throws {SallyportError} ERR_CONFIG USAGE, TERM_SYNTAX
 */
export function atomArgument(text: string, what: string): string {
  if (isQuoted(text)) return quotedAtom(text);
  if (text !== "") return text;
  throw new SallyportError("ERR_CONFIG", "USAGE", `${what} is empty`, {
    advice: `give ${what} as the text of an atom`,
  });
}

/** Reads MODULE: upper-case means an Elixir module, unless it is quoted (rulings U8). Throws as `atomArgument`. */
export function moduleArgument(text: string): string {
  const name = atomArgument(text, "MODULE");
  return !isQuoted(text) && /^[A-Z]/.test(name) && !name.startsWith("Elixir.") ? `Elixir.${name}` : name;
}

/** Reads FUNCTION of spawn: `worker`, or `module:function`. Throws as `atomArgument`. */
export function spawnArgument(text: string): string {
  const match = /^('(?:[^'\\]|\\.)*'|[^:']+):(.*)$/.exec(text);
  if (match === null) return atomArgument(text, "FUNCTION");
  return `${moduleArgument(match[1] ?? "")}:${atomArgument(match[2] ?? "", "FUNCTION")}`;
}

function isQuoted(text: string): boolean {
  return text.length > 1 && text.startsWith("'") && text.endsWith("'");
}

function quotedAtom(text: string): string {
  const name = atomName(parseTermText(text));
  if (name !== undefined && name !== "") return name;
  throw new SallyportError("ERR_CONFIG", "USAGE", `${quotePeerText(text)} is not an atom`, {
    advice: "give the text of an atom",
  });
}
