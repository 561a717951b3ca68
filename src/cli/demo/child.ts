import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { SallyportError } from "../../base/errors.ts";
import { printable } from "../terminal.ts";

export interface ChildOptions {
  readonly directory: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly label: string;
}

/** Most output kept of a child for a message, in UTF-16 units. */
const MAX_KEPT_CHARS = 16_384;

/** Longest line of an answer, in UTF-16 units. */
const MAX_LINE_CHARS = 1_048_576;

/** How long a child may take to end after SIGTERM before SIGKILL, in milliseconds. */
const PATIENCE_MS = 1_500;

/**
 * A program started for the demo, in a process group of its own so that all it starts can be ended with it. Its standard
 * input stays open as long as we live: the children take its end as the sign to go, even when we are killed.
 *
 * A line `NUMBER QUESTION` on its standard input is answered by a line `@NUMBER ANSWER`.
 */
export class Child {
  readonly #process: ChildProcess;
  readonly #label: string;
  readonly #waiting = new Map<number, (answer: string) => void>();
  readonly #ended: Promise<void>;
  #output = "";
  #line = "";
  #asked = 0;
  #gone = false;
  #heard: () => void = () => undefined;

  constructor(command: string, args: readonly string[], options: ChildOptions) {
    this.#label = options.label;
    this.#process = spawn(command, args, {
      cwd: options.directory,
      env: { ...options.environment },
      stdio: ["pipe", "pipe", "pipe"],
      detached: true,
    });
    this.#process.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.#keep(text);
      this.#readLines(text);
    });
    this.#process.stderr?.setEncoding("utf8").on("data", (text: string) => this.#keep(text));
    this.#process.stdin?.on("error", () => undefined);
    this.#ended = new Promise((resolve) => {
      const ended = (): void => {
        this.#gone = true;
        this.#heard();
        resolve();
      };
      this.#process.once("close", ended).once("error", ended);
    });
  }

  get output(): string {
    return this.#output;
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** Resolves with the output once it matches. @throws {SallyportError} ERR_REMOTE PEER_NOT_STARTED */
  async saysWithin(pattern: RegExp, ms: number): Promise<string> {
    const said = await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(false), ms);
      this.#heard = () => {
        const found = pattern.test(this.#output);
        if (!found && !this.#gone) return;
        clearTimeout(timer);
        resolve(found);
      };
      this.#heard();
    });
    this.#heard = () => undefined;
    if (said) return this.#output;
    throw new SallyportError("ERR_REMOTE", "PEER_NOT_STARTED", `${this.#label} did not start: ${this.#tail()}`, {
      advice: "try: sallyport demo --peer sallyport",
    });
  }

  /** Asks and resolves with the answer. @throws {SallyportError} ERR_REMOTE DEMO_PEER_SILENT */
  ask(question: string, ms: number): Promise<string> {
    const number = ++this.#asked;
    return new Promise((resolve, reject) => {
      const fail = (): void => {
        clearTimeout(timer);
        if (!this.#waiting.delete(number)) return;
        const message = `${this.#label} did not answer within ${ms} ms: ${this.#tail()}`;
        reject(new SallyportError("ERR_REMOTE", "DEMO_PEER_SILENT", message, { advice: "please report this" }));
      };
      const timer = setTimeout(fail, ms);
      this.#waiting.set(number, (answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
      void this.#ended.then(fail);
      this.#process.stdin?.write(`${number} ${question}\n`);
    });
  }

  /** Resolves when it has ended by itself, with true, or after `ms` with false. */
  endsWithin(ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), ms);
      void this.#ended.then(() => {
        clearTimeout(timer);
        resolve(true);
      });
    });
  }

  /** Ends it and all it started. Idempotent. */
  async stop(): Promise<void> {
    this.#process.stdin?.end();
    this.#signal("SIGTERM");
    if (!(await this.endsWithin(PATIENCE_MS))) await this.kill();
  }

  /** The same without asking. */
  async kill(): Promise<void> {
    this.#signal("SIGKILL");
    await this.endsWithin(PATIENCE_MS);
  }

  #keep(text: string): void {
    this.#output = (this.#output + text).slice(-MAX_KEPT_CHARS);
    this.#heard();
  }

  #readLines(text: string): void {
    const lines = (this.#line + text).slice(-MAX_LINE_CHARS).split("\n");
    this.#line = lines.pop() ?? "";
    for (const line of lines) {
      const match = /^@(\d+) (.*)$/.exec(line);
      const number = Number(match?.[1]);
      const waiter = this.#waiting.get(number);
      if (waiter === undefined) continue;
      this.#waiting.delete(number);
      waiter(match?.[2] ?? "");
    }
  }

  #tail(): string {
    return printable(this.#output.trim().slice(-300)) || "no output";
  }

  #signal(name: "SIGTERM" | "SIGKILL"): void {
    const { pid } = this.#process;
    if (pid === undefined) return;
    try {
      process.kill(-pid, name);
    } catch {
      // The whole group is gone already.
    }
  }
}
