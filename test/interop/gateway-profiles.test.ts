import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PairFilterOption } from "../../src/gateway/options.ts";
import type { PolicyDocument, RuleEntry } from "../../src/policy/document.ts";
import type { BeamNode } from "./erlang-node.ts";
import { GatewayEnds, INSIDE, OUTSIDE, type Through } from "./gateway-ends.ts";
import { describeWithErlang } from "./need-erlang.ts";
import { eventually, useRig } from "./rig.ts";

/** How long a pair is observed here, milliseconds. */
const OBSERVED_MS = 2_500;

/** The policy of `node` for the other one of the pair. */
function policyOf(node: string, rules: readonly RuleEntry[], assurance: "cookie" | "ca" = "cookie"): PolicyDocument {
  const names = [node === INSIDE ? OUTSIDE : INSIDE];
  return { version: 1, node, peers: { other: { names, assurance } }, rules };
}

const DENIED = /sallyport_denied,<<"[0-9A-Z]{12}">>/;
const down = "receive {'DOWN', R, _, _, Why} -> Why after 5000 -> none end";

describeWithErlang("profiles of a gateway between Erlang nodes", () => {
  const t = useRig("tcp", async (rig) => {
    const ends = await GatewayEnds.start(rig);
    await Promise.all(
      [ends.outside, ends.inside].map((node) => node.erl("interop:server(srv), interop:server(other)")),
    );
    return { ends };
  });

  /** Puts a gateway with these rules between the nodes for the tests of a block. */
  function through(filter: () => PairFilterOption): { readonly through: Through } {
    const holder = {} as { through: Through };
    beforeAll(async () => {
      holder.through = await t.ends.through({ filter: filter() });
    });
    afterAll(() => holder.through?.close());
    return holder;
  }

  describe("equals, each with a policy", () => {
    const rules: readonly RuleEntry[] = [
      { id: "srv", from: "other", allow: ["call", "cast", "send"], to: "srv" },
      { id: "ties", from: "other", allow: ["monitor", "link", "exit"], to: ["srv", "any-pid"] },
      { id: "functions", from: "other", allow: "rpc", to: ["erlang:node/0", "erlang:whereis/1", "interop:say/1"] },
      {
        id: "children",
        from: "other",
        allow: "spawn",
        to: ["interop:sleeper/0", "interop:box/1", "interop:stop_with/1"],
      },
      { id: "no-nodes", from: "other", deny: "rpc", to: "erlang:nodes/0" },
    ];
    const g = through(() => ({
      profile: "peer",
      policies: { inside: policyOf(INSIDE, rules), outside: policyOf(OUTSIDE, rules) },
    }));
    const sides = [
      ["outside", INSIDE],
      ["inside", OUTSIDE],
    ] as const;
    const of = (side: "outside" | "inside"): BeamNode => t.ends[side];

    it.each(sides)("have what is allowed, and its answers: %s", async (side, far) => {
      const beam = of(side);
      expect(await beam.erl(`net_adm:ping('${far}')`)).toBe("pong");
      expect(await beam.erl(`gen_server:call({srv, '${far}'}, {add, 1, 2})`)).toBe("3");
      expect(await beam.erl(`gen_server:cast({srv, '${far}'}, from_${side}), {srv, '${far}'} ! hello`)).toBe("hello");
      expect(await beam.erl(`gen_server:call({srv, '${far}'}, received)`)).toBe(`[{cast,from_${side}},{info,hello}]`);
      expect(await beam.erl(`rpc:call('${far}', erlang, node, [])`)).toBe(`'${far}'`);
      expect(await beam.erl(`erpc:call('${far}', erlang, node, [])`)).toBe(`'${far}'`);
      expect(await beam.erl(`{_, R} = spawn_monitor('${far}', interop, stop_with, [bye]), ${down}`)).toBe("bye");
      expect(await beam.erl(`R = monitor(process, {nobody, '${far}'}), ${down}`)).toMatch(DENIED);
      expect(await beam.erl(`R = monitor(process, {srv, '${far}'}), demonitor(R, [flush, info])`)).toBe("true");
      const printed = `${side} was here`;
      expect(await beam.erl(`rpc:call('${far}', interop, say, ["${printed}"])`)).toBe("ok");
      await eventually(() => expect(beam.output).toContain(printed));
      await g.through.empty();
    });

    it.each(sides)("tie processes, and either end ends the other: %s", async (side, far) => {
      const beam = of(side);
      const linked = `process_flag(trap_exit, true), P = spawn('${far}', interop, sleeper, []), link(P), `;
      expect(await beam.erl(`${linked} exit(P, gone), receive {'EXIT', P, Why} -> Why end`)).toBe("gone");
      expect(
        await beam.erl(`${linked} unlink(P), exit(P, kill), receive {'EXIT', P, Why} -> Why after 50 -> unlinked end`),
      ).toBe("unlinked");
      const spawned = `spawn_link('${far}', interop, sleeper, [])`;
      const killed = `P = spawn('${far}', interop, sleeper, []), R = monitor(process, P), H = spawn(fun() -> link(P), interop:sleeper() end), timer:sleep(20), exit(H, kill), ${down}`;
      expect(
        await beam.erl(`process_flag(trap_exit, true), P = ${spawned}, exit(P, over), receive {'EXIT', P, W} -> W end`),
      ).toBe("over");
      expect(await beam.erl(killed)).toBe("killed");
      await g.through.empty();
    });

    it("may link each other at the same time, and the tables are empty afterwards", async () => {
      const { outside, inside } = t.ends;
      for (const node of [outside, inside]) await node.erl("register(tied, interop:box([trap_exit]))");
      const [o, i] = [await remote(outside, INSIDE), await remote(inside, OUTSIDE)];
      for (let round = 0; round < 5; round++) {
        const link = (far: string): string => `interop:do(tied, fun() -> link(${far}) end)`;
        await Promise.all([outside.erl(link(o)), inside.erl(link(i))]);
        const unlink = (far: string): string => `interop:do(tied, fun() -> unlink(${far}) end)`;
        if (round % 2 === 0) await Promise.all([outside.erl(unlink(o)), inside.erl(unlink(i))]);
      }
      await Promise.all([
        outside.erl(`interop:do(tied, fun() -> link(${o}) end)`),
        inside.erl(`interop:do(tied, fun() -> link(${i}) end)`),
      ]);
      expect(await inside.erl("exit(whereis(tied), kill)")).toBe("true");
      expect(await outside.erl("element(3, interop:take(tied))")).toBe("killed");
      await outside.erl("exit(whereis(tied), kill)");
      await g.through.empty();
    });

    it.each(sides)("are told no to what is not allowed: %s", async (side, far) => {
      const beam = of(side);
      const before = g.through.denied.length;
      expect(await beam.erl(`element(1, element(2, catch gen_server:call({other, '${far}'}, {add, 1, 2})))`)).toMatch(
        DENIED,
      );
      expect(await beam.erl(`rpc:call('${far}', erlang, nodes, [])`)).toBe("{badrpc,{'EXIT',eperm}}");
      expect(await beam.erl(`rpc:block_call('${far}', os, cmd, ["id"])`)).toMatch(DENIED);
      expect(await beam.erl(`catch spawn_monitor('${far}', erlang, halt, [])`)).toMatch(/^{'EXIT',{eperm,/);
      expect(
        await beam.erl(`element(1, element(2, catch gen_server:call({net_kernel, '${far}'}, longnames)))`),
      ).toMatch(DENIED);
      expect(await beam.erl(`{other, '${far}'} ! hello, net_adm:ping('${far}')`)).toBe("pong");
      const told = g.through.denied
        .slice(before)
        .map(({ from, why, operation, target, rule }) => [from, why, operation, target, rule]);
      expect(told).toEqual([
        [side, "policy", "monitor", "other", "deny-default"],
        [side, "policy", "reg-send", "other", "deny-default"],
        [side, "policy", "spawn-request", "erpc:execute_call/4", "no-nodes"],
        [side, "policy", "reg-send", "rex", "deny-default"],
        [side, "policy", "spawn-request", "erlang:halt/0", "deny-default"],
        [side, "policy", "reg-send", "net_kernel", "deny-default"],
        [side, "policy", "reg-send", "other", "deny-default"],
      ]);
      await g.through.empty();
    });

    it("count what each rule decided", () => {
      const { rules: counts, denied } = g.through.report;
      expect(counts["functions"]?.allowed).toBeGreaterThanOrEqual(6);
      expect(counts["no-nodes"]).toEqual({ allowed: 0, denied: 2 });
      expect(denied["commander:policy"]).toBeGreaterThanOrEqual(14);
    });
  });

  describe("a pair that is observed", () => {
    let endsAt = 0;
    const g = through(() => {
      endsAt = Date.now() + OBSERVED_MS;
      return { observe: { until: new Date(endsAt).toISOString() } };
    });

    it("lets everything pass and tells what would be refused, but for what takes a node over", async () => {
      const { outside, inside } = t.ends;
      expect(await outside.erl(`rpc:call('${INSIDE}', erlang, node, [])`)).toBe(`'${INSIDE}'`);
      expect(g.through.denied).toEqual([]);
      const does = `X = '${OUTSIDE}', `;
      expect(await inside.erl(`${does} rpc:call(X, erlang, node, [])`)).toBe(`'${OUTSIDE}'`);
      expect(await inside.erl(`${does} {_, R} = spawn_monitor(X, interop, stop_with, [bye]), ${down}`)).toBe("bye");
      const linked = "process_flag(trap_exit, true), P = spawn(X, interop, sleeper, []), link(P), exit(P, gone)";
      expect(await inside.erl(`${does} ${linked}, receive {'EXIT', P, Why} -> Why end`)).toBe("gone");
      expect(await inside.erl(`${does} gen_server:call({srv, X}, {add, 1, 2})`)).toBe("3");
      expect(await inside.erl(`${does} {srv, X} ! observed, gen_server:call({srv, X}, received)`)).toContain(
        "{info,observed}",
      );
      expect(await inside.erl(`${does} net_adm:ping(X)`)).toBe("pong");
      const observed = g.through.denied.filter((event) => event.observed);
      expect(observed.length).toBe(g.through.denied.length);
      expect(new Set(observed.map(({ operation }) => operation))).toEqual(
        new Set(["spawn-request", "link", "exit2", "monitor", "reg-send"]),
      );
      expect(new Set(observed.map(({ from, by, why }) => `${from} ${by} ${why}`))).toEqual(
        new Set(["inside commander policy"]),
      );
    });

    it("refuses messages to init, auth and net_kernel, and changes of group leaders", async () => {
      const { outside, inside } = t.ends;
      const before = g.through.denied.length;
      const call = (name: string, far: string): string =>
        `element(1, element(2, catch gen_server:call({${name}, '${far}'}, longnames, 3000)))`;
      for (const [node, far] of [
        [inside, OUTSIDE],
        [outside, INSIDE],
      ] as const) {
        for (const name of ["net_kernel", "auth", "init"]) expect(await node.erl(call(name, far))).toMatch(DENIED);
      }
      const leader = "element(2, process_info(whereis(srv), group_leader))";
      const first = await outside.erl(leader);
      const victim = `rpc:call('${OUTSIDE}', erlang, whereis, [srv])`;
      expect(await inside.erl(`group_leader(self(), ${victim}), net_adm:ping('${OUTSIDE}')`)).toBe("pong");
      expect(await outside.erl(leader)).toBe(first);
      const refused = g.through.denied.slice(before).filter((event) => !event.observed);
      expect(
        refused.map(({ from, operation, target }) => `${from} ${operation} ${target.replace(/^<.*>/, "")}`),
      ).toEqual([
        ...["net_kernel", "auth", "init"].map((name) => `inside reg-send ${name}`),
        ...["net_kernel", "auth", "init"].map((name) => `outside reg-send ${name}`),
        "inside group-leader @outside@127.0.0.1",
      ]);
    });

    it("is enforced when its time is over", async () => {
      await eventually(() => expect(Date.now()).toBeGreaterThan(endsAt));
      const { outside, inside } = t.ends;
      expect(g.through.report.isObserved).toBe(true);
      expect(await outside.erl(`rpc:call('${INSIDE}', erlang, node, [])`)).toBe(`'${INSIDE}'`);
      expect(g.through.report.isObserved).toBe(false);
      expect(await inside.erl(`rpc:call('${OUTSIDE}', erlang, node, [])`)).toBe("{badrpc,{'EXIT',eperm}}");
      // Before the ping: a node that hears nothing ends the connection, and with it what the session says of itself.
      await g.through.empty();
      expect(await inside.erl(`net_adm:ping('${OUTSIDE}')`)).toBe("pang");
      expect(g.through.denied.at(-1)).toMatchObject({ observed: false, from: "inside" });
    });
  });

  describe("a commander whose worker has a policy", () => {
    const later = new Date(Date.now() + 3_600_000).toISOString();
    const rules: readonly RuleEntry[] = [
      { id: "read", from: "other", allow: "rpc", to: ["erlang:node/0", "lists:seq/2"] },
      { id: "small", from: "other", allow: "rpc", to: "lists:duplicate/2", shape: { tuple: ["integer", "any"] } },
      { id: "shaped", from: "other", allow: "call", to: "srv", shape: { tuple: ["add", "integer", "integer"] } },
      { id: "seldom", from: "other", allow: "send", to: "srv", limits: { rate: "2/h", payload: 64 } },
      { id: "tried", from: "other", allow: "call", to: "other", mode: "audit", until: later },
      { id: "never", from: "other", deny: "call", to: "kernel_sup" },
      { id: "all-calls", from: "other", allow: "call", to: "kernel_sup" },
    ];
    const g = through(() => ({ policies: { inside: policyOf(INSIDE, rules) } }));
    const ask = (expression: string) => t.ends.outside.erl(expression.replaceAll("FAR", `'${INSIDE}'`));
    const callOf = (name: string, request: string) => ask(`catch gen_server:call({${name}, FAR}, ${request})`);

    it("runs the functions that it lists", async () => {
      expect(await ask("rpc:call(FAR, erlang, node, [])")).toBe(`'${INSIDE}'`);
      expect(await ask("rpc:block_call(FAR, lists, seq, [1, 300])")).toMatch(/^\[1,2,/);
      expect(await ask("rpc:call(FAR, lists, seq, [1, 2, 1])")).toBe("{badrpc,{'EXIT',eperm}}");
      expect(await ask("rpc:call(FAR, erlang, apply, [erlang, node, []])")).toBe("{badrpc,{'EXIT',eperm}}");
      expect(await ask("erpc:call(FAR, fun() -> 1 end)").catch(String)).toMatch(/eperm/);
      expect(await ask('gen_server:multi_call([FAR], rex, {call, os, cmd, ["id"], group_leader()}, 2000)')).toMatch(
        DENIED,
      );
    });

    it("takes messages of the shape, size and rate that it says", async () => {
      expect(await callOf("srv", "{add, 1, 2}")).toBe("3");
      expect(await callOf("srv", "{echo, 1}")).toMatch(DENIED);
      expect(await callOf("srv", "{add, 1, fun() -> 1 end}")).toMatch(DENIED);
      await ask("{srv, FAR} ! <<0:800>>, [{srv, FAR} ! {note, N} || N <- [1, 2, 3]]");
      expect(await callOf("srv", "{add, 2, 2}")).toBe("4");
      expect(await t.ends.inside.erl("gen_server:call(srv, received)")).toMatch(/{info,{note,1}},{info,{note,2}}\]$/);
    });

    it("lets pass and records what it only tries, and refuses what it denies whatever else it says", async () => {
      expect(await callOf("other", "{add, 1, 1}")).toBe("2");
      expect(await callOf("kernel_sup", "which_children")).toMatch(DENIED);
      const counts = g.through.report.rules;
      expect(counts["tried"]?.allowed).toBeGreaterThan(0);
      expect(counts["never"]).toEqual({ allowed: 0, denied: 1 });
      await g.through.empty();
    });

    it("the worker does nothing of itself all the same", async () => {
      expect(await t.ends.inside.erl(`rpc:call('${OUTSIDE}', erlang, node, [])`)).toBe("{badrpc,nodedown}");
    });
  });

  describe("a commander with lists of what it may do", () => {
    const g = through(() => ({
      allow: {
        calls: ["srv"],
        functions: ["erlang:node/0", "erlang:whereis/1", "interop:sleeper/0", "lists:map/2"],
        funs: false,
        killOnlyChildren: true,
        granted: ["net_kernel"],
      },
    }));
    const ask = (expression: string) => t.ends.outside.erl(expression.replaceAll("FAR", `'${INSIDE}'`));

    it("does that and no more", async () => {
      const before = g.through.denied.length;
      expect(await ask("gen_server:call({srv, FAR}, {add, 1, 2})")).toBe("3");
      expect(await ask("catch gen_server:call({other, FAR}, {add, 1, 2})")).toMatch(DENIED);
      expect(await ask("gen_server:call({net_kernel, FAR}, longnames)")).toBe("true");
      expect(await ask("rpc:call(FAR, erlang, node, [])")).toBe(`'${INSIDE}'`);
      expect(await ask("rpc:call(FAR, erlang, nodes, [])")).toBe("{badrpc,{'EXIT',eperm}}");
      expect(await ask("rpc:call(FAR, lists, map, [fun(X) -> X end, [1]])")).toBe("{badrpc,{'EXIT',eperm}}");
      expect(await ask('rpc:block_call(FAR, os, cmd, ["id"])')).toMatch(DENIED);
      const pid = "S = rpc:call(FAR, erlang, whereis, [other]), ";
      expect(await ask(`${pid} exit(S, kill), S ! hello, rpc:call(FAR, erlang, whereis, [other]) =:= S`)).toBe("true");
      expect(await ask(`{P, R} = spawn_monitor(FAR, interop, sleeper, []), P ! hello, exit(P, kill), ${down}`)).toBe(
        "killed",
      );
      expect(g.through.denied.slice(before).map(({ operation, rule }) => `${operation} ${rule}`)).toEqual([
        "reg-send calls",
        "spawn-request functions",
        "spawn-request funs",
        "reg-send functions",
        "exit2 killOnlyChildren",
        "send calls",
      ]);
      expect(await t.ends.inside.erl("gen_server:call(other, received)")).toBe("[]");
      await g.through.empty();
    });
  });

  describe("a commander with an inbox", () => {
    const g = through(() => ({
      inbox: [
        { to: "events", shape: { tuple: ["tick", "integer"] }, rate: "3/h" },
        { to: "events", shape: { tuple: ["report", "any"] }, payload: 100 },
        { to: "events", shape: "goodbye", uses: 1 },
        { to: { revealed: true }, shape: { tuple: ["result", "any"] } },
        { to: "server", shape: { tuple: ["$gen_cast", { tuple: ["note", "any"] }] } },
        { to: "server", shape: "any" },
      ],
    }));

    it("takes what its rules say, of the shape, rate, size and number that they say", async () => {
      const { outside, inside } = t.ends;
      await outside.erl(`register(events, interop:box()), register(server, interop:box()), net_adm:ping('${INSIDE}')`);
      const send = (message: string): string => `{events, '${OUTSIDE}'} ! ${message}`;
      const messages = [
        ...["{tick, 1}", "{tick, two}", "{tick, 2}", "{tick, 3}", "{tick, 4}"],
        ...["{report, <<0:80>>}", "{report, <<0:1600>>}", "{report, fun() -> 1 end}"],
        ...["goodbye", "goodbye"],
        ...["{'$gen_call', {self(), make_ref()}, x}", "{system, self(), x}", "{'EXIT', self(), x}"],
      ];
      await inside.erl(messages.map(send).join(", "));
      const toServer = (message: string): string => `{server, '${OUTSIDE}'} ! ${message}`;
      await inside.erl(
        ["{'$gen_cast', {note, 1}}", "{'$gen_cast', {other, 1}}", "{log, 1}", "plain"].map(toServer).join(", "),
      );
      await eventually(async () =>
        expect(await outside.erl("{interop:idle(events), interop:idle(server)}")).toBe("{5,2}"),
      );
      expect(await outside.erl("[interop:take(events) || _ <- lists:seq(1, 5)]")).toBe(
        "[{tick,1},{tick,2},{tick,3},{report,<<0,0,0,0,0,0,0,0,0,0>>},goodbye]",
      );
      expect(await outside.erl("[interop:take(server) || _ <- [1, 2]]")).toBe("[{'$gen_cast',{note,1}},plain]");
      expect(g.through.denied.map(({ why, target, head }) => `${why} ${target} ${head}`)).toEqual([
        "operation events tick/2",
        "operation events tick/2",
        "operation events report/2",
        "fun events report/2",
        "operation events ",
        "operation events $gen_call/3",
        "operation events system/3",
        "operation events EXIT/3",
        "operation server $gen_cast/2",
        "operation server log/2",
      ]);
      expect(
        await outside.erl(`S = self(), spawn('${INSIDE}', fun() -> S ! {result, 7} end), receive {result, N} -> N end`),
      ).toBe("7");
      await g.through.empty();
    });
  });
});

describeWithErlang("equals of which one is known by a certificate", () => {
  const t = useRig("tls", async (rig) => {
    const ends = await GatewayEnds.start(rig);
    const rules: readonly RuleEntry[] = [{ id: "node", from: "other", allow: "rpc", to: "erlang:node/0" }];
    const policies = { inside: policyOf(INSIDE, rules, "ca"), outside: policyOf(OUTSIDE, rules) };
    return { ends, through: await ends.through({ filter: { profile: "peer", policies } }) };
  });

  it("have what is allowed to who is known by a certificate", async () => {
    expect(await t.ends.inside.erl(`rpc:call('${OUTSIDE}', erlang, node, [])`)).toBe(`'${OUTSIDE}'`);
    expect(await t.ends.outside.erl(`rpc:call('${INSIDE}', erlang, node, [])`)).toBe(`'${INSIDE}'`);
    expect(await t.ends.outside.erl(`rpc:call('${INSIDE}', erlang, nodes, [])`)).toBe("{badrpc,{'EXIT',eperm}}");
    expect(t.through.session.assurance).toEqual({ outside: "ca", inside: "cookie" });
    await t.through.empty();
  });
});

/** The pid of `tied` on the far node, as an expression. */
async function remote(_: BeamNode, far: string): Promise<string> {
  return `rpc:call('${far}', erlang, whereis, [tied])`;
}
