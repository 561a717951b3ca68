import type { GatewayPairTotals } from "./api.ts";
import type { FilterReport } from "./filter-report.ts";

/** Rules and reasons that are counted one by one over the sessions of a pair; others are left out. */
export const MAX_COUNTED_RULES = 4_096;

/** What the sessions of a pair have counted, those that are over included. */
export class PairTotals {
  up = 0;
  refused = 0;
  readonly #forwarded = { outside: 0, inside: 0 };
  readonly #denied = new Map<string, number>();
  readonly #rules = new Map<string, { allowed: number; denied: number }>();

  /** A session is over. */
  add({ forwarded, denied, rules }: FilterReport): void {
    this.#forwarded.outside += forwarded.outside;
    this.#forwarded.inside += forwarded.inside;
    for (const [why, count] of Object.entries(denied)) {
      const known = this.#denied.get(why);
      if (known !== undefined || this.#denied.size < MAX_COUNTED_RULES) this.#denied.set(why, (known ?? 0) + count);
    }
    for (const [rule, { allowed, denied: refused }] of Object.entries(rules)) {
      const known = this.#rules.get(rule);
      if (known === undefined && this.#rules.size >= MAX_COUNTED_RULES) continue;
      const sum = { allowed: (known?.allowed ?? 0) + allowed, denied: (known?.denied ?? 0) + refused };
      this.#rules.set(rule, sum);
    }
  }

  /** With what the sessions that are up have counted so far. */
  report(live: readonly FilterReport[]): GatewayPairTotals {
    const all = new PairTotals();
    for (const report of [this.#own(), ...live]) all.add(report);
    const { forwarded, denied, rules } = all.#own();
    return { up: this.up, refused: this.refused, forwarded, denied, rules };
  }

  #own(): FilterReport {
    return {
      tables: {},
      forwarded: { ...this.#forwarded },
      denied: Object.fromEntries(this.#denied),
      rules: Object.fromEntries(this.#rules),
      isObserved: false,
    };
  }
}
