import { SallyportError } from "../base/errors.ts";
import { RingQueue } from "../base/ring-queue.ts";
import { isAtom, type Pid, type Term } from "../term/types.ts";
import { ERROR, exitMessage, KILLED, NOPROC } from "./exit-reason.ts";
import { LocalLinks } from "./local-links.ts";
import { LocalMonitors } from "./local-monitors.ts";
import { LocalProcess } from "./local-process.ts";
import { NameRegistry } from "./names.ts";
import { PidAllocator, type PidRange } from "./pid-allocator.ts";
import type { Behaviour, CrashVerdict, Scheduler } from "./ports.ts";
import { RunQueue, type RunQueueOptions } from "./run-queue.ts";
import { samePid } from "./term-keys.ts";

export interface ProcessLimits {
  /** Living processes. Default 100,000. */
  readonly maxProcesses?: number;
  /** Messages waiting for one process; the newest above it is dropped. Default 100,000. */
  readonly maxMailboxMessages?: number;
  /** Bytes, as they came on the wire, waiting for one process; the newest message above it is dropped. Default 256 MiB. */
  readonly maxMailboxBytes?: number;
  /** Room above `maxMailboxMessages` for EXIT and DOWN messages only. Default a tenth of it. */
  readonly mailboxReserve?: number;
  /** Ended processes whose tag is remembered, the oldest forgotten first. Default 4,096. */
  readonly maxRememberedDead?: number;
  /** Monitors within this node. Default 100,000. */
  readonly maxLocalMonitors?: number;
}

export interface ProcessTableOptions<Meta, Tag> {
  readonly node: string;
  readonly creation: number;
  readonly scheduler: Scheduler;
  /** What goes beside a message that this layer makes itself (`{'EXIT', From, Reason}`). */
  readonly signalMeta: (from: Pid) => Meta;
  /** A behaviour threw or rejected: how it goes on. When this throws itself, the process exits with `error`. */
  readonly onCrash: (error: unknown, process: LocalProcess<Meta, Tag>) => CrashVerdict;
  /** A callback (`onDown`, `terminated`, `onCrash`, a session's `signal`) threw. Must not throw. */
  readonly onCallbackError: (error: unknown) => void;
  readonly limits?: ProcessLimits;
  readonly runQueue?: RunQueueOptions;
  readonly pidRange?: PidRange;
}

export interface SpawnOptions<Tag> {
  /** Kept for the owner, also for a while after the end: see `tagOf`. */
  readonly tag: Tag;
  /** Default false. */
  readonly trapExit?: boolean;
  /** Default false: peers see the class of an exit reason only (rulings S11). */
  readonly exposeReasons?: boolean;
}

/**
 * How an exit signal came: `exit` by `exit/2` (EXIT2 on the wire), where `kill` cannot be trapped; `link` over a link;
 * `link-as-message` over a link to somebody who may not end this process: always a message (rulings C6).
 */
export type ExitSignalKind = "exit" | "link" | "link-as-message";

/** What an exit signal did. `dropped`: a message that found the mailbox full. */
export type ExitSignalOutcome = "exited" | "message" | "dropped" | "ignored";

/** The processes of this node: their table, names, links and monitors among themselves, and their exits. */
export class ProcessTable<Meta, Tag> {
  readonly node: string;
  readonly creation: number;
  readonly names: NameRegistry<Meta, Tag> = new NameRegistry<Meta, Tag>();
  readonly queue: RunQueue;
  readonly monitors: LocalMonitors<Meta, Tag>;
  readonly #options: ProcessTableOptions<Meta, Tag>;
  readonly #links: LocalLinks<Meta, Tag>;
  readonly #allocator: PidAllocator;
  readonly #maxProcesses: number;
  readonly #maxMailboxMessages: number;
  readonly #maxMailboxBytes: number;
  readonly #mailboxReserve: number;
  readonly #maxRememberedDead: number;
  readonly #alive: Map<number, LocalProcess<Meta, Tag>> = new Map();
  readonly #dead: Map<number, { readonly tag: Tag }> = new Map();
  readonly #exiting: RingQueue<LocalProcess<Meta, Tag>> = new RingQueue<LocalProcess<Meta, Tag>>();
  #announcing = false;

