// Runs peers as processes and waits for their events; for tests of the peer and for tests against it.
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("./peer.mjs", import.meta.url));
/** Longest wait for one event, generous: a loaded machine is not a failure. */
const PATIENCE_MS = 45_000;

export interface PeerEvent {
  readonly event: string;
  readonly [field: string]: unknown;
}

export type Match = Readonly<Record<string, unknown>>;

/** A folder for one test file, with the cookie of its nodes. */
export function makeRoom(cookie = "secret"): { dir: string; cookieFile: string; remove(): void } {
  const dir = mkdtempSync(join(tmpdir(), "barrel-peer-"));
  const cookieFile = join(dir, "cookie");
  writeFileSync(cookieFile, cookie);
  return { dir, cookieFile, remove: () => rmSync(dir, { recursive: true, force: true }) };
}

/** One running peer. Events are kept from the start, so a wait finds what has come before it. */
export class PeerProcess {
  readonly events: PeerEvent[] = [];
  readonly name: string;
  readonly keyDir: string;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #waits = new Set<() => void>();
  #rest = "";
  #errors = "";
  #commands = 0;
  #ended = false;

  constructor(room: { dir: string; cookieFile: string }, name: string, args: readonly string[] = []) {
    this.name = name;
    const folder = args.includes("--key-dir") ? args[args.indexOf("--key-dir") + 1]! : join(room.dir, name);
    this.keyDir = folder;
    const keys = args.includes("--key-dir") ? [] : ["--key-dir", folder];
    const fixed = ["--name", name, ...keys, "--cookie-file", room.cookieFile, "--acceptor-delay", "0"];
    this.#child = spawn(process.execPath, [PROGRAM, ...fixed, ...args]);
    this.#child.stdout.setEncoding("utf8");
    this.#child.stdout.on("data", (text: string) => this.#take(text));
    this.#child.stderr.setEncoding("utf8");
    this.#child.stderr.on("data", (text: string) => {
      this.#errors += text;
    });
    this.#child.stdin.on("error", () => {});
    this.#child.on("exit", () => {
      this.#ended = true;
      for (const wake of this.#waits) wake();
    });
  }

  /** Number of events so far: a mark for `wait` and `since`. */
  get mark(): number {
    return this.events.length;
  }

  since(mark: number, match: Match): PeerEvent[] {
    return this.events.slice(mark).filter((event) => fits(event, match));
  }

  /** The first event from `mark` on that has all fields of `match`. */
  wait(match: Match, mark = 0): Promise<PeerEvent> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const found = this.events.slice(mark).find((event) => fits(event, match));
        if (found === undefined && !this.#ended) return;
        end();
        if (found !== undefined) resolve(found);
        else reject(new Error(`${this.name} ended before ${JSON.stringify(match)}: ${this.#lastWords()}`));
      };
      const timer = setTimeout(() => {
        end();
        const seen = this.events.slice(mark).map((event) => JSON.stringify(event));
        reject(new Error(`${this.name}: no ${JSON.stringify(match)}\n${seen.join("\n")}${this.#errors}`));
      }, PATIENCE_MS);
      const end = (): void => {
        clearTimeout(timer);
        this.#waits.delete(look);
      };
      this.#waits.add(look);
      look();
    });
  }

  /** Runs one command; gives its result. */
  async command(cmd: string, fields: Match = {}): Promise<Readonly<Record<string, unknown>>> {
    const id = ++this.#commands;
    const mark = this.mark;
    this.#child.stdin.write(`${JSON.stringify({ cmd, id, ...fields })}\n`);
    const answer = await this.wait({ id }, mark);
    if (answer.event === "error") throw new Error(String(answer["message"]));
    return (answer["result"] ?? {}) as Readonly<Record<string, unknown>>;
  }

  /** Opens a listener on a free port of the loopback; gives its address. */
  async listen(fields: Match = {}): Promise<string> {
    const mark = this.mark;
    await this.command("listen", { address: "127.0.0.1:0", ...fields });
    return `127.0.0.1:${(await this.wait({ event: "listening" }, mark))["port"]}`;
  }

  /** Dials once; gives the number of the connection. */
  async dial(to: string, address: string, fields: Match = {}): Promise<number> {
    const { connections } = await this.command("dial", { to, address, ...fields });
    return (connections as readonly number[])[0]!;
  }

  /** It hears and says nothing more, and its connections stay as they are. */
  freeze(): void {
    this.#child.kill("SIGSTOP");
  }

  async stop(): Promise<void> {
    if (this.#ended) return;
    this.#child.kill("SIGCONT");
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.stdin.end();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 5_000);
    await ended;
    clearTimeout(timer);
  }

  #lastWords(): string {
    return `${JSON.stringify(this.events.find(({ event }) => event === "crash"))} ${this.#errors}`;
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop()!;
    for (const line of lines) this.events.push(JSON.parse(line) as PeerEvent);
    for (const wake of [...this.#waits]) wake();
  }
}

function fits(event: PeerEvent, match: Match): boolean {
  return Object.entries(match).every(([field, value]) => JSON.stringify(event[field]) === JSON.stringify(value));
}
