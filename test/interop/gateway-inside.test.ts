import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { createSockets } from "../../src/carrier/plain-socket.ts";
import { createGateway } from "../../src/create-gateway.ts";
import { registerAtEpmd } from "../../src/discovery/epmd-client.ts";
import type { Gateway } from "../../src/gateway/api.ts";
import type { GatewayEvent } from "../../src/gateway/link.ts";
import type { GatewayMessage } from "../../src/gateway/notices.ts";
import type { GatewayPairOption } from "../../src/gateway/options.ts";
import type { Node } from "../../src/node/api.ts";
import type { NodeOptions } from "../../src/node/options.ts";
import { RealClock } from "../../src/system/real-clock.ts";
import { Atom, type Term, tuple } from "../../src/term/types.ts";
import { epmdEntry } from "../../src/wire/epmd.ts";
import { makeRoom, PeerProcess } from "../barrel-peer/harness.ts";
import { freePort, freeUdpPort } from "./erlang-node.ts";
import { Keys, startOutside } from "./native-gateway.ts";
import { describeWithErlang } from "./need-erlang.ts";
import { COOKIE, eventually, failure, type Rig, useRig } from "./rig.ts";
import { startSallyport } from "./sallyport-process.ts";

// Inside a node that proves a key, by the native handshake or over QUIC; outside whatever there is. Rules are those of a gateway.

const DESK = "desk@127.0.0.1";
const BEAM = "beam@127.0.0.1";
const SHOP = "shop@127.0.0.1";
const a = (name: string) => new Atom(name);
let runs = 0;

function keysOf(rig: Rig): Keys {
  return new Keys(rig, `inside-${++runs}`);
}

/** A gateway under its own rules. */
async function start(rig: Rig, ...pairs: readonly GatewayPairOption[]) {
  const events: GatewayEvent[] = [];
  const messages: GatewayMessage[] = [];
  const gateway = await createGateway({
    pairs,
    onEvent: (event) => void (event.kind === "duty" || events.push(event)),
    onMessage: (event) => void messages.push(event),
  });
  rig.closes(() => gateway.close());
  return { gateway, events, messages };
}

/** Where nodes of that side dial `target`. */
const endpoint = ({ endpoints }: Gateway, from: "outside" | "inside", target: string): string =>
  endpoints.find((one) => one.from === from && one.target === target)?.endpoint ?? "";

const calc: { readonly call: (request: Term) => Term } = {
  call: (request) =>
    Array.isArray(request) ? request.reduce<number>((sum, each) => sum + Number(each), 0) : a("what"),
};

/** Waits for an event of the gateway from `mark` on. */
const saw = ({ events }: { readonly events: readonly GatewayEvent[] }, mark: number, match: object): Promise<void> =>
  eventually(() => expect(events.slice(mark)).toEqual(expect.arrayContaining([expect.objectContaining(match)])));
const because = (reason: string) => expect.objectContaining({ reason });

/** Told of what the gateway refused. */
const denials = (messages: readonly GatewayMessage[]) => messages.filter(({ kind }) => kind === "denied");

