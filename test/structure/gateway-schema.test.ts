import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, it } from "vitest";
import { PolicyText } from "../../src/config/policy-text.ts";
import { parseGatewayConfig } from "../../src/gateway-run/gateway-config.ts";
import { listFiles, readText } from "./scan.ts";

// The schema that editors use, against the table that the loader checks by.
const schema = new Ajv2020({ strict: true, strictRequired: false }).compile(
  JSON.parse(readText("schema/gateway.schema.json") ?? "{}"),
);

const PAIR = {
  inside: { node: "desk@h", cookie: { file: "in" } },
  outside: { nodes: ["shop@h"], cookie: "text", listen: "tls://0.0.0.0:9400" },
};

function file(pair: object, more: object = {}): object {
  return { version: 1, pairs: [{ ...PAIR, ...pair }], ...more };
}

const filter = (value: object): object => file({ filter: value });
const inbox = (value: object): object => filter({ inbox: [value] });

function isLoaded(value: object): boolean {
  try {
    parseGatewayConfig(JSON.stringify(value), { file: "/etc/gateway.jsonc", environment: () => undefined });
    return true;
  } catch {
    return false;
  }
}

const GOOD: readonly object[] = [
  file({}),
  file({ name: "desk", fragments: false }, { $schema: "x", epmd: { inside: "127.0.0.1:4370" }, control: false }),
  file({ inside: { node: "desk@h", identity: { dir: "keys" }, listen: { "shop@h": "tls://127.0.0.1:1" } } }),
  filter({ profile: "peer", policies: { inside: "a.jsonc", outside: "b.jsonc" }, observe: { until: "2027-01-15" } }),
  inbox({ to: "x", shape: { tuple: ["a", { oneOf: ["b", 1] }] }, payload: "8KiB" }),
  inbox({ to: { revealed: true }, shape: "any", payload: 5, rate: "5/s", uses: 1 }),
];

const BAD: readonly object[] = [
  {},
  { version: 2, pairs: [] },
  file({ fliter: {} }),
  file({ inside: { cookie: { file: "in" } } }),
  file({ inside: { node: "desk@h", listen: { shop: "tls://h:1" } } }),
  file({}, { audit: true }),
  filter({ observe: {} }),
  filter({ commander: "both" }),
  inbox({ to: "x" }),
  inbox({ to: { revealed: false }, shape: "any" }),
  inbox({ to: "x", shape: { tupel: [] } }),
];

describe("schema/gateway.schema.json", () => {
  it.each(GOOD)("takes what the loader takes: %j", (value) => {
    expect(isLoaded(value)).toBe(true);
    expect(schema(value), JSON.stringify(schema.errors)).toBe(true);
  });

  it.each(BAD)("refuses what the loader refuses: %j", (value) => {
    expect(isLoaded(value)).toBe(false);
    expect(schema(value)).toBe(false);
  });

  it("takes the examples, and those in the guide, as the loader does", () => {
    const examples = listFiles("examples", (path) => /gateway[^/]*\.jsonc$/.test(path) && !path.includes(".policy."));
    const pages = ["docs/gateway.md", "docs/gateway-inside.md"].map((path) => readText(path) ?? "");
    const fences = pages.flatMap((page) => [...page.matchAll(/^```jsonc gateway\n([\s\S]*?)^```/gm)]);
    const texts = [...examples.map((path) => readText(path) ?? ""), ...fences.map((fence) => fence[1] ?? "")];
    expect([examples.length >= 3, fences.length]).toEqual([true, 3]);
    for (const text of texts) {
      const source = { file: "/etc/gateway.jsonc", environment: () => "set" };
      expect(parseGatewayConfig(text, source).places).not.toEqual([]);
      expect(schema(new PolicyText(text, () => "set").value), JSON.stringify(schema.errors)).toBe(true);
    }
  });
});
