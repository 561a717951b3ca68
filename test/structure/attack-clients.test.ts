import { describe, expect, it } from "vitest";
import { blanked, importsOf, listFiles, readSource, resolveFrom, type Source } from "./scan.ts";

// Those who play attackers and peers share no code with the implementation: a client that used it would agree with its mistakes.

/** Files beside the clients that run or judge an implementation, and so may load it; each with what it is. */
const NO_CLIENTS: Readonly<Record<string, string>> = {
  "test/attack/gateway-rig.ts": "starts the gateway under attack",
  "test/attack/key-rig.ts": "makes certificates, and starts the node under attack",
  "test/attack/policy-attempts.ts": "asks the machines of the policy rig what came of an attempt",
  "test/attack/policy-desktop.ts": "starts the desktop under attack",
  "test/attack/policy-matrix-policies.ts": "policies of the machines under attack",
  "test/attack/policy-rig.ts": "makes certificates, and starts the machines under attack",
  "test/attack/policy-victim.mjs": "the node under attack",
  "test/attack/rig.ts": "makes certificates, and starts the node under attack",
  "test/attack/victim-rig.ts": "watches the node under attack",
  "test/attack/victim.mjs": "the node under attack",
  "test/attack/victim.ts": "starts the node under attack",
  "test/barrel-peer/harness.ts": "starts peers as processes",
  "test/barrel-peer/modules.d.ts": "shapes for the compiler alone",
  "test/barrel-peer/vectors.ts": "reads the recorded exchanges",
};

/** The one package that a client may load, in this one place, by these words: the engine that both sides have. */
const BINDING_FILE = "test/barrel-peer/quic-native.mjs";
const BINDING = "createRequire(import.meta.url)(`@infisical/quic-${process.platform}-${process.arch}`)";

/** Builtins by which a file could load code around the imports. */
const LOADERS = ["node:module", "node:vm", "node:child_process", "node:worker_threads", "node:cluster"];

const isClient = (path: string): boolean =>
  /^test\/(attack|barrel-peer)\/[^/]+\.(ts|mjs)$/.test(path) &&
  !path.endsWith(".test.ts") &&
  NO_CLIENTS[path] === undefined;

/** What a client does that makes it one no more. */
function objectionsTo(source: Source): string[] {
  const found: string[] = [];
  const mayLoad = source.path === BINDING_FILE;
  for (const { specifier, line } of importsOf(source)) {
    const isOwn = specifier.startsWith(".") && isClient(resolveFrom(source.path, specifier));
    const isBuiltin = specifier.startsWith("node:") && (mayLoad || !LOADERS.includes(specifier));
    if (!isOwn && !isBuiltin) found.push(`${source.path}:${line} imports ${specifier}`);
  }
  const code = mayLoad ? source.code.replace(BINDING, "") : source.code;
  if (mayLoad && code === source.code) found.push(`${source.path} loads another engine`);
  const bare = mayLoad
    ? source.bare.replace(/createRequire\(import\.meta\.url\)\(`[^`]*\$\{[^`]*`\)/, "")
    : source.bare;
  for (const [, word] of bare.matchAll(/\b(require|getBuiltinModule|dlopen|eval|Function)\s*\(/g)) {
    found.push(`${source.path} calls ${word}`);
  }
  if (/\bcreateRequire\s*\(/.test(bare)) found.push(`${source.path} calls createRequire`);
  for (const [path] of code.matchAll(/(?:\.\.\/)+(?:src|lib)\/[^"'`\s]*/g)) found.push(`${source.path} names ${path}`);
  return found;
}

const made = (text: string, path = "test/attack/made-up.ts"): Source => ({ path, text, ...blanked(text) });

describe("attack clients and conformance peers", () => {
  const clients = listFiles("test/attack", isClient).concat(listFiles("test/barrel-peer", isClient));

  it("import nothing but node:, each other and the bare engine", () => {
    expect(clients.flatMap((path) => objectionsTo(readSource(path)))).toEqual([]);
    // Of both kinds there are some, and the engine is loaded where it should be.
    expect(clients.filter((path) => path.startsWith("test/attack/")).length).toBeGreaterThan(9);
    expect(clients.filter((path) => path.startsWith("test/barrel-peer/")).length).toBeGreaterThan(15);
    expect(readSource(BINDING_FILE).code).toContain(BINDING);
  });

  it("are all files beside them but those that are listed with what they are", () => {
    const files = listFiles("test/attack", () => true).concat(listFiles("test/barrel-peer", () => true));
    expect(Object.keys(NO_CLIENTS).filter((path) => !files.includes(path))).toEqual([]);
    expect(Object.values(NO_CLIENTS).filter((why) => why === "")).toEqual([]);
  });

  it.each([
    ["an import of the implementation", 'import { encodeTerm } from "../../src/term/encode.ts";'],
    ["its type alone", 'import type { Node } from "../../src/node/api.ts";'],
    ["the built package", 'export * from "../../lib/index.js";'],
    ["the package by name", 'import { createNode } from "sallyport";'],
    ["another package", 'import fc from "fast-check";'],
    ["one who loads it", 'import { Victim } from "./victim.ts";'],
    ["a dynamic import", 'const { encode } = await import("../../src/term/encode.ts");'],
    ["a computed import", "const { encode } = await import(where);"],
    [
      "require",
      'import { createRequire } from "node:module";\nconst encode = createRequire(import.meta.url)("sallyport");',
    ],
    ["another process", 'import { spawn } from "node:child_process";'],
    ["a path to it", 'const program = new URL("../../lib/cli/main.js", import.meta.url);'],
    ["code from text", 'const encode = new Function("return 1");'],
  ])("may not have %s", (_what, text) => {
    expect(objectionsTo(made(text))).not.toEqual([]);
  });

  it("may have the engine in one file only, and nothing else there", () => {
    const text = readSource(BINDING_FILE).text;
    expect(objectionsTo(made(text, BINDING_FILE))).toEqual([]);
    expect(objectionsTo(made(text, "test/barrel-peer/other.mjs"))).not.toEqual([]);
    expect(objectionsTo(made(text.replace("@infisical/quic-", "@infisical/other-"), BINDING_FILE))).not.toEqual([]);
    expect(objectionsTo(made(`${text}\nconst more = require("sallyport");`, BINDING_FILE))).not.toEqual([]);
  });
});
