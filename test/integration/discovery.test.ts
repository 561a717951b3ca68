import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { createNode } from "../../src/create-node.ts";
import { listMembers } from "../../src/discovery/dns.ts";
import { createDnsClient } from "../../src/discovery/dns-client.ts";
import type { Node } from "../../src/node/api.ts";
import type { NodeOptions } from "../../src/node/options.ts";
import { directoryResolver, dnsResolver, epmdResolver, hostPartResolver, staticResolver } from "../../src/resolvers.ts";
import { testAuthority } from "../../src/testkit/real-test-authority.ts";
import { encodePortAnswer, epmdEntry } from "../../src/wire/epmd.ts";
import { Cli, configure, documentOf, runCli } from "./cli-process.ts";
import { addressRecord, NameServer, srvRecord } from "./name-server.ts";
import { A, B, C, failure, NativeRig, portOf } from "./native-rig.ts";

const rig = new NativeRig();
const COOKIE = "discovery-cookie-of-the-tests";

async function nameServer(zone: NameServer["zone"] = {}): Promise<NameServer> {
  const server = await NameServer.start(zone);
  rig.atEnd(() => server.stop());
  return server;
}

/** A directory that the nodes of a test share. */
function sharedDirectory(): string {
  const path = rig.place("shared");
  mkdirSync(path, { recursive: true });
  return path;
}

