import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { HandCarrier, Link } from "../testkit/hand-network.ts";
import { A, B, NativePair } from "../testkit/native-pair.ts";
import { SeededRandom } from "../testkit/seeded-random.ts";
import type { LocalProcessHandle, Peer } from "./api.ts";
import type { SallyportNode } from "./node.ts";
import type { Session } from "./session.ts";
import { Sessions } from "./sessions.ts";

// Random lives of two nodes: they connect, lose connections, restart, disconnect and close, also from inside listeners. One
// number replays a run: SALLYPORT_SEED=12345 npx vitest run --project unit down-once
const SEEDS =
  process.env["SALLYPORT_SEED"] === undefined
    ? Array.from({ length: 150 }, (_, i) => i + 1)
    : [Number(process.env["SALLYPORT_SEED"])];
const STEPS = 120;

/** The table that each session came into. */
const tables = new Map<Session, Sessions>();
beforeAll(() => {
  const { add } = Sessions.prototype;
  vi.spyOn(Sessions.prototype, "add").mockImplementation(function (this: Sessions, session: Session) {
    tables.set(session, this);
    add.call(this, session);
  });
});
afterAll(() => {
  vi.restoreAllMocks();
});

/** One life of a node, and what it was told. */
class Life {
  readonly node: SallyportNode;
  readonly target: LocalProcessHandle;
  /** What the first and the last listener heard. */
  readonly heard: [string[], string[]] = [[], []];
  /** Monitors, links and calls that were begun, and those that have ended. */
  readonly begun = { monitors: 0, links: 0, calls: 0 };
  readonly ended = { monitors: 0, links: 0, calls: 0 };
  readonly faults: string[] = [];
  isOver = false;
  /** Where its sessions are, once it had one. */
  table: Sessions | undefined;

  constructor(node: SallyportNode, misbehave: (life: Life, event: string) => void) {
    this.node = node;
    node.register("hang", { call: () => new Promise(() => {}) }, { allow: "pinned" });
    this.target = node.spawn(() => {}, { allow: { atLeast: "pinned", verbs: ["link", "monitor"] } });
    const note = (place: 0 | 1, event: string) => void (this.isOver || this.heard[place].push(event));
    node.on("nodeup", () => note(0, "up"));
    node.on("nodedown", () => note(0, "down"));
    node.on("nodeup", (peer) => {
      this.table = [...tables].find(([session]) => session.peer === peer)?.[1];
    });
    node.on("nodedown", (peer) => this.#checkDown(peer));
    node.on("nodeup", () => misbehave(this, "up"));
    node.on("nodedown", () => misbehave(this, "down"));
    node.on("nodeup", () => note(1, "up"));
    node.on("nodedown", () => note(1, "down"));
  }

  /** Begins one of each that a session can carry. */
  work(other: Life): void {
    const { node, begun, ended } = this;
    begun.monitors++;
    node.monitor(other.target.pid, () => void ended.monitors++);
    begun.links++;
    const linked = node.spawn(() => void ended.links++, { trapExit: true });
    node.link(linked, other.target);
    begun.calls++;
    const call = node.call({ name: "hang", node: other.node.name }, 1, { timeoutMs: 3_600_000 });
    call.catch(() => void ended.calls++);
  }

  /** Nothing of the session is left when its end is told. */
  #checkDown(peer: Peer): void {
    const [session, table] = [...tables].find(([one]) => one.peer === peer) ?? [];
    if (session === undefined || table === undefined) {
      this.faults.push("the end of a session that never was");
      return;
    }
    const { links, monitorsIn, monitorsOut } = session.tables.sizes;
    const rest = links + monitorsIn + monitorsOut + session.work.size;
    if (rest > 0) this.faults.push(`${rest} entries of a session that ended`);
    if (table.size > 0 || table.get(peer.name) !== undefined) this.faults.push("a session is still found");
    if (this.node.peers().length > 0) this.faults.push("the peer is still listed");
    if (this.node.vitals().openCalls > 0) this.faults.push("a call is still open");
  }

  get peersUp(): number {
    return this.heard[0].filter((event) => event === "up").length;
  }
}

class Run {
  readonly pair: NativePair = new NativePair();
  readonly dice: SeededRandom;
  readonly lives: Life[] = [];
  a: Life;
  b: Life;
  isWild = true;

  constructor(seed: number) {
    this.dice = new SeededRandom(seed);
    this.a = this.#born(A);
    this.b = this.#born(B);
  }

