import { type ChildProcessByStdio, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";

/** One line of the victim: an event of its node. */
export interface VictimEvent {
  readonly event: string;
  readonly [key: string]: unknown;
}

export interface Counters {
  readonly [name: string]: number;
}

/** The node under attack, seen from outside: a child process with a control line of its own. */
export class Victim {
  readonly events: VictimEvent[] = [];
  readonly name: string;
  creation = 0;
  /** Ports of the listeners, in the order they were asked for. */
  ports: number[] = [];
  pids: Record<"open" | "closed" | "secret", { id: number; serial: number }> = {
    open: { id: 0, serial: 0 },
    closed: { id: 0, serial: 0 },
    secret: { id: 0, serial: 0 },
  };
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #answers = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  #waiting: (() => void)[] = [];
  #next = 0;
  exitCode: number | string | undefined;
  stderr = "";

  private constructor(options: { readonly name: string }, wallSkewMs: number, script: string) {
    this.name = options.name;
    const path = fileURLToPath(new URL(script, import.meta.url));
    this.#child = spawn(process.execPath, [path, JSON.stringify(options), String(wallSkewMs)], {
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#child.stderr.on("data", (chunk: Buffer) => {
      this.stderr += chunk.toString();
    });
    createInterface({ input: this.#child.stdout }).on("line", (line) => this.#line(line));
    this.#child.on("exit", (code, signal) => {
      this.exitCode = code ?? signal ?? "gone";
      for (const { reject } of this.#answers.values())
        reject(new Error(`the victim ended with ${this.exitCode}: ${this.stderr}`));
      this.#wake();
    });
  }

  /** Starts it and resolves when it listens. `wallSkewMs`: how wrong its clock is. `script`: what it runs, in this folder. */
  static async start(
    options: { readonly name: string; readonly [option: string]: unknown },
    wallSkewMs: number = 0,
    script: string = "victim.mjs",
  ): Promise<Victim> {
    const victim = new Victim(options, wallSkewMs, script);
    const info = await victim.ask<{ creation: number; endpoints: string[]; open: never; closed: never; secret: never }>(
      "info",
    );
    victim.creation = info.creation;
    victim.ports = info.endpoints.map((endpoint) => Number(endpoint.slice(endpoint.lastIndexOf(":") + 1)));
    victim.pids = { open: info.open, closed: info.closed, secret: info.secret };
    return victim;
  }

  ask<T>(op: string, rest: Record<string, unknown> = {}): Promise<T> {
    if (this.exitCode !== undefined)
      return Promise.reject(new Error(`the victim ended with ${this.exitCode}: ${this.stderr}`));
    const id = ++this.#next;
    return new Promise<T>((resolve, reject) => {
      this.#answers.set(id, { resolve, reject });
      this.#child.stdin.write(`${JSON.stringify({ id, op, ...rest })}\n`);
    });
  }

  async counters(): Promise<Counters> {
    return (await this.ask<{ counters: Counters }>("health")).counters;
  }

  /** Waits for an event that came after `from` (a length of `events`). */
  async event(match: (event: VictimEvent) => boolean, from: number = 0): Promise<VictimEvent> {
    for (;;) {
      const found = this.events.slice(from).find(match);
      if (found !== undefined) return found;
      if (this.exitCode !== undefined) throw new Error(`the victim ended with ${this.exitCode}: ${this.stderr}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** The next `refused` event after `from`. */
  refused(from: number): Promise<VictimEvent> {
    return this.event(({ event }) => event === "refused", from);
  }

  /** The `nodedown` event of `peer` after `from`. */
  down(peer: string, from: number): Promise<VictimEvent> {
    return this.event(({ event, peer: who }) => event === "nodedown" && who === peer, from);
  }

  denied(from: number, verb: string): Promise<VictimEvent> {
    return this.event(({ event, verb: what }) => event === "denied" && what === verb, from);
  }

  /** What must never be there. */
  get uncaught(): readonly VictimEvent[] {
    return this.events.filter(({ event }) => event === "uncaught");
  }

  /** Ends it as a power cut would. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    while (this.exitCode === undefined) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  async stop(): Promise<void> {
    if (this.exitCode !== undefined) return;
    this.#child.stdin.end();
    const limit = setTimeout(() => this.#child.kill("SIGKILL"), 3_000);
    while (this.exitCode === undefined) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    clearTimeout(limit);
  }

  #line(line: string): void {
    const message = JSON.parse(line) as { id?: number; ok?: never; text?: string; error?: object } & VictimEvent;
    if (message.id === undefined) this.events.push(message);
    else {
      const waiter = this.#answers.get(message.id);
      this.#answers.delete(message.id);
      if ("ok" in message) waiter?.resolve(message.ok as never);
      else waiter?.reject(Object.assign(new Error(String(message.text)), { reason: undefined }, message.error));
    }
    this.#wake();
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
