import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import { describe, expect, it } from "vitest";
import { createNode } from "../../src/create-node.ts";
import type { Node } from "../../src/node/api.ts";
import type { NodeOptions } from "../../src/node/options.ts";
import { testAuthority } from "../../src/testkit/real-test-authority.ts";
import { A, B, dialling, failure, NativeRig, nextRefusal, portOf } from "./native-rig.ts";

const rig = new NativeRig();
const COOKIE = "names-cookie-of-the-tests";

const LOCAL = "b@localhost";

interface Pair {
  readonly protocol: "native" | "otp";
  /** What ends a dial that leads back to the node: what the dial says, and what the node tells of the inbound end or of it. */
  readonly mirror: { readonly dial: string; readonly refused: string };
  node(name: string, more?: Partial<NodeOptions>): Promise<Node>;
}

/** One authority for the nodes of a test. */
const authorities = new Map<string, ReturnType<typeof testAuthority>>();
function authorityAt(place: string): ReturnType<typeof testAuthority> {
  const known = authorities.get(place) ?? testAuthority(place);
  authorities.set(place, known);
  return known;
}

const PAIRS: Readonly<Record<string, Pair>> = {
  "native sessions": {
    protocol: "native",
    mirror: { dial: "REFUSED_BY_PEER", refused: "SELF_CONNECT" },
    node: (name, more) => rig.node(name, "tofu", more),
  },
  "OTP sessions over TLS": {
    protocol: "otp",
    mirror: { dial: "CERT_NAME_MISMATCH", refused: "CERT_NAME_MISMATCH" },
    async node(name, more) {
      const authority = await authorityAt(rig.place("ca"));
      const { certFile, keyFile } = await authority.issue(name);
      const tls = { certFile, keyFile, caFile: authority.caFile };
      const listen = ["tls://127.0.0.1:0"];
      return rig.own(await createNode({ name, cookie: COOKIE, epmd: "off", listen, tls, ...more }));
    },
  },
  "OTP sessions over plain TCP": {
    protocol: "otp",
    mirror: { dial: "NOT_ALLOWED", refused: "SELF_CONNECT" },
    async node(name, more) {
      const [listen, dangerous] = [["tcp://127.0.0.1:0"], { plaintext: true }];
      return rig.own(await createNode({ name, cookie: COOKIE, epmd: "off", listen, dangerous, ...more }));
    },
  },
};

const addressOf = (node: Node) => [
  {
    scheme: node.endpoints[0]?.startsWith("tcp") ? ("tcp" as const) : ("tls" as const),
    host: "127.0.0.1",
    port: portOf(node),
  },
];

describe.each(Object.entries(PAIRS))("%s:", (_, { protocol, mirror, node }) => {
  /** Two nodes, `a` knowing the address of `b`. */
  const pair = async (more?: Partial<NodeOptions>): Promise<{ readonly a: Node; readonly b: Node }> => {
    const b = await node(LOCAL);
    return { a: await node("a@localhost", { ...dialling(b), ...more }), b };
  };

  it("every way to write a name leads to the one session", async () => {
    const { a, b } = await pair();
    const ways = ["b@LocalHost", LOCAL, `${LOCAL}:${portOf(b)}`, `b@LOCALHOST:${portOf(b)}`, "b@localhost:1"];
    const first = await a.connect("b@LOCALHOST");
    expect(first).toMatchObject({ name: LOCAL, protocol });
    for (const way of ways) expect(await a.connect(way), way).toBe(first);
    await Promise.all(ways.map((way) => a.ping(way)));
    expect([a.peers().length, b.peers().length]).toEqual([1, 1]);
    expect(a.disconnect(`b@LOCALHOST:${portOf(b)}`)).toBe(true);
    expect(a.peers()).toEqual([]);
  });

  it("dials at once under several names of one node make one session", async () => {
    const { a, b } = await pair();
    const ways = [LOCAL, "b@LOCALHOST", `b@Localhost:${portOf(b)}`];
    const peers = await Promise.all(ways.map((way) => a.connect(way)));
    await a.ping(LOCAL);
    expect(new Set(peers).size).toBe(1);
    expect([a.peers().length, b.peers().length]).toEqual([1, 1]);
  });

  it("a node does not dial itself, by any way to write its name", async () => {
    const { a } = await pair();
    for (const own of ["a@localhost", "a@LOCALHOST", `a@localhost:${portOf(a)}`]) {
      expect(await failure(a.connect(own)), own).toMatchObject({ code: "ERR_DENIED", reason: "SELF_CONNECT" });
    }
  });

  it("an address that leads back to the node ends in a refusal", async () => {
    const { a } = await pair({ resolve: [{ label: "a mirror", resolve: async () => addressOf(a) }] });
    const events: string[] = [];
    a.on("nodeup", ({ name }) => events.push(name));
    const refusal = nextRefusal(a);
    expect(await failure(a.connect(LOCAL))).toMatchObject({ code: "ERR_DENIED", reason: mirror.dial });
    expect((await refusal).error).toMatchObject({ code: "ERR_DENIED", reason: mirror.refused });
    expect([a.peers(), events]).toEqual([[], []]);
  });

  it("another node than the dialled one is refused", async () => {
    const { a, b } = await pair({ resolve: [{ label: "a liar", resolve: async () => addressOf(b) }] });
    const reason = mirror.dial === "CERT_NAME_MISMATCH" ? "CERT_NAME_MISMATCH" : "PEER_NAME_MISMATCH";
    expect(await failure(a.connect("c@localhost.test"))).toMatchObject({ code: "ERR_DENIED", reason });
    expect([a.peers(), b.peers()]).toEqual([[], []]);
  });
});

