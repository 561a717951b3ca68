import { expect, it } from "vitest";
import type { Down } from "../../src/node/api.ts";
import { Atom, isAtom, Pid, tuple } from "../../src/term/types.ts";
import { describeWithElixir } from "./need-erlang.ts";
import { eventually, failure, TRANSPORTS, useRig } from "./rig.ts";

const BEAM = "beam@127.0.0.1";

for (const transport of TRANSPORTS) {
  describeWithElixir(`calls from Sallyport over ${transport}`, () => {
    const t = useRig(transport, async (rig) => {
      const [beam, elixir, node] = await Promise.all([
        rig.erlang("beam"),
        rig.elixir("elixir"),
        rig.sallyport("sally"),
      ]);
      await beam.erl("interop:server(srv)");
      return { beam, elixir, node, srv: { name: "srv", node: BEAM } };
    });
    const a = (name: string) => new Atom(name);

    it("reach an Erlang gen_server by name and by pid, dialling when needed", async () => {
      expect(t.node.peers()).toEqual([]);
      expect(await t.node.call(t.srv, tuple(a("add"), 2, 3))).toBe(5);
      const pid = await t.node.call(t.srv, a("self"));
      expect(pid).toBeInstanceOf(Pid);
      expect(await t.node.call(pid as Pid, tuple(a("add"), 20, 30))).toBe(50);
      expect(await t.node.call(t.srv, tuple(a("echo"), "text"))).toEqual(Buffer.from("text"));
    });

    it("reach an Elixir GenServer, an Agent's answer included", async () => {
      const adder =
        "defmodule Adder do\n use GenServer\n def init(n), do: {:ok, n}\n" +
        " def handle_call({:add, k}, _from, n), do: {:reply, %{total: n + k}, n + k}\n" +
        " def handle_cast({:set, n}, _), do: {:noreply, n}\nend\n" +
        "{:ok, _} = GenServer.start(Adder, 1, name: Adder); :ok";
      expect(await t.elixir.elixir(adder)).toBe(":ok");
      const target = { name: "Elixir.Adder", node: "elixir@127.0.0.1" };
      const total = (reply: unknown) => [...(reply as Map<Atom, number>)].map(([key, value]) => [key.name, value]);
      expect(total(await t.node.call(target, tuple(a("add"), 4)))).toEqual([["total", 5]]);
      t.node.cast(target, tuple(a("set"), 100));
      expect(total(await t.node.call(target, tuple(a("add"), 1)))).toEqual([["total", 101]]);
    });

    it("of health are answered by both, as by each other", async () => {
      const { status, connectedNodes, reachableNodes, unreachableNodes } = await t.node.health();
      expect([status, unreachableNodes, reachableNodes]).toEqual(["healthy", [], connectedNodes]);
      expect(connectedNodes).toContain("elixir@127.0.0.1");
    });

    it("many calls in flight come back to their callers", async () => {
      const answers = await Promise.all(
        Array.from({ length: 500 }, (_, n) => t.node.call(t.srv, tuple(a("add"), n, n))),
      );
      expect(answers).toEqual(Array.from({ length: 500 }, (_, n) => 2 * n));
      expect(t.node.vitals().openCalls).toBe(0);
    });

    it("casts and sends arrive in order, to names and to pids", async () => {
      await t.node.call(t.srv, a("forget"));
      const pid = (await t.node.call(t.srv, a("self"))) as Pid;
      t.node.cast(t.srv, 1);
      t.node.send(t.srv, 2);
      t.node.cast(t.srv, 3);
      t.node.cast(pid, 4);
      t.node.send(pid, 5);
      await t.node.call(pid, a("received"));
      const all = "[M || {_, M} <- gen_server:call(srv, received)]";
      expect(await t.beam.erl(`lists:sort(${all})`)).toBe("[1,2,3,4,5]");
      expect(await t.beam.erl(`[N || N <- ${all}, N < 4]`)).toBe("[1,2,3]");
      expect(await t.beam.erl(`[N || N <- ${all}, N > 3]`)).toBe("[4,5]");
    });

    it("a name or pid without a process is NOPROC at once", async () => {
      const timeoutMs = 60_000;
      expect(await failure(t.node.call({ name: "nothing", node: BEAM }, 1, { timeoutMs }))).toMatchObject({
        code: "ERR_REMOTE",
        reason: "NOPROC",
      });
      await t.beam.erl("interop:server(brief)");
      const pid = (await t.node.call({ name: "brief", node: BEAM }, a("self"))) as Pid;
      await t.beam.erl("gen_server:stop(brief)");
      expect(await failure(t.node.call(pid, 1, { timeoutMs }))).toMatchObject({ reason: "NOPROC" });
    });

    it("a server that dies during the call is TARGET_DOWN at once, with its reason", async () => {
      await t.beam.erl("interop:server(fragile)");
      const crash = t.node.call({ name: "fragile", node: BEAM }, tuple(a("crash"), a("boom")), { timeoutMs: 60_000 });
      const error = await failure(crash);
      expect(error).toMatchObject({ code: "ERR_REMOTE", reason: "TARGET_DOWN", peer: BEAM });
      expect(error.detail["remoteReason"]).toContain("boom");
    });

    it("a server killed while it works is TARGET_DOWN at once, also when called by pid", async () => {
      await t.beam.erl("interop:server(fragile)");
      const pid = (await t.node.call({ name: "fragile", node: BEAM }, a("self"))) as Pid;
      const waiting = Promise.all([
        failure(t.node.call(pid, a("never"), { timeoutMs: 60_000 })),
        failure(t.node.call({ name: "fragile", node: BEAM }, a("never"), { timeoutMs: 60_000 })),
      ]);
      await t.node.call(t.srv, tuple(a("add"), 1, 1));
      await t.beam.erl("exit(whereis(fragile), kill)");
      for (const error of await waiting) expect(error).toMatchObject({ reason: "TARGET_DOWN" });
    });

    it("a call that is not answered in time is CALL_TIMEOUT, leaves no monitor, and its late reply is dropped", async () => {
      const late = t.node.vitals().counters["late_replies"] ?? 0;
      const error = await failure(t.node.call(t.srv, tuple(a("later"), 300), { timeoutMs: 50 }));
      expect(error).toMatchObject({ code: "ERR_DEADLINE", reason: "CALL_TIMEOUT" });
      await eventually(async () =>
        expect(await t.beam.erl("element(2, process_info(whereis(srv), monitored_by))")).toBe("[]"),
      );
      await eventually(() => expect(t.node.vitals().counters["late_replies"]).toBe(late + 1));
      expect(t.node.vitals().openCalls).toBe(0);
    });

    it("an abort signal ends a call with its own reason", async () => {
      const controller = new AbortController();
      const waiting = t.node.call(t.srv, a("never"), { timeoutMs: 60_000, signal: controller.signal });
      controller.abort(new Error("changed my mind"));
      await expect(waiting).rejects.toThrow("changed my mind");
      expect(t.node.vitals().openCalls).toBe(0);
    });

    it("calls, monitors and casts made while the node is being dialled all arrive", async () => {
      t.node.disconnect(BEAM);
      await t.beam.erl("gen_server:call(srv, forget)");
      const downs: Down[] = [];
      t.node.cast(t.srv, 1);
      t.node.send(t.srv, 2);
      t.node.monitor({ name: "nothing", node: BEAM }, (down) => downs.push(down));
      expect(await t.node.call(t.srv, tuple(a("add"), 1, 1))).toBe(2);
      expect(await t.beam.erl("gen_server:call(srv, received)")).toBe("[{cast,1},{info,2}]");
      await eventually(() => expect(downs).toHaveLength(1));
      expect(isAtom(downs[0]!.reason, "noproc")).toBe(true);
    });
  });
}
