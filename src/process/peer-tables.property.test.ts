import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Atom, type Pid, Reference, type Term, type Tuple } from "../term/types.ts";
import type { Control } from "../wire/control-types.ts";
import type { LocalProcess } from "./local-process.ts";
import { PeerTables } from "./peer-tables.ts";
import { ProcessTable } from "./process-table.ts";
import { pidKey } from "./term-keys.ts";

type Process = LocalProcess<null, null>;
interface Frame {
  readonly control: Control;
  readonly payload: Term;
}
interface Monitor {
  readonly ref: Reference;
  readonly watcher: Process;
  readonly watcherSide: Side;
  readonly target: Process;
  downs: number;
  removed: boolean;
}

const PROCESSES = 3;
let refs = 0;

/** One node of the pair, with what the model knows of its links. */
class Side {
  readonly inbox: Frame[] = [];
  readonly table: ProcessTable<null, null>;
  readonly processes: Process[] = [];
  /** Pairs over which an exit may come: set by our link or a recorded LINK, taken by unlink, UNLINK_ID and the exit. */
  readonly armed: Set<string> = new Set();
  peer!: PeerTables<null, null>;
  exits = 0;

  constructor(name: string) {
    this.table = new ProcessTable<null, null>({
      node: name,
      creation: 1,
      scheduler: { later: () => {} },
      signalMeta: () => null,
      onCrash: () => undefined,
      onCallbackError: (error) => {
        throw error;
      },
    });
    // The first of each side does not trap exits, so it can be ended by a link.
    for (let i = 0; i < PROCESSES; i++) {
      const process: Process = this.table.spawn(
        { message: (term) => this.#exitMessage(process, term) },
        { tag: null, trapExit: i > 0 },
      );
      this.processes.push(process);
    }
  }

  join(other: Side): void {
    this.peer = new PeerTables(
      {
        node: other.table.node,
        creation: 1,
        signal: (control, payload) => void other.inbox.push({ control, payload }),
      },
      this.table,
    );
  }

  #exitMessage(process: Process, term: Term): void {
    const from = (term as Tuple).elements[1] as Pid;
    this.exits++;
    expect(this.armed.delete(pairKey(process.pid, from)), "exit without a link").toBe(true);
  }

  link(process: Process, remote: Pid): void {
    if (process.alive) this.armed.add(pairKey(process.pid, remote));
    this.peer.link(process, remote);
  }

  unlink(process: Process, remote: Pid): void {
    const was = this.peer.linked(process, remote);
    expect(this.peer.unlink(process, remote)).toBe(was);
    this.armed.delete(pairKey(process.pid, remote));
  }

  /** Takes one frame, as the node would. */
  receive(): void {
    const frame = this.inbox.shift();
    if (frame === undefined) return;
    const { control, payload } = frame;
    switch (control.kind) {
      case "link":
        if (this.peer.linkRequested(control.from, control.to) === "linked") {
          this.armed.add(pairKey(control.to, control.from));
        }
        break;
      case "unlink-id":
        this.peer.unlinkRequested(control.id, control.from, control.to);
        this.armed.delete(pairKey(control.to, control.from));
        break;
      case "unlink-id-ack":
        this.peer.unlinkAcked(control.id, control.from, control.to);
        break;
      case "exit":
        this.peer.exitReceived(control.from, control.to, payload);
        break;
      case "monitor":
        this.peer.monitorRequested(control.from, control.target, control.ref);
        break;
      case "demonitor":
        this.peer.demonitorRequested(control.from, control.target, control.ref);
        break;
      case "monitor-exit":
        this.peer.monitorExitReceived(control.target, control.to, control.ref, payload);
        break;
      default:
        expect.unreachable();
    }
    this.table.queue.run();
  }
}

function pairKey(local: Pid, remote: Pid): string {
  return `${pidKey(local)}|${pidKey(remote)}`;
}

const index = fc.integer({ min: 0, max: PROCESSES - 1 });
const end = fc.integer({ min: 0, max: 1 });
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ op: fc.constant("receive" as const), side: end, a: index, b: index }) },
  {
    weight: 8,
    arbitrary: fc.record({
      op: fc.constantFrom("link" as const, "unlink" as const, "monitor" as const, "demonitor" as const),
      side: end,
      a: index,
      b: index,
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("exit" as const), side: end, a: index, b: index }) },
);

