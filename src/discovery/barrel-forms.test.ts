import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import type { SharedFiles, SharedRead } from "../base/shared-files.ts";
import { RealIdentityCrypto } from "../system/real-identity-crypto.ts";
import { failureOf } from "../testkit/failure.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import {
  BARREL_FORM,
  barrelDnsResolver,
  barrelNodes,
  barrelStaticResolver,
  isBarrelName,
  MAX_BARREL_NODES,
  MAX_BARREL_NODES_BYTES,
  readBarrelNodes,
} from "./barrel-forms.ts";
import { directoryRegistrar, directoryResolver } from "./directory.ts";
import type { DnsClient } from "./dns-client.ts";
import { WAYS_TO_QUIC } from "./endpoint-file.ts";

const B = parseNodeName("b@127.0.0.1");
const never = new AbortController().signal;
const quic = (host: string, port: number) => ({ scheme: "quic", host, port });

describe("names of barrel_p2p (barrel-auth section 3)", () => {
  it.each(["a@h", "A_1@h-x.example", "_@_", `${"n".repeat(253)}@h`])("takes %s", (name) => {
    expect(isBarrelName(name)).toBe(true);
  });
  it.each([
    "a",
    "a@",
    "@h",
    "a@b@c",
    ".a@h",
    "-a@h",
    "a@.h",
    "a@-h",
    "a@::1",
    "\u00e9@h",
    "a b@h",
    `${"n".repeat(254)}@h`,
  ])("refuses %s", (name) => {
    expect(isBarrelName(name)).toBe(false);
  });
});

describe("endpoint files of barrel_p2p", () => {
  const parse = (text: string) => BARREL_FORM.parse(Buffer.from(text), B, ["tls", "quic"]);

  it.each([
    ['{"127.0.0.1",4433}.\n', quic("127.0.0.1", 4433)],
    ['{"node7.example",1}.', quic("node7.example", 1)],
    ['{<<"192.0.2.7">>,9}.', quic("192.0.2.7", 9)],
    ["{{192,0,2,7},4433}.", quic("192.0.2.7", 4433)],
    ["{{8193,3512,0,0,0,0,0,7},4433}.", quic("2001:db8:0:0:0:0:0:7", 4433)],
  ])("reads %s", (text, address) => expect(parse(text)).toEqual([address]));

  it.each([
    "",
    "{",
    '{"127.0.0.1",4433}',
    '{"127.0.0.1",0}.',
    '{"127.0.0.1",65536}.',
    '{"127.0.0.1",4433.0}.',
    '{"127.0.0.1"}.',
    '{"127.0.0.1",4433,udp}.',
    '{"",4433}.',
    '{"a b",4433}.',
    "{{192,0,2},4433}.",
    "{{192,0,2,256},4433}.",
    '["127.0.0.1",4433].',
    '{"127.0.0.1",4433}. {"127.0.0.2",4433}.',
    `{"${"h".repeat(300)}",4433}.`,
    '{"sallyport":1}',
  ])("refuses %s", (text) => expect(parse(text)).toBe('its file does not hold {"HOST",PORT}.'));

  it("leads nowhere on a node that does not dial QUIC", () => {
    expect(BARREL_FORM.parse(Buffer.from('{"h",1}.'), B, ["tls"])).toContain(
      `it leads to QUIC, which is not dialled here; ${WAYS_TO_QUIC}`,
    );
  });

  it("are written as barrel_p2p writes them, found again, and removed", async () => {
    const entries = new Map<string, SharedRead>();
    const files: SharedFiles = {
      read: async (path) => entries.get(path) ?? "no-file",
      write: async (path, text) => void entries.set(path, Buffer.from(text)),
      remove: async (path) => void entries.delete(path),
    };
    const crypto = new RealIdentityCrypto();
    const parts = { files, clock: new VirtualClock(), crypto, directory: "/shared", form: BARREL_FORM };
    const registrar = directoryRegistrar({ ...parts, warn: () => undefined });
    const endpoints = [
      { scheme: "tls", host: "192.0.2.7", port: 9100 } as const,
      { ...quic("192.0.2.7", 4433) } as never,
    ];
    const registration = await registrar.register({ name: B, creation: 7, endpoints });
    expect([...entries].map(([path, bytes]) => [path, String(bytes)])).toEqual([
      ["/shared/b@127.0.0.1.endpoint", '{"192.0.2.7",4433}.\n'],
    ]);
    const resolver = directoryResolver(parts, ["quic"]);
    expect(await resolver.resolve(B, never)).toEqual([quic("192.0.2.7", 4433)]);
    await registration.close();
    expect(entries.size).toBe(0);
    await (await registrar.register({ name: B, creation: 7, endpoints: endpoints.slice(0, 1) })).close();
    const notes: string[] = [];
    const unnamed = parseNodeName("b@::1");
    expect(await resolver.resolve(unnamed, never, (said) => notes.push(said))).toEqual([]);
    expect(notes).toEqual(["files of this form have no place for such a name"]);
    await registrar.register({ name: unnamed, creation: 7, endpoints });
    expect(entries.size).toBe(0);
  });
});

