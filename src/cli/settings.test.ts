import { describe, expect, it } from "vitest";
import { SeededRandom } from "../testkit/seeded-random.ts";
import type { CommonFlags } from "./common-options.ts";
import { type SettingsWorld, settingsOfNode, settingsOfOneShot } from "./settings.ts";

/** A disk that holds these files. */
function world(disk: Readonly<Record<string, string>>): SettingsWorld {
  const missing = (path: string): never => {
    throw Object.assign(new Error(path), { code: "ENOENT" });
  };
  const files: SettingsWorld["files"] = {
    facts: (path) => {
      const bytes = disk[path]?.length;
      const facts = { kind: "file", mode: 0o600, changedMs: 0, stamp: "", link: false, foreign: false } as const;
      return bytes === undefined ? undefined : { ...facts, bytes };
    },
    read: (path) => Buffer.from(disk[path] ?? missing(path)),
    readText: (path) => disk[path] ?? missing(path),
    exists: (path) => path in disk,
    mode: () => 0o600,
    makeDirectory: missing,
    writeAtomic: missing,
    writeNew: missing,
  };
  return {
    files,
    random: new SeededRandom(1),
    environment: () => undefined,
    directory: "/srv/shop",
    hostname: "box.example",
  };
}

const FLAGS: CommonFlags = { timeout: 5000, protocol: "auto" };
const TLS_FLAGS = { tlsCert: "c.crt", tlsKey: "c.key", tlsCa: "/etc/ca.crt" };
const CONFIG = JSON.stringify({
  name: "shop@db1",
  listen: ["tls://0.0.0.0:9100"],
  advertise: "db1:9100",
  epmd: "register",
  cookie: { file: "cookie" },
  tls: { certFile: "data/tls/node.crt", keyFile: "data/tls/node.key", caFile: "data/tls/ca.crt" },
  resolve: { "a@h": "h:1", "b@h": "h:2" },
});

describe("an identity", () => {
  const identity = { dir: "keys", trust: "tofu" };
  const disk = world({ "/srv/shop/sallyport.jsonc": JSON.stringify({ ...JSON.parse(CONFIG), identity }) });
  const keys = { dir: "/srv/shop/keys", trust: "tofu" };

  it("makes a one-shot command the node itself, unless the running node may not be asked", () => {
    expect(settingsOfOneShot(FLAGS, disk)).toMatchObject({ name: "shop@db1", identity: keys });
    const alone = settingsOfOneShot({ ...FLAGS, control: false }, disk);
    expect(alone.identity).toBeUndefined();
    expect(alone.name).not.toBe("shop@db1");
  });

  it("is left out when only OTP is to be spoken", () => {
    const flags = { ...FLAGS, protocol: "otp" } as const;
    expect(settingsOfNode(FLAGS, disk).identity).toEqual(keys);
    expect(settingsOfNode(flags, disk).identity).toBeUndefined();
    expect(settingsOfNode({ ...flags, keyDir: "other" }, disk).identity).toBeUndefined();
    expect(settingsOfOneShot(flags, disk).identity).toBeUndefined();
  });

  it("speaks QUIC to all where that is asked for", () => {
    const resolve = ["a@h=127.0.0.1:4433", "b@h=none", "c@h=tls://127.0.0.1:9100"];
    expect(settingsOfNode({ ...FLAGS, protocol: "barrel", resolve }, disk)).toMatchObject({
      identity: keys,
      quic: { retry: false },
      epmd: "off",
      resolve: { "a@h": "quic://127.0.0.1:4433", "b@h": "none", "c@h": "tls://127.0.0.1:9100" },
      discovery: { barrel: { dns: true } },
    });
    expect(settingsOfNode(FLAGS, disk).quic).toBeUndefined();
  });

  it("speaks no QUIC where only the native handshake is to be spoken, and is needed for it", () => {
    const flags = { ...FLAGS, protocol: "native", resolve: ["a@h=quic://127.0.0.1:4433"] } as const;
    const more = { identity, quic: {}, listen: ["quic://127.0.0.1"], discovery: { barrel: { dns: true }, dns: true } };
    const config = JSON.stringify({ ...JSON.parse(CONFIG), ...more });
    const settings = settingsOfOneShot(flags, world({ "/srv/shop/sallyport.jsonc": config }));
    expect(settings).toMatchObject({ identity: keys, discovery: { dns: true } });
    expect(settings.discovery).not.toHaveProperty("barrel");
    expect(settings).not.toHaveProperty("quic");
    for (const without of [
      { ...FLAGS, control: false },
      { ...FLAGS, config: false },
    ])
      expect(() => settingsOfOneShot({ ...without, protocol: "native" }, disk)).toThrow(
        expect.objectContaining({ code: "ERR_CONFIG", reason: "NATIVE_NEEDS_IDENTITY" }),
      );
  });

  it("dials over QUIC as its node would, which listens there", () => {
    const listen = ["tls://0.0.0.0:9100", "quic://127.0.0.1"];
    const config = JSON.stringify({ ...JSON.parse(CONFIG), identity, listen });
    const both = world({ "/srv/shop/sallyport.jsonc": config });
    expect(settingsOfOneShot(FLAGS, both)).toMatchObject({ quic: { retry: false }, identity: keys });
    expect(settingsOfOneShot({ ...FLAGS, protocol: "otp" }, both)).not.toHaveProperty("quic");
    expect(settingsOfOneShot({ ...FLAGS, control: false }, both)).not.toHaveProperty("quic");
    expect(settingsOfOneShot(FLAGS, disk)).not.toHaveProperty("quic");
  });

  it("of which nothing says the name is not used", () => {
    const nameless = world({});
    expect(() => settingsOfOneShot({ ...FLAGS, keyDir: "keys" }, nameless)).toThrow(
      expect.objectContaining({ reason: "NAME_NEEDED" }),
    );
    expect(settingsOfOneShot({ ...FLAGS, keyDir: "keys", name: "a@h" }, nameless).name).toBe("a@h");
  });
});

