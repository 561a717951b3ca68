import { expect, it } from "vitest";
import { type Down, exit, type Node } from "../../src/node/api.ts";
import { Atom, isAtom, Pid, type Term, tuple } from "../../src/term/types.ts";
import { ALIAS, SPAWN } from "../../src/wire/flags.ts";
import { describeWithErlang } from "./need-erlang.ts";
import { startRelay } from "./relay.ts";
import { eventually, failure, type Rig, TRANSPORTS, useRig } from "./rig.ts";

const BEAM = "beam@127.0.0.1";
const SALLY = "'sally@127.0.0.1'";

/** Functions of the Sallyport node under test. */
function registerFunctions(node: Node): { readonly casts: Term[]; readonly workers: Term[][]; release: () => void } {
  const kept = { casts: [] as Term[], workers: [] as Term[][], release: () => {} };
  const held = new Promise<void>((resolve) => {
    kept.release = resolve;
  });
  const allow = "cookie";
  const math = (fn: string, arity: number) => ({ module: "math", function: fn, arity });
  node.registerFunction(math("add", 2), ([x, y]) => (x as number) + (y as number), { allow });
  node.registerFunction(math("fail", 0), () => Promise.reject(new Error("secret detail")), { allow });
  node.registerFunction(math("hidden", 0), () => 1);
  node.registerFunction(math("note", 1), ([value]) => void kept.casts.push(value), { allow });
  node.registerFunction(math("forever", 0), (_args, ctx) => untilAborted(ctx.signal), { allow });
  node.registerFunction(
    "worker",
    async (args) => {
      kept.workers.push([...args]);
      await held;
    },
    { allow },
  );
  node.registerFunction("forever", (_args, ctx) => untilAborted(ctx.signal), { allow });
  node.registerFunction("quick", () => {}, { allow });
  return kept;
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve()));
}

async function pair(rig: Rig) {
  const [beam, node] = await Promise.all([rig.erlang("beam"), rig.sallyport("sally")]);
  const kept = registerFunctions(node);
  await node.connect(BEAM);
  return { beam, node, kept };
}

const a = (name: string) => new Atom(name);

