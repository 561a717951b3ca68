import type { MonotonicMs } from "../base/clock.ts";
import { TokenBucket } from "../guard/token-bucket.ts";
import type { Pid, Reference } from "../term/types.ts";
import { type Filled, HardTable, SoftTable } from "./bounded-table.ts";
import { pairKey, pidKey, refKey, targetKey } from "./identifier-keys.ts";
import type { GatewayLimits } from "./limits.ts";
import { hasLink, hasMonitor } from "./spawn-flags.ts";

/** The form of the answer: `{Tag, Value}`, `{io_reply | file_reply, Tag, Value}`, or `{features_reply, Node, Value}`. */
export type AnswerForm = "tag" | "io" | "features";

/** One answer that may come, once. */
export interface Right {
  readonly key: string;
  /** Keys of the processes that a plain send may go to. */
  readonly pids: readonly string[];
  /** Keys of the references in the tag: a send to an alias may go to one of them, and DEMONITOR of one ends the right. */
  readonly refs: readonly string[];
  readonly isHard: boolean;
  readonly leave?: Leave | undefined;
}

/** Gives back a place among the operations under way. */
export type Leave = () => void;

/** A monitor of the commander. */
export interface Monitor {
  readonly ref: Reference;
  readonly from: Pid;
  readonly target: Pid | string;
  /** The first argument of `erpc:execute_call`, encoded: the reason of this monitor may be its result. */
  readonly resultTag: string | undefined;
  readonly child: Child | undefined;
  /** It is there for a call, and goes with it. */
  isOfCall?: boolean;
}

/** A link of the commander. */
export interface Link {
  readonly from: Pid;
  readonly to: Pid;
  /** The id of an UNLINK_ID that was not acknowledged. */
  unlinking: bigint | undefined;
  /** An UNLINK_ID of the worker came meanwhile. A link is unlinked once by each side. */
  hasCrossed: boolean;
  /** Acknowledgements to come of unlinks that a new LINK or UNLINK_ID has overtaken. They mean nothing any more. */
  overtaken: number;
  readonly child: Child | undefined;
}

/** A spawn request of the commander. `flags` as in SPAWN_REPLY. */
export interface Spawn {
  readonly from: Pid;
  readonly ref: Reference;
  readonly flags: number;
  readonly resultTag: string | undefined;
  /** Called when the request has failed, or what it started has ended. */
  readonly leave?: Leave | undefined;
}

/** A process that the commander spawned and still has a link or monitor on. */
export interface Child {
  readonly pid: Pid;
  readonly parent: Pid;
  readonly leave: Leave | undefined;
  ties: number;
}

/** A monitor of the worker on a process of the commander. */
export interface WorkerMonitor {
  readonly from: Pid;
  readonly target: Pid;
}

/** What the worker may ask of a group leader: to print, or also to read what somebody types. */
export type LeaderProfile = "output" | "shell";

/** A process of the commander that was given to the worker as a group leader. */
export interface Leader {
  /** What may still be printed. */
  readonly bytes: TokenBucket;
}

/**
 * What the worker may send to the commander, in one session (threat model 4.3). Pure. Each row is made by a message of the
 * commander, save `workerMonitors`; every way in which it ends is a method here.
 */
export class ReturnPaths {
  readonly monitors: HardTable<Monitor>;
  readonly links: HardTable<Link>;
  readonly spawns: HardTable<Spawn>;
  readonly children: HardTable<Child>;
  readonly workerMonitors: HardTable<WorkerMonitor>;
  readonly calls: HardTable<Right>;
  readonly expected: SoftTable<Right>;
  readonly leaders: SoftTable<Leader>;
  /** Requests of the worker to print that were let through and not answered. */
  readonly printing: SoftTable<true>;
  readonly revealed: SoftTable<true>;
  /** One right or, where several tags hold the reference, a set of them. */
  readonly #byRef: Map<string, Right | Set<Right>> = new Map();
  readonly #maxPids: number;
  readonly #maxTagBytes: number;
  readonly #leaderBytes: number;
  /** Places promised to spawns under way. */
  #spawnMonitors = 0;
  #spawnLinks = 0;
  #spawnChildren = 0;
  #isPressed = false;

