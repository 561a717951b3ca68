import { resolve } from "node:path";
import { isSallyportError, SallyportError } from "../base/errors.ts";
import { type ExpandOptions, expandVariables, explainExpansion } from "./expand-variables.ts";

/** Something to tell the operator about a file that was read. */
export interface ConfigWarning {
  readonly reason: string;
  readonly message: string;
}

/** Where one of Erlang's files comes from, and what may be filled in. */
export interface ErlangSource {
  /** Path of the file, for messages. */
  readonly file: string;
  /** Relative paths in the file start here: the working directory, as for `erl`. */
  readonly directory: string;
  readonly variables: ExpandOptions;
  /** Plain TCP is allowed by name: then `verify_none` is no reason to refuse the file. Default false. */
  readonly insecure?: boolean | undefined;
  /** For a linter: takes each fault, and the reader goes on behind it. Without it the first one is thrown. */
  readonly faults?: SallyportError[] | undefined;
}

/** Runs a part of a reader; its fault is thrown, or noted where they are all wanted. */
export function attempt(faults: SallyportError[] | undefined, part: () => void): void {
  try {
    part();
  } catch (error) {
    if (faults === undefined || !isSallyportError(error)) throw error;
    faults.push(error);
  }
}

/** Longest `ssl_dist.conf` or `vm.args`, UTF-16 units. */
export const MAX_ERLANG_FILE_CHARS: number = 1024 * 1024;

/** Names in one warning. */
export const MAX_NAMES_IN_WARNING = 20;

/** One of Erlang's files: its text, and the words for what is wrong with it. */
export class ErlangText {
  readonly text: string;
  readonly source: ErlangSource;
  readonly warnings: ConfigWarning[];
  /** Options without effect, by name, with the reason. Told once by `tellNoEffect`. */
  readonly #noEffect = new Map<string, string>();
  #hasPair = false;

  /** @throws {SallyportError} ERR_LIMIT CONFIG_TOO_LARGE */
  constructor(text: string, source: ErlangSource, warnings: ConfigWarning[]) {
    if (text.length > MAX_ERLANG_FILE_CHARS) {
      throw new SallyportError(
        "ERR_LIMIT",
        "CONFIG_TOO_LARGE",
        `${source.file} has ${text.length} characters, which exceeds maxConfigChars ${MAX_ERLANG_FILE_CHARS}`,
        { advice: "check that this is the configuration file" },
      );
    }
    this.text = text;
    this.source = source;
    this.warnings = warnings;
  }

  /** `file:line:column`, both from 1. */
  place(at: number): string {
    const before = this.text.slice(0, at);
    return `${this.source.file}:${before.split("\n").length}:${at - before.lastIndexOf("\n")}`;
  }

  /**
   * Fills in variables. `what` names the value in messages, which never show it.
   * @throws {SallyportError} ERR_CONFIG ENV_UNSET, VARIABLE_FILE, CONF_VALUE
   */
  fill(text: string, at: number, what: string): { readonly text: string; readonly fromFile: boolean } {
    const filled = expandVariables(text, { ...this.source.variables, keepDollars: true });
    if (!filled.ok) {
      const { reason, message, advice } = explainExpansion(filled, what);
      if (reason === "ENV_UNSET") throw this.fault("ENV_UNSET", at, message, advice);
      if (reason === "VARIABLE_FILE") throw this.fault("VARIABLE_FILE", at, message, advice);
      throw this.fault("CONF_VALUE", at, `${what} has a "\${" that begins no variable`, advice);
    }
    if (filled.hasPair && !this.#hasPair) {
      this.#hasPair = true;
      const message = `${this.place(at)}: $$ is read as one dollar here, and as two by erl`;
      this.warnings.push({ reason: "DOLLAR_PAIR", message });
    }
    return filled;
  }

  /** A path of the file, absolute. */
  path(path: string): string {
    return resolve(this.source.directory, path);
  }

  fault(reason: ErlangReason, at: number, message: string, advice: string): SallyportError {
    return new SallyportError("ERR_CONFIG", reason, `${this.place(at)}: ${message}`, { advice });
  }

  noEffect(option: string, why: string): void {
    this.#noEffect.set(option, why);
  }

  /** Warns of all options without effect at once. */
  tellNoEffect(): void {
    if (this.#noEffect.size === 0) return;
    const names = [...this.#noEffect].map(([option, why]) => `${option} (${why})`);
    const message = `${this.source.file}: accepted, no effect here: ${shortList(names)}`;
    this.warnings.push({ reason: "CONF_NO_EFFECT", message });
  }
}

export type ErlangReason =
  | "CONF_SYNTAX"
  | "CONF_OPTION_MISSING"
  | "CONF_OPTION_UNKNOWN"
  | "CONF_OPTION_UNSUPPORTED"
  | "CONF_VALUE"
  | "CONFIG_CONFLICT"
  | "VERIFY_DISABLED"
  | "CLIENT_CERT_OPTIONAL"
  | "VERSION_UNKNOWN"
  | "CIPHER_UNKNOWN"
  | "CIPHER_UNSUPPORTED"
  | "VMARGS_SYNTAX"
  | "VMARGS_VALUE"
  | "PORT_RANGE_INVALID"
  | "COOKIE_EMPTY"
  | "ENV_UNSET"
  | "VARIABLE_FILE";

/** The first names of a list, and how many are left. */
export function shortList(names: readonly string[]): string {
  const shown = names.slice(0, MAX_NAMES_IN_WARNING).join(", ");
  return names.length <= MAX_NAMES_IN_WARNING ? shown : `${shown} and ${names.length - MAX_NAMES_IN_WARNING} more`;
}

/** What the lexer says about text that nobody wrote as a secret; everything else it says could show a part of one. */
const HARMLESS =
  /^(?:the text that starts here has no closing|a character must follow|the text ends after a backslash)/;

/**
 * A fault of the term lexer as one of this file. The lexer quotes what it cannot read, which may be an unquoted password, so
 * only words of its own are taken over.
 */
export function asSyntaxFault(failure: unknown, text: ErlangText): unknown {
  if (!isSallyportError(failure) || failure.reason !== "TERM_SYNTAX") return failure;
  const { line, column } = failure.detail;
  const said = failure.message.replace(/^\[ERR_CONFIG\] line \d+, column \d+: /, "");
  return new SallyportError(
    "ERR_CONFIG",
    "CONF_SYNTAX",
    `${text.source.file}:${line}:${column}: ${isOwnWord(said) ? said : "this is no Erlang term"}`,
    { advice: "write one list of {server, [...]} and {client, [...]} and a dot; nothing in it is evaluated" },
  );
}

function isOwnWord(said: string): boolean {
  return HARMLESS.test(said) || OWN.test(said);
}

/** Words of `parseTermTree`, which show nothing of the text. */
const OWN =
  /^(?:"(?:[{}[\](),.]|<<|>>|=>)" is missing |only one term may|the term nests|a term is missing$|a binary is written|only "\/utf8"|a number must follow the sign)/;
