import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { expect, it } from "vitest";
import { createGateway } from "../../src/create-gateway.ts";
import type { GatewayEvent } from "../../src/gateway/link.ts";
import type { FilterFactory } from "../../src/gateway/message-filter.ts";
import type { GatewayMessage } from "../../src/gateway/notices.ts";
import type { GatewayOptions, GatewayPairOption, OutsideOption } from "../../src/gateway/options.ts";
import { pass } from "../../src/gateway/verdict.ts";
import { lookUp } from "../attack/epmd-client.ts";
import { makeRoom, type PeerEvent, PeerProcess } from "../barrel-peer/harness.ts";
import { freePort, freeUdpPort } from "./erlang-node.ts";
import { INSIDE, INSIDE_COOKIE, Keys, startInside } from "./native-gateway.ts";
import { describeWithErlang } from "./need-erlang.ts";
import { eventually, type Rig, useRig } from "./rig.ts";

// Outside a node of barrel_p2p over QUIC, in a process of its own with code of its own; inside a real node over TCP on loopback.

const OUT = "outside@127.0.0.1";
const BARREL_COOKIE = "cookie-of-the-barrel-nodes";
let runs = 0;

interface Choice {
  readonly trust?: "strict" | "tofu";
  readonly outside?: Partial<OutsideOption>;
  /** Default: everything passes. */
  readonly filter?: GatewayPairOption["filter"];
  /** Where the inside node is; default where it registers. */
  readonly address?: string;
  readonly isKnown?: boolean;
  /** Port of the port mapper for the outside. */
  readonly mapper?: number;
  /** Directory of the record. */
  readonly audit?: string;
}

/** A gateway with a QUIC listener, and the barrel node outside, which listens too. */
async function build(rig: Rig, choice: Choice = {}) {
  const { trust = "strict", filter, address, isKnown = true } = choice;
  const keys = new Keys(rig, `barrel-${++runs}`);
  const room = makeRoom(BARREL_COOKIE);
  rig.closes(() => room.remove());
  const peer = new PeerProcess(room, OUT, ["--listen", "127.0.0.1:0"]);
  rig.closes(() => peer.stop());
  const { port } = await peer.wait({ event: "listening" });
  const key = Buffer.from(String((await peer.command("identity"))["key"]), "hex");
  keys.make(INSIDE);
  if (isKnown) pin(keys, key);
  const events: GatewayEvent[] = [];
  const messages: GatewayMessage[] = [];
  const epmdPort = await freePort();
  const listen = `quic://127.0.0.1:${await freeUdpPort()}`;
  const options = (outside: Partial<OutsideOption>): GatewayOptions => ({
    pairs: [
      {
        inside: { node: INSIDE, cookie: INSIDE_COOKIE, ...(address === undefined ? {} : { address }) },
        outside: {
          nodes: [OUT],
          listen,
          addresses: { [OUT]: `quic://127.0.0.1:${port}` },
          cookie: BARREL_COOKIE,
          identity: { dir: keys.dir(INSIDE), trust },
          ...choice.outside,
          ...outside,
        },
        ...(filter === undefined ? {} : { filter }),
      },
    ],
    epmd: {
      inside: `127.0.0.1:${epmdPort}`,
      ...(choice.mapper === undefined ? {} : { outside: `127.0.0.1:${choice.mapper}` }),
    },
    ...(choice.audit === undefined ? {} : { audit: { dir: choice.audit } }),
    onEvent: (event) => void (event.kind === "duty" || events.push(event)),
    onMessage: (event) => void messages.push(event),
  });
  const all: FilterFactory = (facts) => ({
    facts,
    judge: (_from, control, buffer, start, end) => pass(control, buffer, start, end),
  });
  const gateway = await createGateway(options({}), filter === undefined ? all : undefined);
  rig.closes(() => gateway.close());
  const endpoint = gateway.endpoints.find(({ from }) => from === "outside")?.endpoint ?? "";
  return {
    gateway,
    options,
    events,
    messages,
    keys,
    room,
    peer,
    key,
    endpoint,
    epmdPort,
    at: endpoint.replace("quic://", ""),
  };
}

function pin(keys: Keys, key: Buffer): void {
  const dir = join(keys.dir(INSIDE), "trusted");
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  writeFileSync(join(dir, `${OUT}.pub`), key);
}

function revoke(keys: Keys, key: Buffer): void {
  const hash = createHash("sha256").update(key).digest("hex");
  mkdirSync(join(keys.dir(INSIDE), "revoked"), { recursive: true, mode: 0o700 });
  writeFileSync(join(keys.dir(INSIDE), "revoked", hash), "");
}