describeWithErlang("an Erlang node outside by certificate, and a node inside by key", () => {
  const STANDS = `stands/${BEAM}`;
  const t = useRig("tls", async (rig) => {
    const keys = keysOf(rig);
    keys.make(STANDS, DESK, `${DESK}#other`);
    keys.pin(STANDS, DESK);
    for (const desk of [DESK, `${DESK}#other`]) keys.pin(desk, STANDS, BEAM);
    const beam = await rig.erlang("beam");
    const issued = await rig.authority.issue(DESK);
    const port = await freePort();
    const one = await start(rig, {
      inside: {
        node: DESK,
        address: `tls://127.0.0.1:${port}`,
        listen: { [BEAM]: "tls://127.0.0.1:0" },
        identity: { dir: keys.dir("stands") },
      },
      outside: {
        nodes: [BEAM],
        listen: "tls://127.0.0.1:0",
        addresses: { [BEAM]: `tls://127.0.0.1:${await beam.erl("interop:dist_port()")}` },
        cookie: COOKIE,
        tls: { certFile: issued.certFile, keyFile: issued.keyFile, caFile: rig.authority.caFile },
      },
    });
    const parts = { sockets: createSockets(), clock: new RealClock(), port: rig.epmd.port };
    const entry = epmdEntry("desk", Number(endpoint(one.gateway, "outside", DESK).split(":").at(-1)), true);
    const registration = await registerAtEpmd(parts, "127.0.0.1", entry);
    rig.closes(() => registration.close());
    const options = (dir: string): Partial<NodeOptions> & { readonly dir: string } => ({
      dir,
      listen: [`tls://127.0.0.1:${port}`],
      resolve: { [BEAM]: endpoint(one.gateway, "inside", BEAM) },
    });
    const startDesk = async (who: string): Promise<Node> => {
      const { dir, ...more } = options(keys.dir(who));
      const node = await startOutside(rig, DESK, dir, more);
      node.register("calc", calc, { allow: "pinned" });
      return node;
    };
    return { ...one, keys, beam, startDesk, desk: await startDesk(DESK) };
  });

  it("meet at the first dial of the Erlang node: each knows the other by its real name, and by what its leg proves", async () => {
    expect(await t.beam.erl(`net_adm:ping('${DESK}')`)).toBe("pong");
    const fingerprint = `SHA256:${createHash("sha256")
      .update(readFileSync(join(t.keys.dir(STANDS), "node.pub")))
      .digest("base64")
      .replace(/=+$/, "")}`;
    expect(t.desk.peers()).toMatchObject([{ name: BEAM, protocol: "native", assurance: "pinned", fingerprint }]);
    expect(t.gateway.status().pairs[0]?.sessions).toMatchObject([
      {
        dialledBy: "outside",
        protocol: { outside: "otp", inside: "native" },
        assurance: { outside: "ca", inside: "pinned" },
      },
    ]);
    expect(await t.beam.erl(`gen_server:call({calc, '${DESK}'}, [2, 3, 4])`)).toBe("9");
  });

  it("carry a large message both ways", async () => {
    t.desk.register("size", { call: (bytes) => (Buffer.isBuffer(bytes) ? bytes : a("what")) }, { allow: "pinned" });
    expect(await t.beam.erl(`B = rand:bytes(5000000), B =:= gen_server:call({size, '${DESK}'}, B)`)).toBe("true");
  });

  it("the inside one only answers: it runs nothing and reaches nobody outside, and hears so", async () => {
    await t.beam.erl("register(box, interop:box()), interop:server(srv)");
    expect(await failure(t.desk.rpc(BEAM, "os", "cmd", ["id"]))).toMatchObject({ reason: "SPAWN_FAILED" });
    expect(await failure(t.desk.call({ name: "srv", node: BEAM }, a("received")))).toBeDefined();
    t.desk.send({ name: "box", node: BEAM }, a("attack"));
    await eventually(() => expect(JSON.stringify(denials(t.messages))).toContain("box"));
    expect(await t.beam.erl("{process_info(whereis(box), messages), gen_server:call(srv, received)}")).toBe(
      "{{messages,[]},[]}",
    );
  });

  it("meet when the inside node dials, whose first dial after a start finds the outside one's life", async () => {
    const mark = t.events.length;
    t.desk.disconnect(BEAM);
    await eventually(async () => expect(await t.beam.erl("nodes(hidden)")).toBe("[]"));
    const peer = await t.desk.connect(BEAM);
    expect(peer).toMatchObject({ name: BEAM, protocol: "native", assurance: "pinned" });
    await saw(t, mark, { kind: "up", dialledBy: "inside" });
    expect(await t.beam.erl(`gen_server:call({calc, '${DESK}'}, [2, 3])`)).toBe("5");
  });

  it("end in one working pair when both dial at once", async () => {
    for (let round = 0; round < 3; round++) {
      t.desk.disconnect(BEAM);
      await eventually(async () => expect(await t.beam.erl("nodes(hidden)")).toBe("[]"));
      await eventually(() => expect(t.gateway.pairs).toBe(0));
      const [pong, peer] = await Promise.all([t.beam.erl(`net_adm:ping('${DESK}')`), t.desk.connect(BEAM)]);
      expect([pong, peer.name]).toEqual(["pong", BEAM]);
      await eventually(() => expect(t.gateway.pairs).toBe(1));
      expect(await t.beam.erl(`gen_server:call({calc, '${DESK}'}, [round, ${round}])`.replace("round,", "0,"))).toBe(
        `${round}`,
      );
    }
  });

  it("with another key inside nobody is believed, on either way", async () => {
    await t.desk.close({ timeoutMs: 0 });
    await eventually(() => expect(t.gateway.pairs).toBe(0));
    await eventually(async () => expect(await t.beam.erl("nodes(hidden)")).toBe("[]"));
    const other = await t.startDesk(`${DESK}#other`);
    const mark = t.events.length;
    expect(await t.beam.erl(`net_adm:ping('${DESK}')`)).toBe("pang");
    await saw(t, mark, { kind: "refused", dialledBy: "outside", error: because("KEY_MISMATCH") });
    expect(await failure(other.connect(BEAM))).toMatchObject({ code: "ERR_DENIED", reason: "REFUSED_BY_PEER" });
    await saw(t, mark, { kind: "refused", dialledBy: "inside", error: because("KEY_MISMATCH") });
    await other.close({ timeoutMs: 0 });
  });

  it("lose their session when the inside node's key is revoked, and get no other", async () => {
    const desk = await t.startDesk(DESK);
    await desk.connect(BEAM);
    const mark = t.events.length;
    const lost = new Promise((resolve) => desk.on("nodedown", (_, reason) => resolve(reason)));
    t.keys.revoke(STANDS, desk.identity?.fingerprint ?? "");
    await lost;
    await saw(t, mark, { kind: "down", endedBy: "inside", error: because("TRUST_WITHDRAWN") });
    await eventually(async () => expect(await t.beam.erl("nodes(hidden)")).toBe("[]"));
    expect(await failure(desk.connect(BEAM))).toMatchObject({ reason: "REFUSED_BY_PEER" });
    await saw(t, mark, { kind: "refused", dialledBy: "inside", error: because("KEY_REVOKED") });
    expect(await t.beam.erl(`net_adm:ping('${DESK}')`)).toBe("pang");
    await saw(t, mark, { kind: "refused", dialledBy: "outside", error: because("KEY_REVOKED") });
  });
});

