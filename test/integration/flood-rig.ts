import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Node } from "../../src/node/api.ts";
import { makeRoom, PeerProcess } from "../barrel-peer/harness.ts";
import { engines } from "./engine-processes.ts";
import type { NativeRig } from "./native-rig.ts";

const FLOOD = fileURLToPath(new URL("../barrel-peer/flood.mjs", import.meta.url));
const COOKIE = "cookie-of-the-flood-tests";
const VICTIM = "victim@127.0.0.1";
const FRIEND = "friend@127.0.0.1";
const GOOD = "good@127.0.0.1";
/** Between two looks at the engine's memory, and between two calls of an honest peer, milliseconds. */
const LOOK_MS = 25;
const CALL_MS = 10;
/** A call that was not answered by then has failed. */
const CALL_TIMEOUT_MS = 10_000;

export interface Flood {
  /** A name of `floods.mjs`. */
  readonly flood: string;
  /** Of each connection, in all its rounds. */
  readonly bytes: number;
  /** Of all connections. */
  readonly bytesPerSecond: number;
  readonly connections?: number;
  readonly rounds?: number;
  readonly datagramBytes?: number;
  readonly acks?: "own" | "along" | "never";
  /** From one packet number to the next. */
  readonly step?: number;
  readonly sources?: number;
  /** As nodes that have the cookie, each with its session up. */
  readonly isKnown?: boolean;
}

/** One round of one flooding connection. */
export interface Flooded {
  readonly connection: number;
  readonly bytes: number;
  readonly datagrams: number;
  /** How the connection was closed; null when it was not, or its end cannot tell any more. */
  readonly closed: { readonly code: number; readonly isApp: boolean } | null;
}

/** What came of the calls of an honest peer. */
export interface Calls {
  answered: number;
  failed: number;
}

export interface Aftermath {
  readonly floods: readonly Flooded[];
  /** Most resident memory that an engine had, and that of the engine before the flood; MiB. */
  readonly peakMib: number;
  readonly restMib: number;
  /** How often the engine was started anew. */
  readonly restarts: number;
  readonly tls: Calls;
  readonly quic: Calls;
  /** Sessions of the node that ended, with the reason. */
  readonly downs: readonly string[];
  readonly warnings: readonly string[];
}

/** A node of this process on TLS and on QUIC, and an honest peer on each, who call it all the while that it is flooded. */
export class FloodRig {
  readonly node: Node;
  readonly #friend: Node;
  readonly #good: PeerProcess;
  readonly #before: readonly number[];
  readonly #downs: string[] = [];
  readonly #warnings: string[] = [];
  #connection: number | undefined;

  private constructor(node: Node, friend: Node, good: PeerProcess, before: readonly number[]) {
    this.node = node;
    this.#friend = friend;
    this.#good = good;
    this.#before = before;
    node.on("nodedown", ({ name }, reason) => this.#downs.push(`${name} ${reason}`));
    node.on("warning", ({ reason, message }) => this.#warnings.push(`${reason}: ${message}`));
  }

  /** All of it ends with the test. */
  static async start(rig: NativeRig): Promise<FloodRig> {
    const before = engines();
    await rig.acquainted(VICTIM, FRIEND);
    const node = await rig.node(VICTIM, "tofu", {
      cookie: COOKIE,
      quic: {},
      tickTimeMs: 600_000,
      listen: ["tls://127.0.0.1:0", "quic://127.0.0.1:0"],
    });
    node.register("echo", { call: (request) => request }, { allow: "cookie" });
    const friend = await rig.node(FRIEND, "strict", {
      cookie: COOKIE,
      listen: [],
      resolve: { [VICTIM]: node.endpoints[0] ?? "" },
    });
    const room = makeRoom(COOKIE);
    const good = new PeerProcess(room, GOOD, ["--auth-timeout", "60000"]);
    rig.atEnd(async () => {
      await good.stop();
      room.remove();
    });
    const made = new FloodRig(node, friend, good, before);
    await made.#callOverTls();
    await made.#callOverQuic();
    return made;
  }

  /** The engine that runs; undefined between two. */
  get engine(): number | undefined {
    return engines().find((pid) => !this.#before.includes(pid));
  }

  /** Floods, and tells what came of it once the flood is over and the honest peers have been answered again. */
  async suffer({ isKnown = false, ...flood }: Flood): Promise<Aftermath> {
    const [host, port] = this.#quic;
    const auth = isKnown ? { auth: { target: VICTIM, cookie: COOKIE } } : {};
    const watch = new EngineWatch(() => this.engine);
    const restMib = watch.peakMib;
    let isOver = false;
    const tls = this.#calls(
      () => isOver,
      () => this.#callOverTls(),
    );
    const quic = this.#calls(
      () => isOver,
      () => this.#callOverQuic(),
    );
    const child = spawn(process.execPath, [FLOOD, JSON.stringify({ host, port, ...flood, ...auth })]);
    const floods = await flooded(child);
    isOver = true;
    const came = { tls: await tls, quic: await quic };
    // The first one may find its session gone.
    await this.#callOverQuic().catch(() => this.#callOverQuic());
    return {
      floods,
      ...came,
      ...watch.end(),
      restMib,
      downs: this.#downs.splice(0),
      warnings: this.#warnings.splice(0),
    };
  }

  get #quic(): readonly [host: string, port: number] {
    const { hostname, port } = new URL(this.node.endpoints[1] ?? "");
    return [hostname, Number(port)];
  }

