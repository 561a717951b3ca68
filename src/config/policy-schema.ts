import type { Assurance, ProtocolName } from "../base/assurance.ts";
import { OUTCOMES } from "../policy/decision-words.ts";
import type {
  ConditionEntry,
  DomainEntry,
  LimitsEntry,
  PeerEntry,
  PolicyDocument,
  RuleEntry,
  TestEntry,
} from "../policy/document.ts";
import { RESERVED_VERBS, VERBS } from "../policy/verbs.ts";
import type { JsonObject } from "./shape.ts";

/** One schema for each key of a type: a new key of the document does not build until it has a line here. */
type Keys<T> = Readonly<Record<keyof T, JsonObject>>;

const ASSURANCES: readonly Exclude<Assurance, "none">[] = ["cookie", "tofu", "ca", "pinned"];
const TRANSPORTS: readonly ProtocolName[] = ["native", "otp", "barrel"];
/** Text that holds a variable can be anything once it is filled in. */
const VARIABLE = "\\$\\{[A-Za-z_][A-Za-z0-9_]*(?::-.*)?\\}";

const KEY = "(?:ed25519:[A-Za-z0-9+/]{43}=?|(?:spki:)?SHA256:[A-Za-z0-9+/]{43}=?)";
const NODE = "[A-Za-z0-9_-]+@[A-Za-z0-9._:-]+";
const TIME = "\\d{4}-\\d{2}-\\d{2}(?:T\\d{2}:\\d{2}(?::\\d{2}(?:\\.\\d{1,3})?)?(?:Z|[+-]\\d{2}:\\d{2}))?";
const RATE = "[1-9]\\d{0,11}/(?:s|min|h)";
const BYTES = "[1-9]\\d{0,11}(?:B|KiB|MiB|GiB)";
/** Aliases, ids of rules and names of domains. */
const WORD = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}";

const FROM = "An alias of `peers`, `level:N`, `domain:X`, or `*` for whoever may connect.";
const TO =
  "A registered name, `Module:function/arity`, `Module:*/*`, `granted-pids`, `any-pid` or `*`. A grant with `*` never gives " +
  "rpc, spawn or system.";
const UNTIL = "`2027-01-15` (its first moment, UTC) or a full ISO time.";

/** The JSON Schema (draft 2020-12) of `policy.jsonc`. What it cannot say, such as that an alias exists, `policy check` says. */
export function policySchema(): JsonObject {
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Sallyport policy",
    description:
      `What other nodes may do to this one: policy.jsonc. What no rule grants is refused. Strings take \${VARIABLE} from the ` +
      "environment, and $$ for a dollar.",
    ...object<PolicyDocument>(DOCUMENT, ["version", "node"]),
    $defs: { shape: MESSAGE_SHAPE_SCHEMA },
  };
}

const LIMITS: JsonObject = object<LimitsEntry>({
  rate: says("Messages: `20/s`, `600/min`, `5/h`.", pattern(RATE)),
  bytes: says("Payload bytes: `8KiB/s`, `1MiB/min`.", pattern(`${BYTES}/(?:s|min|h)`)),
  inflight: says("Calls, rpcs and spawned functions not answered or ended.", whole(1)),
  payload: says("One payload: `8KiB`, or a number of bytes.", { anyOf: [pattern(BYTES), whole(1)] }),
  depth: says("Nesting of one payload.", whole(0)),
  elements: says("Elements of lists, tuples and maps in one payload.", whole(0)),
  newAtoms: says("Different atoms in one payload that the policy does not name.", whole(0)),
  funs: says("Funs in payloads. Default false.", { type: "boolean" }),
  foreign: says("Identifiers of third nodes in payloads. Default false.", { type: "boolean" }),
});

const CONDITION: JsonObject = object<ConditionEntry>({
  transport: says("How the session was made.", oneOrMore({ enum: TRANSPORTS })),
  assurance: says("Least assurance of the peer.", { enum: ASSURANCES }),
  source: says("Where the peer comes from: `203.0.113.0/24`, `2001:db8::/32`, or one address.", oneOrMore(text())),
  after: says("Not before this time.", pattern(TIME)),
  before: says("Not from this time on.", pattern(TIME)),
});

const MODE: JsonObject = { enum: ["enforce", "audit"] };

const DOMAIN: JsonObject = object<DomainEntry>(
  {
    name: says("Name of the domain; peers with the same `domain` are members.", pattern(WORD)),
    everyPeer: says("Every peer of at least this assurance is a member, without an entry of its own.", {
      enum: ASSURANCES,
    }),
  },
  ["name"],
);

/** What holds of entries in audit mode, and of those that are not. */
function audited(then: JsonObject, otherwise: JsonObject = {}): JsonObject {
  return { if: { properties: { mode: { const: "audit" } }, required: ["mode"] }, then, else: otherwise };
}

const PEER: JsonObject = {
  ...object<PeerEntry>(
    {
      keys: says(
        "Its keys: `SHA256:...`, `ed25519:...` as `keys export` prints it, or `spki:SHA256:...` of a certificate.",
        {
          type: "array",
          items: pattern(KEY),
          minItems: 1,
        },
      ),
      names: says("Names that it may claim.", { type: "array", items: pattern(NODE), minItems: 1 }),
      assurance: says("Least assurance. Default with keys: tofu. Without keys it must be ca or cookie.", {
        enum: ASSURANCES,
      }),
      level: says("Its level. A peer above the level of this node commands it; see docs/policy.md.", whole(0)),
      domain: says("The domain it belongs to: full trust when it is the domain of this node.", pattern(WORD)),
      limits: says("Bounds of everything this peer sends, beside those of rules.", LIMITS),
      mode: says("audit: what rules refuse this peer is let through and recorded, until `until`.", MODE),
      until: says(`When audit mode ends. ${UNTIL}`, pattern(TIME)),
    },
    ["names"],
  ),
  anyOf: [{ required: ["keys"] }, { required: ["assurance"], properties: { assurance: { enum: ["ca", "cookie"] } } }],
  ...audited({ required: ["until"] }, { properties: { until: false } }),
};

