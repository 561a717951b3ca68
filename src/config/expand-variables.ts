/** Reads one variable of the environment; undefined when it is not set. */
export type Environment = (name: string) => string | undefined;

/** What `${file:PATH}` stands for, or why not. The path is as it was written. */
export type VariableFile = (path: string) => FileReading;

export type FileReading =
  | { readonly ok: true; readonly text: string }
  /** `what` ends a sentence that begins with the file: `does not exist`. */
  | { readonly ok: false; readonly what: string };

export interface ExpandOptions {
  readonly environment: Environment;
  /** Without it `${file:PATH}` is refused. */
  readonly file?: VariableFile;
  /** True: a dollar that begins none of the forms stays what it is, as Erlang leaves it. Default: a syntax fault. */
  readonly keepDollars?: boolean;
}

/** Text with its variables filled in, or what is wrong with it. */
export type Expansion =
  | {
      readonly ok: true;
      readonly text: string;
      /** Something was filled in from a file: it may be a secret, whatever it is used for. */
      readonly fromFile: boolean;
      /** `$$` stood in it. */
      readonly hasPair: boolean;
    }
  /** `variable` is not set, or empty: an empty secret must never come from a forgotten variable. */
  | { readonly ok: false; readonly why: "unset"; readonly variable: string }
  /** A dollar that begins nothing. */
  | { readonly ok: false; readonly why: "syntax" }
  /** The file of `${file:PATH}` cannot be used. */
  | { readonly ok: false; readonly why: "file"; readonly path: string; readonly what: string };

/** Variables inside the defaults of others. */
export const MAX_VARIABLE_NESTING = 8;

/** Why a variable could not be filled in: message and advice, with `path` as the name of the value. */
export interface ExpansionFault {
  readonly reason: "ENV_UNSET" | "VARIABLE_FILE" | undefined;
  readonly message: string;
  readonly advice: string;
}

/** Puts a failed expansion into words; `reason` is undefined for bad syntax, which each kind of file names itself. */
export function explainExpansion(failed: Expansion & { readonly ok: false }, path: string): ExpansionFault {
  switch (failed.why) {
    case "unset":
      return {
        reason: "ENV_UNSET",
        message: `${path} uses \${${failed.variable}}, which is not set or empty`,
        advice: `set ${failed.variable} in the environment`,
      };
    case "file":
      return {
        reason: "VARIABLE_FILE",
        message: `${path} uses the file ${JSON.stringify(failed.path)}, which ${failed.what}`,
        advice: "name a file with the value in it that this user may read",
      };
    case "syntax":
      return {
        reason: undefined,
        message: `${path} has a "$" that is neither \${NAME} nor $$`,
        advice: `write $$ for a dollar, \${NAME} for a variable`,
      };
  }
}

const NAME = /[A-Za-z_][A-Za-z0-9_]*/y;

/**
 * Fills in `${NAME}` from the environment, `${NAME:-text}` with a text for when it is unset or empty, `${file:PATH}`, and `$$`
 * as one dollar. What was filled in is not looked at again.
 */
export function expandVariables(text: string, options: Environment | ExpandOptions): Expansion {
  if (!text.includes("$")) return { ok: true, text, fromFile: false, hasPair: false };
  const world = typeof options === "function" ? { environment: options } : options;
  const expander = new Expander(text, world);
  try {
    const expanded = expander.until(undefined, 0, true);
    return { ok: true, text: expanded, fromFile: expander.fromFile, hasPair: expander.hasPair };
  } catch (fault) {
    if (fault instanceof Fault) return fault.failed;
    throw fault;
  }
}

/** Ends an expansion from within; never leaves this file. */
class Fault extends Error {
  readonly failed: Expansion & { readonly ok: false };

  constructor(failed: Expansion & { readonly ok: false }) {
    super(failed.why);
    this.failed = failed;
  }
}

class Expander {
  fromFile = false;
  hasPair = false;
  readonly #text: string;
  readonly #world: ExpandOptions;
  #at = 0;

  constructor(text: string, world: ExpandOptions) {
    this.#text = text;
    this.#world = world;
  }

  /** The text up to `close` or the end, filled in. When it does not count, what is unset in it is no fault. */
  until(close: "}" | undefined, depth: number, counts: boolean): string {
    if (depth > MAX_VARIABLE_NESTING) throw new Fault({ ok: false, why: "syntax" });
    let out = "";
    for (;;) {
      const char = this.#text[this.#at];
      if (char === undefined) {
        if (close !== undefined) throw new Fault({ ok: false, why: "syntax" });
        return out;
      }
      if (char === close) return out;
      if (char === "$") out += this.#dollar(depth, counts);
      else {
        out += char;
        this.#at++;
      }
    }
  }

  #dollar(depth: number, counts: boolean): string {
    const next = this.#text[this.#at + 1];
    if (next === "$") {
      this.#at += 2;
      this.hasPair = true;
      return "$";
    }
    if (next === "{") {
      this.#at += 2;
      return this.#variable(depth, counts);
    }
    if (this.#world.keepDollars !== true) throw new Fault({ ok: false, why: "syntax" });
    this.#at++;
    return "$";
  }

  /** Behind `${`. */
  #variable(depth: number, counts: boolean): string {
    if (this.#text.startsWith("file:", this.#at)) return this.#file(counts);
    NAME.lastIndex = this.#at;
    const variable = NAME.exec(this.#text)?.[0];
    if (variable === undefined) throw new Fault({ ok: false, why: "syntax" });
    this.#at += variable.length;
    const value = this.#world.environment(variable);
    const isSet = value !== undefined && value !== "";
    if (this.#text.startsWith(":-", this.#at)) {
      this.#at += 2;
      const otherwise = this.until("}", depth + 1, counts && !isSet);
      this.#at++;
      return isSet ? value : otherwise;
    }
    if (this.#text[this.#at] !== "}") throw new Fault({ ok: false, why: "syntax" });
    this.#at++;
    if (isSet) return value;
    if (counts) throw new Fault({ ok: false, why: "unset", variable });
    return "";
  }

  #file(counts: boolean): string {
    const end = this.#text.indexOf("}", this.#at);
    const path = end < 0 ? "" : this.#text.slice(this.#at + "file:".length, end);
    if (path === "") throw new Fault({ ok: false, why: "syntax" });
    this.#at = end + 1;
    if (!counts) return "";
    const read = this.#world.file;
    if (read === undefined) throw new Fault({ ok: false, why: "file", path, what: "cannot be used in this file" });
    const reading = read(path);
    if (!reading.ok) throw new Fault({ ok: false, why: "file", path, what: reading.what });
    this.fromFile = true;
    return reading.text;
  }
}
