import type { Pid, Reference } from "../term/types.ts";
import { monitorExists, monitorLimit } from "./local-monitors.ts";
import type { LocalProcess } from "./local-process.ts";
import type { Down } from "./ports.ts";
import { RefMap } from "./ref-map.ts";
import { samePid, sameTarget } from "./term-keys.ts";

/** A monitor in one direction of one session. */
interface PeerMonitor {
  readonly ref: Reference;
  /** The watcher's pid. */
  readonly from: Pid;
  /** What is watched, exactly as the MONITOR_P said it. */
  readonly target: Pid | string;
}

/** A process of the peer watches one of ours. */
export type MonitorIn<Meta, Tag> = PeerMonitor & { readonly process: LocalProcess<Meta, Tag> };

/** We watch a process of the peer. `process`: our process behind `from`, when there is one. */
export type MonitorOut<Meta, Tag> = PeerMonitor & {
  readonly process: LocalProcess<Meta, Tag> | undefined;
  readonly onDown: (down: Down) => void;
};

/** Monitors by reference, and by the local process they belong to. Sends and calls nothing. */
class MonitorTable<Meta, Tag, M extends PeerMonitor & { readonly process: LocalProcess<Meta, Tag> | undefined }> {
  readonly #byRef: RefMap<M> = new RefMap();
  readonly #byProcess: Map<LocalProcess<Meta, Tag>, Set<M>> = new Map();

  get size(): number {
    return this.#byRef.size;
  }

  has(ref: Reference): boolean {
    return this.#byRef.get(ref) !== undefined;
  }

  get(ref: Reference): M | undefined {
    return this.#byRef.get(ref);
  }

  add(monitor: M): void {
    this.#byRef.set(monitor);
    if (monitor.process === undefined) return;
    const monitors = this.#byProcess.get(monitor.process);
    if (monitors === undefined) this.#byProcess.set(monitor.process, new Set([monitor]));
    else monitors.add(monitor);
  }

  /** False when it is not in the table, or another one has its reference by now. */
  remove(monitor: M): boolean {
    if (this.#byRef.get(monitor.ref) !== monitor) return false;
    this.#byRef.delete(monitor.ref);
    if (monitor.process === undefined) return true;
    const monitors = this.#byProcess.get(monitor.process);
    monitors?.delete(monitor);
    if (monitors?.size === 0) this.#byProcess.delete(monitor.process);
    return true;
  }

  /** Removes and returns those of a process, oldest first. */
  take(process: LocalProcess<Meta, Tag>): readonly M[] {
    const monitors = this.#byProcess.get(process);
    if (monitors === undefined) return [];
    this.#byProcess.delete(process);
    for (const monitor of monitors) this.#byRef.delete(monitor.ref);
    return [...monitors];
  }

  /** A list of all. */
  all(): readonly M[] {
    return [...this.#byRef.values()];
  }

  clear(): void {
    this.#byRef.clear();
    this.#byProcess.clear();
  }
}

/** The monitors a peer set on processes of this node. */
export class MonitorsIn<Meta, Tag> {
  readonly #table: MonitorTable<Meta, Tag, MonitorIn<Meta, Tag>> = new MonitorTable();
  readonly #max: number;

  constructor(maxMonitorsIn: number) {
    this.#max = maxMonitorsIn;
  }

  get size(): number {
    return this.#table.size;
  }

  get full(): boolean {
    return this.#table.size >= this.#max;
  }

  has(ref: Reference): boolean {
    return this.#table.has(ref);
  }

  add(monitor: MonitorIn<Meta, Tag>): void {
    this.#table.add(monitor);
  }

  /** Removes the monitor `ref` if `from` set it; false otherwise. */
  removeBy(from: Pid, ref: Reference): boolean {
    const monitor = this.#table.get(ref);
    return monitor !== undefined && samePid(monitor.from, from) && this.#table.remove(monitor);
  }

  take(process: LocalProcess<Meta, Tag>): readonly MonitorIn<Meta, Tag>[] {
    return this.#table.take(process);
  }

  all(): readonly MonitorIn<Meta, Tag>[] {
    return this.#table.all();
  }

  clear(): void {
    this.#table.clear();
  }
}

/** The monitors this node set on processes of a peer. */
export class MonitorsOut<Meta, Tag> {
  readonly #table: MonitorTable<Meta, Tag, MonitorOut<Meta, Tag>> = new MonitorTable();
  readonly #max: number;

  constructor(maxMonitorsOut: number) {
    this.#max = maxMonitorsOut;
  }

  get size(): number {
    return this.#table.size;
  }

  /** @throws {SallyportError} ERR_LIMIT MONITOR_LIMIT, ERR_API_MISUSE MONITOR_EXISTS */
  add(monitor: MonitorOut<Meta, Tag>): void {
    if (this.#table.has(monitor.ref)) throw monitorExists();
    if (this.#table.size >= this.#max) throw monitorLimit("maxMonitorsOut", this.#max);
    this.#table.add(monitor);
  }

  remove(monitor: MonitorOut<Meta, Tag>): boolean {
    return this.#table.remove(monitor);
  }

  /** Removes and returns the monitor `ref`. */
  takeByRef(ref: Reference): MonitorOut<Meta, Tag> | undefined {
    const monitor = this.#table.get(ref);
    if (monitor !== undefined) this.#table.remove(monitor);
    return monitor;
  }

  /** True when there is a monitor that a DOWN with these would be about. */
  hasExact(target: Pid | string, to: Pid, ref: Reference): boolean {
    const monitor = this.#table.get(ref);
    return monitor !== undefined && samePid(monitor.from, to) && sameTarget(monitor.target, target);
  }

  /** Removes and returns the monitor that a DOWN is about: reference, target and watcher must all fit. */
  takeExact(target: Pid | string, to: Pid, ref: Reference): MonitorOut<Meta, Tag> | undefined {
    const monitor = this.#table.get(ref);
    if (monitor === undefined || !samePid(monitor.from, to) || !sameTarget(monitor.target, target)) return undefined;
    this.#table.remove(monitor);
    return monitor;
  }

  take(process: LocalProcess<Meta, Tag>): readonly MonitorOut<Meta, Tag>[] {
    return this.#table.take(process);
  }

  all(): readonly MonitorOut<Meta, Tag>[] {
    return this.#table.all();
  }
}
