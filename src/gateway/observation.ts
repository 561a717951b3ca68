import type { MonotonicMs } from "../base/clock.ts";
import { type CommanderRequest, type Decide, SYSTEM_NAMES } from "./profile.ts";

/** Lets pass and notes what would be refused, until it ends. One of a session. */
export class Observation {
  readonly #endsAt: MonotonicMs;
  #isOn: boolean;

  constructor(endsAt: MonotonicMs, now: MonotonicMs) {
    this.#endsAt = endsAt;
    this.#isOn = now < endsAt;
  }

  get isOn(): boolean {
    return this.#isOn;
  }

  /** Time goes on. Once it has ended it does not begin again. */
  reach(now: MonotonicMs): void {
    if (now >= this.#endsAt) this.#isOn = false;
  }

  /** `decide`, with what it refuses let through; not what stops or takes over a node (rulings C24). */
  observe(decide: Decide): Decide {
    return (request) => {
      const decision = decide(request);
      if (decision.allowed || !this.#isOn || isSystem(request)) return decision;
      return { allowed: true, observed: decision };
    };
  }
}

function isSystem({ verb, target }: CommanderRequest): boolean {
  const isWatched = verb === "monitor";
  return verb === "system" || (!isWatched && target.kind === "name" && SYSTEM_NAMES.includes(target.name));
}
