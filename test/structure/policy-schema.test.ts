import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, it } from "vitest";
import { PolicyText } from "../../src/config/policy-text.ts";
import { checkDocument } from "../../src/policy/check/check-document.ts";
import { listFiles, readText } from "./scan.ts";

// The schema that editors use, against the check that nodes use.
const schema = new Ajv2020({ strict: true, strictRequired: false }).compile(
  JSON.parse(readText("schema/policy.schema.json") ?? "{}"),
);

const KEY = "SHA256:lBYeLvx9DJcincfQ9igWF9s3NQqmE4cTRXZRhQeQ6yQ";
const BASE = { version: 1, node: "a@h", peers: { desk: { keys: [KEY], names: ["desk@h"] } } };
const RULE = { id: "r", from: "desk", allow: "send", to: "jobs" };

function rule(change: object): object {
  return { ...BASE, rules: [{ ...RULE, ...change }] };
}

function peer(entry: object): object {
  return { version: 1, node: "a@h", peers: { p: entry } };
}

function limits(entry: object): object {
  return { ...BASE, limits: entry };
}

function test(entry: object): object {
  return { ...BASE, tests: [{ from: "desk", verb: "send", to: "jobs", expect: "deny", ...entry }] };
}

const GOOD: readonly object[] = [
  { version: 1, node: "a@h" },
  { $schema: "x", version: 1, node: "a@h", mode: "enforce", level: 3, domain: "home", peers: {}, rules: [], tests: [] },
  { ...BASE, domain: { name: "home", everyPeer: "pinned" } },
  peer({ names: ["b@h"], assurance: "ca" }),
  peer({ names: ["b@h", "b@::1"], assurance: "cookie", level: 0, domain: "x" }),
  peer({ keys: [`spki:${KEY}`], names: ["b@h"], mode: "audit", until: "2027-01-15" }),
  peer({ keys: ["ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="], names: ["b@h"], limits: { funs: true } }),
  limits({ rate: "20/s", bytes: "1MiB/min", inflight: 1, payload: "8KiB", depth: 0, elements: 5, newAtoms: 0 }),
  limits({ payload: 1, funs: false, foreign: true }),
  rule({}),
  rule({ from: ["desk", "level:2", "domain:home", "*"], allow: ["send", "call"], to: ["a", "*", "granted-pids"] }),
  rule({ allow: "rpc", to: ["Jobs.Runner:start/2", "jobs:*/*", "'Jobs':run/1"] }),
  rule({ when: { transport: "native", assurance: "ca", source: ["10.0.0.0/8", "::1"], after: "2026-01-01" } }),
  rule({ when: { before: "2026-01-01T10:00:00+02:00" }, until: "2026-01-01T10:00Z" }),
  rule({ mode: "audit", until: "2026-01-01T10:00:00.5Z" }),
  rule({ shape: "binary" }),
  rule({ shape: { tuple: ["ok", 5, { list: "any", max: 3 }, { map: { a: "pid" }, open: true }] } }),
  rule({ shape: { oneOf: [{ atom: "list" }, { list: "list" }] } }),
  { ...BASE, rules: [{ id: "d", from: "*", deny: ["rpc", "registry"], to: "*" }] },
  { ...BASE, rules: [{ id: "d", from: "desk", deny: "connect" }] },
  test({}),
  test({ from: "unknown", verb: "connect", to: undefined, expect: "deny-default" }),
  test({ verb: "reply", to: "call#open", expect: "allow" }),
];

