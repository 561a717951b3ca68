import { describe, expect, it } from "vitest";
import { SallyportError } from "../base/errors.ts";
import { A, B, NativePair } from "../testkit/native-pair.ts";
import type { SallyportNode } from "./node.ts";

// Two whole nodes with identities, in every order of events, as crossing-dials.test.ts does it for Erlang's handshake: the
// arbiter's model is that of the code. A node's messages that wait on one connection move together.

interface Plan {
  readonly leftover: "none" | "open" | "closing" | "restarted";
  readonly aDials: boolean;
  readonly bDials: boolean;
}

class World {
  readonly pair: NativePair = new NativePair();
  readonly outcomes: Map<string, string> = new Map();
  readonly events: Record<"a" | "b", string[]> = { a: [], b: [] };
  readonly #wishes = new Map<string, () => void>();
  readonly #plan: Plan;
  a: SallyportNode;
  b: SallyportNode;
  #waits = 0;

  constructor(plan: Plan) {
    this.#plan = plan;
    this.a = this.#start("a", "a");
    this.b = this.#start("b", "b");
    if (plan.aDials) this.#wishes.set("dial a", () => this.#connect("a", B));
    if (plan.bDials) this.#wishes.set("dial b", () => this.#connect("b", A));
  }

  options(): string[] {
    const next = [...this.#wishes.keys(), ...this.pair.network.options()];
    const isWaiting = [...this.outcomes.values()].includes("pending");
    return next.length === 0 && isWaiting && this.#waits < 3 ? ["wait"] : next;
  }

  async take(option: string): Promise<void> {
    const wish = this.#wishes.get(option);
    this.#wishes.delete(option);
    const { network, clock } = this.pair;
    if (wish !== undefined) wish();
    else if (option === "wait") {
      this.#waits++;
      clock.advance(400);
    } else {
      network.take(option);
      // What left together may arrive together.
      const link = network.linkOf(option);
      const sender = option.endsWith(">") ? link?.from : link?.to;
      while (option.startsWith("move") && sender?.out[0] !== undefined && "bytes" in sender.out[0])
        network.take(option);
    }
    await this.pair.settle();
  }

  /** Brings up a session that `a` then loses, while `b` still holds its end. */
  async prepare(): Promise<void> {
    const { leftover } = this.#plan;
    if (leftover === "none") return;
    const wishes = new Map(this.#wishes);
    this.#wishes.clear();
    this.#connect("a", B);
    await this.pair.settle();
    for (let next = this.options()[0]; next !== undefined; next = this.options()[0]) await this.take(next);
    if (this.outcomes.get("a") !== "up" || this.b.peers().length !== 1) throw new Error("no session to begin with");
    const { links } = this.pair.network;
    const old = links[0]!;
    old.to.out.length = 0;
    if (leftover === "restarted") {
      links.length = 0;
      this.a = this.#start("a", "A");
      // The former life hears nothing any more, and says nothing.
    } else {
      old.from.destroy();
      if (leftover === "open") links.length = 0;
    }
    await this.pair.settle();
    this.events.a.length = 0;
    this.events.b.length = 0;
    this.outcomes.clear();
    for (const [key, wish] of wishes) this.#wishes.set(key, wish);
  }

  key(): string {
    const lives = [this.a, this.b].map((node) => node.peers().map((peer) => peer.address));
    return JSON.stringify([
      [...this.#wishes.keys()],
      this.pair.network.key(),
      this.outcomes,
      lives,
      this.events,
      this.#waits,
    ]);
  }

  /** What is wrong when nothing can happen any more. */
  fault(): string | undefined {
    const { links } = this.pair.network;
    const [ofA, ofB] = [this.a.peers(), this.b.peers()];
    const alive = links.filter(({ from, to }) => !from.over && !to.over);
    const halves = links.filter(({ from, to }) => from.over !== to.over);
    const agree = ofA.length === 1 && ofA[0]?.address === ofB[0]?.address && ofA[0]?.incarnation === this.b.creation;
    const isKnown = ofB[0]?.incarnation === this.a.creation;
    if (!agree || !isKnown || alive.length !== 1 || halves.length > 0) {
      return `a has ${ofA.length}, b has ${ofB.length}, ${alive.length} connections, ${halves.length} halves`;
    }
    if ([...this.outcomes.values()].some((outcome) => outcome !== "up")) return JSON.stringify([...this.outcomes]);
    const expected = this.#plan.leftover === "none" ? "up" : "down up";
    if (this.events.a.join(" ") !== "up" || this.events.b.join(" ") !== expected) return JSON.stringify(this.events);
    return undefined;
  }

  #start(who: "a" | "b", label: string): SallyportNode {
    const node = this.pair.start(who === "a" ? A : B, label);
    node.on("nodeup", () => void this.events[who].push("up"));
    node.on("nodedown", () => void this.events[who].push("down"));
    return node;
  }

  #connect(who: "a" | "b", other: string): void {
    this.outcomes.set(who, "pending");
    this[who].connect(other, { timeoutMs: 60_000 }).then(
      () => this.outcomes.set(who, "up"),
      (error: unknown) => this.outcomes.set(who, error instanceof SallyportError ? error.reason : String(error)),
    );
  }
}

async function explore(
  plan: Plan,
): Promise<{ readonly wrong: string[]; readonly ends: number; readonly states: number }> {
  const seen = new Set<string>();
  const wrong: string[] = [];
  let ends = 0;
  const stack: string[][] = [[]];
  for (let path = stack.pop(); path !== undefined; path = stack.pop()) {
    const world = new World(plan);
    await world.prepare();
    for (const option of path) await world.take(option);
    const key = world.key();
    if (seen.has(key)) continue;
    seen.add(key);
    const options = world.options();
    for (const option of options) stack.push([...path, option]);
    if (options.length > 0) continue;
    ends++;
    const fault = world.fault();
    if (fault !== undefined) wrong.push(`${fault}: ${path.join(", ")}`);
  }
  return { wrong, ends, states: seen.size };
}

describe("crossing dials of nodes with identities, in every order of events", () => {
  it.each([
    [{ leftover: "none", aDials: true, bDials: false }, 7],
    [{ leftover: "none", aDials: true, bDials: true }, 100],
    [{ leftover: "open", aDials: true, bDials: false }, 7],
    [{ leftover: "closing", aDials: true, bDials: false }, 10],
    [{ leftover: "closing", aDials: true, bDials: true }, 100],
    [{ leftover: "restarted", aDials: true, bDials: false }, 7],
  ] as const)(
    "%j end with one session that both agree on, and nothing false told",
    async (plan, atLeast) => {
      const { wrong, ends, states } = await explore(plan);
      console.log(`native crossing ${JSON.stringify(plan)}: ${states} states, ${ends} ends`);
      expect(wrong.sort((x, y) => x.length - y.length).slice(0, 3)).toEqual([]);
      expect(states).toBeGreaterThanOrEqual(atLeast);
      expect(ends).toBeGreaterThan(0);
    },
    60_000,
  );
});
