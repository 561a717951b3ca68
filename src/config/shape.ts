/** A JSON value that is an object. */
export type JsonObject = { readonly [key: string]: unknown };

/** A key of an object shape. */
export interface Field {
  readonly shape: Shape;
  /** One sentence for the JSON Schema and for `init`; with the default, where there is one. */
  readonly says: string;
  readonly required?: true;
}

/** What a value of the configuration file may be. The loader checks against it, and the JSON Schema is made from it. */
export type Shape =
  /** `path`: relative ones are taken from the folder of the configuration file. */
  | { readonly kind: "string"; readonly path?: true; readonly example?: string }
  | { readonly kind: "boolean" }
  /** Yes or no for all nodes, or yes for those with these names. */
  | { readonly kind: "boolean-or-nodes" }
  /** Both bounds are included. */
  | { readonly kind: "integer"; readonly min: number; readonly max: number }
  | { readonly kind: "choice"; readonly values: readonly (string | boolean | number)[] }
  | { readonly kind: "list"; readonly of: Shape }
  /** An object whose keys are node names. */
  | { readonly kind: "by-node"; readonly of: Shape }
  | { readonly kind: "object"; readonly keys: Readonly<Record<string, Field>> }
  /** A string, or one of several objects, told apart by a key that only one of them has. */
  | { readonly kind: "string-or"; readonly objects: readonly (Shape & { readonly kind: "object" })[] }
  /** A string, or an object whose keys are node names. */
  | { readonly kind: "string-or-by-node"; readonly example: string; readonly of: Shape }
  /** A string, or a number within both bounds. */
  | {
      readonly kind: "string-or-integer";
      readonly example: string;
      readonly integer: Shape & { readonly kind: "integer" };
    }
  /** What a message must look like, as in a policy. Nothing is filled in. */
  | { readonly kind: "message-shape" }
  /** `false`, or an object. */
  | { readonly kind: "false-or"; readonly object: Shape & { readonly kind: "object" } }
  /** `true`, or an object. */
  | { readonly kind: "true-or"; readonly object: Shape & { readonly kind: "object" } };

/** More values than these are not all named in a message. */
const MAX_SHOWN = 8;

/** Names a shape in a message: `a string`, `true, false or "any"`. */
export function expectation(shape: Shape): string {
  switch (shape.kind) {
    case "string":
      return shape.example === undefined ? "a string" : `a string such as ${JSON.stringify(shape.example)}`;
    case "boolean":
      return "true or false";
    case "boolean-or-nodes":
      return "true, false or a list of node names";
    case "integer":
      return `a whole number from ${shape.min} to ${shape.max}`;
    case "choice":
      return shape.values.length > MAX_SHOWN
        ? `a name such as ${JSON.stringify(shape.values[0])} (there are ${shape.values.length})`
        : oneOf(shape.values.map((value) => JSON.stringify(value)));
    case "list":
      return `a list in which each entry is ${expectation(shape.of)}`;
    case "by-node":
      return `an object with node names as keys, each with ${expectation(shape.of)}`;
    case "object":
      return `an object with ${Object.keys(shape.keys).slice(0, 4).join(", ")}`;
    case "string-or":
      return oneOf(["a string", ...shape.objects.map(expectation)]);
    case "string-or-by-node":
      return `a string such as ${JSON.stringify(shape.example)} or an object with node names as keys`;
    case "string-or-integer":
      return `a string such as ${JSON.stringify(shape.example)} or ${expectation(shape.integer)}`;
    case "message-shape":
      return 'the shape of a message such as { "tuple": ["ready", "integer"] }';
    case "false-or":
      return `false or ${expectation(shape.object)}`;
    case "true-or":
      return `true or ${expectation(shape.object)}`;
  }
}

function oneOf(words: readonly string[]): string {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}