describeWithErlang("an Erlang node outside over plain TCP, and a node inside by key", () => {
  const STANDS = `stands/${BEAM}`;
  const t = useRig("tcp", async (rig) => {
    const keys = keysOf(rig);
    keys.make(STANDS, DESK);
    keys.pin(STANDS, DESK);
    keys.pin(DESK, STANDS, BEAM);
    const beam = await rig.erlang("beam");
    const port = await freePort();
    const inside = { node: DESK, address: `tls://127.0.0.1:${port}`, identity: { dir: keys.dir("stands") } };
    const pair: GatewayPairOption = {
      inside: { ...inside, listen: "tls://127.0.0.1:0" },
      outside: {
        nodes: [BEAM],
        addresses: { [BEAM]: `tcp://127.0.0.1:${await beam.erl("interop:dist_port()")}` },
        cookie: COOKIE,
      },
      filter: { commander: "inside" },
    };
    const gateway = await createGateway({ pairs: [pair], dangerous: { plaintext: true } });
    rig.closes(() => gateway.close());
    const resolve = { [BEAM]: endpoint(gateway, "inside", BEAM) };
    return { gateway, beam, desk: await startOutside(rig, DESK, keys.dir(DESK), { listen: [], resolve }) };
  });

  it("the inside one commands, by a key, one that knows nothing but a cookie", async () => {
    expect(await t.desk.rpc(BEAM, "lists", "sum", [[1, 2, 3]])).toBe(6);
    expect(t.gateway.status().pairs[0]?.sessions[0]?.assurance).toEqual({ outside: "cookie", inside: "pinned" });
    expect(await t.beam.erl(`rpc:call('${DESK}', os, cmd, ["id"])`)).toBe("{badrpc,nodedown}");
  });
});

