import { type AddressInfo, createServer } from "node:net";
import { expect, it } from "vitest";
import { createSockets } from "../../src/carrier/plain-socket.ts";
import { registerAtEpmd } from "../../src/discovery/epmd-client.ts";
import { factsOfNode, type PairFacts } from "../../src/gateway/message-filter.ts";
import { type Down, exit, type Node } from "../../src/node/api.ts";
import { RealClock } from "../../src/system/real-clock.ts";
import { Atom, isAtom, type Pid, type Term, tuple } from "../../src/term/types.ts";
import { epmdEntry } from "../../src/wire/epmd.ts";
import { freePort } from "./erlang-node.ts";
import { INSIDE, Keys, startGateway, startInside, startOutside } from "./native-gateway.ts";
import { describeWithErlang } from "./need-erlang.ts";
import { COOKIE, eventually, failure, type Rig, useRig } from "./rig.ts";
import { startSallyport } from "./sallyport-process.ts";

const STRANGER = "stranger@127.0.0.1";
const a = (name: string) => new Atom(name);
let runs = 0;

/** Inside a real node over TCP on loopback; outside a Sallyport node that has pinned the gateway's key, and the other way. */
async function build(rig: Rig, name = "outside@127.0.0.1") {
  const keys = new Keys(rig, `${++runs}`);
  keys.make(INSIDE, name);
  keys.pin(INSIDE, name);
  keys.pin(name, INSIDE);
  const outsidePort = await freePort();
  const one = await startGateway(rig, INSIDE, {
    nodes: [name],
    addresses: { [name]: `tls://127.0.0.1:${outsidePort}` },
    identity: { dir: keys.dir(INSIDE) },
  });
  const start = (): Promise<Node> =>
    startOutside(rig, name, keys.dir(name), {
      listen: [`tls://127.0.0.1:${outsidePort}`],
      resolve: { [INSIDE]: one.endpoint },
    });
  const [inside, outside] = await Promise.all([startInside(rig, one.epmdPort), start()]);
  return { ...one, keys, inside, outside, startAgain: start, name };
}

