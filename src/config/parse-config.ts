import { dirname, resolve } from "node:path";
import { SallyportError } from "../base/errors.ts";
import { quotePeerText } from "../base/escape.ts";
import { nearestName } from "../base/nearest-name.ts";
import { tryNodeName } from "../base/node-name.ts";
import type { AuditOption, NodeOptions } from "../node/options.ts";
import { checkShape } from "../policy/check/check-shape.ts";
import { ProblemList } from "../policy/problem.ts";
import { CONFIG_KEYS } from "./config-keys.ts";
import { type Environment, expandVariables, explainExpansion, type VariableFile } from "./expand-variables.ts";
import { JSONC_ADVICE, JsoncText, type JsonNode } from "./jsonc-text.ts";
import { expectation, type Field, type Shape } from "./shape.ts";

/** What a configuration file says: options of `createNode`; the name may come from elsewhere. And what `start` takes. */
export type ConfigOptions = Omit<Partial<NodeOptions>, "audit" | "policy" | "sslDistOptfile" | "vmArgs"> & {
  /** Absolute path of the policy file. */
  readonly policy?: string;
  /** Absolute paths of Erlang's files. */
  readonly sslDistOptfile?: string;
  readonly vmArgs?: string;
  /** False for none; when nothing is said, `start` keeps one. */
  readonly audit?: AuditOption | false;
  /** The control socket of the running node; false for none. */
  readonly control?: { readonly path: string } | false;
};

export interface ConfigSource {
  /** Path of the file: for messages, and its folder is where relative paths start. */
  readonly file: string;
  /** Source of `${VARIABLE}`. */
  readonly environment: Environment;
  /** Source of `${file:PATH}`; without it that is refused. */
  readonly variableFile?: VariableFile;
}

/** A configuration file as it was read. */
export interface ReadConfig {
  readonly options: ConfigOptions;
  /** `file:line:column` of each value, by key: `tls.certFile`, `resolve["a@h"]`. */
  readonly places: ReadonlyMap<string, string>;
  /** Keys whose value came out of a file of `${file:PATH}`: it is not shown. */
  readonly fromFiles: ReadonlySet<string>;
}

/** Largest configuration file, in UTF-16 units. */
export const MAX_CONFIG_CHARS: number = 1024 * 1024;

/**
 * Reads the text of a `sallyport.jsonc`: JSON with comments and trailing commas. Unknown keys, wrong types and unset
 * variables are errors, each with line and column; nothing is guessed and nothing defaults to an empty string.
 * @throws {SallyportError} ERR_CONFIG CONFIG_SYNTAX, CONFIG_UNKNOWN_KEY, CONFIG_DUPLICATE_KEY, CONFIG_VALUE,
 * CONFIG_MISSING_KEY, ENV_UNSET, VARIABLE_FILE; ERR_LIMIT CONFIG_TOO_LARGE
 */
export function parseConfig(text: string, source: ConfigSource): ConfigOptions {
  return readNodeConfig(text, source).options;
}

/** The same with the place of each value. @throws as `parseConfig` */
export function readNodeConfig(text: string, source: ConfigSource): ReadConfig {
  const reader = readerOf(text, source);
  const { $schema: _, ...options } = reader.read(CONFIG_KEYS);
  // The reader built exactly what the table says, and the table has exactly the keys of ConfigOptions.
  return { options: options as ConfigOptions, places: reader.places, fromFiles: reader.fromFiles };
}

/** Reads a configuration text by the table of its keys. @throws as `parseConfig` */
export function readConfigText(text: string, source: ConfigSource, keys: Readonly<Record<string, Field>>): Values {
  return readerOf(text, source).read(keys);
}

function readerOf(text: string, source: ConfigSource): ConfigReader {
  if (text.length > MAX_CONFIG_CHARS) {
    throw new SallyportError(
      "ERR_LIMIT",
      "CONFIG_TOO_LARGE",
      `${source.file} has ${text.length} characters, which exceeds maxConfigChars ${MAX_CONFIG_CHARS}`,
      { advice: "check that this is the configuration file" },
    );
  }
  return new ConfigReader(text, source);
}

/** What an object of a file was read as. */
export type Values = Record<string, unknown>;

class ConfigReader {
  readonly places: Map<string, string> = new Map<string, string>();
  readonly fromFiles: Set<string> = new Set<string>();
  readonly #text: JsoncText;
  readonly #source: ConfigSource;

  constructor(text: string, source: ConfigSource) {
    this.#text = new JsoncText(text);
    this.#source = source;
  }

  read(keys: Readonly<Record<string, Field>>): Values {
    const reading = this.#text.read();
    if (!reading.ok) throw this.#syntax(reading.offset, reading.what);
    return this.#object(reading.root, keys, "");
  }

