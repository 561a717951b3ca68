import { BARREL_METRICS } from "../auth/barrel-types.ts";
import type { NodeName } from "../base/node-name.ts";
import type { LinkNotice } from "../dist/barrel-link-owner.ts";
import type { Metric, NodeEvents } from "./api.ts";

/** Peers whose changes of address have a counter of their own; those of further peers count as OTHER. */
export const MAX_MIGRATE_SERIES = 1024;

/** What is counted of sessions over QUIC beside their exchanges of keys. */
export class BarrelCounts {
  readonly #moves = new Map<NodeName | "OTHER", number>();
  #strayBytes = 0;

  add(notice: LinkNotice): void {
    if (notice.kind === "stray") {
      this.#strayBytes += notice.bytes;
      return;
    }
    const isKnown = this.#moves.has(notice.peer) || this.#moves.size < MAX_MIGRATE_SERIES;
    const peer = isKnown ? notice.peer : "OTHER";
    this.#moves.set(peer, (this.#moves.get(peer) ?? 0) + 1);
  }

  /** `streamsDropped`: tagged streams of peers that ended before they had a tag. */
  snapshot(streamsDropped: number): readonly Metric[] {
    return [
      // QUIC tells of what it does, not of what it has given up.
      ...[...this.#moves].map(([peer, moves]) => counter(BARREL_METRICS.migrate, moves, { peer, outcome: "ok" })),
      ...(streamsDropped === 0 ? [] : [counter(BARREL_METRICS.preambleDropped, streamsDropped)]),
      ...(this.#strayBytes === 0 ? [] : [counter("dist.control.stray_bytes", this.#strayBytes)]),
    ];
  }
}

function counter(name: string, value: number, labels: Readonly<Record<string, string>> = {}): Metric {
  return { kind: "counter", name, labels, value };
}

/** Told once for a session. */
export function strayBytes(peer: NodeName): NodeEvents["warning"][0] {
  const message = `${peer} sends bytes on stream 0 of the session that are no ticks; they are dropped, and counted`;
  return { reason: "BARREL_STRAY_BYTES", message };
}
