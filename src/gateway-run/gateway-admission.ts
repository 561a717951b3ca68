import type { SourceEntry } from "../audit/source-entries.ts";
import type { Clock } from "../base/clock.ts";
import { parseNodeName } from "../base/node-name.ts";
import { type Gatekeeper, SourceGate, type SourceGateCounters } from "../carrier/source-gate.ts";
import { PEERS_WORD, readSources, SourceList } from "../carrier/source-list.ts";
import { expectedHosts } from "../discovery/expected-hosts.ts";
import { PeerHosts } from "../discovery/peer-hosts.ts";
import { SIDES, type Side } from "../gateway/message-filter.ts";
import type { GatewayOptions } from "../gateway/options.ts";

type AcceptOptions = Pick<GatewayOptions, "accept" | "pairs">;

/** The audit log, as far as it has to do with who is let in. */
export interface AdmissionAudit {
  readonly isClosed: boolean;
  sourceRefused(entry: SourceEntry): void;
}

/** From where a gateway takes connections: a gate for each side, in front of the one that bounds what is half open. */
export class GatewayAdmission {
  readonly gates: Readonly<Record<Side, SourceGate>>;
  readonly #lists: Readonly<Record<Side, SourceList>>;
  readonly #peers: Readonly<Record<Side, PeerHosts>>;

  constructor(inner: Gatekeeper, clock: Clock, audit: AdmissionAudit | undefined) {
    const peers = { outside: new PeerHosts(clock), inside: new PeerHosts(clock) };
    const lists = { outside: new SourceList({}, peers.outside), inside: new SourceList({}, peers.inside) };
    const gate = (sources: SourceList): SourceGate =>
      new SourceGate({
        inner,
        sources,
        isShut: () => audit?.isClosed === true,
        refused: (address, source) => audit?.sourceRefused({ address, source }),
      });
    this.#peers = peers;
    this.#lists = lists;
    this.gates = { outside: gate(lists.outside), inside: gate(lists.inside) };
  }

  /** @throws {SallyportError} ERR_CONFIG SOURCE_INVALID, ERR_LIMIT SOURCES_TOO_MANY */
  check({ accept = {} }: AcceptOptions): void {
    for (const side of SIDES) readSources(accept[side] ?? {});
  }

  /** What comes from now on is judged by these lists. Resolves when what is to be looked up has its answer. @throws as `check` */
  async take(options: AcceptOptions): Promise<void> {
    this.check(options);
    const { accept = {} } = options;
    for (const side of SIDES) this.#lists[side].replace(accept[side] ?? {});
    await Promise.all(
      SIDES.map((side) => {
        const asks = accept[side]?.sources?.includes(PEERS_WORD) === true;
        return this.#peers[side].replace(asks ? hostsOf(side, options) : []);
      }),
    );
  }

  counters(): Readonly<Record<Side, SourceGateCounters>> {
    return { outside: this.gates.outside.counters, inside: this.gates.inside.counters };
  }

  /** Looks nothing up any more. Idempotent. */
  stop(): void {
    for (const side of SIDES) this.#peers[side].stop();
  }
}

/** The hosts under which the nodes of one side are found. */
export function hostsOf(side: Side, { pairs }: Pick<GatewayOptions, "pairs">): readonly string[] {
  const hosts = pairs.flatMap(({ inside, outside }) => {
    const known: Readonly<Record<string, string>> =
      side === "outside"
        ? (outside.addresses ?? {})
        : inside.address === undefined
          ? {}
          : { [parseNodeName(inside.node)]: inside.address };
    return expectedHosts({ resolve: known, seeds: [], nodes: side === "outside" ? outside.nodes : [inside.node] });
  });
  return [...new Set(hosts)];
}