describeWithErlang("a node of barrel_p2p inside, and a node with a key outside", () => {
  const STANDS = `stands/${SHOP}`;
  const BARREL_COOKIE = "cookie-of-the-barrel-inside";
  const t = useRig("tcp", async (rig) => {
    const keys = keysOf(rig);
    keys.make(STANDS, `outer/${DESK}`, SHOP);
    keys.pin(`outer/${DESK}`, SHOP);
    keys.pin(SHOP, `outer/${DESK}`, DESK);
    const room = makeRoom(BARREL_COOKIE);
    rig.closes(() => room.remove());
    const peer = new PeerProcess(room, DESK, ["--listen", "127.0.0.1:0"]);
    rig.closes(() => peer.stop());
    const { port } = await peer.wait({ event: "listening" });
    const key = Buffer.from(String((await peer.command("identity"))["key"]), "hex");
    const trusted = join(keys.dir(STANDS), "trusted");
    mkdirSync(trusted, { recursive: true, mode: 0o700 });
    writeFileSync(join(trusted, `${DESK}.pub`), key);
    const shopPort = await freePort();
    const one = await start(rig, {
      inside: {
        node: DESK,
        address: `quic://127.0.0.1:${port}`,
        listen: `quic://127.0.0.1:${await freeUdpPort()}`,
        cookie: BARREL_COOKIE,
        identity: { dir: keys.dir("stands") },
      },
      outside: {
        nodes: [SHOP],
        listen: "tls://127.0.0.1:0",
        addresses: { [SHOP]: `tls://127.0.0.1:${shopPort}` },
        identity: { dir: keys.dir(`outer/${DESK}`) },
      },
    });
    const shop = await startOutside(rig, SHOP, keys.dir(SHOP), {
      listen: [`tls://127.0.0.1:${shopPort}`],
      resolve: { [DESK]: endpoint(one.gateway, "outside", DESK) },
    });
    const received: Term[] = [];
    shop.register("box", { info: (message) => void received.push(message) }, { allow: "pinned" });
    const at = endpoint(one.gateway, "inside", SHOP).replace("quic://", "");
    return { ...one, keys, peer, key, shop, received, at };
  });
  const hasSession = () => eventually(() => expect(t.gateway.status().pairs[0]?.sessions).toHaveLength(1));

  it("meet when the outside node dials: the inside one is known by its pin", async () => {
    expect(await t.shop.connect(DESK)).toMatchObject({ name: DESK, protocol: "native", assurance: "pinned" });
    expect(await t.peer.wait({ event: "up", name: SHOP })).toMatchObject({ hidden: true });
    await hasSession();
    expect(t.gateway.status().pairs[0]?.sessions).toMatchObject([
      { protocol: { outside: "native", inside: "barrel" }, assurance: { outside: "pinned", inside: "pinned" } },
    ]);
    expect(await t.shop.call({ name: "calc", node: DESK }, tuple(a("mul"), 6, 7))).toBe(42);
    const pins = (await t.peer.command("status"))["pins"];
    expect(pins).toEqual({ [SHOP]: readFileSync(join(t.keys.dir(STANDS), "node.pub")).toString("hex") });
  });

  it("the inside one reaches nobody outside by itself", async () => {
    await t.peer.command("send", { node: SHOP, to: "box", term: { atom: "attack" } });
    await eventually(() => expect(JSON.stringify(denials(t.messages))).toContain("box"));
    expect(await t.peer.command("call", { node: SHOP, name: "box", term: { atom: "received" } })).toMatchObject({
      down: { atom: "noconnection" },
    });
    expect(t.received).toEqual([]);
    expect(await t.shop.call({ name: "calc", node: DESK }, tuple(a("add"), 6, 7))).toBe(13);
  });

  it("meet when the inside node dials: it counts as cookie at most", async () => {
    t.shop.disconnect(DESK);
    await eventually(() => expect(t.gateway.pairs).toBe(0));
    await eventually(() => expect(t.shop.peers()).toEqual([]));
    await t.peer.dial(SHOP, t.at);
    await hasSession();
    expect(t.gateway.status().pairs[0]?.sessions).toMatchObject([
      { dialledBy: "inside", protocol: { inside: "barrel" }, assurance: { outside: "pinned", inside: "cookie" } },
    ]);
    expect(await t.shop.call({ name: "calc", node: DESK }, tuple(a("add"), 2, 3))).toBe(5);
  });

  it.each([
    ["another key than the pinned one", "other-key", { as: DESK }, "KEY_MISMATCH"],
    ["a signature of another key", "forged-signature", {}, "PROOF_INVALID"],
    ["another cookie", "wrong-cookie", {}, "SECRET_MISMATCH"],
    ["another name in Erlang's handshake", "other-dist-name", { distName: "x@127.0.0.1" }, "PEER_NAME_MISMATCH"],
  ])("has the outside node dialled for nobody with %s", async (_what, attack, fields, reason) => {
    const [before, mark, peers] = [t.events.length, t.peer.mark, t.shop.peers().length];
    const connection = await t.peer.dial(SHOP, t.at, { attack, ...fields });
    await saw(t, before, { kind: "refused", endedBy: "inside", error: because(reason) });
    await t.peer.wait({ event: "closed", connection }, mark);
    expect(t.shop.peers()).toHaveLength(peers);
  });

  it("lose their session when the key is revoked, and get no other", async () => {
    await t.shop.connect(DESK);
    const [mark, before] = [t.peer.mark, t.events.length];
    const hash = createHash("sha256").update(t.key).digest("base64");
    t.keys.revoke(STANDS, `SHA256:${hash}`);
    await t.peer.wait({ event: "closed" }, mark);
    await saw(t, before, { kind: "down", error: because("TRUST_WITHDRAWN") });
    await failure(t.shop.connect(DESK));
    await saw(t, before, { kind: "refused", dialledBy: "outside", error: because("KEY_REVOKED") });
  });
});

