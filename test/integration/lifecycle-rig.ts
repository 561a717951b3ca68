import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { NodeOptions } from "../../src/node/options.ts";
import { SeededRandom } from "../../src/testkit/seeded-random.ts";

const CHILD = fileURLToPath(new URL("lifecycle-child.mjs", import.meta.url));
const LIB = fileURLToPath(new URL("../../lib/index.js", import.meta.url));

export interface LifeEvent {
  readonly event: "listening" | "nodeup" | "nodedown" | "refused";
  readonly peer?: string;
  readonly code?: string;
  readonly reason?: string;
  readonly endpoint?: string | null;
}

/** What a node in another process uses; octets, and counts. */
export interface Usage {
  readonly heapUsed: number;
  readonly external: number;
  readonly rss: number;
  readonly descriptors: number;
  readonly processes: number;
  readonly openCalls: number;
  readonly connectedCount: number;
  readonly counters: Readonly<Record<string, number>>;
}

/** An operation that failed in another process. */
export class Failed extends Error {
  readonly code: string;
  readonly reason: string;
  constructor(of: {
    readonly name: string;
    readonly code?: string;
    readonly reason?: string;
    readonly message: string;
  }) {
    super(`${of.name}: ${of.message}`);
    this.code = of.code ?? "none";
    this.reason = of.reason ?? of.name;
  }
}

export interface LifeOptions {
  readonly options: NodeOptions;
  /** Of further nodes in the same process, which take part in `cycles` alone. */
  readonly more?: readonly NodeOptions[];
  /** `allow` of its inbox; default: whoever has a cookie may send, call and monitor; null: nobody. */
  readonly allowed?: unknown;
  /** Words before the program, such as `ip netns exec x`. */
  readonly under?: readonly string[];
  /** Of Node itself. */
  readonly flags?: readonly string[];
}

interface Answer {
  readonly done: (value: unknown) => void;
  readonly failed: (error: Error) => void;
}

/** A node in a process of its own; `lifecycle-child.mjs` says what it can be asked. */
export class Life {
  readonly name: string;
  readonly events: LifeEvent[] = [];
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  readonly #answers = new Map<number, Answer>();
  #asked = 0;
  #heard: (() => void)[] = [];

  private constructor({ options, more, allowed, under = [], flags = [] }: LifeOptions) {
    if (!existsSync(LIB)) throw new Error("lib/index.js is missing; run: npm run build");
    this.name = options.name;
    const [program = "", ...args] = [...under, process.execPath, ...flags, CHILD];
    this.#child = spawn(program, args, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    this.#ended = new Promise((done) => {
      this.#child.once("exit", () => {
        for (const { failed } of this.#answers.values()) failed(new Error(`${this.name}: its process ended`));
        this.#answers.clear();
        done();
        this.#wake();
      });
    });
    this.#child.on("message", (message) => this.#take(message as LifeEvent & { readonly id?: number }));
    this.#child.send({ options, more, allowed });
  }

  /** Starts it and waits until it listens. */
  static async start(options: LifeOptions): Promise<Life> {
    const life = new Life(options);
    await life.until(() => life.events.some(({ event }) => event === "listening"), 20_000);
    return life;
  }

  /** `tls://host:port`, or nothing for a node that only dials. */
  endpoint = "";

  get port(): number {
    return Number(new URL(this.endpoint).port);
  }

  /** `nodeup` and `nodedown REASON`, in order. */
  get ups(): readonly string[] {
    return this.events.flatMap(({ event, reason }) =>
      event === "nodeup" ? "up" : event === "nodedown" ? `down ${reason}` : [],
    );
  }

  /** @throws {Failed} what the node answered it with */
  ask<T = unknown>(what: string, rest: object = {}): Promise<T> {
    const id = ++this.#asked;
    return new Promise<T>((resolve, failed) => {
      if (!this.#child.connected) return failed(new Error(`${this.name}: its process is gone`));
      this.#answers.set(id, { done: resolve as (value: unknown) => void, failed });
      this.#child.send({ id, ask: what, ...rest });
    });
  }

  /** Resolves once the condition holds, which is looked at after each event. */
  async until(condition: () => boolean, withinMs = 10_000): Promise<void> {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      this.#wake();
    }, withinMs);
    while (!condition()) {
      if (isLate) throw new Error(`${this.name}: not within ${withinMs} ms; heard ${JSON.stringify(this.events)}`);
      if (this.#child.exitCode !== null) throw new Error(`${this.name}: its process ended by itself`);
      await new Promise<void>((resolve) => void this.#heard.push(resolve));
    }
    clearTimeout(timer);
  }

  freeze(): void {
    this.#child.kill("SIGSTOP");
  }

  thaw(): void {
    this.#child.kill("SIGCONT");
  }

  /** kill -9; resolves when it is gone. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended;
  }

  #take(message: LifeEvent & { readonly id?: number; readonly value?: unknown; readonly failed?: Failed }): void {
    if (message.id === undefined) {
      this.events.push(message);
      if (message.event === "listening") this.endpoint = message.endpoint ?? "";
      this.#wake();
      return;
    }
    const answer = this.#answers.get(message.id);
    this.#answers.delete(message.id);
    if (message.failed === undefined) answer?.done(message.value);
    else answer?.failed(new Failed(message.failed));
  }

  #wake(): void {
    const heard = this.#heard;
    this.#heard = [];
    for (const resolve of heard) resolve();
  }
}

/** The seed of this run, printed; SALLYPORT_SEED replays one. */
export function printedSeed(what: string): number {
  const given = process.env["SALLYPORT_SEED"];
  const seed = given === undefined ? (Math.random() * 2 ** 32) >>> 0 : Number(given);
  console.log(`${what}: SALLYPORT_SEED=${seed}`);
  return seed;
}

/** Dice of one purpose under the seed of the run. */
export const dice = (seed: number, salt: number): SeededRandom => new SeededRandom(seed ^ Math.imul(salt, 0x9e37_79b1));

/** How many, unless the environment says otherwise. */
export const countOf = (variable: string, otherwise: number): number => Number(process.env[variable] ?? otherwise);
