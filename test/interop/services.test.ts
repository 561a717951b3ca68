import { expect, it } from "vitest";
import type { Denied, HandlerContext } from "../../src/node/api.ts";
import { Atom, isAtom, type Term, Tuple, tuple } from "../../src/term/types.ts";
import { describeWithElixir } from "./need-erlang.ts";
import { eventually, type Rig, TRANSPORTS, useRig } from "./rig.ts";

/** Services of the Sallyport node under test, and what came to them. */
async function serving(rig: Rig) {
  const node = await rig.sallyport("sally");
  const casts: Term[] = [];
  const infos: Term[] = [];
  const contexts: HandlerContext[] = [];
  let open: () => void = () => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const calc = node.register(
    "calc",
    {
      call(request, ctx) {
        contexts.push(ctx);
        if (!(request instanceof Tuple)) return new Atom("what");
        const [verb, first, second] = request;
        if (isAtom(verb, "add")) return (first as number) + (second as number);
        if (isAtom(verb, "echo")) return first;
        if (isAtom(verb, "throw")) throw new Error("on purpose");
        if (isAtom(verb, "reject")) return Promise.reject(new Error("on purpose"));
        if (isAtom(verb, "gate")) return gate.then(() => first);
        return tuple(new Atom("unknown"), request);
      },
      cast: (message) => void casts.push(message),
      info: (message) => void infos.push(message),
    },
    { allow: "cookie" },
  );
  const seen: number[] = [];
  node.register(
    "slow",
    {
      // The first one takes longest: only a queue keeps the order.
      call: async (n) => {
        for (let turn = 0; turn < 50 - (n as number) * 10; turn++)
          await new Promise((resolve) => setImmediate(resolve));
        seen.push(n as number);
        return n;
      },
    },
    { allow: "cookie" },
  );
  const ignored: Term[] = [];
  node.register("private", { call: (request) => void ignored.push(request), info: (m) => void ignored.push(m) });
  node.register("deaf", { info: () => {} }, { allow: "cookie" });
  node.register("others", { call: () => 1 }, { allow: ["somebody@127.0.0.1"] });
  node.register("castonly", { call: () => 1, cast: () => {} }, { allow: { atLeast: "cookie", verbs: ["cast"] } });
  const denied: Denied[] = [];
  const errors: { id: string; where: string }[] = [];
  node.on("denied", (event) => denied.push(event));
  node.on("handlerError", ({ id, where }) => errors.push({ id, where }));
  return { node, calc, casts, infos, contexts, open: () => open(), seen, ignored, denied, errors };
}