const closedOf = (peer: PeerProcess, connection: number): Promise<PeerEvent> =>
  peer.wait({ event: "closed", connection });
const firstUse = (keys: Keys): readonly string[] => {
  const dir = join(keys.dir(INSIDE), "first-use");
  return existsSync(dir) ? readdirSync(dir).filter((name) => name.endsWith(".pub")) : [];
};

describeWithErlang("an Erlang node and a node of barrel_p2p, through a gateway", () => {
  const audit = () => join(t.rig.home, "barrel-audit");
  const t = useRig("tcp", async (rig) => {
    const mapper = await freePort();
    const one = await build(rig, { mapper, audit: join(rig.home, "barrel-audit") });
    return { ...one, mapper, inside: await startInside(rig, one.epmdPort) };
  });
  const call = (name: string, term: unknown) => t.peer.command("call", { node: INSIDE, name, term });
  const idle = () =>
    eventually(async () => expect([await t.inside.erl("nodes(hidden)"), t.gateway.pairs]).toEqual(["[]", 0]));

  it("meet when the outside node dials: its first dial after a start that registered goes through, as cookie at most", async () => {
    const connection = await t.peer.dial(INSIDE, t.at);
    expect(await t.peer.wait({ event: "up", connection })).toMatchObject({ name: INSIDE, hidden: true });
    expect(await t.inside.erl("{nodes(), nodes(hidden)}")).toBe(`{[],['${OUT}']}`);
    expect(t.gateway.status().pairs[0]?.sessions).toMatchObject([
      {
        dialledBy: "outside",
        protocol: { outside: "barrel", inside: "otp" },
        assurance: { outside: "cookie", inside: "cookie" },
      },
    ]);
    expect(t.endpoint).toMatch(/^quic:/);
    const pins = (await t.peer.command("status"))["pins"];
    expect(pins).toEqual({ [INSIDE]: readFileSync(join(t.keys.dir(INSIDE), "node.pub")).toString("hex") });
  });

  it("is written down with the key that was shown, though no rule may go by it", async () => {
    const records = await eventually(() => {
      const text = readdirSync(audit())
        .map((name) => readFileSync(join(audit(), name), "utf8"))
        .join("");
      const found = text.split("\n").filter((line) => line.includes('"accepted"'));
      expect(found).not.toEqual([]);
      return found.map((line) => JSON.parse(line) as Record<string, unknown>);
    });
    const digest = createHash("sha256").update(t.key).digest("base64").replace(/=+$/, "");
    expect(JSON.stringify(records[0])).toContain('"protocol":"barrel"');
    expect(JSON.stringify(records[0])).toContain(`SHA256:${digest}`);
  });

  it("is found over QUIC alone: a node that asks the port mapper would dial over TCP", async () => {
    expect(await lookUp(t.mapper, "inside")).toMatchObject({ found: false });
  });

  it("call, cast and monitor from outside", async () => {
    await t.inside.erl("interop:server(srv)");
    expect(await call("srv", { tuple: [{ atom: "add" }, 2, 3] })).toEqual({ ok: true, value: 5 });
    const cast = { tuple: [{ atom: "$gen_cast" }, { atom: "hello" }] };
    await t.peer.command("send", { node: INSIDE, to: "srv", term: cast });
    const received = [{ tuple: [{ atom: "cast" }, { atom: "hello" }] }];
    expect(await call("srv", { atom: "received" })).toEqual({ ok: true, value: received });
    expect(await t.peer.command("monitor", { node: INSIDE, name: "nobody" })).toEqual({ reason: { atom: "noproc" } });
    const down = t.peer.command("monitor", { node: INSIDE, name: "srv" });
    // The monitor is there when a later call was answered.
    await call("srv", { atom: "received" });
    await t.inside.erl("exit(whereis(srv), kill)");
    expect(await down).toEqual({ reason: { atom: "killed" } });
  });

  it("carry a large message both ways", async () => {
    await t.inside.erl("interop:server(big)");
    const hex = Buffer.alloc(2_000_000, 255).toString("hex");
    expect(await call("big", { tuple: [{ atom: "echo" }, { hex }] })).toEqual({
      ok: true,
      value: { bytes: 2_000_000 },
    });
  });

  it("hear when the outside node goes, and meet when the inside node dials: the pin's level", async () => {
    await t.peer.command("closeAll");
    await idle();
    expect(await t.inside.erl(`net_adm:ping('${OUT}')`)).toBe("pong");
    expect(t.gateway.status().pairs[0]?.sessions).toMatchObject([
      { dialledBy: "inside", protocol: { outside: "barrel" }, assurance: { outside: "pinned" } },
    ]);
    expect(await t.inside.erl(`gen_server:call({calc, '${OUT}'}, {mul, 6, 7})`)).toBe("42");
  });

  it("end in one pair when both dial at once", async () => {
    for (let round = 0; round < 3; round++) {
      await t.peer.command("closeAll");
      await idle();
      await Promise.all([t.inside.erl(`net_adm:ping('${OUT}')`), t.peer.dial(INSIDE, t.at)]);
      await eventually(async () => {
        expect(await t.inside.erl(`net_adm:ping('${OUT}')`)).toBe("pong");
        expect(t.gateway.pairs).toBe(1);
      });
      expect(await t.inside.erl(`gen_server:call({calc, '${OUT}'}, {add, 6, 7})`)).toBe("13");
    }
  });

  it("find each other again after the inside node was killed, which has another creation then", async () => {
    await t.inside.kill();
    await eventually(() => expect(t.gateway.pairs).toBe(0));
    const again = await startInside(t.rig, t.epmdPort);
    const mark = t.peer.mark;
    await t.peer.dial(INSIDE, t.at);
    await t.peer.wait({ event: "up", name: INSIDE }, mark);
    expect(await again.erl("nodes(hidden)")).toBe(`['${OUT}']`);
  });

  it("lose their session when the outside node's key is revoked, and get no other", async () => {
    const mark = t.peer.mark;
    revoke(t.keys, t.key);
    await t.peer.wait({ event: "closed" }, mark);
    await eventually(() =>
      expect(t.events.at(-1)).toMatchObject({ kind: "down", error: { reason: "TRUST_WITHDRAWN" } }),
    );
    await closedOf(t.peer, await t.peer.dial(INSIDE, t.at));
    await eventually(() =>
      expect(t.events.at(-1)).toMatchObject({ kind: "refused", error: { reason: "KEY_REVOKED" } }),
    );
  });
});

