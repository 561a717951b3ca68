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

/** How long a child may take to end after SIGTERM before SIGKILL, in milliseconds. */
const PATIENCE_MS = 1_500;

/**
 * A program started for the demo, in a process group of its own so that all it starts can be ended with it. Its standard
 * input stays open as long as we live: the children take its end as the sign to go, even when we are killed.
 */
export class Child {
  readonly #process: ChildProcess;
  readonly #label: string;
  #output = "";
  #gone = false;
  readonly #ended: Promise<void>;
  #heard: () => void = () => undefined;

  constructor(command: string, args: readonly string[], options: ChildOptions) {
    this.#label = options.label;
    this.#process = spawn(command, args, {
      cwd: options.directory,
      env: { ...options.environment },
      stdio: ["pipe", "pipe", "pipe"],
      detached: true,
    });
    const hear = (chunk: Buffer): void => {
      this.#output = (this.#output + chunk.toString("utf8")).slice(-MAX_KEPT_CHARS);
      this.#heard();
    };
    this.#process.stdout?.on("data", hear);
    this.#process.stderr?.on("data", hear);
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
    const tail = printable(this.#output.trim().slice(-300)) || "no output";
    throw new SallyportError("ERR_REMOTE", "PEER_NOT_STARTED", `${this.#label} did not start: ${tail}`, {
      advice: "try: sallyport demo --peer sallyport",
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
