import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { isSallyportError, type SallyportError } from "../base/errors.ts";
import { nearestName } from "../base/nearest-name.ts";
import { expandVariables } from "./expand-variables.ts";
import { configSchema } from "./json-schema.ts";
import { type ConfigOptions, MAX_CONFIG_CHARS, parseConfig } from "./parse-config.ts";

const SCHEMA_FILE = new URL("../../schema/sallyport.schema.json", import.meta.url);

function parse(text: string, variables: Record<string, string> = {}): ConfigOptions {
  return parseConfig(text, { file: "/etc/sallyport/sallyport.jsonc", environment: (name) => variables[name] });
}

function failure(text: string, variables: Record<string, string> = {}): SallyportError {
  try {
    parse(text, variables);
  } catch (error) {
    if (isSallyportError(error)) return error;
    throw error;
  }
  throw new Error("accepted");
}

describe("parseConfig", () => {
  it("reads every kind of key, with comments and trailing commas", () => {
    expect(
      parse(`{
        // a node
        "$schema": "./schema.json",
        "name": "a@h.example", "listen": ["tls://0.0.0.0:9100",], "visible": true, "epmd": "off", "epmdPort": 4370,
        "cookie": { "file": "cookie" }, "resolve": { "b@h": "10.0.0.1:9100" }, "tickTimeMs": 8000,
        "limits": { "maxDepth": 10 }, "processLimits": { "maxProcesses": 5 }, "maxOpenCalls": 7,
        "dangerous": { "plaintext": "any" }, /* the end */
      }`),
    ).toEqual({
      name: "a@h.example",
      listen: ["tls://0.0.0.0:9100"],
      visible: true,
      epmd: "off",
      epmdPort: 4370,
      cookie: { file: "/etc/sallyport/cookie" },
      resolve: { "b@h": "10.0.0.1:9100" },
      tickTimeMs: 8000,
      limits: { maxDepth: 10 },
      processLimits: { maxProcesses: 5 },
      maxOpenCalls: 7,
      dangerous: { plaintext: "any" },
    });
  });

  it("reads where nodes find each other", () => {
    const read = (discovery: string) => parse(`{"discovery":${discovery}}`).discovery;
    expect(read('{"directory":"nodes","dns":true}')).toEqual({ directory: "/etc/sallyport/nodes", dns: true });
    const dns = '{"service":"_dist._tcp.workers","servers":["127.0.0.1:53"],"port":9100}';
    expect(read(`{"dns":${dns}}`)).toEqual({ dns: JSON.parse(dns) });
  });

  it("takes relative paths from the folder of the file and keeps absolute ones", () => {
    const { tls } = parse('{"tls":{"certFile":"data/../n.crt","keyFile":"/run/n.key","caFile":"ca.crt"}}');
    expect(tls).toEqual({ certFile: "/etc/sallyport/n.crt", keyFile: "/run/n.key", caFile: "/etc/sallyport/ca.crt" });
  });

  it("reads a cookie as text, as a file and by peer", () => {
    expect(parse('{"cookie":"abc"}').cookie).toBe("abc");
    expect(parse('{"cookie":{"peers":{"a@h":{"file":"a"}},"default":"d"}}').cookie).toEqual({
      peers: { "a@h": { file: "/etc/sallyport/a" } },
      default: "d",
    });
    expect(failure('{"cookie":{"default":"d"}}')).toMatchObject({ reason: "CONFIG_MISSING_KEY" });
    expect(failure('{"cookie":{"fille":"d"}}').message).toContain('did you mean "file"');
  });

  it("names file, line and column of a mistake", () => {
    expect(failure('{\n  "name": "a@h",\n  "visible": "yes"\n}').message).toContain(
      "/etc/sallyport/sallyport.jsonc:3:14: visible is a string, expected true or false",
    );
    expect(failure('{\n  "name": "a@h"\n  "visible": true }')).toMatchObject({ reason: "CONFIG_SYNTAX" });
    expect(failure('{\n  "name": "a@h"\n  "visible": true }').message).toContain("sallyport.jsonc:3:3: comma expected");
  });

  it.each([
    ['{"lisen":[]}', "CONFIG_UNKNOWN_KEY", 'did you mean "listen"?'],
    ['{"tls":{"certfile":"x"}}', "CONFIG_UNKNOWN_KEY", 'did you mean "certFile"?'],
    ['{"__proto__":{}}', "CONFIG_UNKNOWN_KEY", "is not a top-level key"],
    ['{"toString":1}', "CONFIG_UNKNOWN_KEY", "is not a top-level key"],
    ['{"name":"a@h","name":"b@h"}', "CONFIG_DUPLICATE_KEY", "stands twice"],
    ['{"epmd":"lokup"}', "CONFIG_VALUE", 'did you mean "lookup"?'],
    ['{"epmd":null}', "CONFIG_VALUE", "epmd is null"],
    ['{"tickTimeMs":1.5}', "CONFIG_VALUE", "a whole number from 1"],
    ['{"tickTimeMs":0}', "CONFIG_VALUE", "a whole number from 1"],
    ['{"epmdPort":65536}', "CONFIG_VALUE", "to 65535"],
    ['{"listen":"tls://h"}', "CONFIG_VALUE", "expected a list"],
    ['{"listen":[1]}', "CONFIG_VALUE", "listen[0] is 1"],
    ['{"resolve":{"nohost":"h:1"}}', "CONFIG_VALUE", "is not a node name"],
    ['{"resolve":[]}', "CONFIG_VALUE", "an object with node names as keys"],
    ['{"discovery":{"dns":false}}', "CONFIG_VALUE", "true or an object with service, port, servers"],
    ['{"discovery":{"dns":{"port":0}}}', "CONFIG_VALUE", "a whole number from 1 to 65535"],
    ['{"discovery":{"multicast":true}}', "CONFIG_UNKNOWN_KEY", "discovery"],
    ['{"dangerous":{"plaintext":"some"}}', "CONFIG_VALUE", 'expected true, false or "any"'],
    ['{"tls":{"certFile":"c","keyFile":"k"}}', "CONFIG_MISSING_KEY", "tls lacks caFile"],
    ['{"name":""}', "CONFIG_VALUE", "name is empty"],
    ["[]", "CONFIG_VALUE", "the file is a list"],
    ["", "CONFIG_SYNTAX", ":1:1: "],
    ["{", "CONFIG_SYNTAX", "close brace expected"],
    ['{"name":"a@h"} {}', "CONFIG_SYNTAX", "end of file expected"],
    ["[".repeat(200_000), "CONFIG_SYNTAX", ":1:1: "],
  ])("refuses %s as %s", (text, reason, says) => {
    const error = failure(text);
    expect(error).toMatchObject({ code: "ERR_CONFIG", reason });
    expect(error.message).toContain(says);
    expect(error.advice).not.toBe("");
  });

  it("never shows the text of a wrong string, which may be a secret", () => {
    expect(failure('{"visible":"hunter2"}').message).not.toContain("hunter2");
  });

  it("bounds the file", () => {
    expect(parse(`{}${" ".repeat(MAX_CONFIG_CHARS - 2)}`)).toEqual({});
    expect(failure(`{}${" ".repeat(MAX_CONFIG_CHARS - 1)}`)).toMatchObject({
      code: "ERR_LIMIT",
      reason: "CONFIG_TOO_LARGE",
    });
  });

  it("fills in variables, and fails on one that is unset or empty", () => {
    expect(parse('{"cookie":"${A}-${B}$$"}', { A: "x", B: "${A}" }).cookie).toBe("x-${A}$");
    expect(parse('{"cookie":{"file":"${DIR}/c"}}', { DIR: "/run" }).cookie).toEqual({ file: "/run/c" });
    for (const variables of [{}, { A: "" }] as Record<string, string>[]) {
      expect(failure('{"cookie":"${A}"}', variables)).toMatchObject({ code: "ERR_CONFIG", reason: "ENV_UNSET" });
    }
    expect(failure('{"cookie":"a$b"}')).toMatchObject({ reason: "CONFIG_VALUE" });
  });
});