describe("the nodes of a configuration of barrel_p2p", () => {
  const config = (nodes: string) => `[{kernel,[]},{quic,[{dist,[{dist_port,4433},{nodes,${nodes}}]}]}].`;

  it("is the table under quic, dist, nodes", async () => {
    const nodes = barrelNodes(config("[{'a@h',{{127,0,0,1},4433}},{'B@Host',{\"192.0.2.7\",9}}]"), "sys.config");
    const resolver = barrelStaticResolver(nodes);
    expect(await resolver.resolve(parseNodeName("a@h"), never)).toEqual([quic("127.0.0.1", 4433)]);
    expect(await resolver.resolve(parseNodeName("B@hOST"), never)).toEqual([quic("192.0.2.7", 9)]);
    const notes: string[] = [];
    expect(await resolver.resolve(B, never, (said) => notes.push(said))).toEqual([]);
    expect(notes).toEqual(["no entry"]);
  });

  it.each([
    ["nothing", ""],
    ["no list of nodes", "[{quic,[{dist,[]}]}]."],
    ["an entry of three", config("[{'a@h',\"127.0.0.1\",4433}]")],
    ["a name that is none", config('[{a,{"127.0.0.1",4433}}]')],
    ["a port that is none", config("[{'a@h',{\"127.0.0.1\",70000}}]")],
    ["too many", config(`[${Array.from({ length: MAX_BARREL_NODES + 1 }, (_, n) => `{'n${n}@h',{"h",1}}`)}]`)],
  ])("is refused with %s", (_what, text) => {
    expect(failureOf(() => barrelNodes(text, "sys.config"))).toBe("ERR_CONFIG BARREL_NODES_INVALID");
  });

  it("is read from a file of bounded size", () => {
    const files = (bytes: number, text: () => string) =>
      ({ facts: () => ({ bytes }), readText: text }) as unknown as Parameters<typeof readBarrelNodes>[1];
    expect(
      readBarrelNodes(
        "f",
        files(9, () => config("[]")),
      ).size,
    ).toBe(0);
    const gone = (): never => {
      throw Object.assign(new Error("x"), { code: "ENOENT" });
    };
    expect(() => readBarrelNodes("f", files(0, gone))).toThrow("it cannot be read (ENOENT)");
    expect(() =>
      readBarrelNodes(
        "f",
        files(MAX_BARREL_NODES_BYTES + 1, () => config("[]")),
      ),
    ).toThrow("more than");
  });
});

describe("DNS for barrel_p2p", () => {
  const client: DnsClient = {
    srv: async () => [],
    addresses: async (host) => (host === "h.example" ? ["192.0.2.7", "2001:db8::7"] : []),
    hasOwnServers: false,
  };

  it("gives A and AAAA addresses of the host part, with one port for all", async () => {
    const resolver = barrelDnsResolver(client, 4433);
    expect(await resolver.resolve(parseNodeName("n@H.example"), never)).toEqual([
      quic("192.0.2.7", 4433),
      quic("2001:db8::7", 4433),
    ]);
    expect(await resolver.resolve(B, never)).toEqual([quic("127.0.0.1", 4433)]);
    const notes: string[] = [];
    expect(await resolver.resolve(parseNodeName("n@other"), never, (said) => notes.push(said))).toEqual([]);
    expect(notes).toEqual(["no address for other"]);
  });
});
