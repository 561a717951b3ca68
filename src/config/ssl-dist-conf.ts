import { SallyportError } from "../base/errors.ts";
import { didYouMean, nearestName } from "../base/nearest-name.ts";
import { parseTermTree, type TermNode } from "../term/text-tree.ts";
import { asSyntaxFault, attempt, type ConfigWarning, type ErlangSource, ErlangText } from "./erlang-text.ts";
import { SSL_OPTION_NAMES, SSL_OPTIONS, type TlsSideName } from "./ssl-dist-options.ts";
import { describeNode, type SslOption, wrongValue } from "./ssl-dist-values.ts";

/** Containers inside each other; an option file needs six. */
const MAX_DEPTH = 32;

/** A key of `tls` as a file sets it. */
export interface PlacedSetting {
  readonly key: string;
  readonly value: unknown;
  readonly secret: boolean;
  /** `file:line:column`. */
  readonly place: string;
  /** Makes the error when another place says something else. */
  readonly conflict: (other: string) => Error;
}

/** The settings of one side, by key of `tls`. */
export type SideSettings = ReadonlyMap<string, PlacedSetting>;

/** What an option file says; both sides are there. */
export interface SslDistConf {
  readonly server: SideSettings;
  readonly client: SideSettings;
}

/** Sides as they are read; each is there once something names it. */
export interface SslDistSides {
  server?: SideReader;
  client?: SideReader;
}

const SIDES: readonly TlsSideName[] = ["server", "client"];

/**
 * Reads the text of an `ssl_dist.conf`: one term, a list of `{server, Options}` and `{client, Options}`, and a dot. Nothing is
 * evaluated. Options without effect are told in `warnings`, never left out in silence.
 * @throws {SallyportError} ERR_CONFIG CONF_SYNTAX, CONF_SECTION_MISSING, CONF_OPTION_MISSING, CONF_OPTION_UNKNOWN,
 * CONF_OPTION_UNSUPPORTED, CONF_VALUE, CONFIG_CONFLICT, VERIFY_DISABLED, CLIENT_CERT_OPTIONAL, VERSION_UNKNOWN,
 * CIPHER_UNKNOWN, CIPHER_UNSUPPORTED, ENV_UNSET, VARIABLE_FILE; ERR_LIMIT CONFIG_TOO_LARGE
 */
export function parseSslDistConf(text: string, source: ErlangSource, warnings: ConfigWarning[]): SslDistConf {
  const file = new ErlangText(text, source, warnings);
  const sides = readSections(file);
  file.tellNoEffect();
  return completeSides(sides, file.place(0));
}

/** The sections of an option file, before it is known whether both are there: `-ssl_dist_opt` may add to them. */
export function readSections(file: ErlangText): SslDistSides {
  const root = parse(file);
  if (root.kind !== "list") throw notSections(file, root);
  const sides: SslDistSides = {};
  for (const section of root.items) attempt(file.source.faults, () => readSection(file, section, sides));
  return sides;
}

function readSection(file: ErlangText, section: TermNode, sides: SslDistSides): void {
  const [name, options] = section.kind === "tuple" && section.items.length === 2 ? section.items : [];
  if (name?.kind !== "atom" || options === undefined) throw notSections(file, section);
  if (name.name !== "server" && name.name !== "client") {
    const message = `there is no section of this name${didYouMean(name.name, SIDES)}`;
    throw file.fault("CONF_OPTION_UNKNOWN", name.at, message, "write {server, [...]} and {client, [...]}");
  }
  if (options.kind !== "list") throw notOptions(file, options);
  const side = sides[name.name] ?? new SideReader(name.name, file, name.at);
  sides[name.name] = side;
  for (const item of options.items) attempt(file.source.faults, () => side.read(optionOf(file, item)));
}

/**
 * Both sides, checked for what each must have; `place` is that of the file.
 * @throws {SallyportError} ERR_CONFIG CONF_SECTION_MISSING, CONF_OPTION_MISSING
 */
export function completeSides(sides: SslDistSides, place: string, faults?: SallyportError[]): SslDistConf {
  for (const side of SIDES) {
    attempt(faults, () => {
      if (sides[side] === undefined) throw missingSection(place, side);
    });
  }
  return { server: sides.server?.complete() ?? new Map(), client: sides.client?.complete() ?? new Map() };
}

/** The settings of one side, gathered option by option. */
export class SideReader {
  readonly side: TlsSideName;
  readonly #settings = new Map<string, PlacedSetting>();
  readonly #text: ErlangText;
  readonly #at: number;

  /** `text` and `at`: where the side begins. */
  constructor(side: TlsSideName, text: ErlangText, at: number) {
    this.side = side;
    this.#text = text;
    this.#at = at;
  }

  /** @throws as `parseSslDistConf` */
  read(option: SslOption): void {
    const { name, value, text } = option;
    const row = Object.hasOwn(SSL_OPTIONS, name) ? SSL_OPTIONS[name] : undefined;
    if (row === undefined) throw unknownOption(option);
    switch (row.kind) {
      case "no-effect":
        if (row.values !== undefined && !(value.kind === "atom" && row.values.includes(value.name))) {
          throw wrongValue(option, row.values.join(" or "));
        }
        text.noEffect(name, row.why);
        return;
      case "refused":
        throw text.fault(
          "CONF_OPTION_UNSUPPORTED",
          option.at,
          `${name} is not supported: ${row.hint}`,
          `take ${name} out`,
        );
      case "effect": {
        const settings = row.read(option, this.side);
        if (row.side === undefined || row.side === this.side) {
          for (const { key, value: set, secret } of settings) this.#set(option, key, set, secret === true);
        } else text.noEffect(name, "it is for the server side");
      }
    }
  }