describeWithErlang("an Erlang node and a Sallyport node with keys, through a gateway", () => {
  const t = useRig("tcp", build);

  it("meet when the outside node dials: real names, creations, keys", async () => {
    const peer = await t.outside.connect(INSIDE);
    expect(peer).toMatchObject({ name: INSIDE, assurance: "pinned", protocol: "native" });
    expect(await t.inside.erl("{nodes(), nodes(hidden)}")).toBe(`{[],['${t.name}']}`);
    expect(t.facts).toMatchObject([
      {
        dialledBy: "outside",
        outside: { name: t.name, creation: t.outside.creation, assurance: "pinned" },
        inside: { name: INSIDE, assurance: "cookie", protocol: "otp", fingerprints: [] },
      },
    ]);
    const [first] = t.facts;
    if (first === undefined) throw new Error("no pair");
    expect(factsOfNode(first.outside)).toEqual({
      name: t.name,
      assurance: "pinned",
      protocol: "native",
      fingerprints: [t.outside.identity?.fingerprint],
      publicKeys: [t.outside.identity?.publicKey.toString("base64")],
      spki: undefined,
      source: "127.0.0.1",
    });
    const creation = await t.inside.erl("erlang:system_info(creation)");
    expect(`${t.facts[0]?.inside.creation}`).toBe(creation);
    const pid = (await t.outside.rpc(INSIDE, "erlang", "self", [])) as Pid;
    expect([`${pid.node}`, `${pid.creation}`]).toEqual([INSIDE, creation]);
  });

  it("meet when the inside node dials", async () => {
    t.outside.disconnect(INSIDE);
    await eventually(async () => expect(await t.inside.erl("nodes(hidden)")).toBe("[]"));
    expect(await t.inside.erl(`net_adm:ping('${t.name}')`)).toBe("pong");
    expect(t.events.at(-1)).toMatchObject({ kind: "up", dialledBy: "inside" });
    expect(t.facts.at(-1)).toMatchObject({
      dialledBy: "inside",
      outside: { creation: t.outside.creation, assurance: "pinned", protocol: "native" },
    });
    expect(`${t.facts.at(-1)?.inside.creation}`).toBe(await t.inside.erl("erlang:system_info(creation)"));
    expect(t.outside.peers()).toMatchObject([{ name: INSIDE, assurance: "pinned", protocol: "native" }]);
  });

  it("go on while another gateway with the same keys takes over, which could not start before", async () => {
    const here = await build(t.rig, "guest@127.0.0.1");
    await here.outside.connect(INSIDE);
    const taker = { nodes: [here.name], identity: { dir: here.keys.dir(INSIDE) } };
    const takeOver = () => startGateway(t.rig, INSIDE, taker, { address: "tcp://127.0.0.1:9" });
    expect(await failure(takeOver())).toMatchObject({ reason: "ALREADY_RUNNING" });
    const left = here.gateway.drain({ handOver: true, timeoutMs: 600_000 });
    await takeOver();
    expect(await here.outside.rpc(INSIDE, "erlang", "node", [])).toEqual(a(INSIDE));
    here.outside.disconnect(INSIDE);
    expect(await left).toEqual({ ended: 1, cut: 0 });
  });

  it("call, rpc, spawn, monitor and link from outside", async () => {
    await t.inside.erl("interop:server(srv)");
    expect(await t.outside.call({ name: "srv", node: INSIDE }, tuple(a("add"), 2, 3))).toBe(5);
    expect(await t.outside.rpc(INSIDE, "erlang", "node", [])).toEqual(a(INSIDE));
    const downs: Down[] = [];
    const onDown = (down: Down) => void downs.push(down);
    const quick = await t.outside.spawnRemote(INSIDE, "interop:stop_with", [a("done")], { onDown });
    await eventually(() => expect(downs).toMatchObject([{ target: quick, reason: a("done") }]));
    t.outside.monitor({ name: "nobody", node: INSIDE }, onDown);
    await eventually(() => expect(downs[1]?.reason).toEqual(a("noproc")));
    const exits: Term[] = [];
    const owner = t.outside.spawn((message) => void exits.push(message), { trapExit: true });
    const linked = await t.outside.spawnRemote(INSIDE, "interop:sleeper", [], { link: owner });
    t.outside.exit(linked, a("enough"));
    await eventually(() => expect(exits).toEqual([tuple(a("EXIT"), linked, a("enough"))]));
  });

  it("call, rpc, spawn, monitor and link from inside", async () => {
    const allow = { atLeast: "pinned", verbs: ["call", "send", "monitor", "link", "exit"] } as const;
    const process = t.outside.spawn((message) => (isAtom(message, "stop") ? exit(a("shutdown")) : undefined), {
      allow,
    });
    t.outside.register("calc", { call: () => process.pid }, { allow });
    t.outside.registerFunction({ module: "math", function: "add", arity: 2 }, ([x, y]) => Number(x) + Number(y), {
      allow: "pinned",
    });
    t.outside.registerFunction("quick", () => {}, { allow: "pinned" });
    expect(await t.inside.erl(`rpc:call('${t.name}', math, add, [2,3])`)).toBe("5");
    expect(await t.inside.erl(`erpc:call('${t.name}', math, add, [2,3])`)).toBe("5");
    const down = "receive {'DOWN', M, process, _, R} -> R after 9000 -> none end";
    const calc = `P = gen_server:call({calc, '${t.name}'}, pid), `;
    expect(await t.inside.erl(`{_, M} = spawn_monitor('${t.name}', sallyport_fn, quick, []), ${down}`)).toBe("normal");
    const linked =
      `process_flag(trap_exit, true), ${calc} link(P), M = monitor(process, P), P ! stop, ` +
      `{receive {'EXIT', P, X} -> X after 9000 -> none end, ${down}}`;
    expect(await t.inside.erl(linked)).toBe("{shutdown,shutdown}");
  });

  it("carry 20 MB both ways", async () => {
    t.outside.registerFunction({ module: "big", function: "echo", arity: 1 }, ([bytes]) => bytes as Term, {
      allow: "pinned",
    });
    const bytes = Buffer.alloc(20_000_000, "some bytes");
    const back = await t.outside.rpc(INSIDE, "erlang", "hd", [[bytes]], { timeoutMs: 60_000 });
    expect(bytes.equals(back as Buffer)).toBe(true);
    const roundTrip = `B = rand:bytes(20000000), B =:= erpc:call('${t.name}', big, echo, [B])`;
    expect(await t.inside.erl(roundTrip)).toBe("true");
  });

  it("end in one working pair when both dial at once", async () => {
    for (let round = 0; round < 5; round++) {
      t.outside.disconnect(INSIDE);
      await eventually(async () => expect(await t.inside.erl("nodes(hidden)")).toBe("[]"));
      await eventually(() => expect(t.gateway.pairs).toBe(0));
      const [pong, peer] = await Promise.all([t.inside.erl(`net_adm:ping('${t.name}')`), t.outside.connect(INSIDE)]);
      expect([pong, peer.name]).toEqual(["pong", INSIDE]);
      await eventually(() => expect(t.gateway.pairs).toBe(1));
      expect(await t.outside.rpc(INSIDE, "erlang", "node", [])).toEqual(a(INSIDE));
    }
  });

  it("hear at once that the inside node was killed; then it cannot be reached, and is found again in its next life", async () => {
    await t.outside.connect(INSIDE);
    const lost = new Promise((resolve) => t.outside.on("nodedown", (_, reason) => resolve(reason)));
    const killedAt = Date.now();
    await t.inside.kill();
    await lost;
    expect(Date.now() - killedAt).toBeLessThan(1_000);
    await eventually(() => expect(t.gateway.pairs).toBe(0));
    // Nobody is there now.
    expect(await failure(t.outside.connect(INSIDE))).toMatchObject({ code: "ERR_CLOSED", reason: "PEER_BUSY" });
    expect(t.events.at(-1)).toMatchObject({
      kind: "refused",
      dialler: t.name,
      endedBy: "outside",
      error: { code: "ERR_UNREACHABLE", reason: "NOT_REGISTERED" },
    });
    // And in another life it is found again, with another creation.
    const again = await startInside(t.rig, t.epmdPort);
    await t.outside.connect(INSIDE);
    const creation = await again.erl("erlang:system_info(creation)");
    await eventually(() => expect(`${t.facts.at(-1)?.inside.creation}`).toBe(creation));
  });
});

