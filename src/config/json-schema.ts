import { CONFIG_KEYS } from "./config-keys.ts";
import { MESSAGE_SHAPE_SCHEMA } from "./policy-schema.ts";
import type { Field, JsonObject, Shape } from "./shape.ts";

/** The JSON Schema (draft 2020-12) of `sallyport.jsonc`, made from the table that the loader checks against. */
export function configSchema(): JsonObject {
  return fileSchema("Sallyport node", "Configuration of a node: sallyport.jsonc.", CONFIG_KEYS);
}

/** The JSON Schema of a configuration file, made from its table. */
export function fileSchema(title: string, says: string, keys: Readonly<Record<string, Field>>): JsonObject {
  const schema = objectSchema(keys);
  const usesShapes = JSON.stringify(schema).includes(SHAPE_REFERENCE);
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title,
    description: `${says} Strings take \${VARIABLE} and \${VARIABLE:-text} from the environment, \${file:PATH} from a file, and $$ for a dollar.`,
    ...schema,
    ...(usesShapes ? { $defs: { shape: MESSAGE_SHAPE_SCHEMA } } : {}),
  };
}

const SHAPE_REFERENCE = "#/$defs/shape";

function schemaOf(shape: Shape): JsonObject {
  switch (shape.kind) {
    case "string":
      return { type: "string", ...(shape.example === undefined ? {} : { examples: [shape.example] }) };
    case "boolean":
      return { type: "boolean" };
    case "boolean-or-nodes":
      // A variable may stand for a name.
      return { anyOf: [{ type: "boolean" }, { type: "array", items: { type: "string", pattern: "@|\\$\\{" } }] };
    case "integer":
      return { type: "integer", minimum: shape.min, maximum: shape.max };
    case "choice":
      // A variable may stand for one of the texts.
      return shape.values.some((value) => typeof value === "string")
        ? { anyOf: [{ enum: shape.values }, { type: "string", pattern: "\\$\\{" }] }
        : { enum: shape.values };
    case "list":
      return { type: "array", items: schemaOf(shape.of) };
    case "by-node":
      return {
        type: "object",
        propertyNames: { pattern: "^[A-Za-z0-9_-]+@" },
        additionalProperties: schemaOf(shape.of),
      };
    case "object":
      return objectSchema(shape.keys);
    case "string-or":
      return { anyOf: [{ type: "string" }, ...shape.objects.map(schemaOf)] };
    case "string-or-by-node":
      return {
        anyOf: [{ type: "string", examples: [shape.example] }, schemaOf({ kind: "by-node", of: shape.of })],
      };
    case "string-or-integer":
      return { anyOf: [{ type: "string", examples: [shape.example] }, schemaOf(shape.integer)] };
    case "message-shape":
      return { $ref: SHAPE_REFERENCE };
    case "false-or":
      return { anyOf: [{ const: false }, schemaOf(shape.object)] };
    case "true-or":
      return { anyOf: [{ const: true }, schemaOf(shape.object)] };
  }
}

function objectSchema(keys: Readonly<Record<string, Field>>): JsonObject {
  const entries = Object.entries(keys);
  const required = entries.filter(([, field]) => field.required === true).map(([key]) => key);
  return {
    type: "object",
    properties: Object.fromEntries(
      entries.map(([key, field]) => [key, { description: field.says, ...schemaOf(field.shape) }]),
    ),
    ...(required.length === 0 ? {} : { required }),
    additionalProperties: false,
  };
}