describe("settingsOfNode", () => {
  it("takes the configuration file of the working directory, and the command line over it", () => {
    const disk = world({ "/srv/shop/sallyport.jsonc": CONFIG });
    const flags = {
      ...FLAGS,
      resolve: ["b@h=tls://h:3"],
      epmd: "off",
      cookieFile: "other",
      tickTime: 8000,
      visible: true,
    } as const;
    expect(settingsOfNode(flags, disk)).toEqual({
      name: "shop@db1",
      listen: ["tls://0.0.0.0:9100"],
      advertise: "db1:9100",
      epmd: "off",
      cookie: { file: "/srv/shop/other" },
      tls: {
        certFile: "/srv/shop/data/tls/node.crt",
        keyFile: "/srv/shop/data/tls/node.key",
        caFile: "/srv/shop/data/tls/ca.crt",
      },
      resolve: { "a@h": "h:1", "b@h": "tls://h:3" },
      tickTimeMs: 8000,
      visible: true,
    });
    expect(() => settingsOfNode({ ...FLAGS, config: false }, disk)).toThrow(
      expect.objectContaining({ reason: "TLS_MISSING" }),
    );
  });

  it("takes a shared directory from the working directory, and the rest of discovery from the file", () => {
    const found = (discovery: object, flag?: string) =>
      settingsOfNode(
        { ...FLAGS, ...(flag === undefined ? {} : { discoveryDir: flag }) },
        world({ "/srv/shop/sallyport.jsonc": JSON.stringify({ ...JSON.parse(CONFIG), discovery }) }),
      ).discovery;
    expect(found({ directory: "../nodes", dns: true })).toEqual({ directory: "/srv/nodes", dns: true });
    expect(found({ directory: "../nodes", dns: true }, "other")).toEqual({ directory: "/srv/shop/other", dns: true });
  });

  it("takes none for a node that only dials", () => {
    const settings = settingsOfNode({ ...FLAGS, ...TLS_FLAGS, resolve: ["laptop@home=none"] }, world({}));
    expect(settings.resolve).toEqual({ "laptop@home": "none" });
  });

  it("listens on 127.0.0.1 unless told otherwise, with TLS where there are certificates", () => {
    expect(settingsOfNode({ ...FLAGS, ...TLS_FLAGS }, world({})).listen).toEqual(["tls://127.0.0.1"]);
    expect(settingsOfNode({ ...FLAGS, dangerousPlaintext: "any" }, world({}))).toMatchObject({
      listen: ["tcp://127.0.0.1"],
      dangerous: { plaintext: "any" },
    });
  });

  it("fails on a file that was named and is not there", () => {
    expect(() => settingsOfNode({ ...FLAGS, config: "x.jsonc" }, world({}))).toThrow(
      expect.objectContaining({ code: "ERR_CONFIG", reason: "CONFIG_UNREADABLE" }),
    );
  });

  it("wants certificate, key and CA together", () => {
    expect(() => settingsOfNode({ ...FLAGS, tlsCert: "c", tlsCa: "a" }, world({}))).toThrow(
      expect.objectContaining({ code: "ERR_CONFIG", reason: "TLS_INCOMPLETE" }),
    );
  });

  it.each(["x", "=h:1", "nohost=h:1"])("refuses --resolve %s", (entry) => {
    expect(() => settingsOfNode({ ...FLAGS, ...TLS_FLAGS, resolve: [entry] }, world({}))).toThrow(
      expect.objectContaining({ code: "ERR_CONFIG", reason: "RESOLVE_INVALID" }),
    );
  });
});