  #value(node: JsonNode, shape: Shape, path: string): unknown {
    this.places.set(path, this.#place(node.offset));
    switch (shape.kind) {
      case "string":
        if (node.type !== "string") throw this.#wrong(node, shape, path);
        return this.#string(node, shape.path === true, path);
      case "boolean":
        if (node.type !== "boolean") throw this.#wrong(node, shape, path);
        return node.value;
      case "boolean-or-nodes":
        if (node.type === "boolean") return node.value;
        if (node.type !== "array") throw this.#wrong(node, shape, path);
        return (node.children ?? []).map((child, i) => this.#nodeName(child, `${path}[${i}]`));
      case "integer":
        if (!Number.isSafeInteger(node.value) || node.value < shape.min || node.value > shape.max) {
          throw this.#wrong(node, shape, path);
        }
        return node.value;
      case "choice":
        return this.#choice(node, shape, path);
      case "list":
        if (node.type !== "array") throw this.#wrong(node, shape, path);
        return (node.children ?? []).map((child, i) => this.#value(child, shape.of, `${path}[${i}]`));
      case "by-node":
        return this.#byNode(node, shape, path);
      case "object":
        return this.#object(node, shape.keys, path, shape);
      case "string-or":
        if (node.type === "string") return this.#string(node, false, path);
        return this.#value(node, this.#alternative(node, shape, path), path);
      case "string-or-by-node":
        if (node.type === "string") return this.#string(node, false, path);
        if (node.type !== "object") throw this.#wrong(node, shape, path);
        return this.#byNode(node, { kind: "by-node", of: shape.of }, path);
      case "string-or-integer":
        if (node.type === "string") return this.#string(node, false, path);
        if (node.type !== "number") throw this.#wrong(node, shape, path);
        return this.#value(node, shape.integer, path);
      case "message-shape":
        return this.#messageShape(node, path);
      case "true-or":
      case "false-or":
        if (node.value === (shape.kind === "true-or")) return node.value;
        if (node.type !== "object") throw this.#wrong(node, shape, path);
        return this.#value(node, shape.object, path);
    }
  }

  #object(node: JsonNode, keys: Readonly<Record<string, Field>>, path: string, shape?: Shape): Values {
    if (node.type !== "object") throw this.#wrong(node, shape ?? { kind: "object", keys }, path);
    const values: [string, unknown][] = [];
    for (const { key, keyNode, valueNode } of this.#properties(node, path)) {
      const field = Object.hasOwn(keys, key) ? keys[key] : undefined;
      if (field === undefined) throw this.#unknownKey(keyNode, key, Object.keys(keys), path);
      values.push([key, this.#value(valueNode, field.shape, join(path, key))]);
    }
    for (const [key, field] of Object.entries(keys)) {
      if (field.required === true && !values.some(([name]) => name === key)) {
        const what = path === "" ? "the file" : path;
        throw this.#fault(node, "CONFIG_MISSING_KEY", `${what} lacks ${key}: ${field.says}`, `add "${key}"`);
      }
    }
    return Object.fromEntries(values);
  }

  #messageShape(node: JsonNode, path: string): unknown {
    const value = this.#plain(node, path);
    const problems = new ProblemList();
    checkShape(value, [path], problems);
    const [problem] = problems.all;
    if (problem === undefined) return value;
    const message = `${path}: ${problem.message}`;
    throw this.#fault(node, "CONFIG_VALUE", message, "see docs/policy.md for the shapes of messages");
  }

  /** A value as it stands, with nothing filled in. */
  #plain(node: JsonNode, path: string): unknown {
    if (node.type === "array") return (node.children ?? []).map((child, i) => this.#plain(child, `${path}[${i}]`));
    if (node.type !== "object") return node.value;
    const entries = [...this.#properties(node, path)];
    return Object.fromEntries(entries.map(({ key, valueNode }) => [key, this.#plain(valueNode, join(path, key))]));
  }

  #nodeName(node: JsonNode, path: string): string {
    this.places.set(path, this.#place(node.offset));
    if (node.type !== "string") throw this.#wrong(node, { kind: "string", example: "b@other.example" }, path);
    const name = this.#string(node, false, path);
    if (tryNodeName(name) !== undefined) return name;
    throw this.#fault(node, "CONFIG_VALUE", `${path} is not a node name`, "write node names as local@host");
  }

  #byNode(node: JsonNode, shape: Shape & { kind: "by-node" }, path: string): Values {
    if (node.type !== "object") throw this.#wrong(node, shape, path);
    const values: [string, unknown][] = [];
    for (const { key, keyNode, valueNode } of this.#properties(node, path)) {
      if (tryNodeName(key) === undefined) {
        const message = `"${quotePeerText(key)}" in ${path} is not a node name`;
        throw this.#fault(keyNode, "CONFIG_VALUE", message, "write node names as local@host");
      }
      values.push([key, this.#value(valueNode, shape.of, `${path}["${key}"]`)]);
    }
    return Object.fromEntries(values);
  }

  *#properties(node: JsonNode, path: string): Iterable<{ key: string; keyNode: JsonNode; valueNode: JsonNode }> {
    const seen = new Set<string>();
    for (const property of node.children ?? []) {
      const [keyNode, valueNode] = property.children ?? [];
      if (keyNode === undefined || valueNode === undefined) throw this.#syntax(property.offset, "a value is missing");
      const key = String(keyNode.value);
      if (seen.has(key)) {
        const message = `${quotePeerText(join(path, key))} stands twice`;
        throw this.#fault(keyNode, "CONFIG_DUPLICATE_KEY", message, "remove one of the two");
      }
      seen.add(key);
      yield { key, keyNode, valueNode };
    }
  }

  #string(node: JsonNode, isPath: boolean, path: string): string {
    const { environment, variableFile } = this.#source;
    const world = variableFile === undefined ? { environment } : { environment, file: variableFile };
    const expansion = expandVariables(String(node.value), world);
    if (!expansion.ok) {
      const { reason, message, advice } = explainExpansion(expansion, path);
      if (reason === "ENV_UNSET") throw this.#fault(node, "ENV_UNSET", message, advice);
      if (reason === "VARIABLE_FILE") throw this.#fault(node, "VARIABLE_FILE", message, advice);
      throw this.#fault(node, "CONFIG_VALUE", message, advice);
    }
    if (expansion.fromFile) this.fromFiles.add(path.replace(/\[\d+\]$/, ""));
    if (expansion.text === "")
      throw this.#fault(node, "CONFIG_VALUE", `${path} is empty`, "give a value, or remove the key");
    return isPath ? resolve(dirname(this.#source.file), expansion.text) : expansion.text;
  }

  #choice(node: JsonNode, shape: Shape & { kind: "choice" }, path: string): string | boolean | number {
    const value: unknown = node.type === "string" ? this.#string(node, false, path) : node.value;
    const found = shape.values.find((allowed) => allowed === value);
    if (found !== undefined) return found;
    const names = shape.values.filter((allowed) => typeof allowed === "string");
    const near = typeof value === "string" ? nearestName(value, names) : undefined;
    throw this.#wrong(node, shape, path, near === undefined ? "" : `; did you mean "${near}"?`);
  }

  /** The object shape that knows a key of this object, else the first. */
  #alternative(node: JsonNode, shape: Shape & { kind: "string-or" }, path: string): Shape {
    const [first] = shape.objects;
    if (node.type !== "object" || first === undefined) throw this.#wrong(node, shape, path);
    const names = (node.children ?? []).map((property) => String(property.children?.[0]?.value));
    return shape.objects.find((object) => names.some((name) => Object.hasOwn(object.keys, name))) ?? first;
  }

  #unknownKey(node: JsonNode, key: string, known: readonly string[], path: string): SallyportError {
    const near = nearestName(key, known);
    const place = path === "" ? "a top-level key" : `a key of ${path}`;
    return this.#fault(
      node,
      "CONFIG_UNKNOWN_KEY",
      `"${quotePeerText(key)}" is not ${place}${near === undefined ? "" : `; did you mean "${near}"?`}`,
      near === undefined ? `use one of ${known.filter((name) => name !== "$schema").join(", ")}` : `write "${near}"`,
    );
  }

  #wrong(node: JsonNode, shape: Shape, path: string, hint = ""): SallyportError {
    const what = path === "" ? "the file" : path;
    const expected = expectation(shape);
    const message = `${what} is ${describe(node)}, expected ${expected}${hint}`;
    return this.#fault(node, "CONFIG_VALUE", message, `give ${expected}`);
  }

  #syntax(offset: number, what: string): SallyportError {
    const place = this.#place(offset);
    return new SallyportError("ERR_CONFIG", "CONFIG_SYNTAX", `${place}: ${what}`, {
      advice: JSONC_ADVICE,
    });
  }

  #fault(node: JsonNode, reason: FaultReason, message: string, advice: string): SallyportError {
    return new SallyportError("ERR_CONFIG", reason, `${this.#place(node.offset)}: ${message}`, { advice });
  }

  /** `file:line:column`, both from 1. */
  #place(offset: number): string {
    return `${this.#source.file}:${this.#text.place(offset)}`;
  }
}

type FaultReason =
  | "CONFIG_VALUE"
  | "CONFIG_UNKNOWN_KEY"
  | "CONFIG_DUPLICATE_KEY"
  | "CONFIG_MISSING_KEY"
  | "ENV_UNSET"
  | "VARIABLE_FILE";

function join(path: string, key: string): string {
  return path === "" ? key : `${path}.${key}`;
}

/** The kind of a value, never the value of a string: it could be a secret. */
function describe(node: JsonNode): string {
  if (node.type === "number" || node.type === "boolean" || node.type === "null") return String(node.value);
  return node.type === "array" ? "a list" : node.type === "object" ? "an object" : `a ${node.type}`;
}
