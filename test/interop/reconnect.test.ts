import { expect, it } from "vitest";
import type { Down, Node } from "../../src/node/api.ts";
import { Atom, type Pid, type Term, tuple } from "../../src/term/types.ts";
import { describeWithErlang } from "./need-erlang.ts";
import { startRelay } from "./relay.ts";
import { eventually, failure, type Rig, TRANSPORTS, useRig } from "./rig.ts";
import { type SallyportProcess, startSallyport } from "./sallyport-process.ts";

const a = (name: string) => new Atom(name);

/** `up` and `down REASON` of one peer, in order. */
function eventsOf(node: Node, peer: string): string[] {
  const events: string[] = [];
  node.on("nodeup", ({ name }) => name === peer && events.push("up"));
  node.on("nodedown", ({ name }, reason) => name === peer && events.push(`down ${reason}`));
  return events;
}

for (const transport of TRANSPORTS) {
  describeWithErlang(`lost connections over ${transport}`, () => {
    const t = useRig(transport, async (rig) => {
      const [beam, node] = await Promise.all([rig.erlang("beam"), rig.sallyport("sally")]);
      await beam.erl("interop:server(srv)");
      return { beam, node };
    });

    it("kill -9 of a BEAM ends monitors, links, calls and rpc with noconnection once, and a restarted one is reached again", async () => {
      const victim = "victim@127.0.0.1";
      const events = eventsOf(t.node, victim);
      const first = await t.rig.erlang("victim");
      await first.erl("interop:server(srv), register(box, interop:box())");
      const srv = { name: "srv", node: victim };
      const pid = (await t.node.call(srv, a("self"))) as Pid;
      const downs: Down[] = [];
      const onDown = (down: Down) => void downs.push(down);
      t.node.monitor(pid, onDown);
      t.node.monitor(srv, onDown);
      const exits: Term[] = [];
      const trap = t.node.spawn((message) => void exits.push(message), { trapExit: true });
      const safe = t.node.spawn((message) => void exits.push(message));
      for (const process of [trap, safe]) t.node.link(process, pid);
      const spawned = await t.node.spawnRemote(victim, "interop:sleeper", [], { onDown });
      const calls = [
        failure(t.node.call(pid, a("never"), { timeoutMs: 60_000 })),
        failure(t.node.rpc(victim, "interop", "sleeper", [], { timeoutMs: 60_000 })),
      ];
      await t.node.ping(victim);
      await first.kill();

      for (const error of await Promise.all(calls))
        expect(error).toMatchObject({ code: "ERR_REMOTE", reason: "TARGET_DOWN" });
      await eventually(() => expect([downs, exits]).toMatchObject([{ length: 3 }, { length: 2 }]));
      expect(downs.map((down) => down.reason)).toEqual([a("noconnection"), a("noconnection"), a("noconnection")]);
      expect(downs.map((down) => down.target)).toEqual(
        expect.arrayContaining([pid, { name: "srv", node: victim }, spawned]),
      );
      expect(exits).toEqual([tuple(a("EXIT"), pid, a("noconnection")), tuple(a("EXIT"), pid, a("noconnection"))]);
      expect(safe.alive).toBe(true);
      expect(t.node.vitals().openCalls).toBe(0);

      const second = await t.rig.erlang("victim");
      await second.erl("interop:server(srv)");
      expect(await t.node.call(srv, tuple(a("add"), 1, 2))).toBe(3);
      expect(await failure(t.node.call(pid, a("self")))).toMatchObject({ reason: "NOPROC" });
      expect(await second.erl("gen_server:call({srv,'beam@127.0.0.1'}, {add,1,1})")).toBe("2");
      expect(events.map((event) => event.split(" ")[0])).toEqual(["up", "down", "up"]);
      expect([downs, exits]).toMatchObject([{ length: 3 }, { length: 2 }]);
    });

    it("kill -9 of a Sallyport node ends a BEAM's monitors, links and calls with noconnection once, and it is reached again", async () => {
      const name = "'child@127.0.0.1'";
      let child = await startChild(t.rig, "child");
      const setup =
        "register(box, interop:box([trap_exit])), interop:do(box, fun() -> " +
        "net_kernel:monitor_nodes(true, #{node_type => all}), " +
        `P = gen_server:call({calc,${name}}, worker), monitor(process, P), monitor(process, {calc,${name}}), link(P), node(P) end)`;
      expect(await t.beam.erl(setup)).toBe(name);
      const call = t.beam.erl(`catch gen_server:call({calc,${name}}, never, infinity)`);
      expect(await t.beam.erl(`net_adm:ping(${name})`)).toBe("pong");
      await child.kill();
      expect(await call).toMatch(/^\{'EXIT',\{\{nodedown,'child@127.0.0.1'\},/);
      const told =
        "lists:sort([case interop:take(box) of {'DOWN',_,_,_,R} -> {down,R}; {'EXIT',_,R} -> {exit,R}; {E,_,_} -> E end || _ <- lists:seq(1,5)])";
      expect(await t.beam.erl(told)).toBe(
        "[nodedown,nodeup,{down,noconnection},{down,noconnection},{exit,noconnection}]",
      );
      expect(await t.beam.erl(`net_adm:ping(${name})`)).toBe("pang");

      child = await startChild(t.rig, "child");
      expect(await t.beam.erl(`gen_server:call({calc,${name}}, {add,1,2})`)).toBe("3");
      expect(await t.beam.erl("{E, _, _} = interop:take(box), {E, interop:idle(box)}")).toBe("{nodeup,0}");
      await child.kill();
    });

    it("a BEAM that lost its side unseen gets in again: the old session gives way, once", async () => {
      const relay = await startRelay({ targetPort: () => portOf(node) });
      t.rig.closes(() => relay.close());
      const node = await t.rig.sallyport("behind", { advertise: `127.0.0.1:${relay.port}` });
      node.register("echo", { call: (request) => request }, { allow: "cookie" });
      const events = eventsOf(node, "beam@127.0.0.1");
      expect(await t.beam.erl("net_adm:ping('behind@127.0.0.1')")).toBe("pong");
      expect(relay.open).toBe(1);
      const downs: Down[] = [];
      node.monitor({ name: "srv", node: "beam@127.0.0.1" }, (down) => downs.push(down));
      await node.ping("beam@127.0.0.1");
      const waiting = failure(node.call({ name: "srv", node: "beam@127.0.0.1" }, a("never"), { timeoutMs: 60_000 }));

      relay.loseDiallers();
      await eventually(async () =>
        expect(await t.beam.erl("lists:member('behind@127.0.0.1', nodes(hidden))")).toBe("false"),
      );
      expect(events).toEqual(["up"]);
      expect(await t.beam.erl("gen_server:call({echo,'behind@127.0.0.1'}, again)")).toBe("again");
      expect(await waiting).toMatchObject({ reason: "TARGET_DOWN" });
      expect(events).toEqual(["up", "down SESSION_REPLACED", "up"]);
      expect(downs.map((down) => down.reason)).toEqual([a("noconnection")]);
      expect(node.peers()).toHaveLength(1);
      await node.ping("beam@127.0.0.1");
    });

    it("a Sallyport node that lost its side unseen gets in again at a BEAM", async () => {
      const distPort = Number(await t.beam.erl("interop:dist_port()"));
      const relay = await startRelay({ targetPort: () => distPort });
      t.rig.closes(() => relay.close());
      const node = await t.rig.sallyport("roaming", { resolve: { "beam@127.0.0.1": `127.0.0.1:${relay.port}` } });
      await node.connect("beam@127.0.0.1");
      await t.beam.erl(
        "register(seen, interop:box()), interop:do(seen, fun() -> net_kernel:monitor_nodes(true, #{node_type => all}) end)",
      );
      relay.loseDiallers();
      await eventually(() => expect(node.peers()).toHaveLength(0));
      expect(await t.beam.erl("lists:member('roaming@127.0.0.1', nodes(hidden))")).toBe("true");
      expect(await node.call({ name: "srv", node: "beam@127.0.0.1" }, tuple(a("add"), 2, 2))).toBe(4);
      const seen = "[begin {E, N, _} = interop:take(seen), {E, N} end || _ <- [1,2]]";
      expect(await t.beam.erl(seen)).toBe("[{nodedown,'roaming@127.0.0.1'},{nodeup,'roaming@127.0.0.1'}]");
      expect(await t.beam.erl("interop:idle(seen)")).toBe("0");
    });
  });
}

async function startChild(rig: Rig, name: string): Promise<SallyportProcess> {
  const child = await startSallyport(await rig.options(name));
  rig.closes(() => child.kill());
  return child;
}

function portOf(node: Node): number {
  return Number(node.endpoints[0]?.split(":").at(-1));
}
