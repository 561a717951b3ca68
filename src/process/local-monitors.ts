import { SallyportError } from "../base/errors.ts";
import type { Pid, Reference, Term } from "../term/types.ts";
import { NOPROC } from "./exit-reason.ts";
import type { DeathObserver, LocalProcess } from "./local-process.ts";
import type { Down } from "./ports.ts";
import { refKey } from "./term-keys.ts";

export interface LocalMonitorRequest<Meta, Tag> {
  readonly ref: Reference;
  /** A process, the pid of one, or a registered name; a name monitor sticks to whoever has the name now (section 6.3). */
  readonly target: LocalProcess<Meta, Tag> | Pid | string;
  /** The process that watches: when it ends, so does the monitor, silently. Left out: nobody in particular. */
  readonly watcher?: LocalProcess<Meta, Tag>;
  /** Called exactly once, unless the monitor is removed before; never before `monitor` returned. */
  readonly onDown: (down: Down) => void;
}

/** What the monitors need of the process table. */
export interface LocalMonitorHost<Meta, Tag> {
  readonly node: string;
  lookup(pid: Pid): LocalProcess<Meta, Tag> | undefined;
  whereis(name: string): LocalProcess<Meta, Tag> | undefined;
  /** Runs it in a later turn. */
  defer(run: () => void): void;
  /** Runs a callback of somebody else, whose errors are reported and go no further. */
  guarded(run: () => void): void;
}

interface LocalMonitor<Meta, Tag> {
  readonly key: string;
  readonly told: Pid | string;
  readonly on: LocalProcess<Meta, Tag> | undefined;
  readonly by: LocalProcess<Meta, Tag> | undefined;
  readonly onDown: (down: Down) => void;
}

type MonitorsByProcess<Meta, Tag> = Map<LocalProcess<Meta, Tag>, Set<LocalMonitor<Meta, Tag>>>;

/** Monitors whose target is a process of this node and whose watcher is a callback of this node. */
export class LocalMonitors<Meta, Tag> implements DeathObserver<Meta, Tag> {
  readonly #host: LocalMonitorHost<Meta, Tag>;
  readonly #maxMonitors: number;
  readonly #byRef: Map<string, LocalMonitor<Meta, Tag>> = new Map();
  readonly #on: MonitorsByProcess<Meta, Tag> = new Map();
  readonly #by: MonitorsByProcess<Meta, Tag> = new Map();

  constructor(host: LocalMonitorHost<Meta, Tag>, maxMonitors: number) {
    this.#host = host;
    this.#maxMonitors = maxMonitors;
  }

  get size(): number {
    return this.#byRef.size;
  }

  /**
   * Watches a process. When there is none, `onDown` reports `noproc` in a later turn. A watcher that has ended watches
   * nothing.
   * @throws {SallyportError} ERR_LIMIT MONITOR_LIMIT, ERR_API_MISUSE MONITOR_EXISTS when `ref` is in use
   */
  monitor(request: LocalMonitorRequest<Meta, Tag>): void {
    if (request.watcher !== undefined && !request.watcher.alive) return;
    const key = refKey(request.ref);
    if (this.#byRef.has(key)) throw monitorExists();
    if (this.#byRef.size >= this.#maxMonitors) throw monitorLimit("maxLocalMonitors", this.#maxMonitors);
    const on = this.#find(request.target);
    const monitor: LocalMonitor<Meta, Tag> = {
      key,
      told: typeof request.target === "string" ? request.target : pidOf(request.target),
      on,
      by: request.watcher,
      onDown: request.onDown,
    };
    this.#byRef.set(key, monitor);
    if (request.watcher !== undefined) this.#add(this.#by, request.watcher, monitor);
    if (on !== undefined) this.#add(this.#on, on, monitor);
    else this.#host.defer(() => this.#fire(monitor, NOPROC));
  }

  /** Removes a monitor; true when there was one, and then its `onDown` is not called any more. */
  demonitor(ref: Reference): boolean {
    const monitor = this.#byRef.get(refKey(ref));
    return monitor !== undefined && this.#remove(monitor);
  }

  processDied(process: LocalProcess<Meta, Tag>, reason: Term): void {
    const own = this.#by.get(process);
    if (own !== undefined) for (const monitor of [...own]) this.#remove(monitor);
    const watching = this.#on.get(process);
    if (watching !== undefined) for (const monitor of [...watching]) this.#fire(monitor, reason);
  }

  #find(target: LocalProcess<Meta, Tag> | Pid | string): LocalProcess<Meta, Tag> | undefined {
    if (typeof target === "string") return this.#host.whereis(target);
    return this.#host.lookup(pidOf(target));
  }

  #fire(monitor: LocalMonitor<Meta, Tag>, reason: Term): void {
    if (!this.#remove(monitor)) return;
    this.#host.guarded(() => monitor.onDown({ target: monitor.told, node: this.#host.node, reason }));
  }

  /** False when it was removed before. */
  #remove(monitor: LocalMonitor<Meta, Tag>): boolean {
    if (this.#byRef.get(monitor.key) !== monitor) return false;
    this.#byRef.delete(monitor.key);
    if (monitor.on !== undefined) this.#drop(this.#on, monitor.on, monitor);
    if (monitor.by !== undefined) this.#drop(this.#by, monitor.by, monitor);
    return true;
  }

  #add(side: MonitorsByProcess<Meta, Tag>, process: LocalProcess<Meta, Tag>, monitor: LocalMonitor<Meta, Tag>): void {
    let monitors = side.get(process);
    if (monitors === undefined) {
      monitors = new Set();
      side.set(process, monitors);
      process.observe(this);
    }
    monitors.add(monitor);
  }

  #drop(side: MonitorsByProcess<Meta, Tag>, process: LocalProcess<Meta, Tag>, monitor: LocalMonitor<Meta, Tag>): void {
    const monitors = side.get(process);
    if (monitors === undefined) return;
    monitors.delete(monitor);
    if (monitors.size > 0) return;
    side.delete(process);
    if (!this.#on.has(process) && !this.#by.has(process)) process.unobserve(this);
  }
}

function pidOf<Meta, Tag>(target: LocalProcess<Meta, Tag> | Pid): Pid {
  return "pid" in target ? target.pid : target;
}

/** ERR_API_MISUSE MONITOR_EXISTS. */
export function monitorExists(): SallyportError {
  return new SallyportError("ERR_API_MISUSE", "MONITOR_EXISTS", "a monitor with this reference exists already", {
    advice: "make a new reference for each monitor",
  });
}

/** ERR_LIMIT MONITOR_LIMIT for the option `option`. */
export function monitorLimit(option: string, limit: number): SallyportError {
  return new SallyportError(
    "ERR_LIMIT",
    "MONITOR_LIMIT",
    `${limit} monitors are set, which is ${option}; remove some or raise ${option}`,
    {
      detail: { limit, value: limit + 1, option },
      advice: `remove monitors that are no longer needed, or raise ${option}`,
    },
  );
}