  constructor(limits: GatewayLimits, filling: (table: Filled) => void) {
    this.monitors = new HardTable<Monitor>("maxMonitors", limits.maxMonitors, filling);
    this.links = new HardTable<Link>("maxLinks", limits.maxLinks, filling);
    this.spawns = new HardTable<Spawn>("maxSpawns", limits.maxSpawns, filling);
    this.children = new HardTable<Child>("maxChildren", limits.maxChildren, filling);
    this.workerMonitors = new HardTable<WorkerMonitor>("maxWorkerMonitors", limits.maxWorkerMonitors, filling);
    this.calls = new HardTable<Right>("maxCalls", limits.maxCalls, filling);
    this.expected = new SoftTable<Right>(limits.maxExpectedAnswers, limits.answerMs, (right) => this.#unindex(right));
    this.leaders = new SoftTable<Leader>(limits.maxLeaders);
    this.printing = new SoftTable<true>(limits.maxPrinting);
    this.revealed = new SoftTable<true>(limits.maxRevealed);
    this.#maxPids = limits.maxPidsPerAnswer;
    this.#maxTagBytes = limits.maxTagBytes;
    this.#leaderBytes = limits.leaderBytesPerSecond;
  }

  /** References that some right is indexed under. */
  get indexedRefs(): number {
    return this.#byRef.size;
  }

  /** There are so many spawn requests without a reply that more should wait: from three quarters of the limit down to half of it. */
  get isPressed(): boolean {
    const { size, limit } = this.spawns;
    this.#isPressed = this.#isPressed ? size * 2 > limit : size * 4 > limit * 3;
    return this.#isPressed;
  }

  /** A hard right ends with a monitor of the commander, which is there for it: without one nothing would free it, and it is soft. */
  #isCovered(refs: readonly string[]): boolean {
    const monitor = this.monitors.get(refs.find((ref) => this.monitors.get(ref) !== undefined) ?? "");
    if (monitor !== undefined) monitor.isOfCall = true;
    return monitor !== undefined;
  }

  /**
   * Adds a right, in place of one with the same tag. False, and nothing kept, when it is a call and there are too many.
   * @param pids more than the limit: the first of them
   * @param leave called when the right ends, however it does; not when this gives false
   */
  expect(
    form: AnswerForm,
    tag: string,
    pids: readonly string[],
    refs: readonly string[],
    isCall: boolean,
    now: number,
    leave?: Leave,
  ): boolean {
    const key = rightKey(form, tag);
    const isHard = isCall && this.#isCovered(refs);
    const kept = pids.length <= this.#maxPids ? pids : pids.slice(0, this.#maxPids);
    const known = this.calls.get(key);
    // What was found in passing never takes the place of a call.
    if (known !== undefined && !isHard) {
      leave?.();
      return true;
    }
    if (isHard && known === undefined && !this.calls.hasRoom()) return false;
    this.#forget(known ?? this.expected.get(key, Number.NEGATIVE_INFINITY));
    const right: Right = { key, pids: kept, refs, isHard, leave };
    if (isHard) this.calls.set(key, right);
    else this.expected.set(key, right, now);
    for (const ref of refs) {
      const rights = this.#byRef.get(ref);
      if (rights === undefined) this.#byRef.set(ref, right);
      else if (rights instanceof Set) rights.add(right);
      else if (rights !== right) this.#byRef.set(ref, new Set([rights, right]));
    }
    return true;
  }

  /** The right of an answer that may come now; not used up by this. */
  right(form: AnswerForm, tag: string, now: number): Right | undefined {
    const key = rightKey(form, tag);
    return this.calls.get(key) ?? this.expected.get(key, now);
  }