describe("expandVariables", () => {
  it("leaves text without dollars alone and looks at a filled-in value only once", () => {
    expect(expandVariables("plain", () => undefined)).toEqual({
      ok: true,
      text: "plain",
      fromFile: false,
      hasPair: false,
    });
    expect(expandVariables("$$${A}", () => "$$")).toMatchObject({ ok: true, text: "$$$", hasPair: true });
    expect(expandVariables("${1}", () => "x")).toEqual({ ok: false, why: "syntax" });
    expect(expandVariables("end$", () => "x")).toEqual({ ok: false, why: "syntax" });
  });
});

describe("nearestName", () => {
  it("finds a slip and keeps quiet about what is far", () => {
    expect(nearestName("VISIBLE", ["visible"])).toBe("visible");
    expect(nearestName("vsiible", ["visible", "listen"])).toBe("visible");
    expect(nearestName("zzz", ["visible", "listen"])).toBeUndefined();
  });
});

describe("the published JSON Schema", () => {
  it("is the one of the table (SALLYPORT_UPDATE=1 writes it)", () => {
    const text = `${JSON.stringify(configSchema(), null, 2)}\n`;
    if (process.env["SALLYPORT_UPDATE"] === "1") writeFileSync(SCHEMA_FILE, text);
    expect(readFileSync(SCHEMA_FILE, "utf8")).toBe(text);
  });
});
