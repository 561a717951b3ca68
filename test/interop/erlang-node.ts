import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { type AddressInfo, createConnection, createServer, type Server, type Socket } from "node:net";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const FIXTURES = join(dirname(fileURLToPath(import.meta.url)), "erlang");
const SOURCE = join(FIXTURES, "interop.erl");
const ELIXIR_SCRIPT = join(FIXTURES, "interop.exs");

const START_MS = 30_000;
const EVAL_MS = 60_000;

/** A private `epmd` on a free port. It ends with `stop`, and by itself when this process is gone. */
export interface Epmd {
  readonly port: number;
  stop(): Promise<void>;
}

/** What a BEAM node is started with. */
export interface BeamOptions {
  /** `name@host`; without a dot in the host it is started with `-sname`. */
  readonly name: string;
  readonly cookie: string;
  readonly epmdPort: number;
  /** `-ssl_dist_optfile`; without it plain TCP. */
  readonly sslOptions?: string;
  readonly hidden?: boolean;
  /** kernel `net_ticktime`, seconds. */
  readonly tickTimeSeconds?: number;
  /** Directory the node runs in, so that it leaves no file elsewhere. */
  readonly home: string;
  /** More arguments for `erl`. */
  readonly args?: readonly string[];
}

/** A running BEAM node. */
export interface BeamNode {
  readonly name: string;
  /** Evaluates expressions (the last one's value counts) and resolves with the value as `~0tp` prints it. */
  erl(expressions: string): Promise<string>;
  /** The same in Elixir, as `inspect` prints it. Nodes started by `startElixir` only. */
  elixir(expressions: string): Promise<string>;
  /** What the node printed, its log included. */
  readonly output: string;
  /** Stops it in its tracks (SIGSTOP), and lets it go on. */
  freeze(): void;
  thaw(): void;
  /** kill -9; resolves when it is gone. */
  kill(): Promise<void>;
}

/** Starts an Erlang node and waits until it answers. */
export function startErlang(options: BeamOptions): Promise<BeamNode> {
  const boot =
    `{ok, M, C} = compile:file(${JSON.stringify(SOURCE)}, [binary]), ` +
    `{module, M} = code:load_binary(M, "interop.erl", C), interop:start().`;
  return start("erl", ["-noshell", "-noinput", ...beamArgs(options), "-eval", boot], options);
}

/** Starts an Elixir node and waits until it answers. */
export function startElixir(options: BeamOptions): Promise<BeamNode> {
  // `--erl` splits at spaces; none of the values below has one.
  return start("elixir", ["--erl", beamArgs(options).join(" "), "--no-halt", ELIXIR_SCRIPT], options);
}

/** Starts an `epmd` of the test's own. */
export async function startEpmd(): Promise<Epmd> {
  const port = await freePort();
  // The shell ends epmd when its own input closes: with `stop`, or with this process.
  const script = `epmd -address 127.0.0.1 -port ${port} & pid=$!; read line; kill $pid; wait $pid`;
  const shell = spawn("sh", ["-c", script], { stdio: ["pipe", "ignore", "ignore"] });
  const ended = exited(shell);
  await listening(port, Date.now() + START_MS);
  return {
    port,
    stop: async () => {
      shell.stdin.end();
      await ended;
    },
  };
}

function beamArgs(options: BeamOptions): string[] {
  const host = options.name.slice(options.name.indexOf("@") + 1);
  return [
    ...(host.includes(".") || host.includes(":") ? ["-name", options.name] : ["-sname", options.name]),
    ...["-setcookie", options.cookie],
    ...["-start_epmd", "false"],
    ...(options.sslOptions === undefined ? [] : ["-proto_dist", "inet_tls", "-ssl_dist_optfile", options.sslOptions]),
    ...(options.hidden === true ? ["-hidden"] : []),
    ...(options.tickTimeSeconds === undefined ? [] : ["-kernel", "net_ticktime", String(options.tickTimeSeconds)]),
    // Idle schedulers give the processor back at once: several nodes share it here.
    ...["+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none"],
    ...(options.args ?? []),
  ];
}

