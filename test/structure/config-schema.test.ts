import { Ajv2020 } from "ajv/dist/2020.js";
import { parse } from "jsonc-parser";
import { describe, expect, it } from "vitest";
import { isSallyportError } from "../../src/base/errors.ts";
import { parseNodeName } from "../../src/base/node-name.ts";
import { exampleConfig } from "../../src/cli/init-files.ts";
import { CONFIG_KEYS } from "../../src/config/config-keys.ts";
import { defaults } from "../../src/config/explain-settings.ts";
import { parseConfig } from "../../src/config/parse-config.ts";
import type { Field } from "../../src/config/shape.ts";
import { listFiles, readText } from "./scan.ts";

// The schema that editors use, against the loader that nodes use.
const published: { properties: Record<string, Schema> } = JSON.parse(readText("schema/sallyport.schema.json") ?? "{}");
const schema = new Ajv2020({ strict: true, allowUnionTypes: true }).compile(published);

interface Schema {
  readonly properties?: Record<string, Schema>;
  readonly anyOf?: readonly Schema[];
}

const SOURCE = { file: "/etc/sallyport/sallyport.jsonc", environment: () => "variable" };

/** Why the loader refuses a text; undefined when it takes it. */
function refusal(text: string): string | undefined {
  try {
    parseConfig(text, SOURCE);
    return undefined;
  } catch (error) {
    if (isSallyportError(error)) return error.message;
    throw error;
  }
}

/** Every sample of a configuration in the documents, as a whole file, with where it stands. */
function samples(): (readonly [string, string])[] {
  const documents = [
    "README.md",
    ...["docs", "examples"].flatMap((dir) => listFiles(dir, (path) => path.endsWith(".md"))),
  ];
  const found: (readonly [string, string])[] = [["init", exampleConfig(parseNodeName("a@h"))]];
  for (const path of documents) {
    const text = readText(path) ?? "";
    for (const match of text.matchAll(/^```jsonc\n([\s\S]*?)^```/gm)) {
      const sample = match[1] ?? "";
      const line = text.slice(0, match.index).split("\n").length;
      found.push([`${path}:${line}`, sample.trimStart().startsWith("{") ? sample : `{${sample}}`]);
    }
  }
  return found;
}

const TLS = { certFile: "c", keyFile: "k", caFile: "a" };

const GOOD: readonly object[] = [
  {},
  { $schema: "x", name: "a@h", listen: ["tls://0.0.0.0:9100-9155"], tickTimeMs: 1, profile: "strict" },
  { cookie: "x" },
  { cookie: { file: "x" } },
  { cookie: { default: "x", peers: { "a@h": { file: "y" } } } },
  { tls: TLS },
  {
    tls: {
      ...TLS,
      ciphers: ["TLS_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"],
      groups: ["x448"],
      depth: 0,
    },
  },
  {
    tls: {
      ...TLS,
      passphrase: "x",
      server: { depth: 16 },
      client: { passphrase: { file: "p" }, maxVersion: "TLSv1.2" },
    },
  },
  { sslDistOptfile: "x", vmArgs: "${DIR:-/etc}/vm.args" },
  { identity: { dir: "k", trust: "tofu", limits: { maxPending: 1 } } },
  { idle: false, control: false, audit: false },
  { idle: { afterMs: 5 }, control: { path: "p" }, audit: { dir: "d", grants: true } },
  { discovery: { dns: true } },
  { quic: { visible: true } },
  { quic: { visible: ["a@h", "b@${HOST:-h}"] } },
  { dangerous: { plaintext: "any" } },
];

const BAD: readonly unknown[] = [
  [],
  "x",
  { lisen: [] },
  { listen: "tls://h" },
  { tls: { certFile: "c", keyFile: "k" } },
  { tls: { ...TLS, ciphers: ["RC4-SHA"] } },
  { tls: { ...TLS, ciphers: "TLS_AES_128_GCM_SHA256" } },
  { tls: { ...TLS, groups: ["secp192r1"] } },
  { tls: { ...TLS, depth: 17 } },
  { tls: { ...TLS, depth: -1 } },
  { tls: { ...TLS, minVersion: "TLSv1.1" } },
  { tls: { ...TLS, client: { certfile: "x" } } },
  { tls: { ...TLS, server: true } },
  { cookie: { file: 5 } },
  { cookie: { peers: { nohost: "x" } } },
  { vmArgs: ["x"] },
  { idle: true },
  { epmd: "maybe" },
  { epmdPort: 65_536 },
  { visible: "yes" },
  { quic: { visible: "a@h" } },
  { quic: { visible: ["h"] } },
  { quic: { visible: [true] } },
  { limits: { maxDepth: 1.5 } },
];

describe("schema/sallyport.schema.json", () => {
  it.each(samples())("accepts the sample of %s, as the loader does", (_, text) => {
    expect(refusal(text)).toBeUndefined();
    expect(schema(parse(text, [], { allowTrailingComma: true })), JSON.stringify(schema.errors)).toBe(true);
  });

  it("finds the samples", () => {
    const places = samples().map(([place]) => place.split(":")[0]);
    expect(places).toEqual(expect.arrayContaining(["init", "docs/discovery.md", "docs/erlang-config.md"]));
    expect(places.length).toBeGreaterThanOrEqual(7);
  });

  it.each(GOOD.map((value) => [JSON.stringify(value)] as const))("accepts what a node loads: %s", (text) => {
    expect(refusal(text)).toBeUndefined();
    expect(schema(JSON.parse(text)), JSON.stringify(schema.errors)).toBe(true);
  });

  it.each(BAD.map((value) => [JSON.stringify(value)] as const))("refuses, as a node does: %s", (text) => {
    expect(refusal(text)).toBeDefined();
    expect(schema(JSON.parse(text))).toBe(false);
  });

  it("has each key of the table, and no other", () => {
    const inTable = keysOf(CONFIG_KEYS, "");
    expect(inTable.length).toBeGreaterThan(100);
    expect(propertiesOf(published, "")).toEqual(inTable);
  });

  it("gives config explain a row for each key that can be set", () => {
    const explained = new Set(defaults().map(({ key }) => key));
    const missing = Object.keys(CONFIG_KEYS).filter(
      (key) => ![...explained].some((row) => row === key || row.startsWith(`${key}.`)),
    );
    expect(missing).toEqual(["$schema"]);
  });
});

/** Every key with those inside it, sorted. */
function keysOf(keys: Readonly<Record<string, Field>>, path: string): string[] {
  const found = Object.entries(keys).flatMap(([key, { shape }]) => {
    const here = `${path}${key}`;
    const inner =
      shape.kind === "object"
        ? [shape.keys]
        : shape.kind === "string-or"
          ? shape.objects.map((object) => object.keys)
          : shape.kind === "false-or" || shape.kind === "true-or"
            ? [shape.object.keys]
            : [];
    return [here, ...inner.flatMap((object) => keysOf(object, `${here}.`))];
  });
  return [...new Set(found)].sort();
}

function propertiesOf({ properties = {}, anyOf = [] }: Schema, path: string): string[] {
  const own = Object.entries(properties).flatMap(([key, inner]) => [
    `${path}${key}`,
    ...propertiesOf(inner, `${path}${key}.`),
  ]);
  return [...new Set([...own, ...anyOf.flatMap((option) => propertiesOf(option, path))])].sort();
}
