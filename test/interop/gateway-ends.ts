import { join } from "node:path";
import { expect } from "vitest";
import { createSockets } from "../../src/carrier/plain-socket.ts";
import { createGateway } from "../../src/create-gateway.ts";
import { registerAtEpmd } from "../../src/discovery/epmd-client.ts";
import type { Gateway, GatewaySessionStatus } from "../../src/gateway/api.ts";
import type { FilterReport } from "../../src/gateway/filter-report.ts";
import type { Side } from "../../src/gateway/message-filter.ts";
import type { GatewayMessage } from "../../src/gateway/notices.ts";
import type { PairFilterOption } from "../../src/gateway/options.ts";
import { RealClock } from "../../src/system/real-clock.ts";
import { epmdEntry } from "../../src/wire/epmd.ts";
import { type BeamNode, startEpmd } from "./erlang-node.ts";
import { COOKIE, eventually, type Rig } from "./rig.ts";

export const INSIDE = "inside@127.0.0.1";
export const OUTSIDE = "outside@127.0.0.1";
/** Reached by both of them without a gateway. */
export const DIRECT = "direct@127.0.0.1";
const INSIDE_COOKIE = "cookie-of-the-inside-alone";

/** Tables that forget by themselves; all others are empty when nothing is under way. */
const SOFT = /(maxExpectedAnswers|maxLeaders|maxPrinting|maxRevealed)$/;

type Denied = Extract<GatewayMessage, { readonly kind: "denied" }>;

export interface ThroughChoice {
  readonly filter?: PairFilterOption;
  readonly fragments?: boolean;
}

/** A gateway between the two nodes. */
export interface Through {
  readonly gateway: Gateway;
  readonly events: readonly GatewayMessage[];
  /** What was refused, or while observed would have been. */
  readonly denied: readonly Denied[];
  /** The one that is up. */
  readonly session: GatewaySessionStatus;
  /** Of its filter. */
  readonly report: FilterReport;
  /** Waits until no table holds anything that has to end. */
  empty(): Promise<void>;
  /** Ends the pair and the gateway. */
  close(): Promise<void>;
}

/**
 * Two nodes, each with a port mapper of its own, that meet only through the gateways made for them, one after the other; with
 * `direct`, a third one that both reach without any. Only the outside node and the direct one speak the transport of the rig.
 */
export class GatewayEnds {
  readonly outside: BeamNode;
  readonly inside: BeamNode;
  /** Undefined where none was asked for. */
  readonly direct: BeamNode | undefined;
  readonly #rig: Rig;
  readonly #mappers: Record<Side, number>;
  readonly #ports: Record<Side, string>;

  private constructor(
    rig: Rig,
    nodes: Record<Side, BeamNode> & { readonly direct: BeamNode | undefined },
    mappers: Record<Side, number>,
    ports: Record<Side, string>,
  ) {
    this.outside = nodes.outside;
    this.inside = nodes.inside;
    this.direct = nodes.direct;
    this.#rig = rig;
    this.#mappers = mappers;
    this.#ports = ports;
  }

  static async start(rig: Rig, language: "erlang" | "elixir" = "erlang", direct = false): Promise<GatewayEnds> {
    const epmd = await startEpmd();
    rig.closes(() => epmd.stop());
    const plain = { cookie: INSIDE_COOKIE, epmdPort: epmd.port, plain: true };
    const [outside, inside, third] = await Promise.all([
      rig[language]("outside", { cookie: COOKIE }),
      rig[language]("inside", plain),
      direct ? rig[language]("direct", { cookie: COOKIE, hidden: true }) : undefined,
    ]);
    const ports = {
      outside: await outside.erl("interop:dist_port()"),
      inside: await inside.erl("interop:dist_port()"),
    };
    const ends = new GatewayEnds(
      rig,
      { outside, inside, direct: third },
      { outside: rig.epmd.port, inside: epmd.port },
      ports,
    );
    if (third !== undefined && rig.transport === "tcp") {
      await ends.#register("inside", "direct", Number(await third.erl("interop:dist_port()")));
      await inside.erl(`erlang:set_cookie('${DIRECT}', '${COOKIE}')`);
    }
    return ends;
  }