async function start(program: string, args: readonly string[], options: BeamOptions): Promise<BeamNode> {
  const control = await openControl();
  const child = spawn(program, args, {
    cwd: options.home,
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      ...process.env,
      HOME: options.home,
      ERL_CRASH_DUMP: "/dev/null",
      ERL_EPMD_PORT: String(options.epmdPort),
      INTEROP_CONTROL_PORT: String(control.port),
      INTEROP_CONTROL_KEY: control.key,
      INTEROP_SOURCE: SOURCE,
    },
  });
  const ended = exited(child);
  const printed: string[] = [];
  child.stdout.on("data", (chunk: Buffer) => printed.push(chunk.toString("utf8")));
  child.stderr.on("data", (chunk: Buffer) => printed.push(chunk.toString("utf8")));
  let timer: NodeJS.Timeout | undefined;
  const failed = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${options.name} did not start:\n${printed.join("")}`)), START_MS);
    void ended.then(() => reject(new Error(`${options.name} ended at once:\n${printed.join("")}`)));
  });
  try {
    const line = await Promise.race([control.connected, failed]);
    return new RunningBeam(options.name, child, ended, line, printed);
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  } finally {
    clearTimeout(timer);
    control.server.close();
  }
}

interface Question {
  readonly text: string;
  readonly resolve: (value: string) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

class RunningBeam implements BeamNode {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  readonly #control: Socket;
  readonly #printed: readonly string[];
  readonly #open = new Map<number, Question>();
  #nextId = 1;
  #buffered: Buffer = Buffer.alloc(0);

  constructor(name: string, child: ChildProcess, ended: Promise<void>, control: Socket, printed: readonly string[]) {
    this.name = name;
    this.#child = child;
    this.#ended = ended;
    this.#control = control;
    this.#printed = printed;
    control.on("data", (chunk) => this.#receive(chunk));
    control.on("error", () => {});
    control.on("close", () => this.#failAll());
  }

  get output(): string {
    return this.#printed.join("");
  }

  erl(expressions: string): Promise<string> {
    return this.#ask("E", expressions);
  }

  elixir(expressions: string): Promise<string> {
    return this.#ask("X", expressions);
  }

  freeze(): void {
    this.#child.kill("SIGSTOP");
  }

  thaw(): void {
    this.#child.kill("SIGCONT");
  }

  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended;
    this.#control.destroy();
  }

  #ask(language: "E" | "X", text: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      const timer = setTimeout(() => {
        this.#open.delete(id);
        reject(new Error(`${this.name} did not answer within ${EVAL_MS} ms: ${text}\n${this.output}`));
      }, EVAL_MS);
      this.#open.set(id, { text, resolve, reject, timer });
      const body = Buffer.from(text, "utf8");
      const head = Buffer.alloc(9);
      head.writeUInt32BE(body.length + 5, 0);
      head.writeUInt32BE(id, 4);
      head.write(language, 8);
      this.#control.write(Buffer.concat([head, body]));
    });
  }

  #receive(chunk: Buffer): void {
    this.#buffered = Buffer.concat([this.#buffered, chunk]);
    while (this.#buffered.length >= 4) {
      const end = 4 + this.#buffered.readUInt32BE(0);
      if (this.#buffered.length < end) return;
      const frame = this.#buffered.subarray(4, end);
      this.#buffered = this.#buffered.subarray(end);
      this.#answer(frame.readUInt32BE(0), frame[4] !== 0, frame.toString("utf8", 5));
    }
  }

  #answer(id: number, failed: boolean, text: string): void {
    const question = this.#open.get(id);
    if (question === undefined) return;
    this.#open.delete(id);
    clearTimeout(question.timer);
    if (failed) question.reject(new BeamError(text, question.text));
    else question.resolve(text);
  }

  #failAll(): void {
    for (const question of this.#open.values()) {
      clearTimeout(question.timer);
      question.reject(new Error(`${this.name} is gone; asked for ${question.text}`));
    }
    this.#open.clear();
  }
}

/** An expression raised; `raised` is `{Class,Reason}` as text. */
export class BeamError extends Error {
  readonly raised: string;
  constructor(raised: string, expressions: string) {
    super(`${raised}\nin ${expressions}`);
    this.raised = raised;
  }
}

interface Control {
  readonly port: number;
  readonly key: string;
  readonly server: Server;
  readonly connected: Promise<Socket>;
}

/** Where one node connects to take its expressions. The key keeps anybody else out. */
async function openControl(): Promise<Control> {
  const key = randomBytes(16).toString("hex");
  let connected: (socket: Socket) => void = () => {};
  const first = new Promise<Socket>((resolve) => {
    connected = resolve;
  });
  const server = createServer((socket) => {
    let head: Buffer = Buffer.alloc(0);
    const greeting = (chunk: Buffer): void => {
      head = Buffer.concat([head, chunk]);
      if (head.length < 4 + key.length) return;
      socket.off("data", greeting);
      if (head.toString("latin1", 4) !== key) socket.destroy();
      else connected(socket);
    };
    socket.on("error", () => {});
    socket.on("data", greeting);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { port: (server.address() as AddressInfo).port, key, server, connected: first };
}

function exited(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once("error", () => resolve());
    child.once("exit", () => resolve());
  });
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** The same for UDP. */
export async function freeUdpPort(): Promise<number> {
  const socket = createSocket("udp4");
  await new Promise<void>((done) => socket.bind(0, "127.0.0.1", done));
  const { port } = socket.address();
  await new Promise<void>((done) => socket.close(done));
  return port;
}

async function listening(port: number, until: number): Promise<void> {
  while (!(await accepts(port))) {
    if (Date.now() > until) throw new Error(`nothing listens on port ${port}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: "127.0.0.1", port });
    socket.once("error", () => resolve(false));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
  });
}