describeWithErlang("an outside node whose name is before the inside node's", () => {
  const t = useRig("tcp", (rig) => build(rig, "ahead@127.0.0.1"));

  it("ends in one working pair when both dial at once", async () => {
    for (let round = 0; round < 5; round++) {
      t.outside.disconnect(INSIDE);
      await eventually(async () => expect(await t.inside.erl("nodes(hidden)")).toBe("[]"));
      await eventually(() => expect(t.gateway.pairs).toBe(0));
      const [pong, peer] = await Promise.all([t.inside.erl(`net_adm:ping('${t.name}')`), t.outside.connect(INSIDE)]);
      expect([pong, peer.name]).toEqual(["pong", INSIDE]);
      await eventually(() => expect(t.gateway.pairs).toBe(1));
      expect(await t.outside.rpc(INSIDE, "erlang", "node", [])).toEqual(a(INSIDE));
    }
  });

  it("loses its session within a second when its key is revoked, and gets no other", async () => {
    await t.outside.connect(INSIDE);
    const lost = new Promise((resolve) => t.outside.on("nodedown", (_, reason) => resolve(reason)));
    t.keys.revoke(INSIDE, t.outside.identity?.fingerprint ?? "");
    await lost;
    await eventually(() =>
      expect(t.events.at(-1)).toMatchObject({ kind: "down", error: { reason: "TRUST_WITHDRAWN" } }),
    );
    expect(await t.inside.erl("nodes(hidden)")).toBe("[]");
    expect(await failure(t.outside.connect(INSIDE))).toMatchObject({ reason: "REFUSED_BY_PEER" });
    expect(t.events.at(-1)).toMatchObject({ kind: "refused", error: { reason: "KEY_REVOKED" } });
    expect(await t.inside.erl(`net_adm:ping('${t.name}')`)).toBe("pang");
    expect(t.events.at(-1)).toMatchObject({ kind: "refused", dialledBy: "inside", error: { reason: "KEY_REVOKED" } });
  });
});

