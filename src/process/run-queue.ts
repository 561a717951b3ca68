import { RingQueue } from "../base/ring-queue.ts";
import type { Scheduler } from "./ports.ts";

/** Something with messages to work off. */
export interface Runnable {
  /** Works off at most `maxMessages` and returns how many; 0 when there is nothing to do any more. */
  turn(maxMessages: number): number;
  /** True when it wants another turn now. */
  readonly wantsTurn: boolean;
}

export interface RunQueueOptions {
  /** Messages one process may take before the next one's turn. Default 64. */
  readonly messagesPerTurn?: number;
  /** Messages worked off before other I/O gets its chance. Default 1024. */
  readonly messagesPerRun?: number;
}

/**
 * Processes that have messages, served in turn. Nothing runs inside `ready`: a handler that sends to a local process only
 * queues it. Work is done in `run`, which the owner calls at the end of an inbound chunk; what is left over, and what
 * became ready otherwise, is picked up through the scheduler without the owner's help.
 */
export class RunQueue {
  readonly #scheduler: Scheduler;
  readonly #messagesPerTurn: number;
  readonly #messagesPerRun: number;
  readonly #queue: RingQueue<Runnable> = new RingQueue<Runnable>();
  readonly #tick: () => void;
  #running = false;
  #held = false;
  #armed = false;
  /** Messages still allowed before the event loop must get its turn. */
  #allowance: number;

  constructor(scheduler: Scheduler, options: RunQueueOptions = {}) {
    this.#scheduler = scheduler;
    this.#messagesPerTurn = options.messagesPerTurn ?? 64;
    this.#messagesPerRun = options.messagesPerRun ?? 1024;
    this.#allowance = this.#messagesPerRun;
    this.#tick = () => {
      this.#armed = false;
      this.run();
    };
  }

  /** Processes waiting for their turn. */
  get length(): number {
    return this.#queue.length;
  }

  /** Queues `process`; the caller makes sure that it is not queued yet. */
  ready(process: Runnable): void {
    this.#queue.push(process);
    if (!this.#running && !this.#held) this.#arm();
  }

  /**
   * As `ready`, from a settled promise: nothing else is on the stack then, so the work goes on at once as long as this
   * turn of the event loop has messages left, and through the scheduler after that.
   */
  resume(process: Runnable): void {
    this.#queue.push(process);
    if (this.#running || this.#held) return;
    if (this.#allowance > 0) this.#work(this.#allowance);
    else this.#arm();
  }

  /** Spares the scheduler call per chunk: until the next `run`, which must follow (use `finally`), `ready` only queues. */
  hold(): void {
    this.#held = true;
  }

  /**
   * Works off up to `budgetMessages` (default `messagesPerRun`), up to `messagesPerTurn` of one process at a time.
   * Returns true when work remains; it is scheduled already. Called from inside a handler it does nothing.
   */
  run(budgetMessages: number = this.#messagesPerRun): boolean {
    if (this.#running) return this.#queue.length > 0;
    this.#held = false;
    return this.#work(budgetMessages);
  }

  #work(budgetMessages: number): boolean {
    this.#running = true;
    let left = budgetMessages;
    try {
      while (left > 0) {
        const process = this.#queue.shift();
        if (process === undefined) break;
        left -= process.turn(Math.min(left, this.#messagesPerTurn));
        if (process.wantsTurn) this.#queue.push(process);
      }
    } finally {
      this.#running = false;
      this.#allowance = left;
      if (this.#queue.length > 0) this.#arm();
    }
    return this.#queue.length > 0;
  }

  #arm(): void {
    if (this.#armed) return;
    this.#armed = true;
    this.#scheduler.later(this.#tick);
  }
}