describeWithErlang("a commander inside, and a worker of barrel_p2p outside", () => {
  const t = useRig("tcp", async (rig) => {
    const one = await build(rig, { filter: { commander: "inside" }, outside: { quic: { visible: true } } });
    const inside = await startInside(rig, one.epmdPort);
    return { ...one, inside };
  });

  it("passes the commander's calls, and nothing that the worker asks for", async () => {
    expect(await t.inside.erl(`gen_server:call({calc, '${OUT}'}, {add, 2, 3})`)).toBe("5");
    // Visible, as was asked for: it is greeted as Erlang nodes greet each other, and the filter lets nothing of it in.
    expect(await t.peer.wait({ event: "up", name: INSIDE })).toMatchObject({ hidden: false });
    await t.inside.erl("register(box, interop:box()), interop:server(srv)");
    const send = (to: string, term: unknown) => t.peer.command("send", { node: INSIDE, to, term });
    await send("box", { atom: "attack" });
    const stop = [{ atom: "cast" }, { atom: "init" }, { atom: "stop" }, [], { atom: "user" }];
    await send("rex", { tuple: [{ atom: "$gen_cast" }, { tuple: stop }] });
    await send("init", { tuple: [{ atom: "stop" }, { atom: "stop" }] });
    expect(await t.peer.command("call", { node: INSIDE, name: "srv", term: { atom: "received" } })).toMatchObject({
      down: { atom: "noconnection" },
    });
    // It still answers: its end of the session stands, and the inside node runs.
    expect(await t.inside.erl(`gen_server:call({calc, '${OUT}'}, {add, 3, 3})`)).toBe("6");
    expect(await t.inside.erl("process_info(whereis(box), messages)")).toBe("{messages,[]}");
    expect(await t.inside.erl("{init:get_status(), gen_server:call(srv, received)}")).toBe("{{started,started},[]}");
    const denied = t.messages.filter(({ kind }) => kind === "denied");
    for (const target of ["box", "rex", "init"]) expect(JSON.stringify(denied)).toContain(target);
  });
});