describeWithErlang("a gateway before an address where connections are counted", () => {
  const t = useRig("tcp", async (rig) => {
    const keys = new Keys(rig, `${++runs}`);
    const name = "outside@127.0.0.1";
    keys.make(INSIDE, name, `${name}#other`, STRANGER);
    for (const known of [name, STRANGER]) keys.pin(INSIDE, known);
    for (const who of [name, `${name}#other`, STRANGER]) keys.pin(who, INSIDE);
    let connections = 0;
    const server = createServer((socket) => {
      connections++;
      socket.on("error", () => {});
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    rig.closes(() => server.close());
    const address = `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const outside = { nodes: [name], identity: { dir: keys.dir(INSIDE) } };
    const one = await startGateway(rig, INSIDE, outside, { address });
    return { ...one, keys, name, count: () => connections };
  });

  it("dials it for nobody whose key is unknown, or whose name is in no pair", async () => {
    const resolve = { [INSIDE]: t.endpoint };
    const other = await startOutside(t.rig, t.name, t.keys.dir(`${t.name}#other`), { resolve });
    expect(await failure(other.connect(INSIDE))).toMatchObject({ code: "ERR_DENIED", reason: "REFUSED_BY_PEER" });
    expect(t.events.at(-1)).toMatchObject({ kind: "refused", dialler: t.name, error: { reason: "KEY_MISMATCH" } });
    const stranger = await startOutside(t.rig, STRANGER, t.keys.dir(STRANGER), { resolve });
    expect(await failure(stranger.connect(INSIDE))).toMatchObject({ reason: "REFUSED_BY_PEER" });
    expect(t.events.at(-1)).toMatchObject({ kind: "refused", dialler: STRANGER, error: { reason: "NOT_PAIRED" } });
    expect(t.count()).toBe(0);
  });

  it("dials it for the one whose key is pinned", async () => {
    const outside = await startOutside(t.rig, t.name, t.keys.dir(t.name), { resolve: { [INSIDE]: t.endpoint } });
    const failed = failure(outside.connect(INSIDE, { timeoutMs: 60_000 }));
    await eventually(() => expect(t.count()).toBe(1));
    await outside.close({ timeoutMs: 0 });
    await failed;
  });
});

describeWithErlang("an outside node in a process of its own", () => {
  const t = useRig("tcp", async (rig) => {
    const keys = new Keys(rig, `${++runs}`);
    const name = "outside@127.0.0.1";
    keys.make(INSIDE, name);
    keys.pin(INSIDE, name);
    keys.pin(name, INSIDE);
    const one = await startGateway(rig, INSIDE, { nodes: [name], identity: { dir: keys.dir(INSIDE) } });
    const inside = await startInside(rig, one.epmdPort);
    const outside = await startSallyport({
      name,
      epmd: "off",
      identity: { dir: keys.dir(name) },
      resolve: { [INSIDE]: one.endpoint },
    });
    rig.closes(() => outside.kill());
    return { ...one, name, inside, outside };
  });

  it("is gone for the inside node within a second when it is killed", async () => {
    t.outside.connect(INSIDE);
    await eventually(async () => expect(await t.inside.erl("nodes(hidden)")).toBe(`['${t.name}']`));
    await t.inside.erl(`register(watch, spawn(fun() -> monitor_node('${t.name}', true),
      receive {nodedown, _} -> persistent_term:put(down, erlang:system_time(millisecond)) end,
      receive stop -> ok end end)), timer:sleep(100)`);
    const killedAt = Date.now();
    await t.outside.kill();
    const downAt = await eventually(async () => Number(await t.inside.erl("persistent_term:get(down)")));
    expect(downAt - killedAt).toBeLessThan(1_000);
    await eventually(() => expect(t.gateway.pairs).toBe(0));
  });
});

describeWithErlang("a name whose key is pinned", () => {
  const BEAM = "beam@127.0.0.1";
  const t = useRig("tls", async (rig) => {
    const keys = new Keys(rig, `${++runs}`);
    keys.make(INSIDE, BEAM);
    const beam = await rig.erlang("beam");
    const issued = await rig.authority.issue(INSIDE);
    const one = await startGateway(rig, INSIDE, {
      nodes: [BEAM],
      addresses: { [BEAM]: `tls://127.0.0.1:${await beam.erl("interop:dist_port()")}` },
      cookie: COOKIE,
      tls: { certFile: issued.certFile, keyFile: issued.keyFile, caFile: rig.authority.caFile },
      identity: { dir: keys.dir(INSIDE) },
    });
    const inside = await startInside(rig, one.epmdPort);
    const parts = { sockets: createSockets(), clock: new RealClock(), port: rig.epmd.port };
    const entry = epmdEntry("inside", Number(one.endpoint.split(":").at(-1)), true);
    const registration = await registerAtEpmd(parts, "127.0.0.1", entry);
    rig.closes(() => registration.close());
    return { ...one, keys, beam, inside };
  });

  it("comes by certificate and cookie before that, and by nothing but its key from then on, both ways", async () => {
    expect(await t.beam.erl(`net_adm:ping('${INSIDE}')`)).toBe("pong");
    expect(t.facts).toMatchObject([{ outside: { name: BEAM, protocol: "otp", assurance: "ca" } }]);
    expect(t.facts[0]?.outside.spki).toMatch(/^spki:SHA256:/);
    t.keys.pin(INSIDE, BEAM);
    await eventually(() =>
      expect(t.events.at(-1)).toMatchObject({ kind: "down", error: { reason: "TRUST_WITHDRAWN" } }),
    );
    for (const beam of [t.beam, t.inside]) {
      await eventually(async () => expect(await beam.erl("nodes(hidden)")).toBe("[]"));
    }
    expect(await t.beam.erl(`net_adm:ping('${INSIDE}')`)).toBe("pang");
    expect(t.events.at(-1)).toMatchObject({ kind: "refused", dialledBy: "outside", error: { reason: "NATIVE_ONLY" } });
    expect(await t.inside.erl(`net_adm:ping('${BEAM}')`)).toBe("pang");
    expect(t.events.at(-1)).toMatchObject({ kind: "refused", dialledBy: "inside", error: { reason: "NATIVE_ONLY" } });
  });
});

describeWithErlang("two gateways back to back: Erlang, gateway, native TLS, gateway, Erlang", () => {
  const LEFT = "left@127.0.0.1";
  const RIGHT = "right@127.0.0.1";
  const t = useRig("tcp", async (rig) => {
    const keys = new Keys(rig, `${++runs}`);
    keys.make(LEFT, RIGHT);
    keys.pin(LEFT, RIGHT);
    keys.pin(RIGHT, LEFT);
    const ports = { left: await freePort(), right: await freePort() };
    const one = (inside: string, outside: string, mine: number, theirs: number) =>
      startGateway(
        rig,
        inside,
        {
          nodes: [outside],
          addresses: { [outside]: `tls://127.0.0.1:${theirs}` },
          identity: { dir: keys.dir(inside) },
        },
        { listen: `tls://127.0.0.1:${mine}` },
      );
    const atLeft = await one(LEFT, RIGHT, ports.left, ports.right);
    const atRight = await one(RIGHT, LEFT, ports.right, ports.left);
    const [left, right] = await Promise.all([
      startInside(rig, atLeft.epmdPort, LEFT),
      startInside(rig, atRight.epmdPort, RIGHT),
    ]);
    return { atLeft, atRight, left, right };
  });

  it("ping and call both ways, under real names and creations", async () => {
    expect(await t.left.erl(`net_adm:ping('${RIGHT}')`)).toBe("pong");
    expect(await t.right.erl(`net_adm:ping('${LEFT}')`)).toBe("pong");
    expect(await t.left.erl(`rpc:call('${RIGHT}', erlang, node, [])`)).toBe(`'${RIGHT}'`);
    expect(await t.right.erl(`rpc:call('${LEFT}', erlang, node, [])`)).toBe(`'${LEFT}'`);
    const creations = [
      await t.left.erl("erlang:system_info(creation)"),
      await t.right.erl("erlang:system_info(creation)"),
    ];
    const shown = ({ inside, outside }: PairFacts) => [`${inside.creation}`, `${outside.creation}`];
    expect(t.atLeft.facts.map(shown)).toEqual([creations]);
    expect(t.atRight.facts.map(shown)).toEqual([creations.toReversed()]);
  });

  it("meet again after either has left, whoever dials, also both at once", async () => {
    for (const dialling of [[t.right], [t.left], [t.left, t.right], [t.left, t.right], [t.left, t.right]]) {
      await t.left.erl(`erlang:disconnect_node('${RIGHT}')`);
      await eventually(async () => expect(await t.right.erl("nodes(hidden)")).toBe("[]"));
      await eventually(() => expect([t.atLeft.gateway.pairs, t.atRight.gateway.pairs]).toEqual([0, 0]));
      const pings = dialling.map((beam) => beam.erl(`net_adm:ping('${beam === t.left ? RIGHT : LEFT}')`));
      expect(await Promise.all(pings)).toEqual(dialling.map(() => "pong"));
      await eventually(() => expect([t.atLeft.gateway.pairs, t.atRight.gateway.pairs]).toEqual([1, 1]));
    }
  });

  it("hear of a death through both", async () => {
    await t.left.erl(`net_adm:ping('${RIGHT}')`);
    await t.right.kill();
    await eventually(async () => expect(await t.left.erl("nodes(hidden)")).toBe("[]"));
    await eventually(() => expect([t.atLeft.gateway.pairs, t.atRight.gateway.pairs]).toEqual([0, 0]));
  });
});