  /** Compiles a module of the fixtures on one node and loads it into all. */
  async load(module: string, nodes: readonly BeamNode[]): Promise<void> {
    const source = join(import.meta.dirname, "erlang", `${module}.erl`);
    const made = `{ok, _} = compile:file("${source}", [{outdir, "${this.#rig.home}"}])`;
    await nodes[0]?.erl(made);
    const load = `{module, M} = code:load_abs("${this.#rig.home}/${module}"), M`;
    await Promise.all(nodes.map((node) => node.erl(load)));
  }

  /** The same for a source in Elixir; both nodes speak it. */
  async loadElixir(source: string, nodes: readonly BeamNode[]): Promise<void> {
    const path = join(import.meta.dirname, "erlang", source);
    const home = this.#rig.home;
    const compile = `for {module, code} <- Code.compile_file("${path}"), do: File.write!("${home}/#{module}.beam", code) && module`;
    const modules = await nodes[0]?.elixir(compile);
    const load = `for module <- ${modules}, do: {:module, _} = :code.load_abs('${home}/#{module}')`;
    await Promise.all(nodes.slice(1).map((node) => node.elixir(load)));
  }

  async through({ filter = {}, fragments = true }: ThroughChoice = {}): Promise<Through> {
    const { transport, authority } = this.#rig;
    const issued = transport === "tls" ? await authority.issue(INSIDE) : undefined;
    const tls = issued && { certFile: issued.certFile, keyFile: issued.keyFile, caFile: authority.caFile };
    const events: GatewayMessage[] = [];
    const pair = {
      inside: { node: INSIDE, cookie: INSIDE_COOKIE, address: `tcp://127.0.0.1:${this.#ports.inside}` },
      outside: {
        nodes: [OUTSIDE],
        listen: `${transport}://127.0.0.1:0`,
        addresses: { [OUTSIDE]: `${transport}://127.0.0.1:${this.#ports.outside}` },
        cookie: COOKIE,
        ...(tls === undefined ? {} : { tls }),
      },
      fragments,
      filter,
    };
    const gateway = await createGateway({
      pairs: [pair],
      dangerous: { plaintext: transport === "tcp" },
      onMessage: (event) => void events.push(event),
    });
    const portFrom = (side: Side): number => {
      const { endpoint } = gateway.endpoints.find(({ from }) => from === side) ?? { endpoint: "" };
      return Number(endpoint.split(":").at(-1));
    };
    const closers = [
      await this.#register("outside", "inside", portFrom("outside")),
      await this.#register("inside", "outside", portFrom("inside")),
    ];
    const close = async (): Promise<void> => {
      await gateway.close();
      for (const end of closers.splice(0)) await end();
      await eventually(async () => {
        expect(await this.outside.erl(`lists:member('${INSIDE}', nodes(hidden))`)).toBe("false");
        expect(await this.inside.erl(`lists:member('${OUTSIDE}', nodes(hidden))`)).toBe("false");
      });
    };
    this.#rig.closes(() => gateway.close());
    return new Running(gateway, events, close);
  }

  async #register(mapper: Side, name: string, port: number): Promise<() => Promise<void>> {
    const parts = { sockets: createSockets(), clock: new RealClock(), port: this.#mappers[mapper] };
    const registration = await registerAtEpmd(parts, "127.0.0.1", epmdEntry(name, port, true));
    const close = async (): Promise<void> => void (await registration.close());
    this.#rig.closes(close);
    return close;
  }
}

class Running implements Through {
  readonly gateway: Gateway;
  readonly events: readonly GatewayMessage[];
  readonly close: () => Promise<void>;

  constructor(gateway: Gateway, events: readonly GatewayMessage[], close: () => Promise<void>) {
    this.gateway = gateway;
    this.events = events;
    this.close = close;
  }

  get denied(): Denied[] {
    return this.events.filter((event) => event.kind === "denied");
  }

  get session(): GatewaySessionStatus {
    const [one, ...more] = this.gateway.status().pairs.flatMap(({ sessions }) => sessions);
    if (one === undefined || more.length > 0) throw new Error(`${more.length} sessions too many, or none`);
    return one;
  }

  get report(): FilterReport {
    const { report } = this.session;
    if (report === null) throw new Error("the filter counts nothing");
    return report;
  }

  empty(): Promise<void> {
    return eventually(() => {
      const tables = Object.entries(this.report.tables);
      expect(tables.filter(([name, { size }]) => size > 0 && !SOFT.test(name))).toEqual([]);
    });
  }
}
