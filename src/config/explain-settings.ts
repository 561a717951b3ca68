import { CONFIG_KEYS } from "./config-keys.ts";
import { keyText, type Level, type SettingsBook } from "./settings-book.ts";
import type { Field } from "./shape.ts";

/** One key of the configuration as `config explain` shows it. */
export interface ExplainedSetting {
  readonly key: string;
  /** Null where nothing is set; of a default, what the table of keys says about it. Secrets are `HIDDEN`. */
  readonly value: unknown;
  readonly level: Level;
  /** `file:line:column`, `--option`, the variable's name, or `default`. */
  readonly source: string;
}

/** Stands for a secret. */
export const HIDDEN = "(hidden)";

/** Every value that is set with its source, and the default of every other key, in the order of the table of keys. */
export function explainSettings(book: SettingsBook): readonly ExplainedSetting[] {
  const set = book.winners().map(({ path, value, level, place, secret }) => ({
    key: keyText(path),
    value: secret ? masked(value) : value,
    level,
    source: place,
  }));
  const rest = defaults().filter(
    ({ key }) => !set.some((row) => row.key === key || row.key.startsWith(`${key}.`) || row.key.startsWith(`${key}[`)),
  );
  const order = new Map(Object.keys(CONFIG_KEYS).map((key, i) => [key, i]));
  const rank = ({ key }: ExplainedSetting): number => order.get(/^[$\w]+/.exec(key)?.[0] ?? "") ?? order.size;
  return [...set, ...rest].sort((a, b) => rank(a) - rank(b));
}

/** A secret by its shape: which nodes have cookies of their own may be seen. */
function masked(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return HIDDEN;
  if ("peers" in value && typeof value.peers === "object" && value.peers !== null) {
    const peers = Object.fromEntries(Object.keys(value.peers).map((name) => [name, HIDDEN]));
    return "default" in value ? { default: HIDDEN, peers } : { peers };
  }
  return HIDDEN;
}

/** All keys of the table that hold a value, with what it says about their defaults. */
export function defaults(): readonly ExplainedSetting[] {
  const rows: ExplainedSetting[] = [];
  const walk = (keys: Readonly<Record<string, Field>>, path: readonly string[]): void => {
    for (const [key, field] of Object.entries(keys)) {
      const here = [...path, key];
      const { shape } = field;
      // What only one side of TLS has is shown where it is set.
      if (key === "$schema" || (path[0] === "tls" && (key === "server" || key === "client"))) continue;
      if (shape.kind === "object") walk(shape.keys, here);
      else rows.push({ key: keyText(here), value: defaultOf(field), level: "default", source: "default" });
    }
  };
  walk(CONFIG_KEYS, []);
  return rows;
}

/** What `says` tells of the default: a number or flag as such, anything else in words; null where there is none. */
function defaultOf({ says }: Field): unknown {
  const words = /\bDefault:? (.+?)\.(?=\s|$)/.exec(says)?.[1] ?? /(\w+):[^.:]*\(default\)/.exec(says)?.[1];
  if (words === undefined || words === "none") return null;
  if (/^\d+$/.test(words)) return Number(words);
  return words === "true" || words === "false" ? words === "true" : words;
}