/** A loopback address where nothing else of this machine listens. */
const quietAddress = (n: number): string => `127.${100 + n}.${process.pid & 0xff}.${((process.pid >> 8) & 0x7f) + 1}`;

describe("a dial", () => {
  it.each([
    ["the name is never resolved", () => new Promise<never>(() => undefined)],
    ["nobody answers at the address", (port: number) => [{ scheme: "tls" as const, host: "127.0.0.1", port }]],
  ])("ends at its own deadline when %s", async (_, answer) => {
    const hole = createServer((socket) => socket.on("error", () => undefined)).listen(0, "127.0.0.1");
    await once(hole, "listening");
    rig.atEnd(() => hole.close());
    const resolve = async () => answer((hole.address() as AddressInfo).port);
    const a = await rig.node(A, "tofu", { resolve: [{ label: "ours", maxResolveMs: 60_000, resolve }] });
    expect(await failure(a.connect(B, { timeoutMs: 200 }))).toMatchObject({
      code: "ERR_DEADLINE",
      reason: "CONNECT_TIMEOUT",
    });
  });
});

describe("the address a node listens on", () => {
  const started = (listen: readonly string[], more: Partial<NodeOptions> = {}) =>
    rig.node(A, "tofu", { listen, ...more });

  it("has the port that the system gave for port 0", async () => {
    const a = await started(["tls://127.0.0.1:0"]);
    expect(a.endpoints).toEqual([expect.stringMatching(/^tls:\/\/127\.0\.0\.1:[1-9]\d*$/)]);
  });

  it("may be one of IPv6, in brackets", async () => {
    const a = await started(["tls://[::1]:0"]);
    expect(a.endpoints).toEqual([expect.stringMatching(/^tls:\/\/\[::1\]:[1-9]\d*$/)]);
    const b = await rig.node("b@::1", "tofu", { listen: [] });
    const mirror = await failure(b.connect(`c@[::1]:${portOf(a)}`));
    expect(mirror).toMatchObject({ code: "ERR_DENIED", reason: "PEER_NAME_MISMATCH" });
  });

  it("is refused by name when another program has it", async () => {
    const b = await rig.node(B, "tofu");
    const error = await failure(started([`tls://127.0.0.1:${portOf(b)}`]));
    expect(error).toMatchObject({ code: "ERR_CONFIG", reason: "PORT_IN_USE" });
    expect(error.message).toContain(`127.0.0.1:${portOf(b)}`);
  });

  it("is the first free one of 9100 to 9155 when none was given", async () => {
    const first = await started([`tls://${quietAddress(1)}`]);
    const second = await rig.node(B, "tofu", { listen: [`tls://${quietAddress(1)}`] });
    expect([portOf(first), portOf(second)]).toEqual([9100, 9101]);
  });

  it("cannot be found when all of 9100 to 9155 are taken", async () => {
    const ports = Array.from({ length: 56 }, (_, i) => 9100 + i);
    const taken = await Promise.all(
      ports.map(
        (port) =>
          new Promise<Server>((resolve) => {
            const server = createServer().listen(port, quietAddress(2), () => resolve(server));
          }),
      ),
    );
    rig.atEnd(() => taken.map((server) => server.close()));
    const error = await failure(started([`tls://${quietAddress(2)}`]));
    expect(error).toMatchObject({ code: "ERR_CONFIG", reason: "PORT_RANGE_EXHAUSTED" });
    expect(error.message).toContain("9100 to 9155");
  });

  it.each(["", "gate", "gate:", "gate:0", "gate:65536", "http://gate:1", "::1:1", "g te:1"])(
    "cannot be advertised as %j",
    async (advertise) => {
      expect(await failure(started([], { advertise }))).toMatchObject({
        code: "ERR_CONFIG",
        reason: "ADDRESS_INVALID",
      });
    },
  );

  it.each(["tls://127.0.0.1:65536", "tls://::1:9100", "tls://[::1", "tls://:9100", "127.0.0.1:9100", "udp://h:1"])(
    "cannot be %j",
    async (listen) => {
      expect(await failure(started([listen]))).toMatchObject({ code: "ERR_CONFIG", reason: "LISTEN_INVALID" });
    },
  );
});

describe("the name a node is started with", () => {
  const start = (name: string): Promise<{ code: string; reason: string }> =>
    failure(createNode({ name, epmd: "off", cookie: COOKIE, dangerous: { plaintext: true } }).then(rig.own));

  it.each(["a@b", "A_1-x@b1", "a@b.example", "a@192.0.2.7", "a@::1", "a@2001:DB8::7"])("may be %s", async (name) => {
    expect((await start(name)).reason).toBe("it worked");
  });

  it.each([
    "",
    "a",
    "@b",
    "a@",
    "a@b@c",
    "a@b:9100",
    "a@db1:9100",
    "a@b:",
    "a@[::1]",
    "a@[::1]:9100",
    "\u00e9@b",
    "a@b\u00e9",
    "a b@c",
    `a@${"b".repeat(254)}`,
  ])("may not be %j", async (name) => {
    expect(await start(name)).toMatchObject({ code: "ERR_CONFIG", reason: "NAME_INVALID" });
  });
});