describe("a policy", () => {
  const disk = world({ "/srv/shop/sallyport.jsonc": JSON.stringify({ ...JSON.parse(CONFIG), policy: "p.jsonc" }) });

  it("comes from the configuration or the command line, from their own directories", () => {
    expect(settingsOfNode(FLAGS, disk)).toMatchObject({ policy: { file: "/srv/shop/p.jsonc" } });
    expect(settingsOfNode({ ...FLAGS, policy: "../q.jsonc" }, disk)).toMatchObject({
      policy: { file: "/srv/q.jsonc" },
    });
  });

  it("is that of the running node, and not of a command under another name", () => {
    expect(settingsOfOneShot(FLAGS, disk)).not.toHaveProperty("policy");
    expect(settingsOfOneShot({ ...FLAGS, policy: "q.jsonc" }, disk)).toMatchObject({
      policy: { file: "/srv/shop/q.jsonc" },
    });
  });
});

describe("settingsOfOneShot", () => {
  it("leaves the name, the listeners and the registration to the running node", () => {
    const settings = settingsOfOneShot(FLAGS, world({ "/srv/shop/sallyport.jsonc": CONFIG }));
    expect(settings).not.toHaveProperty("listen");
    expect(settings).not.toHaveProperty("advertise");
    expect(settings.epmd).toBe("lookup");
    expect(settings.name).toMatch(/^cli-[0-9a-f]{8}@box\.example$/);
    expect(settings.cookie).toEqual({ file: "/srv/shop/cookie" });
  });

  it("leaves the nodes to connect to, and the exchange with them, to the running node", () => {
    const config = JSON.stringify({
      ...JSON.parse(CONFIG),
      seeds: ["b@h"],
      exchange: { with: ["b@h"] },
      health: { listen: "1" },
    });
    const disk = world({ "/srv/shop/sallyport.jsonc": config });
    expect(settingsOfNode(FLAGS, disk)).toMatchObject({ seeds: ["b@h"], exchange: { with: ["b@h"] } });
    for (const key of ["seeds", "exchange", "health"]) expect(settingsOfOneShot(FLAGS, disk)).not.toHaveProperty(key);
  });

  it("uses the command line's own certificate beside the node's, unless one is given", () => {
    const disk = world({
      "/srv/shop/sallyport.jsonc": CONFIG,
      "/srv/shop/data/tls/cli.crt": "",
      "/srv/shop/data/tls/cli.key": "",
    });
    expect(() => settingsOfOneShot(FLAGS, disk)).toThrow(expect.objectContaining({ reason: "CERT_PARSE" }));
    expect(settingsOfOneShot({ ...FLAGS, name: "me@h" }, disk).tls?.certFile).toBe("/srv/shop/data/tls/cli.crt");
    expect(settingsOfOneShot({ ...FLAGS, ...TLS_FLAGS, name: "me@h" }, disk).tls).toEqual({
      certFile: "/srv/shop/c.crt",
      keyFile: "/srv/shop/c.key",
      caFile: "/etc/ca.crt",
    });
  });
});