for (const transport of TRANSPORTS) {
  describeWithErlang(`rpc over ${transport}`, () => {
    const t = useRig(transport, pair);

    it("runs functions of a BEAM and returns their value", async () => {
      expect(await t.node.rpc(BEAM, "lists", "reverse", [[1, 2, 3]])).toEqual([3, 2, 1]);
      expect(await t.node.rpc(BEAM, "erlang", "node", [])).toEqual(a(BEAM));
      const many = await Promise.all(Array.from({ length: 200 }, (_, n) => t.node.rpc(BEAM, "erlang", "abs", [-n])));
      expect(many).toEqual(Array.from({ length: 200 }, (_, n) => n));
    });

    it("an exception there is REMOTE_EXCEPTION here, whatever its class", async () => {
      for (const kind of ["error", "throw", "exit"]) {
        const error = await failure(t.node.rpc(BEAM, "interop", "raise", [a(kind), tuple(a("why"), 1)]));
        expect(error).toMatchObject({ code: "ERR_REMOTE", reason: "REMOTE_EXCEPTION", peer: BEAM });
        expect(error.detail).toMatchObject({ kind, remoteReason: "{why,1}" });
      }
      const undef = await failure(t.node.rpc(BEAM, "no_such", "function", []));
      expect(undef).toMatchObject({ reason: "REMOTE_EXCEPTION", detail: { kind: "error" } });
    });

    it("a process killed during an rpc fails it at once, and a timeout leaves nothing behind", async () => {
      const waiting = failure(t.node.rpc(BEAM, "interop", "sleeper", [], { timeoutMs: 60_000 }));
      const find =
        "[P || P <- processes(), process_info(P, current_function) =:= {current_function,{interop,sleeper,0}}]";
      await eventually(async () => expect(await t.beam.erl(`length(${find})`)).toBe("1"));
      await t.beam.erl(`[exit(P, kill) || P <- ${find}]`);
      expect(await waiting).toMatchObject({ code: "ERR_REMOTE", reason: "TARGET_DOWN" });

      const slow = await failure(t.node.rpc(BEAM, "timer", "sleep", [200], { timeoutMs: 20 }));
      expect(slow).toMatchObject({ reason: "CALL_TIMEOUT" });
      expect(t.node.vitals().openCalls).toBe(0);
    });

    it("output of what runs for us over there goes nowhere and holds up nothing", async () => {
      expect(await t.node.rpc(BEAM, "interop", "say", ["printed over there"])).toEqual(a("ok"));
      const format = await t.node.rpc(BEAM, "io", "format", [Buffer.from("~p~n"), [tuple(a("x"), 1)]]);
      expect(format).toEqual(a("ok"));
      expect(t.beam.output).not.toContain("printed over there");
      // Input is refused instead of being waited for.
      const read = await t.node.rpc(BEAM, "io", "get_line", [Buffer.from("> ")]);
      expect(isAtom(read, "ok")).toBe(false);
    });

    it("serves rpc:call, erpc:call and casts from Erlang for registered functions", async () => {
      expect(await t.beam.erl(`rpc:call(${SALLY}, math, add, [2,3])`)).toBe("5");
      expect(await t.beam.erl(`erpc:call(${SALLY}, math, add, [20,30])`)).toBe("50");
      expect(await t.beam.erl(`erpc:multicall([${SALLY}], math, add, [1,1])`)).toBe("[{ok,2}]");
      t.kept.casts.length = 0;
      await t.beam.erl(`rpc:cast(${SALLY}, math, note, [one]), erpc:cast(${SALLY}, math, note, [two])`);
      await eventually(() => expect(t.kept.casts.map((term) => (term as Atom).name).sort()).toEqual(["one", "two"]));
    });

    it("answers the old rex protocol too", async () => {
      const old = (m: string, f: string, args: string) =>
        `gen_server:call({rex,${SALLY}}, {call,${m},${f},${args},group_leader()}, 5000)`;
      expect(await t.beam.erl(old("math", "add", "[2,2]"))).toBe("4");
      expect(await t.beam.erl(old("os", "cmd", '["id"]'))).toMatch(
        /^\{badrpc,\{sallyport_denied,<<"[0-9A-Z]{8,26}">>\}\}$/,
      );
      expect(await t.beam.erl(old("math", "fail", "[]"))).toMatch(
        /^\{badrpc,\{'EXIT',\{handler_error,<<"[0-9A-Z]+">>\}\}\}$/,
      );
    });

    it("refuses at once what is not registered or not allowed", async () => {
      const denied = t.node.vitals().counters["denied"] ?? 0;
      for (const mfa of ['os, cmd, ["id"]', "math, add, [1]", "math, hidden, []", "erlang, halt, []"]) {
        expect(await t.beam.erl(`rpc:call(${SALLY}, ${mfa}, infinity)`)).toBe("{badrpc,{'EXIT',eperm}}");
        expect(await t.beam.erl(`catch erpc:call(${SALLY}, ${mfa}, infinity)`)).toMatch(/^\{'EXIT',\{\{erpc,eperm\},/);
      }
      expect(t.node.vitals().counters["denied"]).toBe(denied + 8);
    });

    it("a function that throws is an error with an id over there, without its message", async () => {
      const failed = await t.beam.erl(`catch erpc:call(${SALLY}, math, fail, [])`);
      expect(failed).toMatch(/^\{'EXIT',\{\{exception,\{handler_error,<<"[0-9A-Z]+">>\},/);
      expect(failed).not.toContain("secret");
      expect(await t.beam.erl(`rpc:call(${SALLY}, math, fail, [])`)).toMatch(/^\{badrpc,\{'EXIT',/);
    });

    it("a caller that gives up ends the function", async () => {
      const before = t.node.vitals().processes;
      expect(await t.beam.erl(`catch erpc:call(${SALLY}, math, forever, [], 100)`)).toMatch(/\{erpc,timeout\}/);
      expect(await t.beam.erl(`rpc:call(${SALLY}, math, add, [1,1])`)).toBe("2");
      await eventually(() => expect(t.node.vitals().processes).toBe(before));
    });
  });

  describeWithErlang(`spawning on other nodes over ${transport}`, () => {
    const t = useRig(transport, pair);

    it("starts a function of a BEAM and resolves with its pid", async () => {
      await t.beam.erl("register(started, interop:box())");
      const box = await t.node.rpc(BEAM, "erlang", "whereis", [a("started")]);
      const pid = await t.node.spawnRemote(BEAM, "interop:echo_args", [box, tuple(a("x"), 1.5)]);
      expect(pid).toBeInstanceOf(Pid);
      expect(pid.node).toBe(BEAM);
      expect(await t.beam.erl("{echoed, P, T} = interop:take(started), {is_process_alive(P), T}")).toBe(
        "{true,{x,1.5}}",
      );
    });

    it("its monitor tells of the end, even when that comes at once", async () => {
      const downs: Down[] = [];
      const onDown = (down: Down) => void downs.push(down);
      const quick = await t.node.spawnRemote(BEAM, "interop:stop_with", [a("done")], { onDown });
      await eventually(() => expect(downs).toHaveLength(1));
      expect(downs[0]).toMatchObject({ target: quick, reason: a("done") });

      const pid = await t.node.spawnRemote(BEAM, "interop:sleeper", [], { onDown });
      t.node.send(pid, a("stop"));
      await eventually(() => expect(downs).toHaveLength(2));
      expect(downs[1]).toMatchObject({ target: pid, reason: a("normal") });

      const watched = await t.node.spawnRemote(BEAM, "interop:sleeper", [], { onDown });
      const last = await t.node.spawnRemote(BEAM, "interop:sleeper", []);
      t.node.exit(last, a("kill"));
      t.node.exit(watched, a("kill"));
      await eventually(() => expect(downs).toHaveLength(3));
      expect(downs[2]).toMatchObject({ target: watched, reason: a("killed") });
    });

    it("its link carries exits both ways", async () => {
      const exits: Term[] = [];
      const owner = t.node.spawn((message) => void exits.push(message), { trapExit: true });
      const pid = await t.node.spawnRemote(BEAM, "interop:sleeper", [], { link: owner });
      expect(await linksOf(t.node, pid)).toEqual([owner.pid]);
      t.node.exit(pid, a("enough"));
      await eventually(() => expect(exits).toEqual([tuple(a("EXIT"), pid, a("enough"))]));

      const second = t.node.spawn(() => exit(a("shutdown")), { exposeReasons: true });
      const child = await t.node.spawnRemote(BEAM, "interop:sleeper", [], { link: second });
      t.node.send(second, 1);
      await eventually(async () =>
        expect(await t.node.rpc(BEAM, "erlang", "is_process_alive", [child]).catch(() => null)).not.toBe(true),
      );
    });

    it("serves spawn, spawn_monitor, spawn_link and spawn_request from Erlang for registered functions", async () => {
      t.kept.workers.length = 0;
      const spawned = await t.beam.erl(`P = spawn(${SALLY}, sallyport_fn, worker, [1,two]), node(P)`);
      expect(spawned).toBe("'sally@127.0.0.1'");
      await eventually(() => expect(t.kept.workers).toEqual([[1, a("two")]]));
      const monitored =
        `{P, R} = spawn_monitor(${SALLY}, sallyport_fn, quick, []), ` +
        "receive {'DOWN', R, process, P, Reason} -> Reason after 5000 -> nothing end";
      expect(await t.beam.erl(monitored)).toBe("normal");
      const byMfa = `{P, R} = spawn_monitor(${SALLY}, math, fail, []), receive {'DOWN', R, process, P, X} -> element(1, X) after 5000 -> nothing end`;
      expect(await t.beam.erl(byMfa)).toBe("handler_error");
      const linked =
        "process_flag(trap_exit, true), " +
        `P = spawn_link(${SALLY}, sallyport_fn, forever, []), exit(P, stopped), receive {'EXIT', P, X} -> X after 5000 -> nothing end`;
      expect(await t.beam.erl(linked)).toBe("stopped");
      const request =
        `R = spawn_request(${SALLY}, sallyport_fn, quick, [], [monitor, {reply_tag, here}]), ` +
        "receive {here, R, ok, P} -> receive {'DOWN', R, process, P, X} -> X after 5000 -> nothing end after 5000 -> no_reply end";
      expect(await t.beam.erl(request)).toBe("normal");
    });

    it("refuses a spawn at once with eperm", async () => {
      const refused = (call: string) => t.beam.erl(`try ${call} of V -> {started, V} catch C:R -> {C, R} end`);
      expect(await refused(`spawn(${SALLY}, os, cmd, ["id"])`)).toBe("{error,eperm}");
      expect(await refused(`spawn(${SALLY}, fun() -> ok end)`)).toBe("{error,eperm}");
      expect(await refused(`spawn_monitor(${SALLY}, sallyport_fn, unknown, [])`)).toBe("{error,eperm}");
      const request = `R = spawn_request(${SALLY}, os, cmd, [], [{reply, yes}]), receive {spawn_reply, R, error, E} -> E after 5000 -> nothing end`;
      expect(await t.beam.erl(request)).toBe("eperm");
    });

    it("a function ends when the node that started it goes away over a link", async () => {
      const before = t.node.vitals().processes;
      await t.beam.erl(
        `register(holder, interop:box()), interop:do(holder, fun() -> spawn_link(${SALLY}, sallyport_fn, forever, []) end)`,
      );
      expect(t.node.vitals().processes).toBe(before + 1);
      await t.beam.erl("exit(whereis(holder), kill)");
      await eventually(() => expect(t.node.vitals().processes).toBe(before));
      t.kept.release();
    });
  });
}

async function linksOf(node: Node, pid: Pid): Promise<Term> {
  const info = await node.rpc(BEAM, "erlang", "process_info", [pid, new Atom("links")]);
  return [...(info as Iterable<Term>)][1];
}

describeWithErlang("peers with fewer capabilities", () => {
  const t = useRig("tcp", async (rig) => {
    const beam = await rig.erlang("beam");
    const distPort = Number(await beam.erl("interop:dist_port()"));
    const relay = await startRelay({ targetPort: () => distPort, withoutFlags: SPAWN | ALIAS });
    rig.closes(() => relay.close());
    const node = await rig.sallyport("sally", {
      resolve: { [BEAM]: `127.0.0.1:${relay.port}` },
    });
    const kept = registerFunctions(node);
    await beam.erl("interop:server(srv)");
    return { beam, node, kept };
  });

  it("rpc falls back to rex where the peer takes no spawn requests", async () => {
    expect(await t.node.rpc(BEAM, "lists", "reverse", [[1, 2, 3]])).toEqual([3, 2, 1]);
    expect(await failure(t.node.rpc(BEAM, "interop", "raise", [a("error"), a("why")]))).toMatchObject({
      code: "ERR_REMOTE",
      reason: "REMOTE_EXCEPTION",
    });
  });

  it("spawnRemote says so at once where the peer takes no spawn requests", async () => {
    expect(await failure(t.node.spawnRemote(BEAM, "interop:sleeper", []))).toMatchObject({
      code: "ERR_PEER_INCOMPATIBLE",
      reason: "SPAWN_UNSUPPORTED",
    });
  });

  it("calls work both ways without aliases, and late replies are dropped", async () => {
    t.node.register("calc", { call: (request) => request }, { allow: "cookie" });
    expect(await t.node.call({ name: "srv", node: BEAM }, tuple(a("add"), 1, 2))).toBe(3);
    expect(await t.beam.erl(`gen_server:call({calc,${SALLY}}, ping)`)).toBe("ping");
    const late = t.node.vitals().counters["late_replies"] ?? 0;
    const slow = t.node.call({ name: "srv", node: BEAM }, tuple(a("later"), 150), { timeoutMs: 20 });
    expect(await failure(slow)).toMatchObject({ reason: "CALL_TIMEOUT" });
    await eventually(() => expect(t.node.vitals().counters["late_replies"]).toBe(late + 1));
  });
});