  async step(): Promise<void> {
    const { network, clock } = this.pair;
    const me = this.dice.below(2) === 0 ? "a" : "b";
    const life = this[me];
    const other = this[me === "a" ? "b" : "a"];
    const what = this.dice.below(30);
    if (what < 3) life.node.connect(other.node.name, { timeoutMs: 3_600_000 }).catch(() => {});
    else if (what === 3) life.node.disconnect(other.node.name);
    else if (what === 4) this.#cut();
    else if (what === 5 && this.dice.below(3) === 0) this.restart(me);
    else if (what === 6) clock.advance(this.dice.below(2_000));
    else if (what < 10 && life.node.peers().length > 0) life.work(other);
    else {
      const options = network.options();
      const option = options[this.dice.below(Math.max(options.length, 1))];
      if (option !== undefined) network.take(option);
    }
    await this.pair.settle();
  }

  /** The process is killed: it hears nothing more, and its connections end for the other side. */
  restart(me: "a" | "b"): void {
    this[me].isOver = true;
    for (const link of this.pair.network.links) {
      const end = this.#endOf(link, me);
      end.sink = undefined;
      if (!end.over) end.destroy();
      link.accept = undefined;
    }
    this[me] = this.#born(me === "a" ? A : B);
  }

  /** Lets all that is under way come to its end. */
  async calm(): Promise<void> {
    this.isWild = false;
    const { network, clock } = this.pair;
    for (let rounds = 0; rounds < 30; rounds++) {
      for (let option = network.options()[0]; option !== undefined; option = network.options()[0]) {
        network.take(option);
        await this.pair.settle();
      }
      clock.advance(500);
      await this.pair.settle();
    }
  }

  #born(name: typeof A): Life {
    const node = this.pair.start(name, `${name[0]}${this.lives.length}x`);
    const life = new Life(node, (who, event) => this.#misbehave(who, event));
    this.lives.push(life);
    return life;
  }

  #misbehave(life: Life, _event: string): void {
    if (!this.isWild || life.isOver) return;
    const what = this.dice.below(12);
    const other = life === this.a ? B : A;
    if (what === 0) life.node.disconnect(other);
    if (what === 1) life.node.connect(other, { timeoutMs: 3_600_000 }).catch(() => {});
    if (what === 2 && this.dice.below(3) === 0) void life.node.close({ timeoutMs: 0 }).then(() => this.#closed(life));
  }

  #closed(life: Life): void {
    if (life === this.a) this.restart("a");
    else if (life === this.b) this.restart("b");
  }

  #cut(): void {
    const { links } = this.pair.network;
    const link = links[this.dice.below(Math.max(links.length, 1))];
    if (link === undefined || link.accept !== undefined) return;
    for (const end of [link.from, link.to]) {
      if (this.dice.below(2) === 0) end.out.length = 0;
      end.out.push({ closed: undefined });
    }
  }

  #endOf(link: Link, me: "a" | "b"): HandCarrier {
    return link.label.startsWith(me) ? link.from : link.to;
  }
}

/** Up and down in turns. */
const isPaired = (events: readonly string[]): boolean =>
  events.every((event, i) => event === (i % 2 === 0 ? "up" : "down"));

describe("the end of a session is told exactly once", () => {
  let ups = 0;
  let worked = 0;
  afterAll(() => console.log(`down-once: ${ups} sessions, ${worked} monitors, links and calls each`));

  it.each(SEEDS)("with everything of it gone, whatever happens (seed %i)", async (seed) => {
    tables.clear();
    const run = new Run(seed);
    for (let n = 0; n < STEPS; n++) await run.step();
    await run.calm();
    for (const [place, life] of run.lives.entries()) {
      const where = `seed ${seed}, life ${place}`;
      expect(life.faults, where).toEqual([]);
      expect(life.heard[0].join(" "), where).toBe(life.heard[1].join(" "));
      expect(isPaired(life.heard[0]), `${where}: ${life.heard[0].join(" ")}`).toBe(true);
      ups += life.peersUp;
      worked += life.begun.calls;
    }
    for (const life of [run.a, run.b]) {
      // What is left stands on both sides; then that ends too.
      expect(life.heard[0].at(-1) === "up").toBe(life.node.peers().length === 1);
    }
    expect(run.a.node.peers().length).toBe(run.b.node.peers().length);
    run.a.node.disconnect(B);
    await run.calm();
    for (const life of [run.a, run.b]) {
      expect(life.ended).toEqual(life.begun);
      expect(life.node.peers()).toEqual([]);
    }
    for (const { table } of [run.a, run.b]) {
      if (table === undefined) continue;
      const dials = [...table.dials()].length;
      expect([table.size, table.openings, dials, table.get(A), table.get(B)]).toEqual([0, 0, 0, undefined, undefined]);
    }
  });
});