  constructor(options: ProcessTableOptions<Meta, Tag>) {
    const limits = options.limits ?? {};
    this.node = options.node;
    this.creation = options.creation;
    this.#options = options;
    this.#maxProcesses = limits.maxProcesses ?? 100_000;
    this.#maxMailboxMessages = limits.maxMailboxMessages ?? 100_000;
    this.#maxMailboxBytes = limits.maxMailboxBytes ?? 256 * 1024 * 1024;
    this.#mailboxReserve = limits.mailboxReserve ?? Math.ceil(this.#maxMailboxMessages / 10);
    this.#maxRememberedDead = limits.maxRememberedDead ?? 4096;
    this.#allocator = new PidAllocator(options.node, options.creation, options.pidRange);
    this.queue = new RunQueue(options.scheduler, options.runQueue);
    this.#links = new LocalLinks<Meta, Tag>((process, from, reason) =>
      this.exitSignal(process, from.pid, reason, "link"),
    );
    this.monitors = new LocalMonitors<Meta, Tag>(
      {
        node: options.node,
        lookup: (pid) => this.lookup(pid),
        whereis: (name) => this.names.whereis(name),
        defer: (run) => this.defer(run),
        guarded: (run) => this.guarded(run),
      },
      limits.maxLocalMonitors ?? 100_000,
    );
  }

  /** Living processes. */
  get size(): number {
    return this.#alive.size;
  }

  /** All living processes, in the order they were spawned. */
  processes(): IterableIterator<LocalProcess<Meta, Tag>> {
    return this.#alive.values();
  }

  /**
   * Starts a process. It runs when it has a message.
   * @throws {SallyportError} ERR_LIMIT PROCESS_LIMIT
   */
  spawn(behaviour: Behaviour<Meta>, options: SpawnOptions<Tag>): LocalProcess<Meta, Tag> {
    if (this.#alive.size >= this.#maxProcesses) throw processLimit(this.#maxProcesses);
    const pid = this.#allocator.next(this.#alive);
    const process = new LocalProcess<Meta, Tag>({
      pid,
      behaviour,
      host: this.#host,
      trapExit: options.trapExit ?? false,
      exposeReasons: options.exposeReasons ?? false,
      tag: options.tag,
      maxMailboxMessages: this.#maxMailboxMessages,
      maxMailboxBytes: this.#maxMailboxBytes,
      mailboxReserve: this.#mailboxReserve,
    });
    const key = this.#allocator.keyOf(pid);
    this.#dead.delete(key);
    this.#alive.set(key, process);
    return process;
  }

  /** The living process of `pid`; `undefined` also for a pid of another node or creation. */
  lookup(pid: Pid): LocalProcess<Meta, Tag> | undefined {
    return this.#alive.get(this.#allocator.keyOf(pid));
  }

  /** The tag of a living or recently ended process, wrapped so that a tag may be anything. */
  tagOf(pid: Pid): { readonly tag: Tag } | undefined {
    const key = this.#allocator.keyOf(pid);
    return this.#alive.get(key) ?? this.#dead.get(key);
  }

  /**
   * Ends a process by its own will: whatever the reason, and whether or not it traps exits. Its name is free and it is out
   * of the table at once. Then links, monitors and peers hear of it: before this returns, or, when called from within such a
   * notice, right after the notices before it.
   */
  exit(process: LocalProcess<Meta, Tag>, reason: Term): void {
    if (!process.beginExit(reason)) return;
    const key = this.#allocator.keyOf(process.pid);
    this.#alive.delete(key);
    this.#remember(key, process.tag);
    if (process.name !== undefined) this.names.unregister(process.name);
    this.#exiting.push(process);
    this.#announce();
  }

  /** Ends all processes, for closing the node. */
  exitAll(reason: Term): void {
    for (const process of [...this.#alive.values()]) this.exit(process, reason);
  }

  /** Gives a process an exit signal as Erlang does: see `ExitSignalKind`. */
  exitSignal(process: LocalProcess<Meta, Tag>, from: Pid, reason: Term, kind: ExitSignalKind): ExitSignalOutcome {
    if (!process.alive) return "ignored";
    if (kind === "exit" && isAtom(reason, "kill")) {
      this.exit(process, KILLED);
      return "exited";
    }
    if (process.trapExit || kind === "link-as-message") {
      const delivered = process.deliverSignal(exitMessage(from, reason), this.#options.signalMeta(from));
      return delivered ? "message" : "dropped";
    }
    const fromItself = kind === "exit" && samePid(from, process.pid);
    if (isAtom(reason, "normal") && !fromItself) return "ignored";
    this.exit(process, reason);
    return "exited";
  }

  /** Links two processes of this node. A `target` that is not there sends `process` an exit signal `noproc`. */
  link(process: LocalProcess<Meta, Tag>, target: LocalProcess<Meta, Tag> | Pid): void {
    if (!process.alive) return;
    const pid = "pid" in target ? target.pid : target;
    const other = this.lookup(pid);
    if (other === undefined) this.exitSignal(process, pid, NOPROC, "link");
    else this.#links.link(process, other);
  }

  /** True when there was a link. */
  unlink(process: LocalProcess<Meta, Tag>, target: LocalProcess<Meta, Tag> | Pid): boolean {
    const other = "pid" in target ? target : this.lookup(target);
    return other !== undefined && this.#links.unlink(process, other);
  }

  /** True while an exit of one of the two would reach the other. */
  linked(a: LocalProcess<Meta, Tag>, b: LocalProcess<Meta, Tag>): boolean {
    return this.#links.linked(a, b);
  }

  /** Runs it in a later turn; an error goes to `onCallbackError`. */
  defer(run: () => void): void {
    this.#options.scheduler.later(() => this.guarded(run));
  }

  /** Runs it now; an error goes to `onCallbackError`. */
  guarded(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#options.onCallbackError(error);
    }
  }

  readonly #host: {
    ready(process: LocalProcess<Meta, Tag>): void;
    resume(process: LocalProcess<Meta, Tag>): void;
    crashed(process: LocalProcess<Meta, Tag>, error: unknown): void;
  } = {
    ready: (process) => this.queue.ready(process),
    resume: (process) => this.queue.resume(process),
    crashed: (process, error) => this.#crashed(process, error),
  };

  #crashed(process: LocalProcess<Meta, Tag>, error: unknown): void {
    let verdict: CrashVerdict = { exit: ERROR };
    this.guarded(() => {
      verdict = this.#options.onCrash(error, process);
    });
    if (verdict !== undefined) this.exit(process, verdict.exit);
  }

  #remember(key: number, tag: Tag): void {
    if (this.#maxRememberedDead <= 0) return;
    if (this.#dead.size >= this.#maxRememberedDead) {
      for (const oldest of this.#dead.keys()) {
        this.#dead.delete(oldest);
        break;
      }
    }
    this.#dead.set(key, { tag });
  }

  /** One death after the other, not one inside the other: a chain of links may be as long as the table. */
  #announce(): void {
    if (this.#announcing) return;
    this.#announcing = true;
    for (let process = this.#exiting.shift(); process !== undefined; process = this.#exiting.shift()) {
      const ended = process;
      const reason = ended.state.kind === "exiting" ? ended.state.reason : ERROR;
      for (const observer of ended.takeObservers()) this.guarded(() => observer.processDied(ended, reason));
      this.guarded(() => ended.finishExit(reason));
    }
    this.#announcing = false;
  }
}

function processLimit(limit: number): SallyportError {
  return new SallyportError(
    "ERR_LIMIT",
    "PROCESS_LIMIT",
    `${limit} processes are alive, which is maxProcesses; end some or raise maxProcesses`,
    {
      detail: { limit, value: limit + 1, option: "maxProcesses" },
      advice: "end processes that are no longer needed, or raise maxProcesses",
    },
  );
}
