import { expect, it } from "vitest";
import { createSockets } from "../../src/carrier/plain-socket.ts";
import { createGateway } from "../../src/create-gateway.ts";
import { registerAtEpmd } from "../../src/discovery/epmd-client.ts";
import type { Gateway } from "../../src/gateway/api.ts";
import type { GatewayEvent } from "../../src/gateway/link.ts";
import type { PairFacts } from "../../src/gateway/message-filter.ts";
import { pass } from "../../src/gateway/verdict.ts";
import { RealClock } from "../../src/system/real-clock.ts";
import { epmdEntry } from "../../src/wire/epmd.ts";
import { type BeamNode, freePort, startErlang } from "./erlang-node.ts";
import { describeWithErlang } from "./need-erlang.ts";
import { COOKIE, eventually, type Rig, TRANSPORTS, useRig } from "./rig.ts";

const INSIDE = "inside@127.0.0.1";
const OUTSIDE = "outside@127.0.0.1";
const INSIDE_COOKIE = "cookie-of-the-inside-alone";
const TICK_SECONDS = 4;

interface World {
  readonly outside: BeamNode;
  readonly inside: BeamNode;
  readonly gateway: Gateway;
  readonly events: GatewayEvent[];
  readonly facts: PairFacts[];
}

/**
 * An outside node with an EPMD of its own, the gateway, and an inside node that registers with the gateway. The gateway
 * lets everything pass.
 */
async function build(rig: Rig, wrong: { outside?: string; inside?: string } = {}, fragments = true): Promise<World> {
  const outside = await rig.erlang("outside", { cookie: COOKIE, tickTimeSeconds: TICK_SECONDS });
  const epmdPort = await freePort();
  const outsidePort = await outside.erl("interop:dist_port()");
  const { transport } = rig;
  const issued = transport === "tls" ? await rig.authority.issue(INSIDE) : undefined;
  const events: GatewayEvent[] = [];
  const facts: PairFacts[] = [];
  const gateway = await createGateway(
    {
      pairs: [
        {
          inside: { node: INSIDE, cookie: wrong.inside ?? INSIDE_COOKIE },
          outside: {
            nodes: [OUTSIDE],
            listen: `${transport}://127.0.0.1:0`,
            addresses: { [OUTSIDE]: `${transport}://127.0.0.1:${outsidePort}` },
            cookie: wrong.outside ?? COOKIE,
            ...(issued === undefined
              ? {}
              : { tls: { certFile: issued.certFile, keyFile: issued.keyFile, caFile: rig.authority.caFile } }),
          },
          fragments,
        },
      ],
      epmd: { inside: `127.0.0.1:${epmdPort}` },
      tickTimeMs: TICK_SECONDS * 1_000,
      dangerous: { plaintext: transport === "tcp" },
      onEvent: (event) => void events.push(event),
    },
    (given) => {
      facts.push(given);
      return { judge: (_from, control, buffer, start, end) => pass(control, buffer, start, end) };
    },
  );
  rig.closes(() => gateway.close());
  const endpoint = gateway.endpoints.find(({ from }) => from === "outside")?.endpoint ?? "";
  const parts = { sockets: createSockets(), clock: new RealClock(), port: rig.epmd.port };
  const entry = epmdEntry("inside", Number(endpoint.split(":").at(-1)), true);
  const registration = await registerAtEpmd(parts, "127.0.0.1", entry);
  rig.closes(() => registration.close());
  const inside = await startErlang({
    name: INSIDE,
    cookie: INSIDE_COOKIE,
    epmdPort,
    home: rig.home,
    tickTimeSeconds: TICK_SECONDS,
  });
  rig.closes(() => inside.kill());
  return { outside, inside, gateway, events, facts };
}