/** An EPMD that gives one port for every name. */
async function lyingEpmd(port: number): Promise<number> {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", () => socket.end(encodePortAnswer({ found: true, entry: epmdEntry("b", port, true) })));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  rig.atEnd(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** Each way to look for a node, made to lead to `port` instead: options of the node that looks. */
const POISONED: Readonly<Record<string, (target: string, port: number) => Promise<Partial<NodeOptions>>>> = {
  "static table": async (target, port) => ({ resolve: { [target]: `127.0.0.1:${port}` } }),
  "shared directory": async (target, port) => {
    const directory = sharedDirectory();
    const endpoints = [`tls://127.0.0.1:${port}`];
    const file = { sallyport: 1, node: target, endpoints, creation: 5, startedMs: 0 };
    writeFileSync(join(directory, `${target}.json`), JSON.stringify(file));
    return { discovery: { directory } };
  },
  "name server": async (target, port) => {
    const host = target.slice(target.indexOf("@") + 1);
    const server = await nameServer({
      [`SRV _sallyport._tcp.${host}`]: [srvRecord(`_sallyport._tcp.${host}`, "elsewhere.test", port)],
      "A elsewhere.test": [addressRecord("elsewhere.test", "127.0.0.1")],
    });
    return { discovery: { dns: { servers: [server.address] } } };
  },
  EPMD: async (_target, port) => ({ epmd: "lookup", epmdPort: await lyingEpmd(port) }),
  "resolver of one's own": async (_target, port) => {
    const resolve = async () => [{ scheme: "tls" as const, host: "127.0.0.1", port }];
    return { resolve: [{ label: "ours", resolve }] };
  },
};

/** Keys that a node took up from others. */
const pinsOf = (who: string): readonly string[] =>
  ["trusted", "first-use"].flatMap((place) => {
    const path = join(rig.keyDir(who), place);
    return existsSync(path) ? readdirSync(path) : [];
  });

describe.each(Object.keys(POISONED))("a poisoned %s", (backend) => {
  // A host that is an address has no records in DNS.
  const target = backend === "name server" ? "b@b.test" : B;
  const poison = (to: Node) => POISONED[backend]?.(target, portOf(to)) ?? Promise.reject(new Error(backend));

  it("leads to a refused connection when another node answers, also on first use", async () => {
    const wrong = await rig.node(C, "tofu");
    const options = await poison(wrong);
    const a = await rig.node(A, "tofu", options);
    expect(await failure(a.connect(target))).toMatchObject({ code: "ERR_DENIED", reason: "PEER_NAME_MISMATCH" });
    expect([a.peers(), wrong.peers(), pinsOf(A)]).toEqual([[], [], []]);
  });

  it("leads to a refused connection when somebody with the name but another key answers", async () => {
    await rig.acquainted(A, target);
    const impostor = await rig.node(target, "tofu", { identity: { dir: rig.place("impostor") } });
    const options = await poison(impostor);
    const a = await rig.node(A, "tofu", options);
    const before = pinsOf(A);
    expect(await failure(a.connect(target))).toMatchObject({ code: "ERR_DENIED", reason: "KEY_MISMATCH" });
    expect([a.peers(), impostor.peers(), pinsOf(A)]).toEqual([[], [], before]);
  });

  it("leads to a refused connection when a node with another certificate of the same CA answers", async () => {
    const authority = await testAuthority(rig.place("ca"));
    const node = async (name: string, more: Partial<NodeOptions>): Promise<Node> => {
      const { certFile, keyFile } = await authority.issue(name);
      const tls = { certFile, keyFile, caFile: authority.caFile };
      return rig.own(await createNode({ name, cookie: COOKIE, epmd: "off", tls, ...more }));
    };
    const wrong = await node("c@elsewhere.test", { listen: ["tls://127.0.0.1:0"] });
    const options = await poison(wrong);
    const a = await node(A, options);
    expect(await failure(a.connect(target))).toMatchObject({ code: "ERR_DENIED", reason: "CERT_NAME_MISMATCH" });
    expect([a.peers(), wrong.peers()]).toEqual([[], []]);
  });
});

describe("the shared directory", () => {
  it("brings two processes together that listen on whatever port was free", async () => {
    const directory = sharedDirectory();
    const [home, other] = [rig.place("b-home"), rig.place("a-home")];
    configure(home, B, { identity: { trust: "tofu" }, discovery: { directory: "../shared" } });
    configure(other, A, { identity: { trust: "tofu" } });
    const node = new Cli(home, ["start", "--json"]);
    rig.atEnd(() => node.kill("SIGKILL"));
    const said = await node.says(/"event":"listening".*\n/);
    const endpoint = /tls:\/\/127\.0\.0\.1:\d+/.exec(said)?.[0];
    expect(endpoint).not.toMatch(/:(0|9100)$/);
    const file = JSON.parse(readFileSync(join(directory, `${B}.json`), "utf8"));
    expect(file).toMatchObject({ sallyport: 1, node: B, endpoints: [endpoint] });

    const found = await runCli(other, ["ping", B, "--discovery-dir", "../shared", "--json"]);
    expect(documentOf(found)).toMatchObject({ ok: true, result: { peer: B } });
    const alone = documentOf(await runCli(other, ["ping", B, "--discovery-dir", "../nowhere", "--json"]));
    expect(alone.ok).toBe(false);
    expect(alone.error["message"]).toContain("nowhere: it does not exist on this machine; is it mounted?");

    await node.kill("SIGTERM");
    expect(readdirSync(directory)).toEqual([]);
  });

  it("is told what is advertised, and the host of the name where a node listens on all addresses", async () => {
    const discovery = { directory: sharedDirectory() };
    const fileOf = (name: string) => JSON.parse(readFileSync(join(discovery.directory, `${name}.json`), "utf8"));
    const [all, second] = ["tls://0.0.0.0:0", "tls://127.0.0.1:0"];
    const b = await rig.node("b@home.test", "tofu", { discovery, listen: [all] });
    expect(fileOf(b.name)).toMatchObject({ endpoints: [`tls://home.test:${portOf(b)}`] });
    const c = await rig.node(C, "tofu", { discovery, listen: [all, second], advertise: "gate.example:443" });
    expect(fileOf(C)).toMatchObject({ endpoints: ["tls://gate.example:443", c.endpoints[1]] });
    await rig.node(A, "tofu", { discovery, listen: [] });
    expect(existsSync(join(discovery.directory, `${A}.json`))).toBe(false);
    await b.close();
    expect(existsSync(join(discovery.directory, "b@home.test.json"))).toBe(false);
  });

  it("must be there when a node starts that listens; nothing stays behind when it is not", async () => {
    const discovery = { directory: rig.place("unmounted") };
    const listen = ["tls://127.0.0.1:0"];
    const starting = rig.node(B, "tofu", { discovery, listen });
    expect(await failure(starting)).toMatchObject({ code: "ERR_CONFIG", reason: "DISCOVERY_DIRECTORY" });
    expect(await failure(starting)).toMatchObject({ message: expect.stringContaining("ENOENT") });
    await rig.node(A, "tofu", { discovery, listen: [] });
  });
});

describe("DNS", () => {
  const node = (name: string, server: NameServer, dns: object = {}): Promise<Node> =>
    rig.node(name, "tofu", { discovery: { dns: { servers: [server.address], ...dns } } });

  it("brings two nodes together by the SRV record of a host", async () => {
    const server = await nameServer();
    const b = await node("b@b.test", server);
    server.zone["SRV _sallyport._tcp.b.test"] = [srvRecord("_sallyport._tcp.b.test", "machine.test", portOf(b))];
    server.zone["A machine.test"] = [addressRecord("machine.test", "127.0.0.1")];
    const a = await node("a@a.test", server);
    expect((await a.ping("b@B.test")).peer.name).toBe("b@b.test");
  });

  it("joins the members of a service that is named as a seed, and leaves itself out", async () => {
    const server = await nameServer();
    const service = "_dist._tcp.workers.test";
    const a = await node("w@127.0.0.1", server);
    server.zone[`SRV ${service}`] = [srvRecord(service, "127.0.0.1", portOf(a)), srvRecord(service, "localhost", 1)];
    const b = await rig.node("w@localhost", "tofu", {
      discovery: { dns: { servers: [server.address], service } },
      seeds: [`dns:w@${service}`],
    });
    await vi.waitFor(() => expect(b.peers().map((peer) => peer.name)).toEqual(["w@127.0.0.1"]), 10_000);
    expect(b.vitals().seeds).toMatchObject([{ name: "w@127.0.0.1", state: "joined", from: `dns:w@${service}` }]);
  });

  it("brings two nodes together by the SRV records of a headless service, and lists its members", async () => {
    const [service, host] = ["_dist._tcp.workers.ns.test", "pod-1.workers.ns.test"];
    const server = await nameServer({ [`A ${host}`]: [addressRecord(host, "127.0.0.1")] });
    const b = await node(`app@${host}`, server);
    server.zone[`SRV ${service}`] = [
      srvRecord(service, "pod-0.workers.ns.test", 1),
      srvRecord(service, host, portOf(b)),
    ];
    const a = await node("app@pod-2.workers.ns.test", server, { service });
    expect((await a.ping(`app@${host}`)).peer.name).toBe(`app@${host}`);
    const members = await listMembers(createDnsClient([server.address]), "app", service, new AbortController().signal);
    expect(members.map(({ name, port }) => `${name}:${port}`).sort()).toEqual([
      "app@pod-0.workers.ns.test:1",
      `app@${host}:${portOf(b)}`,
    ]);
  });

  it("brings two nodes together by addresses and one port for all", async () => {
    const server = await nameServer({ "A b.test": [addressRecord("b.test", "127.0.0.1")] });
    const b = await node("b@b.test", server);
    const a = await node("a@a.test", server, { port: portOf(b) });
    expect((await a.ping("b@b.test")).peer.name).toBe("b@b.test");
    const members = await listMembers(createDnsClient([server.address]), "app", "b.test", new AbortController().signal);
    expect(members).toEqual([{ name: "app@127.0.0.1", port: undefined }]);
  });

  it("is not waited for when it is silent, and what it said stands in the error", async () => {
    const server = await nameServer({
      "SRV _sallyport._tcp.silent.test": "silent",
      "SRV _sallyport._tcp.refused.test": "refused",
    });
    const resolve = [dnsResolver({ servers: [server.address] })];
    const a = await rig.node(A, "tofu", { resolve, limits: { maxHandshakeMs: 8_000 } });
    const said = async (name: string) => (await failure(a.connect(name, { timeoutMs: 8_000 }))).message;
    expect(await said("b@silent.test")).toMatch(/DNS: no answer (within 2000 ms|about .* \(ETIMEOUT\))/);
    expect(await said("b@refused.test")).toMatch(/DNS: no answer about _sallyport\._tcp\.refused\.test \(EREFUSED\)/);
    expect(await said("b@nowhere.test")).toMatch(/DNS: no SRV record for _sallyport\._tcp\.nowhere\.test$/);
  });

  it("is told to stop when the dial ends", async () => {
    const server = await nameServer({ "SRV _sallyport._tcp.silent.test": "silent" });
    const controller = new AbortController();
    const asking = createDnsClient([server.address]).srv("_sallyport._tcp.silent.test", controller.signal);
    const end = asking.catch((error: { code: string }) => error.code);
    while (server.asked.length === 0) await new Promise((resolve) => setImmediate(resolve));
    controller.abort();
    expect(await end).toBe("ECANCELLED");
  });
});

describe("a chain of one's own", () => {
  it("takes the built-in resolvers, and the error names what each said", async () => {
    const server = await nameServer();
    const directory = sharedDirectory();
    const resolve = [
      staticResolver({ "laptop@home": "none" }),
      directoryResolver(directory),
      dnsResolver({ servers: [server.address] }),
      { label: "ours", resolve: () => Promise.reject(new Error("no idea")) },
    ];
    const a = await rig.node(A, "tofu", { resolve });
    const error = await failure(a.connect("b@b.test"));
    expect(error).toMatchObject({ code: "ERR_UNREACHABLE", reason: "NAME_UNRESOLVED" });
    expect(error).toMatchObject({
      detail: {
        asked:
          `the static table: no entry; the directory ${directory}: no file about it; ` +
          "DNS: no SRV record for _sallyport._tcp.b.test; ours: failed: no idea",
      },
    });
    expect(await failure(a.connect("laptop@home"))).toMatchObject({ code: "ERR_UNREACHABLE", reason: "PEER_OFFLINE" });
    expect(await failure(a.connect("laptop@home:9100"))).toMatchObject({ reason: "PEER_OFFLINE" });
  });

  it("that ends in a guess says so when nobody is there", async () => {
    const free = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => free.once("listening", resolve));
    const { port } = free.address() as AddressInfo;
    await new Promise((resolve) => free.close(resolve));
    const resolve = [staticResolver({}), epmdResolver({ port }), hostPartResolver({ port })];
    const a = await rig.node(A, "tofu", { resolve });
    const error = await failure(a.connect(B));
    expect(error).toMatchObject({ code: "ERR_UNREACHABLE", reason: "PORT_CLOSED" });
    expect(error.message).toContain(
      `the address is a guess (the static table: no entry; EPMD at port ${port} of its host: no answer (ECONNREFUSED))`,
    );
  });
});
