import { describe, expect, it } from "vitest";
import type { ConfigWarning } from "../config/erlang-text.ts";
import { explainSettings, HIDDEN } from "../config/explain-settings.ts";
import type { Level } from "../config/settings-book.ts";
import { SeededRandom } from "../testkit/seeded-random.ts";
import type { CommonFlags } from "./common-options.ts";
import { gatherSettings, type SettingsWorld, settingsOfNode, settingsOfOneShot } from "./settings.ts";
import { ENVIRONMENT } from "./settings-sources.ts";

const SIDE = '{cacertfile, "/f/ca.crt"}, {certfile, "/f/n.crt"}, {keyfile, "/f/n.key"}';
const CONF = `[{server, [${SIDE}, {depth, 1}]},\n {client, [${SIDE}, {password, "hunter2-passphrase"}]}].`;
const COOKIE = "hunter2-of-vm-args";
const DISK: Readonly<Record<string, string>> = {
  "/srv/ssl_dist.conf": CONF,
  "/srv/vm.args": `-name vm@h\n-setcookie ${COOKIE}\n-ssl_dist_optfile ssl_dist.conf\n-kernel net_ticktime 8\n-no_epmd`,
  "/run/secret": "hunter2-from-a-file\n",
  "/srv/sallyport.jsonc": JSON.stringify({
    name: "config@h",
    cookie: "${file:/run/secret}",
    listen: ["tls://127.0.0.1:1"],
    tls: { certFile: "c.crt", keyFile: "c.key", caFile: "ca.crt", ciphers: ["TLS_AES_128_GCM_SHA256"] },
    resolve: { "a@h": "${file:/run/secret}" },
    tickTimeMs: 5000,
    epmd: "register",
    epmdPort: 1,
  }),
};

function world(variables: Readonly<Record<string, string>> = {}, disk = DISK): SettingsWorld {
  const text = (path: string): string => {
    const found = disk[path];
    if (found === undefined) throw Object.assign(new Error(path), { code: "ENOENT" });
    return found;
  };
  const refuse = (): never => {
    throw new Error("writes");
  };
  const facts = { kind: "file", mode: 0o600, changedMs: 0, stamp: "", link: false, foreign: false } as const;
  return {
    files: {
      facts: (path) => (path in disk ? { ...facts, bytes: text(path).length } : undefined),
      read: (path) => Buffer.from(text(path)),
      readText: text,
      exists: (path) => path in disk,
      mode: () => 0o600,
      makeDirectory: refuse,
      writeAtomic: refuse,
      writeNew: refuse,
    },
    random: new SeededRandom(1),
    environment: (name) => variables[name],
    directory: "/srv",
    hostname: "box.example",
  };
}

const FLAGS: CommonFlags = { timeout: 5000, protocol: "auto" };

function explain(flags: Partial<CommonFlags>, variables: Readonly<Record<string, string>> = {}) {
  const warnings: ConfigWarning[] = [];
  const rows = explainSettings(gatherSettings({ ...FLAGS, ...flags }, world(variables), warnings));
  return { rows, row: (key: string) => rows.find((row) => row.key === key), warnings };
}