describeWithErlang("two pairs of one gateway, all by key: one native on both sides, one over QUIC inside", () => {
  const VAULT = "vault@127.0.0.1";
  const CAVE = "cave@127.0.0.1";
  const QUIC_COOKIE = "cookie-of-the-vault-inside";
  const t = useRig("tcp", async (rig) => {
    const keys = keysOf(rig);
    const ports = {
      desk: await freePort(),
      shop: await freePort(),
      cave: await freePort(),
      vault: await freeUdpPort(),
    };
    keys.make(`desk-in/${SHOP}`, `desk-out/${DESK}`, `vault-in/${CAVE}`, `vault-out/${VAULT}`);
    keys.make(DESK, SHOP, VAULT, CAVE);
    for (const [inside, outside, pair] of [
      [DESK, SHOP, "desk"],
      [VAULT, CAVE, "vault"],
    ] as const) {
      keys.pin(`${pair}-in/${outside}`, inside);
      keys.pin(inside, `${pair}-in/${outside}`, outside);
      keys.pin(`${pair}-out/${inside}`, outside);
      keys.pin(outside, `${pair}-out/${inside}`, inside);
    }
    const one = await start(
      rig,
      {
        name: "desk",
        inside: {
          node: DESK,
          address: `tls://127.0.0.1:${ports.desk}`,
          listen: "tls://127.0.0.1:0",
          identity: { dir: keys.dir("desk-in") },
        },
        outside: {
          nodes: [SHOP],
          listen: "tls://127.0.0.1:0",
          addresses: { [SHOP]: `tls://127.0.0.1:${ports.shop}` },
          identity: { dir: keys.dir(`desk-out/${DESK}`) },
        },
      },
      {
        name: "vault",
        inside: {
          node: VAULT,
          address: `quic://127.0.0.1:${ports.vault}`,
          listen: { [CAVE]: `quic://127.0.0.1:${await freeUdpPort()}` },
          cookie: QUIC_COOKIE,
          identity: { dir: keys.dir("vault-in") },
        },
        outside: {
          nodes: [CAVE],
          listen: "tls://127.0.0.1:0",
          addresses: { [CAVE]: `tls://127.0.0.1:${ports.cave}` },
          identity: { dir: keys.dir(`vault-out/${VAULT}`) },
        },
        filter: { commander: "inside" },
      },
    );
    const node = async (name: string, listen: string, peer: string, from: "outside" | "inside", more = {}) => {
      const resolve = { [peer]: endpoint(one.gateway, from, peer) };
      const made = await startOutside(rig, name, keys.dir(name), { listen: [listen], resolve, ...more });
      made.register("calc", calc, { allow: "cookie" });
      return made;
    };
    const quic = { cookie: QUIC_COOKIE, quic: {} };
    return {
      ...one,
      keys,
      desk: await node(DESK, `tls://127.0.0.1:${ports.desk}`, SHOP, "inside"),
      shop: await node(SHOP, `tls://127.0.0.1:${ports.shop}`, DESK, "outside"),
      vault: await node(VAULT, `quic://127.0.0.1:${ports.vault}`, CAVE, "inside", quic),
      cave: await node(CAVE, `tls://127.0.0.1:${ports.cave}`, VAULT, "outside"),
    };
  });
  /** Nobody holds anything any more. */
  const apart = async (): Promise<void> => {
    await eventually(() => expect(t.gateway.pairs).toBe(0));
    await eventually(() => expect([t.desk, t.shop, t.vault, t.cave].flatMap((node) => node.peers())).toEqual([]));
  };
  const sessions = () => t.gateway.status().pairs.map(({ sessions: all }) => all.map(({ inside }) => inside));

  it("stand beside each other, each under its own rules", async () => {
    await Promise.all([t.shop.connect(DESK), t.cave.connect(VAULT)]);
    await eventually(() => expect(sessions()).toEqual([[DESK], [VAULT]]));
    expect(t.gateway.status().pairs.map(({ sessions: [one] }) => one?.protocol)).toEqual([
      { outside: "native", inside: "native" },
      { outside: "native", inside: "barrel" },
    ]);
    // The outside commands the desk; the vault commands the outside.
    expect(await t.shop.call({ name: "calc", node: DESK }, [1, 2])).toBe(3);
    expect(await t.vault.call({ name: "calc", node: CAVE }, [1, 2])).toBe(3);
    expect(await failure(t.desk.call({ name: "calc", node: SHOP }, [1, 2]))).toBeDefined();
    expect(await failure(t.cave.call({ name: "calc", node: VAULT }, [1, 2]))).toBeDefined();
    const told = denials(t.messages).map(({ pair }) => pair);
    expect(told.toSorted()).toEqual(expect.arrayContaining(["desk", "vault"]));
  });

  it("meet by either dial", async () => {
    t.shop.disconnect(DESK);
    t.vault.disconnect(CAVE);
    await apart();
    await Promise.all([t.desk.connect(SHOP), t.cave.connect(VAULT)]);
    const by = () => t.gateway.status().pairs.map((pair) => pair.sessions[0]?.dialledBy);
    await eventually(() => expect(by()).toEqual(["inside", "outside"]));
  });

  it("end in one working pair each when all dial at once", async () => {
    for (let round = 0; round < 3; round++) {
      for (const [node, peer] of [
        [t.desk, SHOP],
        [t.cave, VAULT],
      ] as const)
        node.disconnect(peer);
      await apart();
      await Promise.all([t.desk.connect(SHOP), t.shop.connect(DESK), t.vault.connect(CAVE), t.cave.connect(VAULT)]);
      await eventually(() => expect(sessions()).toEqual([[DESK], [VAULT]]));
      expect(await t.shop.call({ name: "calc", node: DESK }, [round, 1])).toBe(round + 1);
      expect(await t.vault.call({ name: "calc", node: CAVE }, [round, 2])).toBe(round + 2);
    }
  });

  it("have no listener for each other's nodes", async () => {
    const resolve = { [SHOP]: endpoint(t.gateway, "inside", SHOP) };
    t.keys.pin(VAULT, `desk-in/${SHOP}`, SHOP);
    await t.vault.close({ timeoutMs: 0 });
    const vault = await startOutside(t.rig, VAULT, t.keys.dir(VAULT), { resolve });
    const mark = t.events.length;
    expect(await failure(vault.connect(SHOP))).toMatchObject({ reason: "REFUSED_BY_PEER" });
    const refused = { kind: "refused", pair: "desk", dialledBy: "inside" };
    await saw(t, mark, { ...refused, error: because("KEY_UNTRUSTED") });
    // Trusted it still is not the node of that pair.
    t.keys.pin(`desk-in/${SHOP}`, VAULT);
    await eventually(async () => {
      await failure(vault.connect(SHOP));
      expect(t.events.at(-1)).toMatchObject({ ...refused, error: { reason: "NOT_PAIRED" } });
    });
  });
});

