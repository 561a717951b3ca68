import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { isSallyportError, type SallyportError } from "../base/errors.ts";
import { type GatewayConfig, gatewaySchema, parseGatewayConfig } from "./gateway-config.ts";

const SCHEMA_FILE = new URL("../../schema/gateway.schema.json", import.meta.url);

function parse(text: string, variables: Record<string, string> = {}): GatewayConfig {
  return parseGatewayConfig(text, { file: "/etc/gate/gateway.jsonc", environment: (name) => variables[name] });
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

const INSIDE = { node: "desk@h", cookie: { file: "inside.cookie" } };
const OUTSIDE = { nodes: ["shop@h"], cookie: { file: "outside.cookie" }, listen: "tls://0.0.0.0:9400" };
const PAIR = { inside: INSIDE, outside: OUTSIDE };

function file(pair: object, more: object = {}): string {
  return JSON.stringify({ version: 1, pairs: [{ ...PAIR, ...pair }], ...more });
}

const filter = (value: object): string => file({ filter: value });
const inbox = (value: object): string => filter({ inbox: [value] });

describe("parseGatewayConfig", () => {
  it("reads an inside with keys, and a listener for each outside node", () => {
    const inside = {
      node: "desk@h",
      listen: { "shop@h": "quic://127.0.0.1:9101" },
      identity: { dir: "inside-keys", trust: "tofu" },
      quic: { visible: true },
    };
    const { options } = parse(file({ inside }), {});
    expect(options.pairs[0]?.inside).toEqual({ ...inside, identity: { dir: "/etc/gate/inside-keys", trust: "tofu" } });
  });

  it("reads every kind of key, with comments, paths from the folder of the file and variables", () => {
    const { options, audit, control, places } = parse(
      `{
        // a gate
        "$schema": "gateway.schema.json", "version": 1,
        "pairs": [
          {
            "name": "desk",
            "inside": { "node": "desk@h", "address": "tcp://127.0.0.1:\${PORT}", "listen": "tcp://127.0.0.1:0", "cookie": { "file": "in" } },
            "outside": {
              "nodes": ["shop@h"], "listen": "tls://0.0.0.0:9400", "addresses": { "shop@h": "tls://203.0.113.7:9100" },
              "cookie": "text", "tls": { "certFile": "a.crt", "keyFile": "a.key", "caFile": "/ca.crt" },
              "quic": { "allowPublic": false, "retry": true, "visible": false }
            },
            "fragments": false,
            "filter": {
              "profile": "commander", "commander": "inside",
              "allow": { "calls": ["cart"], "functions": ["lists:seq/2"], "funs": false, "killOnlyChildren": true, "granted": ["init"] },
              "policies": { "outside": "shop.policy.jsonc" },
              "observe": { "until": "2027-01-15" },
              "inbox": [{ "to": { "revealed": true }, "shape": { "tuple": ["$x", "any"] }, "rate": "5/s", "payload": 100, "uses": 3 }],
              "leaders": "shell", "wholeReasons": true, "tellsCommands": true, "limits": { "maxCalls": 5 }
            },
          },
        ],
        "epmd": { "inside": "127.0.0.1:4370" }, "tickTimeMs": 8000, "limits": { "maxDepth": 9 },
        "acceptLimits": { "maxHalfOpen": 8 },
        "audit": { "dir": "log", "commands": true }, "control": { "path": "run/gate.sock" }, "dangerous": { "plaintext": "any" },
      }`,
      { PORT: "9405" },
    );
    const [pair] = options.pairs;
    expect(pair?.inside).toEqual({
      node: "desk@h",
      address: "tcp://127.0.0.1:9405",
      listen: "tcp://127.0.0.1:0",
      cookie: { file: "/etc/gate/in" },
    });
    expect(pair?.outside.tls).toEqual({ certFile: "/etc/gate/a.crt", keyFile: "/etc/gate/a.key", caFile: "/ca.crt" });
    expect(pair?.filter).toMatchObject({
      commander: "inside",
      policies: { outside: { file: "/etc/gate/shop.policy.jsonc" } },
      inbox: [{ to: { revealed: true }, shape: { tuple: ["$x", "any"] }, payload: 100 }],
      limits: { maxCalls: 5 },
    });
    expect(options).not.toHaveProperty("version");
    expect(options).not.toHaveProperty("audit");
    expect(audit).toEqual({ dir: "/etc/gate/log", commands: true });
    expect(control).toEqual({ path: "/etc/gate/run/gate.sock" });
    expect(places).toEqual(["5:11"]);
  });

  it("gives policy files the variables of the configuration", () => {
    const { options } = parse(filter({ policies: { inside: "p.jsonc" } }), { KEY: "value" });
    const policy = options.pairs[0]?.filter?.policies?.inside;
    expect(typeof policy === "object" && "environment" in policy ? policy.environment?.("KEY") : undefined).toBe(
      "value",
    );
  });

  it.each([
    ["", "CONFIG_SYNTAX", "the file is empty"],
    ["{}", "CONFIG_MISSING_KEY", "the file lacks version"],
    ['{"version":1}', "CONFIG_MISSING_KEY", "the file lacks pairs"],
    ['{"version":2,"pairs":[]}', "CONFIG_VALUE", "version is 2, expected 1"],
    [file({}, { epdm: {} }), "CONFIG_UNKNOWN_KEY", 'did you mean "epmd"?'],
    [file({ fliter: {} }), "CONFIG_UNKNOWN_KEY", 'did you mean "filter"?'],
    [file({ inside: { cookie: "c" } }), "CONFIG_MISSING_KEY", "pairs[0].inside lacks node"],
    [
      file({ inside: { ...INSIDE, listen: 5 } }),
      "CONFIG_VALUE",
      'a string such as "tcp://127.0.0.1:9101" or an object',
    ],
    [file({ inside: { ...INSIDE, listen: { shop: "tls://h:1" } } }), "CONFIG_VALUE", "is not a node name"],
    [file({ outside: { cookie: "x" } }), "CONFIG_MISSING_KEY", "pairs[0].outside lacks nodes"],
    [file({ outside: { ...OUTSIDE, addresses: { shop: "h:1" } } }), "CONFIG_VALUE", "is not a node name"],
    [filter({ profile: "comander" }), "CONFIG_VALUE", 'did you mean "commander"?'],
    [filter({ allow: { function: [] } }), "CONFIG_UNKNOWN_KEY", 'did you mean "functions"?'],
    [filter({ allow: { granted: ["rex"] } }), "CONFIG_VALUE", "granted[0]"],
    [filter({ observe: {} }), "CONFIG_MISSING_KEY", "observe lacks until"],
    [inbox({ to: "x" }), "CONFIG_MISSING_KEY", "inbox[0] lacks shape"],
    [inbox({ to: "x", shape: { tupel: [] } }), "CONFIG_VALUE", "an object has one of atom, tuple"],
    [inbox({ to: { revealed: false }, shape: "any" }), "CONFIG_VALUE", "revealed is false, expected true"],
    [inbox({ to: "x", shape: "any", payload: true }), "CONFIG_VALUE", "a string such as"],
    [inbox({ to: "x", shape: "any", payload: 0 }), "CONFIG_VALUE", "a whole number from 1"],
    [file({}, { audit: true }), "CONFIG_VALUE", "false or an object"],
  ])("refuses %s as %s", (text, reason, says) => {
    const error = failure(text);
    expect(error).toMatchObject({ code: "ERR_CONFIG", reason });
    expect(error.message).toContain("/etc/gate/gateway.jsonc:1:");
    expect(error.message).toContain(says);
    expect(error.advice).not.toBe("");
  });

  it("takes no key twice within the shape of a message", () => {
    const text = inbox({ to: "x", shape: { tuple: [] } }).replace('{"tuple":[]}', '{"tuple":[],"tuple":["a"]}');
    expect(failure(text)).toMatchObject({ reason: "CONFIG_DUPLICATE_KEY" });
  });

  it("fails on a variable that is not set", () => {
    expect(failure(file({ name: "${WHO}" }))).toMatchObject({ reason: "ENV_UNSET" });
  });
});

describe("schema/gateway.schema.json", () => {
  it("is the one of the table (SALLYPORT_UPDATE=1 writes it)", () => {
    const text = `${JSON.stringify(gatewaySchema(), null, 2)}\n`;
    if (process.env["SALLYPORT_UPDATE"] === "1") writeFileSync(SCHEMA_FILE, text);
    expect(readFileSync(SCHEMA_FILE, "utf8")).toBe(text);
  });
});