describeWithErlang("a gateway before an address where connections are counted, with an outside over QUIC", () => {
  const t = useRig("tcp", async (rig) => {
    let connections = 0;
    const server = createServer((socket) => {
      connections++;
      socket.on("error", () => {});
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    rig.closes(() => server.close());
    const one = await build(rig, {
      trust: "tofu",
      address: `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`,
    });
    return { ...one, count: () => connections };
  });
  const refused = async (attack: string, fields: Record<string, unknown> = {}) => {
    const before = t.events.length;
    await t.peer.dial(INSIDE, t.at, { attack, ...fields });
    await eventually(() => expect(t.events.length).toBeGreaterThan(before));
    return t.events[before];
  };

  it.each([
    ["another key than the pinned one", "other-key", { as: OUT }, "KEY_MISMATCH"],
    ["a name that is in no pair", "other-key", { as: "stranger@127.0.0.1" }, "NOT_PAIRED"],
    ["a signature of another key", "forged-signature", {}, "PROOF_INVALID"],
    ["another cookie", "wrong-cookie", {}, "SECRET_MISMATCH"],
    ["another name in Erlang's handshake", "other-dist-name", { distName: "other@127.0.0.1" }, "PEER_NAME_MISMATCH"],
  ])("dials it for nobody with %s", async (_what, attack, fields, reason) => {
    expect(await refused(attack, fields)).toMatchObject({ kind: "refused", error: { reason } });
    expect(t.count()).toBe(0);
    expect(firstUse(t.keys)).toEqual([]);
  });

  it("dials it for the one that has proven all", async () => {
    await t.peer.dial(INSIDE, t.at);
    await eventually(() => expect(t.count()).toBe(1));
  });
});

describeWithErlang("an inside node that dials a node of barrel_p2p for the first time", () => {
  const t = useRig("tcp", async (rig) => {
    const one = await build(rig, { trust: "tofu", isKnown: false });
    return { ...one, inside: await startInside(rig, one.epmdPort) };
  });

  it("pins its key when it has proven the cookie, and no earlier", async () => {
    const bad = await t.peer.listen({ attack: "wrong-cookie" });
    await t.gateway.reload(t.options({ addresses: { [OUT]: `quic://${bad}` } }));
    expect(await t.inside.erl(`net_adm:ping('${OUT}')`)).toBe("pang");
    expect([t.events.at(-1), firstUse(t.keys)]).toMatchObject([
      { kind: "refused", error: { reason: "SECRET_MISMATCH" } },
      [],
    ]);
    await t.gateway.reload(t.options({}));
    expect(await t.inside.erl(`net_adm:ping('${OUT}')`)).toBe("pong");
    expect(firstUse(t.keys)).toEqual([`${OUT}.pub`]);
    expect(t.gateway.status().pairs[0]?.sessions[0]?.assurance?.outside).toBe("tofu");
  });

  it("has nothing to do with another key under that name", async () => {
    const other = await t.peer.listen({ attack: "other-key", as: OUT });
    await t.gateway.reload(t.options({ addresses: { [OUT]: `quic://${other}` } }));
    await eventually(async () => expect(await t.inside.erl("nodes(hidden)")).toBe("[]"));
    expect(await t.inside.erl(`net_adm:ping('${OUT}')`)).toBe("pang");
    expect(t.events.at(-1)).toMatchObject({ kind: "refused", dialledBy: "inside", error: { reason: "KEY_MISMATCH" } });
  });

  it("goes on after the pair was started anew, and after another gateway took the port over", async () => {
    const dialIn = async (): Promise<void> => {
      const mark = t.peer.mark;
      await t.peer.dial(INSIDE, t.at);
      await t.peer.wait({ event: "up", name: INSIDE }, mark);
    };
    await t.gateway.reload(t.options({}));
    await dialIn();
    const [once] = t.options({}).pairs;
    const anew = { ...t.options({}), pairs: [{ ...(once as GatewayPairOption), fragments: false }] };
    expect(await t.gateway.reload(anew)).toMatchObject({ restarted: [INSIDE] });
    await eventually(() => expect(t.events.at(-1)).toMatchObject({ error: { reason: "GATEWAY_PAIR_REPLACED" } }));
    await dialIn();
    // The port goes to the other gateway, so what runs over it ends.
    await t.gateway.drain({ handOver: true, timeoutMs: 600_000 });
    expect(t.events.at(-1)).toMatchObject({ kind: "down", error: { reason: "GATEWAY_DRAINED" } });
    const other = await createGateway(t.options({}));
    t.rig.closes(() => other.close());
    expect(other.endpoints.map(({ endpoint }) => endpoint)).toContain(t.endpoint);
    // The inside node registers anew when it has noticed that its port mapper was closed.
    await eventually(async () => {
      const connection = await t.peer.dial(INSIDE, t.at);
      const outcomes = ["up", "closed"].map((event) => t.peer.wait({ event, connection }));
      expect(await Promise.race(outcomes)).toMatchObject({ event: "up" });
    });
  });
});