describeWithErlang("an inside node by key in a process of its own", () => {
  const STANDS = `stands/${SHOP}`;
  const t = useRig("tcp", async (rig) => {
    const keys = keysOf(rig);
    keys.make(STANDS, DESK, `outer/${DESK}`, SHOP);
    keys.pin(STANDS, DESK);
    keys.pin(DESK, STANDS, SHOP);
    keys.pin(`outer/${DESK}`, SHOP);
    keys.pin(SHOP, `outer/${DESK}`, DESK);
    const ports = { desk: await freePort(), shop: await freePort() };
    const one = await start(rig, {
      inside: {
        node: DESK,
        address: `tls://127.0.0.1:${ports.desk}`,
        listen: "tls://127.0.0.1:0",
        identity: { dir: keys.dir("stands") },
      },
      outside: {
        nodes: [SHOP],
        listen: "tls://127.0.0.1:0",
        addresses: { [SHOP]: `tls://127.0.0.1:${ports.shop}` },
        identity: { dir: keys.dir(`outer/${DESK}`) },
      },
    });
    const shop = await startOutside(rig, SHOP, keys.dir(SHOP), {
      listen: [`tls://127.0.0.1:${ports.shop}`],
      resolve: { [DESK]: endpoint(one.gateway, "outside", DESK) },
    });
    const startDesk = async () => {
      const desk = await startSallyport({
        name: DESK,
        epmd: "off",
        listen: [`tls://127.0.0.1:${ports.desk}`],
        identity: { dir: keys.dir(DESK) },
        resolve: { [SHOP]: endpoint(one.gateway, "inside", SHOP) },
      });
      rig.closes(() => desk.kill());
      return desk;
    };
    return { ...one, shop, startDesk, desk: await startDesk() };
  });

  it("is gone for the outside node when it is killed, and is found again in its next life", async () => {
    await t.shop.connect(DESK);
    const lost = new Promise((resolve) => t.shop.on("nodedown", (_, reason) => resolve(reason)));
    await t.desk.kill();
    await lost;
    await eventually(() => expect(t.gateway.pairs).toBe(0));
    expect(await failure(t.shop.connect(DESK))).toMatchObject({ reason: "PEER_BUSY" });
    const again = await t.startDesk();
    // Its other creation ends the first attempt; the node dials again by itself.
    expect(await t.shop.connect(DESK)).toMatchObject({ name: DESK, assurance: "pinned" });
    t.shop.disconnect(DESK);
    await eventually(() => expect(t.gateway.pairs).toBe(0));
    await eventually(() => expect(again.events.at(-1)).toMatchObject({ event: "nodedown" }));
    again.connect(SHOP);
    await saw(t, 0, { kind: "up", dialledBy: "inside" });
  });
});