  /** Takes over what another place says about this side. @throws {SallyportError} ERR_CONFIG CONFIG_CONFLICT */
  join(other: SideReader): void {
    for (const [key, setting] of other.#settings) {
      const own = this.#settings.get(key);
      if (own === undefined) this.#settings.set(key, setting);
      else if (!isEqual(own.value, setting.value)) throw setting.conflict(own.place);
    }
  }

  /** @throws {SallyportError} ERR_CONFIG CONF_OPTION_MISSING */
  complete(): SideSettings {
    for (const [key, name] of NEEDED) {
      if (this.#settings.has(key)) continue;
      const message = `${this.side} lacks ${name}`;
      attempt(this.#text.source.faults, () => {
        throw this.#text.fault("CONF_OPTION_MISSING", this.#at, message, `add {${name}, "..."} to it`);
      });
    }
    return this.#settings;
  }

  #set({ name, value: node, text }: SslOption, key: string, value: unknown, secret: boolean): void {
    const before = this.#settings.get(key);
    const place = text.place(node.at);
    const conflict = (other: string): Error => {
      const message = `${name} of ${this.side} says something else than ${other}`;
      return text.fault("CONFIG_CONFLICT", node.at, message, "leave one of the two");
    };
    if (before !== undefined && key === "groups" && !isEqual(before.value, value)) {
      // Erlang has a list for each version, OpenSSL one for both.
      const both = [...new Set([...(before.value as string[]), ...(value as string[])])];
      this.#settings.set(key, { ...before, value: both });
      return;
    }
    if (before !== undefined && !isEqual(before.value, value)) throw conflict(before.place);
    if (before === undefined) this.#settings.set(key, { key, value, secret, place, conflict });
  }
}

/** What a side must have: key of `tls`, and option. */
const NEEDED: readonly (readonly [string, string])[] = [
  ["caFile", "cacertfile"],
  ["certFile", "certfile"],
  ["keyFile", "keyfile"],
];

export function isEqual(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function parse(file: ErlangText): TermNode {
  try {
    return parseTermTree(file.text, { maxDepth: MAX_DEPTH, onCode: (at, inside) => codeFault(file, at, inside) });
  } catch (failure) {
    throw asSyntaxFault(failure, file);
  }
}

/** A fun, a call, a variable: where the option is known, in the words of its row. */
function codeFault(file: ErlangText, at: number, inside: readonly string[]): Error {
  const name = inside[1] ?? "";
  const row = Object.hasOwn(SSL_OPTIONS, name) ? SSL_OPTIONS[name] : undefined;
  const isVariable = file.text.startsWith("${", at - 2);
  if (isVariable) {
    const message = "a variable stands outside of a text";
    return file.fault("CONF_SYNTAX", at, message, `write it into quotes: {keyfile, "\${NAME}"}`);
  }
  const what = row === undefined ? "code stands here" : `${name} holds code`;
  const hint = row?.kind === "refused" ? row.hint : "nothing in this file is evaluated; write the value itself";
  return file.fault(
    "CONF_OPTION_UNSUPPORTED",
    at,
    `${what}: ${hint}`,
    row === undefined ? "take it out" : `take ${name} out`,
  );
}

function optionOf(file: ErlangText, item: TermNode): SslOption {
  // A bare atom is a flag that is set, as in any property list.
  const { at } = item;
  if (item.kind === "atom") return { name: item.name, at, value: { kind: "atom", name: "true", at }, text: file };
  const [name, value] = item.kind === "tuple" && item.items.length === 2 ? item.items : [];
  if (name?.kind !== "atom" || value === undefined) throw notOptions(file, item);
  return { name: name.name, at: name.at, value, text: file };
}

function unknownOption({ name, at, text }: SslOption): Error {
  const near = nearestName(name, SSL_OPTION_NAMES);
  // "passwordhunter2" has lost its comma: the rest of it is a secret.
  const shown = /^(?!password)[a-z][a-z0-9_]{0,63}$/.test(name) ? ` "${name}"` : "";
  const message = `there is no option${shown} of ssl${near === undefined ? "" : `; did you mean "${near}"?`}`;
  const advice = near === undefined ? "correct or remove it" : `write ${near}`;
  return text.fault("CONF_OPTION_UNKNOWN", at, message, advice);
}

function notSections(file: ErlangText, node: TermNode): Error {
  const message = `${describeNode(node)} stands where a section must stand`;
  return file.fault("CONF_VALUE", node.at, message, "write [{server, [...]}, {client, [...]}].");
}

function notOptions(file: ErlangText, node: TermNode): Error {
  const message = `${describeNode(node)} stands where options must stand`;
  return file.fault("CONF_VALUE", node.at, message, "write a list of {name, value}");
}

/** `place`: of the file. */
export function missingSection(place: string, side: TlsSideName): SallyportError {
  const does = side === "server" ? "accepts" : "dials";
  return new SallyportError(
    "ERR_CONFIG",
    "CONF_SECTION_MISSING",
    `${place}: the section ${side} is missing: it is used when this node ${does}`,
    { advice: `add {${side}, [...]}; it may have the same options` },
  );
}