describe("the levels", () => {
  const ALL: readonly (readonly [Level, Partial<CommonFlags>, Readonly<Record<string, string>>])[] = [
    ["flag", { name: "flag@h" }, {}],
    ["environment", {}, { SALLYPORT_NAME: "environment@h" }],
    ["vm.args", { vmArgs: "vm.args" }, {}],
    ["config", {}, {}],
  ];

  it.each(ALL.map(([level], i) => [level, i] as const))("%s counts more than all below it", (level, from) => {
    const flags = Object.assign({}, ...ALL.slice(from).map(([, own]) => own)) as Partial<CommonFlags>;
    const variables = Object.assign({}, ...ALL.slice(from).map(([, , own]) => own)) as Record<string, string>;
    const { row } = explain(flags, variables);
    expect(row("name")).toMatchObject({ value: level === "vm.args" ? "vm@h" : `${level}@h`, level });
  });

  it("are told for each key with its place", () => {
    const { row } = explain({ vmArgs: "vm.args", epmdPort: 4, resolve: ["b@h=h:1"] }, { SALLYPORT_EPMD: "lookup" });
    expect(row("name")).toMatchObject({ source: "/srv/vm.args:1:1" });
    expect(row("epmd")).toMatchObject({ value: "lookup", source: "SALLYPORT_EPMD", level: "environment" });
    expect(row("epmdPort")).toMatchObject({ value: 4, source: "--epmd-port", level: "flag" });
    expect(row('resolve["b@h"]')).toMatchObject({ value: "h:1", source: "--resolve" });
    expect(row("tls.server.depth")).toMatchObject({
      value: 1,
      source: expect.stringMatching(/^\/srv\/ssl_dist\.conf:1:\d+$/),
    });
    expect(row("tickTimeMs")).toMatchObject({ value: 8000, source: "/srv/vm.args:4:9" });
    expect(row("maxOpenCalls")).toMatchObject({ value: 100_000, source: "default", level: "default" });
    expect(explain({}).row("tickTimeMs")).toMatchObject({
      value: 5000,
      source: expect.stringMatching(/^\/srv\/sallyport\.jsonc:1:\d+$/),
    });
  });

  it("take an option file as a whole: below it no key of tls counts", () => {
    const { row } = explain({ vmArgs: "vm.args" });
    expect(row("tls.certFile")).toMatchObject({ value: "/f/n.crt" });
    expect(row("tls.ciphers")).toMatchObject({ value: null, level: "default" });
    const over = explain({ vmArgs: "vm.args", tlsCa: "other.crt" });
    expect(over.row("tls.caFile")).toMatchObject({ value: "/srv/other.crt", source: "--tls-ca" });
    expect(over.row("tls.certFile")).toMatchObject({ value: "/f/n.crt" });
  });

  it("refuse two values on one of them", () => {
    const conflict = expect.objectContaining({ code: "ERR_CONFIG", reason: "CONFIG_CONFLICT" });
    expect(() => explain({ sslDistOptfile: "ssl_dist.conf", tlsCa: "other" })).toThrow(conflict);
    expect(() => explain({ sslDistOptfile: "ssl_dist.conf", tlsCa: "/f/ca.crt" })).not.toThrow();
    expect(() => explain({}, { SALLYPORT_COOKIE: "a", SALLYPORT_COOKIE_FILE: "b" })).toThrow(conflict);
  });
});

describe("secrets", () => {
  it("are shown nowhere: neither by explain nor in warnings", () => {
    const cases = [explain({ vmArgs: "vm.args" }), explain({}), explain({}, { SALLYPORT_COOKIE: "hunter2-variable" })];
    for (const { rows, warnings } of cases) expect(JSON.stringify({ rows, warnings })).not.toContain("hunter2");
    expect(cases[0]?.row("cookie")).toMatchObject({ value: HIDDEN, source: "/srv/vm.args:2:1" });
    expect(cases[0]?.row("tls.client.passphrase")).toMatchObject({ value: HIDDEN });
    expect(cases[1]?.row('resolve["a@h"]')).toMatchObject({ value: HIDDEN });
    expect(explain({ cookieFile: "c" }).row("cookie")).toMatchObject({ value: { file: "/srv/c" } });
  });

  it("of peers show whose they are", () => {
    const disk = { "/srv/sallyport.jsonc": '{"cookie":{"default":"hunter2","peers":{"a@h":"hunter2"}}}' };
    const rows = explainSettings(gatherSettings(FLAGS, world({}, disk), []));
    expect(rows.find(({ key }) => key === "cookie")?.value).toEqual({ default: HIDDEN, peers: { "a@h": HIDDEN } });
  });
});

