import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import { SeededRandom } from "../testkit/seeded-random.ts";
import { type DnsQuestions, dnsResolver, listMembers, MAX_DNS_MEMBERS } from "./dns.ts";
import { createDnsClient, type DnsClient, type SrvRecord } from "./dns-client.ts";

const never = new AbortController().signal;
const SERVICE = "_dist._tcp.workers.ns.svc.cluster.local";
const POD = "pod-0.workers.ns.svc.cluster.local";

const srv = (name: string, port = 9100, priority = 0): SrvRecord => ({ name, port, priority, weight: 1 });

/** What is known about each name: SRV records, addresses, or the code of a failure. */
type Zone = Readonly<Record<string, readonly (SrvRecord | string)[] | string>>;

function client(zone: Zone, hasOwnServers = false): DnsClient & { readonly asked: string[] } {
  const asked: string[] = [];
  const answer = async <T>(kind: string, name: string): Promise<readonly T[]> => {
    asked.push(`${kind} ${name}`);
    const found = zone[`${kind} ${name}`] ?? [];
    if (typeof found === "string") throw Object.assign(new Error("x"), { code: found });
    return found as readonly T[];
  };
  return {
    asked,
    hasOwnServers,
    srv: (name) => answer<SrvRecord>("SRV", name),
    addresses: (name) => answer<string>("A", name),
  };
}

async function resolve(zone: Zone, questions: DnsQuestions, name: string, hasOwnServers = false) {
  const made = client(zone, hasOwnServers);
  const notes: string[] = [];
  const resolver = dnsResolver({ client: made, random: new SeededRandom(1) }, questions, "tls");
  const found = await resolver.resolve(parseNodeName(name), never, (said) => notes.push(said));
  return { found: found.map(({ host, port }) => `${host}:${port}`), notes, asked: made.asked };
}

describe("dnsResolver", () => {
  it("takes the SRV records of the host, in their order, and lets the system look their targets up", async () => {
    const zone = { "SRV _sallyport._tcp.db1.example": [srv("Two.example.", 2, 5), srv("one.example", 1, 1)] };
    const { found, asked } = await resolve(zone, {}, "shop@DB1.example");
    expect(found).toEqual(["one.example:1", "two.example:2"]);
    expect(asked).toEqual(["SRV _sallyport._tcp.db1.example"]);
  });

  it("asks the configured servers for the targets when there are such, and tries all addresses", async () => {
    const zone = {
      "SRV _sallyport._tcp.db1.example": [srv("one.example", 1, 1), srv("gone.example", 3, 2), srv("192.0.2.9", 2, 3)],
      "A one.example": ["192.0.2.1", "2001:db8::1"],
    };
    const { found, notes } = await resolve(zone, {}, "shop@db1.example", true);
    expect(found).toEqual(["192.0.2.1:1", "2001:db8::1:1", "192.0.2.9:2"]);
    expect(notes).toEqual(["no address for gone.example"]);
  });

  it("finds the port of a pod among the targets of its headless service", async () => {
    const zone = { [`SRV ${SERVICE}`]: [srv(`pod-1.${POD.slice(6)}`, 4001), srv(POD, 4000)] };
    const { found, asked } = await resolve(zone, { service: SERVICE }, `app@${POD}`);
    expect(found).toEqual([`${POD}:4000`]);
    expect(asked).toEqual([`SRV ${SERVICE}`]);
  });

  it("goes on to the host's own records when the service does not name it, then to its addresses at the port", async () => {
    const zone = { [`SRV ${SERVICE}`]: [srv("other.example")], "A db1.example": ["192.0.2.1"] };
    const { found, notes } = await resolve(zone, { service: SERVICE, port: 7000 }, "shop@db1.example");
    expect(found).toEqual(["192.0.2.1:7000"]);
    expect(notes).toEqual([`${SERVICE} does not name the host`, "no SRV record for _sallyport._tcp.db1.example"]);
  });

  it("does not ask for addresses without a port: the end of the chain does", async () => {
    const { found, asked } = await resolve({ "A db1.example": ["192.0.2.1"] }, {}, "shop@db1.example");
    expect([found, asked]).toEqual([[], ["SRV _sallyport._tcp.db1.example"]]);
  });

  it.each(["shop@192.0.2.1", "shop@2001:db8::1"])("asks nothing about %s", async (name) => {
    const { found, asked, notes } = await resolve({}, { port: 1, service: SERVICE }, name);
    expect([found, asked, notes]).toEqual([[], [], ["its host is an address"]]);
  });

  it("notes servers that fail, and goes on", async () => {
    const zone = {
      [`SRV ${SERVICE}`]: "ESERVFAIL",
      "SRV _sallyport._tcp.h.example": "ETIMEOUT",
      "A h.example": ["::1"],
    };
    const { found, notes } = await resolve(zone, { service: SERVICE, port: 1 }, "a@h.example");
    expect(found).toEqual(["::1:1"]);
    expect(notes).toEqual([
      `no answer about ${SERVICE} (ESERVFAIL)`,
      "no answer about _sallyport._tcp.h.example (ETIMEOUT)",
    ]);
  });

  it.each([
    ["a target that says there is no service", [srv(".")]],
    ["a port of 0", [srv("h.example", 0)]],
    ["targets that are no hosts", [srv("a b"), srv("x;rm"), srv("h\u0000"), srv("h".repeat(300)), srv("")]],
  ])("takes nothing from %s", async (_, records) => {
    const { found, notes } = await resolve({ "SRV _sallyport._tcp.h.example": records }, {}, "a@h.example");
    expect([found, notes]).toEqual([[], ["no usable SRV record for _sallyport._tcp.h.example"]]);
  });

  it("hands on a bounded number of targets", async () => {
    const records = Array.from({ length: 5_000 }, (_, i) => srv(`h${i}.example`));
    const { found } = await resolve({ "SRV _sallyport._tcp.h.example": records }, {}, "a@h.example");
    expect(found).toHaveLength(4);
  });

  it.each([
    [{ service: "a b" }, "service"],
    [{ service: "" }, "service"],
    [{ port: 0 }, "port"],
    [{ port: 65_536 }, "port"],
  ])("refuses %j", (questions, option) => {
    expect(() => dnsResolver({ client: client({}), random: new SeededRandom(1) }, questions, "tls")).toThrow(
      expect.objectContaining({ reason: "DNS_OPTION_INVALID", message: expect.stringContaining(option) }),
    );
  });

  it("refuses name servers that are no addresses", () => {
    expect(() => createDnsClient(["ns.example"])).toThrow(expect.objectContaining({ reason: "DNS_SERVER_INVALID" }));
    expect(createDnsClient(["127.0.0.1:53", "[::1]:53"]).hasOwnServers).toBe(true);
    expect(createDnsClient(undefined).hasOwnServers).toBe(false);
  });
});

