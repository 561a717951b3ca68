/** Reads one variable of the environment; undefined when it is not set. */
export type Environment = (name: string) => string | undefined;

/** Text with its variables filled in, or what is wrong with it. */
export type Expansion =
  | { readonly ok: true; readonly text: string }
  /** `variable` is not set, or empty: an empty secret must never come from a forgotten variable. */
  | { readonly ok: false; readonly why: "unset"; readonly variable: string }
  /** A dollar that is neither `${NAME}` nor `$$`. */
  | { readonly ok: false; readonly why: "syntax" };

/** `${NAME}`, `$$`, or a dollar that is neither. */
const DOLLAR = /\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|(\$))?/g;

/** Fills in `${NAME}` from the environment and `$$` as one dollar. What a variable holds is not looked at again. */
export function expandVariables(text: string, environment: Environment): Expansion {
  let out = "";
  let copied = 0;
  for (const match of text.matchAll(DOLLAR)) {
    const [whole, variable, dollar] = match;
    out += text.slice(copied, match.index);
    copied = match.index + whole.length;
    if (variable !== undefined) {
      const value = environment(variable);
      if (value === undefined || value === "") return { ok: false, why: "unset", variable };
      out += value;
    } else if (dollar !== undefined) {
      out += "$";
    } else {
      return { ok: false, why: "syntax" };
    }
  }
  return { ok: true, text: out + text.slice(copied) };
}
