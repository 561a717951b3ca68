import type { Pid, Term } from "../term/types.ts";
import { Mailbox } from "./mailbox.ts";
import type { Behaviour } from "./ports.ts";

/** Life of a process. In `exiting` it is out of the table and takes nothing any more, but its signals are on the way. */
export type ProcessState =
  | { readonly kind: "alive" }
  | { readonly kind: "exiting"; readonly reason: Term }
  | { readonly kind: "dead"; readonly reason: Term };

/** Told when a process ends, once, after it left the table. */
export interface DeathObserver<Meta, Tag> {
  processDied(process: LocalProcess<Meta, Tag>, reason: Term): void;
}

/** What a process needs of its table. */
export interface ProcessHost<Meta, Tag> {
  /** The process has messages and is not queued. */
  ready(process: LocalProcess<Meta, Tag>): void;
  /** As `ready`, from a settled promise. */
  resume(process: LocalProcess<Meta, Tag>): void;
  /** The behaviour threw or rejected. Must not throw. */
  crashed(process: LocalProcess<Meta, Tag>, error: unknown): void;
}

export interface LocalProcessOptions<Meta, Tag> {
  readonly pid: Pid;
  readonly behaviour: Behaviour<Meta>;
  readonly host: ProcessHost<Meta, Tag>;
  readonly trapExit: boolean;
  readonly exposeReasons: boolean;
  readonly tag: Tag;
  readonly maxMailboxMessages: number;
  readonly maxMailboxBytes: number;
  readonly mailboxReserve: number;
}

const ALIVE: ProcessState = { kind: "alive" };

/**
 * One process of this node: a mailbox and a behaviour that takes one message at a time. Made by `ProcessTable.spawn`,
 * ended by `ProcessTable.exit`.
 */
export class LocalProcess<Meta, Tag> {
  readonly pid: Pid;
  readonly tag: Tag;
  /** True: peers see exit reasons as they are, instead of their class (rulings S11). */
  readonly exposeReasons: boolean;
  /** True: exit signals other than `kill` come as messages. May be changed at any time. */
  trapExit: boolean;
  readonly #behaviour: Behaviour<Meta>;
  readonly #host: ProcessHost<Meta, Tag>;
  readonly #maxMessages: number;
  readonly #maxBytes: number;
  readonly #reserve: number;
  #name: string | undefined;
  #state: ProcessState = ALIVE;
  /** `ready`: in the run queue or running; `waiting`: for a promise. */
  #activity: "idle" | "ready" | "waiting" = "idle";
  #mailbox: Mailbox<Meta> | undefined;
  #refused = 0;
  #observers: Set<DeathObserver<Meta, Tag>> | undefined;
  #settled: (() => void) | undefined;
  #failed: ((error: unknown) => void) | undefined;

  constructor(options: LocalProcessOptions<Meta, Tag>) {
    this.pid = options.pid;
    this.tag = options.tag;
    this.exposeReasons = options.exposeReasons;
    this.trapExit = options.trapExit;
    this.#behaviour = options.behaviour;
    this.#host = options.host;
    this.#maxMessages = options.maxMailboxMessages;
    this.#maxBytes = options.maxMailboxBytes;
    this.#reserve = options.mailboxReserve;
  }

  get state(): ProcessState {
    return this.#state;
  }

  get alive(): boolean {
    return this.#state === ALIVE;
  }

  /** The registered name, while it has one. Set by `NameRegistry` only. */
  get name(): string | undefined {
    return this.#name;
  }

  /** Messages waiting. */
  get mailboxLength(): number {
    return this.#mailbox === undefined ? 0 : this.#mailbox.length;
  }

  /** Messages and signals dropped because the mailbox was full. */
  get refusedMessages(): number {
    return this.#refused;
  }

  /**
   * Queues a message that took `bytes` on the wire (0 for one of this node). False when the process does not live or its
   * mailbox is full; the message is dropped then.
   */
  deliver(term: Term, meta: Meta, bytes: number = 0): boolean {
    return this.#push(term, meta, bytes, this.#maxMessages, this.#maxBytes);
  }

  /** As `deliver`, for EXIT and DOWN messages: these may use the reserve, so that a flood of messages cannot hide them. */
  deliverSignal(term: Term, meta: Meta): boolean {
    return this.#push(term, meta, 0, this.#maxMessages + this.#reserve, Number.MAX_SAFE_INTEGER);
  }

  #push(term: Term, meta: Meta, bytes: number, maxMessages: number, maxBytes: number): boolean {
    if (this.#state !== ALIVE) return false;
    this.#mailbox ??= new Mailbox<Meta>();
    if (!this.#mailbox.push(term, meta, bytes, maxMessages, maxBytes)) {
      this.#refused++;
      return false;
    }
    if (this.#activity === "idle") {
      this.#activity = "ready";
      this.#host.ready(this);
    }
    return true;
  }

  /** For the run queue: true when messages wait and none is being worked on. */
  get wantsTurn(): boolean {
    return this.#activity === "ready";
  }

  /** For the run queue: takes up to `maxMessages` and returns how many it took. */
  turn(maxMessages: number): number {
    const mailbox = this.#mailbox;
    let taken = 0;
    // The end of the process empties the mailbox for good, so its state needs no look here.
    while (taken < maxMessages && mailbox !== undefined && mailbox.length > 0) {
      taken++;
      try {
        const pending = mailbox.handTo(this.#behaviour);
        if (pending !== undefined) {
          this.#await(pending);
          return taken;
        }
      } catch (error) {
        this.#host.crashed(this, error);
      }
    }
    this.#activity = this.mailboxLength > 0 ? "ready" : "idle";
    return taken;
  }

  #await(pending: Promise<void>): void {
    this.#activity = "waiting";
    this.#settled ??= () => this.#wake();
    this.#failed ??= (error) => {
      if (this.#state === ALIVE) this.#host.crashed(this, error);
      this.#wake();
    };
    // Promise.resolve: a foreign thenable must not be able to answer twice.
    void Promise.resolve(pending).then(this.#settled, this.#failed);
  }

  #wake(): void {
    this.#activity = "idle";
    if (this.mailboxLength === 0) return;
    this.#activity = "ready";
    this.#host.resume(this);
  }

  /** `observer` is told when the process ends. Adding it twice counts once; of no effect when it ended already. */
  observe(observer: DeathObserver<Meta, Tag>): void {
    if (this.#state !== ALIVE) return;
    this.#observers ??= new Set();
    this.#observers.add(observer);
  }

  unobserve(observer: DeathObserver<Meta, Tag>): void {
    this.#observers?.delete(observer);
  }

  /** For `NameRegistry`. */
  rename(name: string | undefined): void {
    this.#name = name;
  }

  /** For `ProcessTable`: alive to exiting, mailbox dropped. False when it was not alive. */
  beginExit(reason: Term): boolean {
    if (this.#state !== ALIVE) return false;
    this.#state = { kind: "exiting", reason };
    this.#mailbox?.clear();
    return true;
  }

  /** For `ProcessTable`: hands over the observers, which will hear of nothing after this. */
  takeObservers(): readonly DeathObserver<Meta, Tag>[] {
    if (this.#observers === undefined) return [];
    const observers = [...this.#observers];
    this.#observers = undefined;
    return observers;
  }

  /** For `ProcessTable`: exiting to dead; tells the behaviour. */
  finishExit(reason: Term): void {
    this.#state = { kind: "dead", reason };
    this.#behaviour.terminated?.(reason);
  }
}
