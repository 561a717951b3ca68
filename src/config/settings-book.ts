import { SallyportError } from "../base/errors.ts";

/** Where a value may come from, from the strongest to the weakest (docs/erlang-config.md). */
export const LEVELS = ["api", "flag", "environment", "vm.args", "config", "default"] as const;

export type Level = (typeof LEVELS)[number];

/** One value of the configuration with the place that says it. */
export interface Setting {
  /** Keys from the top: `["tls", "certFile"]`. */
  readonly path: readonly string[];
  readonly value: unknown;
  readonly level: Level;
  /** `file:line:column`, `--option`, the variable's name; for messages. */
  readonly place: string;
  /** Never shown. */
  readonly secret: boolean;
}

/** Keys whose objects are one value, and not a group of values. */
const WHOLE: readonly string[] = ["cookie"];

const SIDES: readonly string[] = ["server", "client"];

/** Everything that is said about a node, by key; the strongest place counts. */
export class SettingsBook {
  readonly #settings = new Map<string, Setting[]>();

  /** @throws {SallyportError} ERR_CONFIG CONFIG_CONFLICT when another place of the same level says something else */
  put(setting: Setting): void {
    const key = keyText(setting.path);
    const list = this.#settings.get(key) ?? [];
    const other = list.find(({ level }) => level === setting.level);
    if (other === undefined) this.#settings.set(key, [...list, setting]);
    else if (JSON.stringify(other.value) !== JSON.stringify(setting.value))
      throw conflict(key, setting.place, other.place);
  }

  /** Puts each value inside an object; `placeOf` and `isSecret` take the key as `keyText` writes it. */
  putAll(
    options: object,
    level: Level,
    placeOf: (key: string) => string,
    isSecret: (key: string, value: unknown) => boolean,
  ): void {
    for (const [path, value] of leaves(options, [])) {
      const key = keyText(path);
      this.put({ path, value, level, place: placeOf(key), secret: isSecret(key, value) });
    }
  }

  /** The strongest value of a key. */
  find(path: readonly string[]): Setting | undefined {
    return strongest(this.#settings.get(keyText(path)) ?? []);
  }

  /** The value of a key on one level. */
  on(level: Level, path: readonly string[]): Setting | undefined {
    return this.#settings.get(keyText(path))?.find((setting) => setting.level === level);
  }

  /** Forgets a key, and all inside it. */
  drop(path: readonly string[], isDropped: (setting: Setting) => boolean = () => true): void {
    for (const [key, list] of this.#settings) {
      const [first] = list;
      if (first === undefined || !path.every((step, i) => first.path[i] === step)) continue;
      const kept = list.filter((setting) => !isDropped(setting));
      if (kept.length === 0) this.#settings.delete(key);
      else this.#settings.set(key, kept);
    }
  }

  /** What counts, sorted by key. A key of `tls` hides what a weaker level says for one side. */
  winners(): readonly Setting[] {
    return [...this.#settings.values()]
      .map(strongest)
      .filter((setting): setting is Setting => setting !== undefined && !this.#isHidden(setting))
      .sort((a, b) => (keyText(a.path) < keyText(b.path) ? -1 : 1));
  }

  /** What counts as one object. */
  options(): Record<string, unknown> {
    const root: Record<string, unknown> = {};
    for (const { path, value } of this.winners()) {
      let at = root;
      for (const step of path.slice(0, -1)) {
        const inner = at[step];
        at = typeof inner === "object" && inner !== null ? (inner as Record<string, unknown>) : set(at, step);
      }
      const last = path.at(-1) ?? "";
      if (!(isGroup(value) && Object.keys(value).length === 0 && isGroup(at[last]))) at[last] = value;
    }
    return root;
  }

  #isHidden({ path, level }: Setting): boolean {
    const [tls, side, ...rest] = path;
    if (tls !== "tls" || side === undefined || !SIDES.includes(side)) return false;
    const both = this.find(["tls", ...rest]);
    return both !== undefined && LEVELS.indexOf(both.level) < LEVELS.indexOf(level);
  }
}

function set(at: Record<string, unknown>, step: string): Record<string, unknown> {
  const inner: Record<string, unknown> = {};
  Object.defineProperty(at, step, { value: inner, enumerable: true, configurable: true, writable: true });
  return inner;
}

function strongest(list: readonly Setting[]): Setting | undefined {
  return [...list].sort((a, b) => LEVELS.indexOf(a.level) - LEVELS.indexOf(b.level))[0];
}

/** `tls.certFile`, `resolve["a@h"]`. */
export function keyText(path: readonly string[]): string {
  return path
    .map((step, i) => (/^[$A-Za-z_]\w*$/.test(step) ? `${i === 0 ? "" : "."}${step}` : `[${JSON.stringify(step)}]`))
    .join("");
}

function* leaves(value: object, path: readonly string[]): Iterable<readonly [readonly string[], unknown]> {
  for (const [key, inner] of Object.entries(value)) {
    if (inner === undefined) continue;
    const here = [...path, key];
    const isWhole = path.length === 0 && WHOLE.includes(key);
    if (!isWhole && isGroup(inner) && Object.keys(inner).length > 0) yield* leaves(inner, here);
    else yield [here, inner];
  }
}

function isGroup(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    Object.getPrototypeOf(value) === Object.prototype
  );
}

function conflict(key: string, place: string, other: string): SallyportError {
  return new SallyportError(
    "ERR_CONFIG",
    "CONFIG_CONFLICT",
    `${key} has two different values on the same level: at ${other} and at ${place}`,
    { advice: "leave one of the two" },
  );
}