const DENIED = /^\{\{sallyport_denied,<<"([0-9A-Z]{8,26})">>\},\{gen_server,call,/;

for (const transport of TRANSPORTS) {
  describeWithElixir(`services of a Sallyport node over ${transport}`, () => {
    const t = useRig(transport, async (rig) => {
      const [beam, elixir, sally] = await Promise.all([rig.erlang("beam"), rig.elixir("elixir"), serving(rig)]);
      return { beam, elixir, ...sally };
    });
    const exit = (call: string) => t.beam.erl(`try ${call} of V -> {returned, V} catch exit:R -> R end`);

    it("answer gen_server:call from Erlang, and know who asks", async () => {
      expect(await t.beam.erl("gen_server:call({calc,'sally@127.0.0.1'}, {add,2,3})")).toBe("5");
      const ctx = t.contexts.at(-1);
      expect(ctx?.peer?.name).toBe("beam@127.0.0.1");
      expect(ctx?.peer?.assurance).toBe(transport === "tls" ? "ca" : "cookie");
      expect(ctx?.from?.node).toBe("beam@127.0.0.1");
      expect(ctx?.self).toEqual(t.calc.pid);
      expect(await t.beam.erl("gen_statem:call({calc,'sally@127.0.0.1'}, {add,4,5})")).toBe("9");
    });

    it("answer GenServer.call from Elixir, and take cast and send", async () => {
      const target = '{:calc, :"sally@127.0.0.1"}';
      expect(await t.elixir.elixir(`GenServer.call(${target}, {:add, 2, 40})`)).toBe("42");
      const echo = `GenServer.call(${target}, {:echo, %{"naïve" => [1.5, nil, :ok], {1, 2} => 'abc'}})`;
      expect(await t.elixir.elixir(`${echo} == %{"naïve" => [1.5, nil, :ok], {1, 2} => 'abc'}`)).toBe("true");
      expect(await t.elixir.elixir(`GenServer.cast(${target}, {:from, :elixir})`)).toBe(":ok");
      await t.elixir.elixir(`send(${target}, {:hello, "elixir"}); GenServer.call(${target}, {:add, 0, 0})`);
      expect(t.casts.at(-1)).toEqual(tuple(new Atom("from"), new Atom("elixir")));
      expect(t.infos.at(-1)).toEqual(tuple(new Atom("hello"), Buffer.from("elixir")));
    });

    it("an Elixir caller exits with the reason when the handler throws or the call is refused", async () => {
      const caught = (name: string, request: string) =>
        t.elixir.elixir(
          `try do GenServer.call({${name}, :"sally@127.0.0.1"}, ${request}) catch :exit, {r, {GenServer, :call, _}} -> elem(r, 0) end`,
        );
      expect(await caught(":calc", "{:throw, 1}")).toBe(":handler_error");
      expect(await caught(":private", ":x")).toBe(":sallyport_denied");
      expect(await caught(":nothing", ":x")).toBe(":sallyport_denied");
    });

    it("take casts and plain messages in the order they were sent", async () => {
      t.casts.length = 0;
      t.infos.length = 0;
      const count = 2_000;
      await t.beam.erl(
        `C = {calc,'sally@127.0.0.1'}, [begin gen_server:cast(C, N), C ! {n, N} end || N <- lists:seq(1, ${count})], ` +
          "gen_server:call(C, {add,0,0})",
      );
      expect(t.casts).toEqual(Array.from({ length: count }, (_, i) => i + 1));
      expect(t.infos.map((term) => (term as Tuple).elements[1])).toEqual(t.casts);
    });

    it("take messages to their pid, once a peer knows it", async () => {
      t.infos.length = 0;
      await t.beam.erl("register(inbox, interop:box())");
      t.node.send({ name: "inbox", node: "beam@127.0.0.1" }, t.calc.pid);
      const got = "P = interop:take(inbox), P ! direct, gen_server:call(P, {add,1,1})";
      expect(await t.beam.erl(got)).toBe("2");
      expect(t.infos).toEqual([new Atom("direct")]);
    });

    it("reply by alias when asked so, and to the pid when not", async () => {
      const ask = (tag: string) =>
        `C = {calc,'sally@127.0.0.1'}, R = erlang:monitor(process, C, [{alias, explicit_unalias}]), ` +
        `C ! {'$gen_call', {self(), ${tag}}, {add,1,2}}, receive {${tag}, V} -> V after 5000 -> nothing end`;
      expect(await t.beam.erl(ask("[alias|R]"))).toBe("3");
      expect(await t.beam.erl(ask("R"))).toBe("3");
      const multi = "gen_server:multi_call(['sally@127.0.0.1'], calc, {add,3,4})";
      expect(await t.beam.erl(multi)).toBe("{[{'sally@127.0.0.1',7}],[]}");
      const request = "gen_server:wait_response(gen_server:send_request({calc,'sally@127.0.0.1'}, {add,5,6}), 5000)";
      expect(await t.beam.erl(request)).toBe("{reply,11}");
    });

    it("a reply after the caller gave up reaches nobody, and the handler learns of it", async () => {
      const late =
        "register(late, interop:box()), interop:do(late, fun() -> " +
        "catch gen_server:call({calc,'sally@127.0.0.1'}, {gate,1}, 100) end)";
      expect(await t.beam.erl(late)).toMatch(/^\{'EXIT',\{timeout,/);
      await eventually(() => expect(t.contexts.at(-1)?.signal.aborted).toBe(true));
      t.open();
      expect(await t.beam.erl("gen_server:call({calc,'sally@127.0.0.1'}, {add,1,1})")).toBe("2");
      expect(await t.beam.erl("interop:idle(late)")).toBe("0");
    });

    it("a handler that throws ends its caller at once with an id, and the service lives on", async () => {
      for (const request of ["{throw,1}", "{reject,1}"]) {
        const reason = await exit(`gen_server:call({calc,'sally@127.0.0.1'}, ${request}, infinity)`);
        const [, id] = /^\{\{handler_error,<<"([0-9A-Z]+)">>\},\{gen_server,call,/.exec(reason) ?? [];
        expect(t.errors.at(-1)).toEqual({ id, where: "calc.call" });
        expect(reason).not.toContain("on purpose");
      }
      expect(await t.beam.erl("gen_server:call({calc,'sally@127.0.0.1'}, {add,1,1})")).toBe("2");
    });

    it("asynchronous handlers work one after the other, in order", async () => {
      const calls = "[gen_server:send_request({slow,'sally@127.0.0.1'}, N) || N <- lists:seq(1,4)]";
      const all = `[gen_server:wait_response(R, 10000) || R <- ${calls}]`;
      expect(await t.beam.erl(all)).toBe("[{reply,1},{reply,2},{reply,3},{reply,4}]");
      expect(t.seen).toEqual([1, 2, 3, 4]);
    });

    it("refuse at once, with an id and without telling what exists", async () => {
      for (const name of ["private", "nothing", "deaf", "others", "castonly"]) {
        t.denied.length = 0;
        const reason = await exit(`gen_server:call({${name},'sally@127.0.0.1'}, x, infinity)`);
        expect(reason, name).toMatch(DENIED);
        if (name === "deaf") continue; // allowed, but it takes no calls
        const [, id] = DENIED.exec(reason) ?? [];
        await eventually(() => expect(t.denied.map((event) => event.decision)).toContain(id));
        expect(t.denied.every((event) => event.peer === "beam@127.0.0.1" && event.outcome === "deny-default")).toBe(
          true,
        );
      }
      await t.beam.erl("{private,'sally@127.0.0.1'} ! x, gen_server:cast({private,'sally@127.0.0.1'}, x)");
      await t.beam.erl("gen_server:call({calc,'sally@127.0.0.1'}, {add,1,1})");
      expect(t.ignored).toEqual([]);
    });

    it("answer no system messages and no remote execution through net_kernel", async () => {
      const state = await exit("sys:get_state({calc,'sally@127.0.0.1'}, 300)");
      expect(state).not.toMatch(/^\{returned/);
      const spawned = await exit("gen_server:call({net_kernel,'sally@127.0.0.1'}, {spawn,erlang,halt,[],self()}, 300)");
      expect(spawned).not.toMatch(/^\{returned/);
      expect(await t.beam.erl("gen_server:call({net_kernel,'sally@127.0.0.1'}, {is_auth,node()})")).toBe("yes");
    });

    it("end with unregister: callers get DOWN, later ones noproc where they were allowed", async () => {
      t.node.register("short", { call: () => new Promise(() => {}) }, { allow: "cookie" });
      const waiting = exit("gen_server:call({short,'sally@127.0.0.1'}, x, infinity)");
      await eventually(() => expect(t.node.vitals().counters["messages_in"]).toBeGreaterThan(0));
      await t.beam.erl("gen_server:call({calc,'sally@127.0.0.1'}, {add,1,1})");
      expect(t.node.unregister("short")).toBe(true);
      expect(await waiting).toMatch(/^\{normal,\{gen_server,call,/);
      expect(await exit("gen_server:call({short,'sally@127.0.0.1'}, x, infinity)")).toMatch(/^\{noproc,/);
    });
  });
}