const BAD: readonly (readonly [string, unknown])[] = [
  ["no object", []],
  ["null", null],
  ["no version", { node: "a@h" }],
  ["another version", { version: 2, node: "a@h" }],
  ["a version in text", { version: "1", node: "a@h" }],
  ["no node", { version: 1 }],
  ["a node without host", { version: 1, node: "a" }],
  ["an unknown key", { ...BASE, rule: [] }],
  ["audit for all", { ...BASE, mode: "audit" }],
  ["a negative level", { ...BASE, level: -1 }],
  ["half a level", { ...BASE, level: 1.5 }],
  ["a domain without name", { ...BASE, domain: { everyPeer: "ca" } }],
  ["a domain of everybody", { ...BASE, domain: { name: "home", everyPeer: "none" } }],
  ["a list of peers", { ...BASE, peers: [] }],
  ["an alias called unknown", { version: 1, node: "a@h", peers: { unknown: { keys: [KEY], names: ["b@h"] } } }],
  ["an alias with spaces", { version: 1, node: "a@h", peers: { "a b": { keys: [KEY], names: ["b@h"] } } }],
  ["a peer without names", peer({ keys: [KEY] })],
  ["a peer with an empty list of names", peer({ keys: [KEY], names: [] })],
  ["a peer with an empty list of keys", peer({ keys: [], names: ["b@h"], assurance: "ca" })],
  ["a name alone", peer({ names: ["b@h"] })],
  ["a name alone that should be pinned", peer({ names: ["b@h"], assurance: "pinned" })],
  ["a cut key", peer({ keys: [KEY.slice(0, -1)], names: ["b@h"] })],
  ["a key of another kind", peer({ keys: ["MD5:abc"], names: ["b@h"] })],
  ["a peer in audit mode without end", peer({ keys: [KEY], names: ["b@h"], mode: "audit" })],
  ["a peer with an end and no audit mode", peer({ keys: [KEY], names: ["b@h"], until: "2027-01-01" })],
  ["an unknown key of a peer", peer({ keys: [KEY], names: ["b@h"], key: KEY })],
  ["a rate of nothing", limits({ rate: "0/s" })],
  ["a rate by day", limits({ rate: "5/day" })],
  ["bytes without time", limits({ bytes: "8KiB" })],
  ["a payload without unit", limits({ payload: "8" })],
  ["a payload of nothing", limits({ payload: 0 })],
  ["no call in flight", limits({ inflight: 0 })],
  ["a limit that is a text", limits({ depth: "5" })],
  ["funs in words", limits({ funs: "yes" })],
  ["a rule without id", rule({ id: undefined })],
  ["a rule called level", rule({ id: "level" })],
  ["a rule from nobody", rule({ from: [] })],
  ["a rule without verb", rule({ allow: undefined })],
  ["allow and deny", rule({ deny: "call" })],
  ["an unknown verb", rule({ allow: "eval" })],
  ["a grant of connect", rule({ allow: "connect" })],
  ["a grant of a reserved verb", rule({ allow: "pubsub" })],
  ["a grant without target", rule({ to: undefined })],
  ["a target that is a number", rule({ to: 5 })],
  ["a deny with limits", { ...BASE, rules: [{ id: "d", from: "*", deny: "send", to: "*", limits: { depth: 1 } }] }],
  ["a deny with a shape", { ...BASE, rules: [{ id: "d", from: "*", deny: "send", to: "*", shape: "any" }] }],
  ["a grant in audit mode without end", rule({ mode: "audit" })],
  ["an end that is no date", rule({ until: "soon" })],
  ["an unknown condition", rule({ when: { weekday: "monday" } })],
  ["an unknown transport", rule({ when: { transport: "quic" } })],
  ["a shape that is a list", rule({ shape: ["ok"] })],
  ["a shape with two forms", rule({ shape: { tuple: [], list: "any" } })],
  ["a shape of no alternatives", rule({ shape: { oneOf: [] } })],
  ["half a number as shape", rule({ shape: 1.5 })],
  ["a test without verb", test({ verb: undefined })],
  ["a test of an unknown verb", test({ verb: "eval" })],
  ["a test that expects nothing", test({ expect: undefined })],
  ["a test that expects a word", test({ expect: "maybe" })],
  ["a test with a list of targets", test({ to: ["a", "b"] })],
];

/** As a file would have it. */
function fromJson(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

describe("schema/policy.schema.json", () => {
  it("is valid itself, in the strict mode of its validator", () => {
    expect(schema.schema).toMatchObject({ title: "Sallyport policy" });
  });

  it.each(GOOD.map((document, i) => [i, document] as const))("accepts what a node loads (%i)", (_, document) => {
    const value = fromJson(document);
    expect(checkDocument(value)).toEqual([]);
    expect(schema(value), JSON.stringify(schema.errors)).toBe(true);
  });

  it.each(BAD)("refuses, as a node does: %s", (_, document) => {
    const value = fromJson(document);
    expect(checkDocument(value)).not.toEqual([]);
    expect(schema(value)).toBe(false);
  });

  it("accepts the example policies, and those are many", () => {
    const files = listFiles("examples", (path) => path.endsWith(".policy.jsonc"));
    expect(files.length).toBeGreaterThanOrEqual(3);
    for (const file of files) {
      const { value, problems } = new PolicyText(readText(file) ?? "", () => undefined);
      expect(problems).toEqual([]);
      expect(schema(value), `${file}: ${JSON.stringify(schema.errors)}`).toBe(true);
      expect(checkDocument(value), file).toEqual([]);
    }
  });

  it("accepts the parts of policies that docs/policy.md shows", () => {
    const parts = [...(readText("docs/policy.md") ?? "").matchAll(/^```jsonc policy\n([\s\S]*?)^```/gm)];
    expect(parts.length).toBeGreaterThanOrEqual(1);
    for (const [, part] of parts) {
      const { value, problems } = new PolicyText(`{ "version": 1, "node": "a@h", ${part} }`, () => undefined);
      expect(problems).toEqual([]);
      expect(schema(value), JSON.stringify(schema.errors)).toBe(true);
      expect(checkDocument(value)).toEqual([]);
    }
  });

  it("lets a variable stand where a checked text stands", () => {
    expect(schema({ version: 1, node: "${NODE}", peers: { p: { keys: ["${KEY}"], names: ["b@h"] } } })).toBe(true);
  });
});