describe("a one-shot command over QUIC without a key directory", () => {
  const shot = (flags: Partial<CommonFlags>, disk = world({}), target = "a@h") =>
    settingsOfOneShot({ ...FLAGS, ...flags }, disk, [], target);
  const config = (more: object): SettingsWorld =>
    world({ "/srv/shop/sallyport.jsonc": JSON.stringify({ ...JSON.parse(CONFIG), ...more }) });

  it.each([
    ["by its protocol", { protocol: "barrel" }],
    ["by an address", { resolve: ["a@h=quic://127.0.0.1:4433"] }],
  ] as const)("needs no certificates, and has a name of its own, %s", (_by, flags) => {
    const settings = shot(flags);
    expect(settings).toMatchObject({ quic: { retry: false }, name: expect.stringMatching(/^cli-[0-9a-f]{8}@box/) });
    expect(settings).not.toHaveProperty("identity");
  });

  it("goes by the address that the configuration has for the node, and dials others as ever", () => {
    const disk = config({ quic: {}, resolve: { "a@h": "quic://h:1", "b@h": "h:2", "c@::1": "quic://[::1]:3" } });
    expect(shot({ name: "me@h" }, disk, "a@H:9").quic).toBeDefined();
    expect(shot({ name: "me@h" }, disk, "c@::1").quic).toBeDefined();
    expect(shot({ name: "me@h" }, disk, "b@h")).not.toHaveProperty("quic");
    expect(shot({ name: "me@h" }, disk, "no name")).not.toHaveProperty("quic");
  });

  it("goes by a configuration that has nothing but QUIC", () => {
    const only = { name: "shop@db1", quic: { allowPublic: true }, identity: { dir: "keys" } };
    const disk = world({ "/srv/shop/sallyport.jsonc": JSON.stringify(only) });
    const settings = shot({ control: false }, disk);
    expect(settings).toMatchObject({ quic: { allowPublic: true }, name: expect.stringMatching(/^cli-/) });
    expect(settings).not.toHaveProperty("identity");
  });

  it("goes by a configuration that listens on QUIC and nothing else", () => {
    const only = { name: "shop@db1", listen: ["quic://127.0.0.1"], identity: { dir: "keys" } };
    const disk = world({ "/srv/shop/sallyport.jsonc": JSON.stringify(only) });
    const settings = shot({ control: false }, disk);
    expect(settings).toMatchObject({ quic: { retry: false }, name: expect.stringMatching(/^cli-/) });
    for (const key of ["identity", "listen"]) expect(settings).not.toHaveProperty(key);
  });

  it("takes no name from a certificate, which others may know by another key", () => {
    const disk = world({
      "/srv/shop/sallyport.jsonc": CONFIG,
      "/srv/shop/data/tls/cli.crt": "",
      "/srv/shop/data/tls/cli.key": "",
    });
    const resolve = ["a@h=quic://127.0.0.1:4433"];
    // The empty certificate is not read for a name: that would fail.
    expect(() => shot({}, disk)).toThrow(expect.objectContaining({ reason: "CERT_PARSE" }));
    expect(shot({ resolve }, disk).name).toMatch(/^cli-[0-9a-f]{8}@box\.example$/);
    expect(shot({ resolve, name: "me@h" }, disk).name).toBe("me@h");
  });

  it("takes no part of an identity without its directory, and mode tofu for one that has it", () => {
    const flags = { protocol: "barrel", trust: "tofu" } as const;
    expect(shot(flags)).not.toHaveProperty("identity");
    expect(shot({ ...flags, keyDir: "keys", name: "me@h" }).identity).toEqual({ dir: "/srv/shop/keys", trust: "tofu" });
  });

  it("does not go by QUIC where only OTP is to be spoken", () => {
    const flags = { protocol: "otp", name: "me@h", resolve: ["a@h=quic://127.0.0.1:4433"] } as const;
    expect(shot(flags, config({ quic: {} }))).not.toHaveProperty("quic");
  });

  it("is no way to start a node", () => {
    expect(settingsOfNode({ ...FLAGS, protocol: "barrel" }, world({}))).not.toHaveProperty("identity");
  });
});