  /** Uses a right up. */
  consume(right: Right): void {
    this.#forget(right);
  }

  /** What is over by `now` goes. */
  expire(now: number): void {
    this.expected.expire(now);
  }

  reveal(pids: Iterable<string>, now: number): void {
    for (const pid of pids) this.revealed.set(pid, true, now);
  }

  /** The commander made a process of its own a group leader. One that is known keeps its budget. */
  addLeader(pid: Pid, now: MonotonicMs): void {
    const key = pidKey(pid);
    if (this.leaders.use(key) !== undefined) return;
    this.leaders.set(key, { bytes: new TokenBucket({ count: this.#leaderBytes, perMs: 1_000 }, now) }, now);
  }

  /** A request of the worker to print went to a leader; `tag` is what its answer carries. */
  addPrinting(from: string, tag: string, now: MonotonicMs): void {
    if (tag.length <= this.#maxTagBytes) this.printing.set(`${from} ${tag}`, true, now);
  }

  /** True when that answer was still to come. */
  endPrinting(from: string, tag: string): boolean {
    return this.printing.delete(`${from} ${tag}`);
  }

  /** False when there is no room. */
  addMonitor(from: Pid, target: Pid | string, ref: Reference): boolean {
    const key = refKey(ref);
    if (this.monitors.get(key) === undefined && !this.monitors.hasRoom(this.#spawnMonitors)) return false;
    this.endMonitor(ref);
    return this.monitors.set(key, { ref, from, target, resultTag: undefined, child: undefined });
  }

  /** The monitor ended: so do the rights of its reference and, with its last tie, the child. */
  endMonitor(ref: Reference): Monitor | undefined {
    const key = refKey(ref);
    const monitor = this.monitors.get(key);
    if (monitor !== undefined) {
      this.monitors.delete(key);
      this.#untie(monitor.child);
    }
    const rights = this.#byRef.get(key);
    if (rights instanceof Set) for (const right of rights) this.#forget(right);
    else this.#forget(rights);
    return monitor;
  }

  link(from: Pid, to: Pid): Link | undefined {
    return this.links.get(pairKey(from, to));
  }

  /** LINK of the commander. False when there is no room. */
  addLink(from: Pid, to: Pid): boolean {
    const known = this.link(from, to);
    if (known !== undefined) {
      if (known.unlinking !== undefined) known.overtaken++;
      known.unlinking = undefined;
      known.hasCrossed = false;
      return true;
    }
    if (!this.links.hasRoom(this.#spawnLinks)) return false;
    return this.links.set(pairKey(from, to), {
      from,
      to,
      unlinking: undefined,
      hasCrossed: false,
      overtaken: 0,
      child: undefined,
    });
  }

  /** UNLINK_ID of the commander. False when there is no room to await the acknowledgement. */
  unlink(from: Pid, to: Pid, id: bigint): boolean {
    if (!this.addLink(from, to)) return false;
    const link = this.link(from, to);
    if (link !== undefined) link.unlinking = id;
    return true;
  }

  /** UNLINK_ID_ACK of the worker: it ends its link, was overtaken, or was not asked for. */
  acknowledge(from: Pid, to: Pid, id: bigint): "ends" | "overtaken" | undefined {
    const link = this.link(from, to);
    if (link?.unlinking === id) {
      this.endLink(link);
      return "ends";
    }
    if (link === undefined || link.overtaken === 0) return undefined;
    link.overtaken--;
    return "overtaken";
  }

  endLink(link: Link): void {
    if (this.links.delete(pairKey(link.from, link.to))) this.#untie(link.child);
  }

  /** SPAWN_REQUEST of the commander: also promises the places that its reply will need. False when there is no room. */
  addSpawn(spawn: Spawn): boolean {
    if (!this.spawns.hasRoom() || this.spawns.get(refKey(spawn.ref)) !== undefined) return false;
    if (hasMonitor(spawn.flags) && !this.monitors.hasRoom(this.#spawnMonitors)) return false;
    if (hasLink(spawn.flags) && !this.links.hasRoom(this.#spawnLinks)) return false;
    if (spawn.flags !== 0 && !this.children.hasRoom(this.#spawnChildren)) return false;
    this.spawns.set(refKey(spawn.ref), spawn);
    this.#promise(spawn.flags, 1);
    return true;
  }

  /** The reply came. `child` undefined: the request failed. Only a link or monitor makes a child, since only they end. */
  endSpawn(spawn: Spawn, flags: number, child: Pid | undefined): void {
    this.spawns.delete(refKey(spawn.ref));
    this.#promise(spawn.flags, -1);
    const { leave } = spawn;
    if (child === undefined) {
      leave?.();
      return;
    }
    const row: Child = { pid: child, parent: spawn.from, leave, ties: 0 };
    this.children.set(pidKey(child), row);
    if (hasMonitor(flags)) {
      const { ref, from, resultTag } = spawn;
      row.ties += this.monitors.set(refKey(ref), { ref, from, target: child, resultTag, child: row }) ? 1 : 0;
    }
    if (hasLink(flags)) {
      // A link that stands already keeps its row, and the child goes with the monitor alone.
      const key = pairKey(spawn.from, child);
      const link: Link = {
        from: spawn.from,
        to: child,
        unlinking: undefined,
        hasCrossed: false,
        overtaken: 0,
        child: row,
      };
      if (this.links.get(key) === undefined && this.links.set(key, link)) row.ties += 1;
    }
    if (row.ties === 0) this.#endChild(row);
  }

  /** MONITOR_P of the worker. False when the reference is in use or there is no room. */
  addWorkerMonitor(from: Pid, target: Pid, ref: Reference): boolean {
    const key = refKey(ref);
    if (this.workerMonitors.get(key) !== undefined) return false;
    return this.workerMonitors.set(key, { from, target });
  }

  /** True when the worker's monitor was there, between these two. */
  endWorkerMonitor(from: Pid, target: Pid | string, ref: Reference): boolean {
    const key = refKey(ref);
    const kept = this.workerMonitors.get(key);
    if (kept === undefined || pidKey(kept.from) !== pidKey(from) || targetKey(kept.target) !== targetKey(target)) {
      return false;
    }
    return this.workerMonitors.delete(key);
  }

  #forget(right: Right | undefined): void {
    if (right === undefined) return;
    if (right.isHard) this.calls.delete(right.key);
    else this.expected.delete(right.key);
    this.#unindex(right);
  }

  /** The session is over: all places are given back. */
  end(): void {
    for (const table of [this.calls, this.expected, this.spawns, this.children]) {
      for (const { leave } of table.values()) leave?.();
    }
  }

  /** A right has ended. */
  #unindex(right: Right): void {
    right.leave?.();
    for (const ref of right.refs) {
      const rights = this.#byRef.get(ref);
      if (rights === right) this.#byRef.delete(ref);
      else if (rights instanceof Set && rights.delete(right) && rights.size === 0) this.#byRef.delete(ref);
    }
  }

  #untie(child: Child | undefined): void {
    if (child !== undefined && --child.ties === 0) this.#endChild(child);
  }

  #endChild(child: Child): void {
    this.children.delete(pidKey(child.pid));
    child.leave?.();
  }

  #promise(flags: number, count: 1 | -1): void {
    if (hasMonitor(flags)) this.#spawnMonitors += count;
    if (hasLink(flags)) this.#spawnLinks += count;
    if (flags !== 0) this.#spawnChildren += count;
  }
}

function rightKey(form: AnswerForm, tag: string): string {
  return form === "tag" ? tag : `${form === "io" ? "\u0100" : "\u0101"}${tag}`;
}
