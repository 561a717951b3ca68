import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../lib/cli/main.js", import.meta.url));

/** What one command line did. */
export interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** The built command line, as a process. Standard output and error are no terminals. */
export class Cli {
  readonly child: ChildProcessWithoutNullStreams;
  readonly ended: Promise<Ran>;
  #out = "";
  #err = "";
  #heard: () => void = () => undefined;

  constructor(directory: string, args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
    if (!existsSync(MAIN)) throw new Error("lib/cli/main.js is missing; run: npm run build");
    this.child = spawn(process.execPath, [MAIN, ...args], { cwd: directory, env: { ...process.env, ...environment } });
    this.child.stdout.on("data", (chunk: Buffer) => {
      this.#out += chunk.toString();
      this.#heard();
    });
    this.child.stderr.on("data", (chunk: Buffer) => {
      this.#err += chunk.toString();
    });
    this.ended = once(this.child, "close").then(([code]) => {
      this.#heard();
      return { code: code as number | null, out: this.#out, err: this.#err };
    });
  }

  /** Events printed so far by `start --json`. */
  get events(): readonly Record<string, unknown>[] {
    const whole = this.#out.slice(0, this.#out.lastIndexOf("\n") + 1);
    return whole
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  /** Resolves with the output once it matches; rejects when the process ends before. */
  async says(pattern: RegExp): Promise<string> {
    let ended = false;
    void this.ended.then(() => {
      ended = true;
      this.#heard();
    });
    while (!pattern.test(this.#out)) {
      if (ended) throw new Error(`ended without saying ${pattern}: ${this.#out}${this.#err}`);
      await new Promise<void>((resolve) => {
        this.#heard = resolve;
      });
    }
    return this.#out;
  }

  kill(signal: NodeJS.Signals): Promise<Ran> {
    this.child.kill(signal);
    return this.ended;
  }
}

/** Runs one command line to its end. */
export function runCli(directory: string, args: readonly string[]): Promise<Ran> {
  return new Cli(directory, args).ended;
}
