import { RingQueue } from "../base/ring-queue.ts";
import type { Decision } from "../policy/decision.ts";

/** The latest decisions, by id: what `why` finds at once. Bounded; the oldest is forgotten. */
export class DecisionLog {
  readonly #max: number;
  readonly #byId = new Map<string, Decision>();
  readonly #order: RingQueue<string> = new RingQueue<string>();

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#byId.size;
  }

  add(decision: Decision): void {
    if (this.#max <= 0 || this.#byId.has(decision.id)) return;
    while (this.#byId.size >= this.#max) {
      const oldest = this.#order.shift();
      if (oldest === undefined) break;
      this.#byId.delete(oldest);
    }
    this.#byId.set(decision.id, decision);
    this.#order.push(decision.id);
  }

  /** The decision `id`; letters may be small. */
  find(id: string): Decision | undefined {
    return this.#byId.get(id.toUpperCase());
  }
}
