import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";

const MAIN = fileURLToPath(new URL("../../lib/cli/main.js", import.meta.url));

/** What one command line did. */
export interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export type Fields = Readonly<Record<string, unknown>>;

/** What a command line prints with `--json`. */
export interface Document {
  readonly ok: boolean;
  readonly result: Fields;
  readonly error: Fields;
}

/** A node that runs, and the address it listens on. */
export interface Started {
  readonly node: Cli;
  readonly endpoint: string;
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
  get events(): readonly Fields[] {
    const whole = this.#out.slice(0, this.#out.lastIndexOf("\n") + 1);
    return whole
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Fields);
  }

  /** The first event of `start --json` that has all these, once it was printed. `from`: how many events are not looked at. */
  async event(wanted: Fields, from: number = 0): Promise<Fields> {
    for (;;) {
      const found = this.events
        .slice(from)
        .find((one) => Object.entries(wanted).every(([field, value]) => one[field] === value));
      if (found !== undefined) return found;
      await this.says(new RegExp(`^(?:.*\\n){${this.events.length + 1}}`));
    }
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

/** The one JSON document on standard output; standard error is empty. */
export function documentOf(ran: Ran): Document {
  expect(ran.err).toBe("");
  expect(ran.out.split("\n")).toHaveLength(2);
  return JSON.parse(ran.out) as Document;
}

/** Runs one command line with `--json`: what it printed, and its exit code. */
export async function answerOf(home: string, ...args: readonly string[]): Promise<Document & { exit: number | null }> {
  const ran = await runCli(home, [...args, "--json"]);
  return { ...documentOf(ran), exit: ran.code };
}

/** The result of a command line, which succeeds. */
export async function ask(home: string, ...args: readonly string[]): Promise<Fields> {
  const { result, ...rest } = await answerOf(home, ...args);
  expect(rest).toEqual({ ok: true, exit: 0 });
  return result;
}

/** The error of a command line, which fails, and its exit code. */
export async function refused(home: string, ...args: readonly string[]): Promise<Fields> {
  const { ok, error, exit } = await answerOf(home, ...args);
  expect(ok).toBe(false);
  return { ...error, exit };
}

/** Writes the configuration of a node with its keys in `data/keys`, which listens on a free port and registers nowhere. */
export function configure(home: string, name: string, more: Fields & { readonly identity?: object } = {}): void {
  mkdirSync(home, { recursive: true });
  const defaults = { name, listen: ["tls://127.0.0.1:0"], epmd: "off" };
  const identity = { dir: "data/keys", ...more.identity };
  writeFileSync(join(home, "sallyport.jsonc"), JSON.stringify({ ...defaults, ...more, identity }));
}

/** Starts a node in the directory of its configuration; resolves when it listens. */
export async function start(home: string, ...args: readonly string[]): Promise<Started> {
  const node = new Cli(home, ["start", "--json", ...args]);
  const said = await node.says(/"event":"listening".*\n/);
  return { node, endpoint: /(?:tls|quic):\/\/127\.0\.0\.1:\d+/.exec(said)?.[0] ?? "" };
}
