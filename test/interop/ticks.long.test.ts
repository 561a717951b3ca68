import { expect, it } from "vitest";
import { Atom, tuple } from "../../src/term/types.ts";
import { describeWithErlang } from "./need-erlang.ts";
import { eventually, failure, TRANSPORTS, useRig } from "./rig.ts";
import { startSallyport } from "./sallyport-process.ts";

const TICK_SECONDS = 8;
const TICKS = { tickTimeSeconds: TICK_SECONDS };
const tickTimeMs = TICK_SECONDS * 1_000;
const STEADY = "steady@127.0.0.1";
const a = (name: string) => new Atom(name);

// What waits for the clock waits at the same time: all of it takes as long as the longest.
describeWithErlang("liveness with a tick time of eight seconds", () => {
  for (const transport of TRANSPORTS) {
    const t = useRig(transport, async (rig) => {
      const [steady, frozen, hidden, visible] = await Promise.all([
        rig.erlang("steady", TICKS),
        rig.erlang("frozen", TICKS),
        rig.sallyport("hidden", { tickTimeMs }),
        rig.sallyport("visible", { tickTimeMs, visible: true }),
      ]);
      await steady.erl("interop:server(srv)");
      return { steady, frozen, hidden, visible };
    });

    it.concurrent(`idle for three tick times, hidden and visible sessions over ${transport} stay up`, async () => {
      const downs: string[] = [];
      for (const node of [t.hidden, t.visible]) {
        node.on("nodedown", (peer, reason) => peer.name === STEADY && downs.push(reason));
        await node.connect(STEADY);
      }
      await new Promise((resolve) => setTimeout(resolve, 3 * tickTimeMs + 1_000));
      expect(downs).toEqual([]);
      expect(await t.steady.erl("lists:sort(nodes(connected)) -- ['child@127.0.0.1']")).toBe(
        "['hidden@127.0.0.1','visible@127.0.0.1']",
      );
      for (const node of [t.hidden, t.visible]) {
        expect(await node.call({ name: "srv", node: STEADY }, tuple(a("add"), 1, 2))).toBe(3);
      }
    });

    it.concurrent(`a frozen BEAM is noticed over ${transport}, and is a member again once it goes on`, async () => {
      const name = "frozen@127.0.0.1";
      const node = await t.rig.sallyport("watcher", { tickTimeMs });
      const downs: string[] = [];
      node.on("nodedown", (peer, reason) => peer.name === name && downs.push(reason));
      await t.frozen.erl("interop:server(srv)");
      await node.connect(name);
      const waiting = failure(node.call({ name: "srv", node: name }, a("never"), { timeoutMs: 60_000 }));
      await node.ping(name);
      t.frozen.freeze();
      expect(await waiting).toMatchObject({ code: "ERR_REMOTE", reason: "TARGET_DOWN" });
      expect(downs).toEqual(["PEER_SILENT"]);
      t.frozen.thaw();
      await eventually(async () => expect(await t.frozen.erl("nodes(connected)")).toBe("[]"));
      expect(await node.call({ name: "srv", node: name }, tuple(a("add"), 1, 2))).toBe(3);
      expect(await t.frozen.erl("net_adm:ping('watcher@127.0.0.1')")).toBe("pong");
    });

    it.concurrent(`a frozen Sallyport node is noticed by a BEAM over ${transport}, and is a member again later`, async () => {
      const child = await startSallyport(await t.rig.options("child", { tickTimeMs }));
      t.rig.closes(() => child.kill());
      const watch =
        "register(child, interop:box()), interop:do(child, fun() -> " +
        "P = gen_server:call({calc,'child@127.0.0.1'}, worker), monitor(process, P), " +
        "monitor_node('child@127.0.0.1', true) end)";
      expect(await t.steady.erl(watch)).toBe("true");
      child.freeze();
      const told = "lists:sort([element(1, interop:take(child, 30000)) || _ <- [1,2]])";
      expect(await t.steady.erl(told)).toBe("['DOWN',nodedown]");
      child.thaw();
      await eventually(() => expect(child.events.some(({ event }) => event === "nodedown")).toBe(true));
      expect(await t.steady.erl("gen_server:call({calc,'child@127.0.0.1'}, {add,1,2})")).toBe("3");
      expect(await t.steady.erl("interop:idle(child)")).toBe("0");
    });
  }
});