function run(steps: readonly { op: string; side: number; a: number; b: number }[], disconnectAt: number | undefined) {
  const sides: [Side, Side] = [new Side("a@h"), new Side("b@h")];
  sides[0].join(sides[1]);
  sides[1].join(sides[0]);
  const monitors: Monitor[] = [];

  const perform = ({ op, side, a, b }: { op: string; side: number; a: number; b: number }) => {
    const me = sides[side]!;
    const process = me.processes[a]!;
    const target = sides[1 - side]!.processes[b]!;
    if (op === "receive") me.receive();
    else if (op === "link") me.link(process, target.pid);
    else if (op === "unlink") me.unlink(process, target.pid);
    else if (op === "exit") me.table.exit(process, new Atom("boom"));
    else if (op === "monitor" && process.alive) {
      const ref = new Reference(me.table.node, 1, [++refs]);
      const monitor: Monitor = { ref, watcher: process, watcherSide: me, target, downs: 0, removed: false };
      monitors.push(monitor);
      me.peer.monitor(process.pid, target.pid, ref, () => {
        expect(process.alive, "DOWN for a dead watcher").toBe(true);
        monitor.downs++;
      });
    } else if (op === "demonitor") {
      const monitor = monitors.find((one) => one.watcherSide === me && !one.removed && one.downs === 0);
      if (monitor === undefined) return;
      // The end of the watcher has removed it already.
      expect(me.peer.demonitor(monitor.ref)).toBe(monitor.watcher.alive);
      monitor.removed = true;
    }
  };

  steps.forEach((one, i) => {
    if (i !== disconnectAt) perform(one);
    else for (const side of sides) side.peer.disconnected();
  });
  if (disconnectAt !== undefined) for (const side of sides) side.peer.disconnected();
  while (sides[0].inbox.length + sides[1].inbox.length > 0) for (const side of sides) side.receive();
  for (const side of sides) side.table.queue.run();
  return { sides, monitors };
}

describe("two peers' tables, joined by a queue each way", () => {
  it("agree on every link and tell every monitor exactly once, when all is delivered", () => {
    let exits = 0;
    let links = 0;
    let downs = 0;
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 80, size: "max" }), (steps) => {
        const { sides, monitors } = run(steps, undefined);
        const [left, right] = sides;
        let active = 0;
        for (const p of left.processes) {
          for (const q of right.processes) {
            const here = left.peer.linked(p, q.pid);
            expect(right.peer.linked(q, p.pid)).toBe(here);
            expect(here).toBe(p.alive && q.alive && left.armed.has(pairKey(p.pid, q.pid)));
            if (here) active++;
          }
        }
        for (const side of sides) {
          expect(side.peer.sizes.links, "no record waits for ever").toBe(active);
          exits += side.exits;
        }
        for (const { removed, downs: told, target, watcher } of monitors) {
          if (removed || target.alive) expect(told).toBe(0);
          else if (watcher.alive) expect(told).toBe(1);
          else expect(told).toBeLessThanOrEqual(1);
          downs += told;
        }
        links += active;
      }),
      { numRuns: 600 },
    );
    // The runs must have reached what they are about.
    expect(Math.min(exits, links, downs)).toBeGreaterThan(50);
  });

  it("tell all of it exactly once when the session is lost in the middle, and hold nothing after", () => {
    let downs = 0;
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 60, size: "max" }), fc.nat(), (steps, at) => {
        // What comes after the loss must only remove things or end processes: additions are told in a later turn.
        const cut = at % steps.length;
        const kept = steps.filter(({ op }, i) => i <= cut || (op !== "link" && op !== "monitor"));
        const { sides, monitors } = run(kept, cut);
        for (const side of sides) expect(side.peer.sizes).toEqual({ links: 0, monitorsIn: 0, monitorsOut: 0 });
        for (const { removed, downs: told, watcher } of monitors) {
          if (removed) expect(told).toBe(0);
          else if (watcher.alive) expect(told).toBe(1);
          else expect(told).toBeLessThanOrEqual(1);
          downs += told;
        }
        for (const side of sides) {
          for (const process of side.processes) {
            const open = [...side.armed].some((pair) => pair.startsWith(`${pidKey(process.pid)}|`));
            if (process.alive) expect(open, "each link was told").toBe(false);
          }
        }
      }),
      { numRuns: 600 },
    );
    expect(downs).toBeGreaterThan(50);
  });
});