describe("the environment", () => {
  it.each(Object.keys(ENVIRONMENT))("%s is refused when it is set and empty", (name) => {
    expect(() => explain({}, { [name]: "" })).toThrow(
      expect.objectContaining({ reason: "ENV_UNSET", message: expect.stringContaining(name) }),
    );
  });

  it.each([
    ["SALLYPORT_EPMD", "maybe", "lookup, register or off"],
    ["SALLYPORT_EPMD_PORT", "70000", "1 to 65535"],
    ["SALLYPORT_TICK_TIME", "soon", "a whole number"],
  ])("%s is refused as %s", (name, value, says) => {
    expect(() => explain({}, { [name]: value })).toThrow(
      expect.objectContaining({ code: "ERR_CONFIG", reason: "ENV_VALUE", message: expect.stringContaining(says) }),
    );
  });

  it("names files from the working directory, and the configuration file", () => {
    const { row } = explain(
      {},
      {
        SALLYPORT_HEALTH: "0.0.0.0:9180",
        SALLYPORT_TLS_CERT: "n.crt",
        SALLYPORT_LISTEN: "tls://a:1, tls://b:2",
        SALLYPORT_POLICY: "p",
      },
    );
    expect(row("tls.certFile")).toMatchObject({ value: "/srv/n.crt", source: "SALLYPORT_TLS_CERT" });
    expect(row("health.listen")).toMatchObject({ value: "0.0.0.0:9180", source: "SALLYPORT_HEALTH" });
    expect(row("listen")).toMatchObject({ value: ["tls://a:1", "tls://b:2"] });
    expect(row("policy")).toMatchObject({ value: "/srv/p" });
    expect(() => explain({}, { SALLYPORT_CONFIG: "none.jsonc" })).toThrow(
      expect.objectContaining({ reason: "CONFIG_UNREADABLE" }),
    );
    expect(explain({ config: false }, { SALLYPORT_CONFIG: "none.jsonc" }).row("name")).toMatchObject({ value: null });
  });
});

describe("nodes from Erlang's files", () => {
  it("start has name, cookie, listener and TLS of them", () => {
    const warnings: ConfigWarning[] = [];
    const options = settingsOfNode({ ...FLAGS, config: false, vmArgs: "vm.args" }, world(), warnings);
    expect(options).toEqual({
      name: "vm@h",
      cookie: COOKIE,
      listen: ["tls://0.0.0.0:9100-9155"],
      tickTimeMs: 8000,
      epmd: "off",
      tls: {
        certFile: "/f/n.crt",
        keyFile: "/f/n.key",
        caFile: "/f/ca.crt",
        server: { depth: 1 },
        client: { passphrase: "hunter2-passphrase" },
      },
    });
  });

  it("one-shot commands take cookie and TLS, and neither name nor listener", () => {
    const options = settingsOfOneShot({ ...FLAGS, config: false, vmArgs: "vm.args" }, world());
    expect(options).not.toHaveProperty("listen");
    expect(options).toMatchObject({
      cookie: COOKIE,
      name: expect.stringMatching(/^cli-/),
      tls: { certFile: "/f/n.crt" },
    });
    const named = { ...FLAGS, config: false, vmArgs: "vm.args", name: "me@h" };
    expect(settingsOfOneShot(named, world({ SALLYPORT_NAME: "environment@h" })).name).toBe("me@h");
    expect(settingsOfOneShot({ ...named, name: undefined } as never, world({ SALLYPORT_NAME: "e@h" })).name).toMatch(
      /^cli-/,
    );
  });

  it("are named by the configuration file too", () => {
    const disk = { ...DISK, "/srv/sallyport.jsonc": '{"vmArgs":"vm.args","name":"config@h","epmdPort":7}' };
    expect(settingsOfNode(FLAGS, world({}, disk))).toMatchObject({
      name: "vm@h",
      epmdPort: 7,
      tls: { certFile: "/f/n.crt" },
    });
  });
});