const GRANTED: JsonObject = oneOrMore({
  enum: VERBS.filter((verb) => verb !== "connect" && !RESERVED_VERBS.includes(verb)),
});

const RULE: JsonObject = {
  ...object<RuleEntry>(
    {
      id: says("Unique name of the rule; decisions and records say it.", {
        type: "string",
        pattern: `^(?!(?:level|domain|peer)$)${WORD}$`,
      }),
      from: says(FROM, oneOrMore(text())),
      allow: says(
        "Operations that it grants. `connect` comes with the entry of a peer and cannot be granted.",
        GRANTED,
      ),
      deny: says("Operations that it refuses, whatever else grants them.", oneOrMore({ enum: VERBS })),
      to: says(TO, oneOrMore(text())),
      when: says("Conditions; all must hold.", CONDITION),
      shape: says("What the message must look like. Only with allow of send, call, cast, rpc or spawn.", {
        $ref: "#/$defs/shape",
      }),
      limits: says("Bounds of what this rule grants.", LIMITS),
      mode: says("audit: a grant that records what it lets through, or a deny that only records.", MODE),
      until: says(`A rule in audit mode needs it; a grant ends there. ${UNTIL}`, pattern(TIME)),
    },
    ["id", "from"],
  ),
  oneOf: [
    { required: ["allow", "to"], ...audited({ required: ["until"] }) },
    {
      required: ["deny"],
      properties: { shape: false, limits: false },
      ...audited({ required: ["until"] }, { properties: { until: false } }),
    },
  ],
};

const TEST: JsonObject = object<TestEntry>(
  {
    from: says("Alias, node name, fingerprint, or `unknown`.", text()),
    verb: says("An operation, or `reply`: an answer of theirs.", { enum: [...VERBS, "reply"] }),
    to: says("As in a rule; for reply `call#open` (we asked) or `call#closed` (we did not).", text()),
    expect: says("What must come of it; deny stands for any refusal.", {
      enum: ["allow", "deny", ...OUTCOMES.slice(1)],
    }),
    rule: says("The rule that must decide.", text()),
  },
  ["from", "verb", "expect"],
);

/** The schema of a `ShapeEntry`; it refers to itself as `#/$defs/shape`. */
export const MESSAGE_SHAPE_SCHEMA: JsonObject = {
  description:
    "A type word (any atom binary bitstring boolean float fun integer list map nil number pid port reference string tuple), " +
    "another word for that atom, an integer, or a form.",
  anyOf: [
    text(),
    { type: "integer" },
    object({ atom: says("This atom, also when it is called like a type.", text()) }, ["atom"]),
    object({ tuple: says("A tuple of exactly these.", { type: "array", items: { $ref: "#/$defs/shape" } }) }, [
      "tuple",
    ]),
    object(
      {
        list: says("A list of these.", { $ref: "#/$defs/shape" }),
        max: says("Most elements.", whole(0)),
      },
      ["list"],
    ),
    object(
      {
        map: says("A map with these atoms as keys.", {
          type: "object",
          additionalProperties: { $ref: "#/$defs/shape" },
        }),
        open: says("Further keys are let through. Default false.", { type: "boolean" }),
      },
      ["map"],
    ),
    object({ oneOf: says("Any of these.", { type: "array", items: { $ref: "#/$defs/shape" }, minItems: 1 }) }, [
      "oneOf",
    ]),
  ],
};

const DOCUMENT: Keys<PolicyDocument> = {
  $schema: says("Where editors find this schema. Not used otherwise.", { type: "string" }),
  version: says("Version of the format.", { const: 1 }),
  node: says("The node whose policy this is, local@host: what others may do to it. Must be its name.", pattern(NODE)),
  mode: says("The policy is enforced; audit mode is for single peers and rules.", { const: "enforce" }),
  level: says("Level of this node: peers of higher levels command it. See docs/policy.md.", whole(0)),
  domain: says("The domain of full trust that this node belongs to.", { anyOf: [pattern(WORD), DOMAIN] }),
  limits: says("Bounds for every peer that has none of its own.", LIMITS),
  peers: says("Who may connect, by alias.", {
    type: "object",
    propertyNames: { pattern: `^(?!unknown$)${WORD}$` },
    additionalProperties: PEER,
  }),
  rules: says("What they may do. The order never matters, and any matching deny wins.", { type: "array", items: RULE }),
  tests: says("Run at every load; one that fails refuses the file.", { type: "array", items: TEST }),
};

function object<T>(keys: Keys<T>, required: readonly (keyof T & string)[] = []): JsonObject {
  return {
    type: "object",
    properties: keys,
    ...(required.length === 0 ? {} : { required }),
    additionalProperties: false,
  };
}

function says(description: string, schema: JsonObject): JsonObject {
  return { description, ...schema };
}

function text(): JsonObject {
  return { type: "string", minLength: 1 };
}

function pattern(form: string): JsonObject {
  return { type: "string", pattern: `^${form}$|${VARIABLE}` };
}

function whole(minimum: number): JsonObject {
  return { type: "integer", minimum };
}

function oneOrMore(schema: JsonObject): JsonObject {
  return { anyOf: [schema, { type: "array", items: schema, minItems: 1 }] };
}