describe("listMembers", () => {
  const members = async (zone: Zone, service: string, local = "app") =>
    (await listMembers(client(zone), local, service, never)).map(({ name, port }) => `${name} ${port}`);

  it("gives the targets and ports of an SRV service, each once", async () => {
    const zone = { [`SRV ${SERVICE}`]: [srv("Pod-0.x.", 1), srv("pod-0.x", 1), srv("pod-0.x", 2), srv("pod-1.x", 1)] };
    expect(await members(zone, SERVICE)).toEqual(["app@pod-0.x 1", "app@pod-0.x 2", "app@pod-1.x 1"]);
  });

  it("gives the addresses of any other name, without a port", async () => {
    const zone = { "A workers.ns": ["10.0.0.1", "10.0.0.2", "10.0.0.1", "2001:db8::1"] };
    expect(await members(zone, "workers.ns")).toEqual([
      "app@10.0.0.1 undefined",
      "app@10.0.0.2 undefined",
      "app@2001:db8::1 undefined",
    ]);
  });

  it("is empty where there is nothing, and leaves out what makes no node name", async () => {
    expect(await members({}, "workers.ns")).toEqual([]);
    expect(await members({ [`SRV ${SERVICE}`]: [srv("."), srv("a b"), srv("x", 0)] }, SERVICE)).toEqual([]);
  });

  it("is bounded", async () => {
    const zone = { "A w": Array.from({ length: 2_000 }, (_, i) => `10.0.${i >> 8}.${i & 255}`) };
    expect(await members(zone, "w")).toHaveLength(MAX_DNS_MEMBERS);
  });

  it("fails when no server answers, and for a local part that is none", async () => {
    await expect(members({ "A w": "ETIMEOUT" }, "w")).rejects.toMatchObject({
      code: "ERR_UNREACHABLE",
      reason: "DNS_NO_ANSWER",
    });
    await expect(members({}, "w", "a@b")).rejects.toMatchObject({ reason: "NAME_INVALID" });
  });
});
