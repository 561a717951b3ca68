import { createSockets } from "../../src/carrier/plain-socket.ts";
import { createGateway } from "../../src/create-gateway.ts";
import { registerAtEpmd } from "../../src/discovery/epmd-client.ts";
import type { Gateway } from "../../src/gateway/api.ts";
import type { GatewayEvent } from "../../src/gateway/link.ts";
import type { FilterFactory } from "../../src/gateway/message-filter.ts";
import type { PairFilterOption } from "../../src/gateway/options.ts";
import type { MessageEvent } from "../../src/gateway/pair-rules.ts";
import { RealClock } from "../../src/system/real-clock.ts";
import { epmdEntry } from "../../src/wire/epmd.ts";
import { type BeamNode, freePort, startElixir, startErlang } from "./erlang-node.ts";
import { COOKIE, type Rig } from "./rig.ts";

export const INSIDE = "inside@127.0.0.1";
export const OUTSIDE = "outside@127.0.0.1";
/** Of the inside leg alone: no outside node knows it. */
export const INSIDE_COOKIE = "cookie-of-the-inside-alone";

/** How the two nodes and the gateway between them differ from the default. */
export interface GatewayChoice {
  readonly filter?: PairFilterOption;
  /** In place of the rules. */
  readonly filterFor?: FilterFactory;
  /** Default Erlang. */
  readonly language?: "erlang" | "elixir";
  readonly fragments?: boolean;
}

/** Two BEAM nodes that know each other through a gateway only. */
export interface GatewayWorld {
  readonly outside: BeamNode;
  readonly inside: BeamNode;
  readonly gateway: Gateway;
  readonly events: GatewayEvent[];
  readonly messages: MessageEvent[];
  /** Port of the gateway's port mapper for the inside. */
  readonly insideMapper: number;
}

/**
 * Starts an outside node with the rig's port mapper, the gateway, and an inside node with the gateway's. Each finds the other by
 * its name, and may dial. The outside leg is that of the rig's transport.
 */
export async function gatewayBetween(rig: Rig, choice: GatewayChoice = {}): Promise<GatewayWorld> {
  const { filter, filterFor, language = "erlang", fragments = true } = choice;
  const outside = await rig[language]("outside", { cookie: COOKIE });
  const epmdPort = await freePort();
  const outsidePort = await outside.erl("interop:dist_port()");
  const { transport, authority } = rig;
  const issued = transport === "tls" ? await authority.issue(INSIDE) : undefined;
  const tls = issued && { certFile: issued.certFile, keyFile: issued.keyFile, caFile: authority.caFile };
  const events: GatewayEvent[] = [];
  const messages: MessageEvent[] = [];
  const gateway = await createGateway(
    {
      pairs: [
        {
          inside: { node: INSIDE, cookie: INSIDE_COOKIE },
          outside: {
            nodes: [OUTSIDE],
            listen: `${transport}://127.0.0.1:0`,
            addresses: { [OUTSIDE]: `${transport}://127.0.0.1:${outsidePort}` },
            cookie: COOKIE,
            ...(tls === undefined ? {} : { tls }),
          },
          fragments,
          ...(filter === undefined ? {} : { filter }),
        },
      ],
      epmd: { inside: `127.0.0.1:${epmdPort}` },
      dangerous: { plaintext: transport === "tcp" },
      onEvent: (event) => void events.push(event),
      onMessage: (event) => void messages.push(event),
    },
    filterFor,
  );
  rig.closes(() => gateway.close());
  const endpoint = gateway.endpoints.find(({ from }) => from === "outside")?.endpoint ?? "";
  const parts = { sockets: createSockets(), clock: new RealClock(), port: rig.epmd.port };
  const entry = epmdEntry("inside", Number(endpoint.split(":").at(-1)), true);
  const registration = await registerAtEpmd(parts, "127.0.0.1", entry);
  rig.closes(() => registration.close());
  const start = language === "erlang" ? startErlang : startElixir;
  const inside = await start({ name: INSIDE, cookie: INSIDE_COOKIE, epmdPort, home: rig.home });
  rig.closes(() => inside.kill());
  return { outside, inside, gateway, events, messages, insideMapper: epmdPort };
}