  async #callOverTls(): Promise<void> {
    await this.#friend.call({ name: "echo", node: VICTIM }, 1, { timeoutMs: CALL_TIMEOUT_MS });
  }

  /** Over a session of before, or over a new one. */
  async #callOverQuic(): Promise<void> {
    const good = this.#good;
    const closed = (connection: number): boolean => good.since(0, { event: "closed", connection }).length > 0;
    if (this.#connection === undefined || closed(this.#connection)) {
      const connection = await good.dial(VICTIM, this.#quic.join(":"));
      this.#connection = connection;
      await good.wait({ event: "up", connection });
    }
    const connection = this.#connection;
    const asked = good.command("call", { connection, name: "echo", term: 1, timeoutMs: CALL_TIMEOUT_MS });
    const { value, ...rest } = await asked.catch((error: Error) => ({ value: undefined, why: error.message }));
    if (value === 1) return;
    // An engine that has ended says nothing to its peers.
    this.#connection = undefined;
    await good.command("close", { connection }).catch(() => undefined);
    throw new Error(`no answer over QUIC: ${JSON.stringify(rest)}`);
  }

  async #calls(isOver: () => boolean, call: () => Promise<void>): Promise<Calls> {
    const calls = { answered: 0, failed: 0 };
    while (!isOver()) {
      await call().then(
        () => calls.answered++,
        () => calls.failed++,
      );
      await new Promise((resolve) => setTimeout(resolve, CALL_MS));
    }
    return calls;
  }
}

/** The events of a flood that has ended. */
async function flooded(child: ChildProcessWithoutNullStreams): Promise<readonly Flooded[]> {
  const events: { event: string }[] = [];
  let errors = "";
  child.stderr.on("data", (text) => {
    errors += text;
  });
  for await (const line of createInterface({ input: child.stdout })) events.push(JSON.parse(line));
  if (events.at(-1)?.event !== "done") throw new Error(`the flood ended early: ${errors}`);
  return events.filter(({ event }) => event === "flooded") as unknown as Flooded[];
}

/** Keeps the most memory that any engine had, by what the kernel noted. */
class EngineWatch {
  readonly #find: () => number | undefined;
  readonly #timer: NodeJS.Timeout;
  readonly #pids = new Set<number>();
  #pid: number | undefined;
  peakMib = 0;

  constructor(find: () => number | undefined) {
    this.#find = find;
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
    this.#look();
  }

  end(): { readonly peakMib: number; readonly restarts: number } {
    this.#look();
    clearInterval(this.#timer);
    return { peakMib: this.peakMib, restarts: this.#pids.size - 1 };
  }

  #look(): void {
    this.#pid ??= this.#find();
    if (this.#pid === undefined) return;
    this.#pids.add(this.#pid);
    try {
      const kib = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${this.#pid}/status`, "latin1"))?.[1];
      if (kib === undefined) throw new Error("it has ended");
      this.peakMib = Math.max(this.peakMib, Math.round(Number(kib) / 1024));
    } catch {
      this.#pid = undefined;
    }
  }
}