for (const transport of TRANSPORTS) {
  describeWithErlang(`two Erlang nodes through a gateway, outside over ${transport}`, () => {
    const t = useRig(transport, (rig) => build(rig, {}, transport === "tls"));
    const creationOf = (beam: BeamNode) => beam.erl("erlang:system_info(creation)");

    it("meet, see real names and creations, and stay hidden", async () => {
      expect(await t.outside.erl(`net_adm:ping('${INSIDE}')`)).toBe("pong");
      expect(await t.inside.erl("{nodes(), nodes(hidden)}")).toBe(`{[],['${OUTSIDE}']}`);
      expect(await t.outside.erl("{nodes(), nodes(hidden)}")).toBe(`{[],['${INSIDE}']}`);
      expect(t.facts.map(({ outside, inside }) => [`${outside.creation}`, `${inside.creation}`])).toEqual([
        [await creationOf(t.outside), await creationOf(t.inside)],
      ]);
      const seen = (other: string) =>
        `<<131,88,_:2/binary,L,_:L/binary,_:64,C:32>> = term_to_binary(rpc:call('${other}', erlang, self, []), ` +
        "[{minor_version, 2}]), C";
      expect(await t.outside.erl(seen(INSIDE).replace("_:2/binary,L", "119,L"))).toBe(await creationOf(t.inside));
      expect(await t.inside.erl(seen(OUTSIDE).replace("_:2/binary,L", "119,L"))).toBe(await creationOf(t.outside));
    });

    for (const [from, to] of [
      ["outside", INSIDE],
      ["inside", OUTSIDE],
    ] as const) {
      it(`call, spawn, monitor and link from ${from}`, async () => {
        const beam = t[from];
        expect(await beam.erl(`rpc:call('${to}', erlang, node, [])`)).toBe(`'${to}'`);
        expect(await beam.erl(`erpc:call('${to}', erlang, node, [])`)).toBe(`'${to}'`);
        expect(await beam.erl(`is_list(gen_server:call({kernel_sup, '${to}'}, which_children))`)).toBe("true");
        const down = "receive {'DOWN', M, process, P, R} -> R after 9000 -> none end";
        expect(await beam.erl(`{P, M} = spawn_monitor('${to}', erlang, exit, [bye]), ${down}`)).toBe("bye");
        const named = `M = monitor(process, {nobody, '${to}'}), receive {'DOWN', M, _, _, R} -> R after 9000 -> none end`;
        expect(await beam.erl(named)).toBe("noproc");
        const linked =
          `process_flag(trap_exit, true), P = spawn_link('${to}', timer, sleep, [60000]), exit(P, stop), ` +
          "receive {'EXIT', P, R} -> R after 9000 -> none end";
        expect(await beam.erl(linked)).toBe("stop");
      });

      it(`carry 20 MB from ${from} and back`, async () => {
        const roundTrip = `B = rand:bytes(20000000), B =:= erpc:call('${to}', erlang, hd, [[B]])`;
        expect(await t[from].erl(roundTrip)).toBe("true");
      });
    }

    it("stay up while nobody says anything for three tick times", async () => {
      const before = t.events.length;
      await new Promise((resolve) => setTimeout(resolve, 3_000 * TICK_SECONDS));
      expect(t.events.slice(before)).toEqual([]);
      expect(await t.inside.erl("nodes(hidden)")).toBe(`['${OUTSIDE}']`);
    });

    it("meet again when the inside node dials", async () => {
      await t.outside.erl(`erlang:disconnect_node('${INSIDE}')`);
      await eventually(async () => expect(await t.inside.erl("nodes(hidden)")).toBe("[]"));
      expect(await t.inside.erl(`net_adm:ping('${OUTSIDE}')`)).toBe("pong");
      expect(t.events.at(-1)).toMatchObject({ kind: "up", dialledBy: "inside" });
    });

    it("end in one working pair when both dial at once", async () => {
      for (let round = 0; round < 5; round++) {
        await t.outside.erl(`erlang:disconnect_node('${INSIDE}')`);
        await eventually(async () => expect(await t.inside.erl("nodes(hidden)")).toBe("[]"));
        await eventually(() => expect(t.gateway.pairs).toBe(0));
        const pings = [t.outside.erl(`net_adm:ping('${INSIDE}')`), t.inside.erl(`net_adm:ping('${OUTSIDE}')`)];
        expect(await Promise.all(pings)).toEqual(["pong", "pong"]);
        await eventually(() => expect(t.gateway.pairs).toBe(1));
      }
    });

    it("hear within a second that the other was killed", async () => {
      await t.outside.erl(`net_adm:ping('${INSIDE}'), register(watch, spawn(fun() ->
        monitor_node('${INSIDE}', true),
        receive {nodedown, _} -> persistent_term:put(down, erlang:system_time(millisecond)) end,
        receive stop -> ok end end)), timer:sleep(200)`);
      const killedAt = Date.now();
      await t.inside.kill();
      const downAt = await eventually(async () => Number(await t.outside.erl("persistent_term:get(down)")));
      expect(downAt - killedAt).toBeLessThan(1_000);
      await eventually(() => expect(t.gateway.pairs).toBe(0));
    });
  });
}

describeWithErlang("a gateway that has a wrong cookie", () => {
  const t = useRig("tcp", (rig) => build(rig, { inside: "not-the-cookie-of-the-inside" }));

  it("for the inside leg joins nobody, whoever dials", async () => {
    expect(await t.outside.erl(`net_adm:ping('${INSIDE}')`)).toBe("pang");
    expect(await t.inside.erl(`net_adm:ping('${OUTSIDE}')`)).toBe("pang");
    expect(t.facts).toEqual([]);
    await eventually(() => expect(t.gateway.pairs).toBe(0));
    expect(t.events.map(({ kind }) => kind)).toEqual(["refused", "refused"]);
    expect(await t.outside.erl("nodes(connected)")).toBe("[]");
  });
});

describeWithErlang("a gateway whose outside node has a wrong cookie", () => {
  const t = useRig("tcp", (rig) => build(rig, { outside: "not-the-cookie-of-the-outside" }));

  it("joins nobody, and the inside node hears no proof", async () => {
    expect(await t.outside.erl(`net_adm:ping('${INSIDE}')`)).toBe("pang");
    await eventually(() => expect(t.gateway.pairs).toBe(0));
    expect(t.facts).toEqual([]);
    expect(t.events).toMatchObject([{ kind: "refused", endedBy: "outside", error: { reason: "SECRET_MISMATCH" } }]);
    expect(await t.inside.erl("nodes(connected)")).toBe("[]");
  });
});
