import { expect, it } from "vitest";
import type { Allow } from "../../src/guard/allow.ts";
import { type Down, exit, type LocalProcessHandle, type SpawnOptions } from "../../src/node/api.ts";
import { Atom, isAtom, type Pid, type Term, tuple } from "../../src/term/types.ts";
import { describeWithErlang } from "./need-erlang.ts";
import { eventually, TRANSPORTS, useRig } from "./rig.ts";

const BEAM = "beam@127.0.0.1";
const SALLY = "'sally@127.0.0.1'";
const a = (name: string) => new Atom(name);
const REACHABLE: Allow = { atLeast: "cookie", verbs: ["send", "monitor", "link"] };
const KILLABLE: Allow = { atLeast: "cookie", verbs: ["send", "monitor", "link", "exit"] };

for (const transport of TRANSPORTS) {
  describeWithErlang(`monitors and links over ${transport}`, () => {
    const t = useRig(transport, async (rig) => {
      const [beam, node] = await Promise.all([rig.erlang("beam"), rig.sallyport("sally")]);
      await node.connect(BEAM);
      return { beam, node };
    });
    let names = 0;

    /** A process of the BEAM that keeps its messages: its name and its pid. */
    async function box(options = ""): Promise<{ readonly name: string; readonly pid: Pid }> {
      const name = `box${++names}`;
      await t.beam.erl(`register(${name}, interop:box([${options}]))`);
      return { name, pid: (await t.node.rpc(BEAM, "erlang", "whereis", [a(name)])) as Pid };
    }

    /** A process of the Sallyport node that the BEAM knows by its pid, as message `{pid, P}` in a box. */
    function local(options: SpawnOptions): {
      readonly handle: LocalProcessHandle;
      readonly pid: Pid;
      readonly got: Term[];
    } {
      const got: Term[] = [];
      const handle = t.node.spawn((message) => {
        if (isAtom(message, "stop")) return exit(a("shutdown"));
        if (isAtom(message, "secret")) return exit(tuple(a("secret"), 1));
        got.push(message);
        return undefined;
      }, options);
      return { handle, pid: handle.pid, got };
    }

    /** Runs Erlang in a box, with `P` bound to a pid of ours. */
    async function withPid(name: string, pid: Pid, body: string): Promise<string> {
      const key = `pid${++names}`;
      await t.node.rpc(BEAM, "persistent_term", "put", [a(key), pid]);
      return t.beam.erl(`P = persistent_term:get(${key}), interop:do(${name}, fun() -> ${body} end)`);
    }

    const watch = (target: Parameters<typeof t.node.monitor>[0]) => {
      const downs: Down[] = [];
      return { downs, ref: t.node.monitor(target, (down) => downs.push(down)) };
    };

    it("monitors on a BEAM fire once, by pid and by name, with the reason", async () => {
      const { name, pid } = await box();
      const byPid = watch(pid);
      const byName = watch({ name, node: BEAM });
      await eventually(async () =>
        expect(await t.beam.erl(`length(element(2, process_info(whereis(${name}), monitored_by)))`)).toBe("2"),
      );
      await t.beam.erl(`exit(whereis(${name}), {went, "away"})`);
      await eventually(() => expect([...byPid.downs, ...byName.downs]).toHaveLength(2));
      expect(byPid.downs[0]).toMatchObject({ ref: byPid.ref, target: pid });
      expect(byName.downs[0]).toMatchObject({ ref: byName.ref, target: { name, node: BEAM } });
      expect(byPid.downs[0]!.reason).toEqual(tuple(a("went"), [97, 119, 97, 121]));
      const again = watch(pid);
      const noName = watch({ name, node: BEAM });
      await eventually(() => expect([...again.downs, ...noName.downs]).toHaveLength(2));
      expect([...again.downs, ...noName.downs].map((down) => down.reason)).toEqual([a("noproc"), a("noproc")]);
      expect([...byPid.downs, ...byName.downs]).toHaveLength(2);
    });

    it("a monitor taken back never fires and leaves nothing on the BEAM", async () => {
      const { name, pid } = await box();
      const { downs, ref } = watch(pid);
      const kept = watch(pid);
      expect(t.node.demonitor(ref)).toBe(true);
      expect(t.node.demonitor(ref)).toBe(false);
      await eventually(async () =>
        expect(await t.beam.erl(`length(element(2, process_info(whereis(${name}), monitored_by)))`)).toBe("1"),
      );
      await t.beam.erl(`exit(whereis(${name}), kill)`);
      await eventually(() => expect(kept.downs.map((down) => down.reason)).toEqual([a("killed")]));
      expect(downs).toEqual([]);
    });

    it("a BEAM's monitors on Sallyport processes fire once, by pid and by name", async () => {
      const { name } = await box();
      const process = local({ allow: REACHABLE });
      t.node.register("watched", { call: () => 1 }, { allow: "cookie" });
      expect(
        await withPid(name, process.pid, `monitor(process, P), monitor(process, {watched,${SALLY}}), P ! stop, ok`),
      ).toBe("ok");
      expect(await t.beam.erl(`{'DOWN', _, process, P, R} = interop:take(${name}), {node(P), R}`)).toBe(
        `{${SALLY},shutdown}`,
      );
      t.node.unregister("watched");
      expect(await t.beam.erl(`{'DOWN', _, process, P, R} = interop:take(${name}), {P, R}`)).toBe(
        `{{watched,${SALLY}},normal}`,
      );
      expect(await withPid(name, process.pid, "monitor(process, P), ok")).toBe("ok");
      expect(await t.beam.erl(`element(5, interop:take(${name}))`)).toBe("noproc");
      expect(await t.beam.erl(`interop:idle(${name})`)).toBe("0");
    });

    it("exit reasons leave the node only where its owner exposes them", async () => {
      const { name } = await box();
      const closed = local({ allow: REACHABLE });
      const open = local({ allow: REACHABLE, exposeReasons: true });
      for (const { pid } of [closed, open]) await withPid(name, pid, "monitor(process, P), P ! secret");
      const reasons = `lists:sort([element(5, interop:take(${name})) || _ <- [1,2]])`;
      const told = await t.beam.erl(reasons);
      expect(told).toContain("{secret,1}");
      expect(told.match(/secret,1/g)).toHaveLength(1);
    });

    it("a BEAM's monitor that was taken back never fires", async () => {
      const { name } = await box();
      const process = local({ allow: REACHABLE });
      await withPid(name, process.pid, "R = monitor(process, P), monitor(process, P), demonitor(R), P ! stop");
      expect(await t.beam.erl(`element(5, interop:take(${name}))`)).toBe("shutdown");
      await t.node.rpc(BEAM, "erlang", "node", []);
      expect(await t.beam.erl(`interop:idle(${name})`)).toBe("0");
    });

    it("monitors and links on what a peer may not reach are refused at once, existing or not", async () => {
      const { name } = await box("trap_exit");
      const hidden = local({});
      const before = t.node.vitals().counters["denied"] ?? 0;
      await withPid(name, hidden.pid, `monitor(process, P), monitor(process, {nothing,${SALLY}}), link(P)`);
      const answers = await t.beam.erl(
        `lists:sort([case interop:take(${name}) of {'DOWN',_,_,_,R} -> {down,R}; {'EXIT',_,R} -> {exit,R} end || _ <- [1,2,3]])`,
      );
      expect(answers).toMatch(
        /^\[\{down,\{sallyport_denied,<<"\w+">>\}\},\{down,\{sallyport_denied,<<"\w+">>\}\},\{exit,\{sallyport_denied,<<"\w+">>\}\}\]$/,
      );
      expect(t.node.vitals().counters["denied"]).toBe(before + 3);
      expect(hidden.handle.alive).toBe(true);
    });

    it("a link made here carries exits both ways", async () => {
      const trap = await box("trap_exit");
      const process = local({ allow: REACHABLE, exposeReasons: true });
      t.node.link(process.handle, trap.pid);
      await linked(trap.name, 1);
      t.node.send(process.pid, a("stop"));
      expect(await t.beam.erl(`{'EXIT', P, R} = interop:take(${trap.name}), {node(P), R}`)).toBe(`{${SALLY},shutdown}`);

      const other = local({ allow: KILLABLE, trapExit: true });
      t.node.link(other.handle, trap.pid);
      await linked(trap.name, 1);
      await t.beam.erl(`exit(whereis(${trap.name}), kill)`);
      await eventually(() => expect(other.got).toEqual([tuple(a("EXIT"), trap.pid, a("killed"))]));

      t.node.link(other.handle, trap.pid);
      await eventually(() => expect(other.got.slice(1)).toEqual([tuple(a("EXIT"), trap.pid, a("noproc"))]));
    });

    it("an exit over a link ends a process only where the peer has an exit grant", async () => {
      const { name, pid } = await box();
      const safe = local({ allow: REACHABLE });
      const mortal = local({ allow: KILLABLE });
      t.node.link(safe.handle, pid);
      t.node.link(mortal.handle, pid);
      await linked(name, 2);
      await t.beam.erl(`exit(whereis(${name}), boom)`);
      expect(await mortal.handle.exited).toEqual(a("boom"));
      await eventually(() => expect(safe.got).toEqual([tuple(a("EXIT"), pid, a("boom"))]));
    });

    it("a link made by a BEAM carries exits both ways", async () => {
      const trap = await box("trap_exit");
      const process = local({ allow: KILLABLE, trapExit: true });
      expect(await withPid(trap.name, process.pid, "link(P)")).toBe("true");
      await t.node.rpc(BEAM, "erlang", "exit", [trap.pid, a("stop")]);
      expect(await t.beam.erl(`element(3, interop:take(${trap.name}))`)).toBe("stop");
      t.node.send(process.pid, a("stop"));
      expect(await t.beam.erl(`element(3, interop:take(${trap.name}))`)).toBe("shutdown");
      expect(await withPid(trap.name, process.pid, "link(P)")).toBe("true");
      expect(await t.beam.erl(`element(3, interop:take(${trap.name}))`)).toBe("noproc");
    });

    it("an unlinked pair stays apart, whoever linked and unlinked, also over and over", async () => {
      const { name, pid } = await box();
      const process = local({ allow: KILLABLE });
      for (let round = 0; round < 50; round++) {
        t.node.link(process.handle, pid);
        t.node.unlink(process.handle, pid);
      }
      await linked(name, 0);
      expect(
        await withPid(name, process.pid, "[begin link(P), unlink(P) end || _ <- lists:seq(1, 50)], link(P), unlink(P)"),
      ).toBe("true");
      // The acknowledgements came back, or the records on the BEAM would never go.
      await linked(name, 0);
      // And all of it was read here, or the link below would be one that stands already and that the BEAM is about to take back.
      await t.node.rpc(BEAM, "erlang", "node", []);
      t.node.link(process.handle, pid);
      await linked(name, 1);
      await withPid(name, process.pid, "unlink(P)");
      await t.beam.erl(`exit(whereis(${name}), boom)`);
      const probe = watch(pid);
      await eventually(() => expect(probe.downs).toHaveLength(1));
      expect(process.handle.alive).toBe(true);
    });

    it("links and unlinks from both sides at once end in the same state on both", async () => {
      const { name, pid } = await box("trap_exit");
      const process = local({ allow: KILLABLE, trapExit: true });
      const theirs = withPid(name, process.pid, "[begin link(P), unlink(P) end || _ <- lists:seq(1, 200)], ok");
      for (let round = 0; round < 200; round++) {
        t.node.link(process.handle, pid);
        t.node.unlink(process.handle, pid);
        if (round % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      await theirs;
      await t.node.rpc(BEAM, "erlang", "node", []);
      await linked(name, 0);
      t.node.link(process.handle, pid);
      await linked(name, 1);
      await t.beam.erl(`exit(whereis(${name}), kill)`);
      await eventually(() => expect(process.got).toEqual([tuple(a("EXIT"), pid, a("killed"))]));
    });

    it("exit signals reach what they may: both ways, kill included", async () => {
      const { name, pid } = await box("trap_exit");
      t.node.exit(pid, tuple(a("please"), 1));
      expect(await t.beam.erl(`element(3, interop:take(${name}))`)).toBe("{please,1}");
      const safe = local({ allow: REACHABLE });
      const trapping = local({ allow: KILLABLE, trapExit: true });
      const mortal = local({ allow: KILLABLE, trapExit: true });
      const before = t.node.vitals().counters["denied"] ?? 0;
      await withPid(name, safe.pid, "exit(P, kill), exit(P, boom)");
      await withPid(name, trapping.pid, "exit(P, boom)");
      await withPid(name, mortal.pid, "exit(P, kill)");
      expect(await mortal.handle.exited).toEqual(a("killed"));
      await eventually(() => expect(trapping.got).toEqual([tuple(a("EXIT"), pid, a("boom"))]));
      expect(safe.handle.alive).toBe(true);
      expect(safe.got).toEqual([]);
      expect(t.node.vitals().counters["denied"]).toBe(before + 2);
    });

    it("a group leader that a peer would set is refused", async () => {
      const { name } = await box();
      const process = local({ allow: KILLABLE });
      const before = t.node.vitals().counters["denied"] ?? 0;
      await withPid(name, process.pid, "group_leader(self(), P)");
      await eventually(() => expect(t.node.vitals().counters["denied"]).toBe(before + 1));
      expect(t.node.peers()).toHaveLength(1);
    });

    function linked(name: string, count: number): Promise<void> {
      const links = `length(element(2, process_info(whereis(${name}), links)))`;
      return eventually(async () => expect(await t.beam.erl(links)).toBe(String(count)));
    }
  });
}
