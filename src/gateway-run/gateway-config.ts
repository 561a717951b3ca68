import { dirname, resolve } from "node:path";
import { expandVariables } from "../config/expand-variables.ts";
import { fileSchema } from "../config/json-schema.ts";
import { JsoncText, type JsonNode } from "../config/jsonc-text.ts";
import { type ConfigSource, readConfigText } from "../config/parse-config.ts";
import type { JsonObject } from "../config/shape.ts";
import type { GatewayAuditOption, GatewayOptions, GatewayPairOption } from "../gateway/options.ts";
import { GATEWAY_KEYS } from "./gateway-keys.ts";

/** What a `gateway.jsonc` says. */
export interface GatewayConfig {
  readonly options: Omit<GatewayOptions, "audit" | "onEvent" | "onMessage" | "onNotice">;
  /** False for none; undefined when nothing is said. */
  readonly audit: GatewayAuditOption | false | undefined;
  readonly control: { readonly path: string } | false | undefined;
  /** `line:column` of each pair. */
  readonly places: readonly string[];
}

type Read = Omit<GatewayOptions, "audit"> & {
  readonly audit?: GatewayAuditOption | false;
  readonly control?: { readonly path: string } | false;
};

/**
 * Reads the text of a `gateway.jsonc`: JSON with comments and trailing commas. Nothing is guessed: unknown keys, wrong types
 * and unset variables are errors, each with line and column.
 * @throws {SallyportError} as `parseConfig`
 */
export function parseGatewayConfig(content: string, source: ConfigSource): GatewayConfig {
  const { $schema: _, version: __, ...values } = readConfigText(content, source, GATEWAY_KEYS);
  // The reader built exactly what the table says, and the table has exactly the keys of GatewayOptions.
  const { audit, control, ...options } = values as unknown as Read;
  const { environment } = source;
  const pairs = options.pairs.map((pair) => withEnvironment(pair, environment));
  return { options: { ...options, pairs }, audit, control, places: placesOf(content) };
}

/** What a text that may be broken elsewhere says of the control socket; undefined when that cannot be read. */
export function controlIn(content: string, source: ConfigSource): GatewayConfig["control"] {
  const reading = new JsoncText(content).read();
  const node = reading.ok ? childOf(reading.root, "control") : undefined;
  if (node?.value === false) return false;
  const path: unknown = childOf(node, "path")?.value;
  if (typeof path !== "string") return undefined;
  const expansion = expandVariables(path, source.environment);
  return expansion.ok ? { path: resolve(dirname(source.file), expansion.text) } : undefined;
}

function childOf(node: JsonNode | undefined, key: string): JsonNode | undefined {
  return node?.children?.find(({ children }) => children?.[0]?.value === key)?.children?.[1];
}

/** The JSON Schema (draft 2020-12) of `gateway.jsonc`, made from the table that the loader checks against. */
export function gatewaySchema(): JsonObject {
  return fileSchema("Sallyport gateway", "Configuration of a gateway: gateway.jsonc.", GATEWAY_KEYS);
}

/** Policy files take variables from where the configuration does. */
function withEnvironment(pair: GatewayPairOption, environment: ConfigSource["environment"]): GatewayPairOption {
  const policies = pair.filter?.policies;
  if (policies === undefined) return pair;
  const entries = Object.entries(policies).map(([side, file]) => [side, { file, environment }] as const);
  return { ...pair, filter: { ...pair.filter, policies: Object.fromEntries(entries) } };
}

function placesOf(content: string): readonly string[] {
  const text = new JsoncText(content);
  const reading = text.read();
  if (!reading.ok) return [];
  return (childOf(reading.root, "pairs")?.children ?? []).map(({ offset }) => text.place(offset));
}
