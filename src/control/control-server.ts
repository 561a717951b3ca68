import { addMs, type Clock } from "../base/clock.ts";
import { SallyportError, systemCode } from "../base/errors.ts";
import { connectUnixSocket, listenUnixSocket, type UnixConnection, type UnixListener } from "../carrier/unix-socket.ts";
import { quotePath } from "../identity/key-layout.ts";
import { ControlConnection } from "./control-connection.ts";
import { failureOf, formatLine, type Perform } from "./control-protocol.ts";
import {
  badPath,
  checkSocketDirectory,
  factsOf,
  folderOf,
  SOCKET_DIRECTORY_MODE,
  SOCKET_MODE,
  type SocketFiles,
} from "./socket-place.ts";

/** Bounds of a control socket. */
export interface ControlLimits {
  /** Connections at once; default 16. */
  readonly maxConnections?: number;
  /** Requests under way on one connection; default 8. */
  readonly maxOpenRequests?: number;
  /** A connection without a request under way is closed after this, also with half a line, milliseconds; default 30,000. */
  readonly idleMs?: number;
  /** Longest time for an operation that names no time of its own, milliseconds; default 10,000. */
  readonly requestMs?: number;
}

export interface ControlServerParts {
  readonly clock: Clock;
  readonly files: SocketFiles;
  /** Absolute path of the socket. */
  readonly path: string;
  readonly limits?: ControlLimits;
}

export const DEFAULT_CONTROL_LIMITS: Required<ControlLimits> = {
  maxConnections: 16,
  maxOpenRequests: 8,
  idleMs: 30_000,
  requestMs: 10_000,
};

/**
 * Opens the control socket of a node. Makes its directory when there is none; takes the place of a socket whose process
 * is gone, and never that of a living one.
 * @throws {SallyportError} ERR_CONFIG CONTROL_IN_USE, CONTROL_PATH; ERR_DENIED CONTROL_DIRECTORY
 */
export async function openControlServer(parts: ControlServerParts): Promise<ControlServer> {
  const { files, path } = parts;
  const directory = folderOf(path);
  if (factsOf(files, directory) === undefined) {
    try {
      files.makeDirectory(directory, SOCKET_DIRECTORY_MODE);
    } catch (cause) {
      throw badPath(`cannot make ${quotePath(directory)} (${systemCode(cause)})`, cause);
    }
  }
  checkSocketDirectory(files, path);
  await removeStale(files, path);
  const server = new ControlServer(parts);
  await server.listen();
  return server;
}

/** Serves a node over a Unix socket, JSON lines in both directions. Before `serve` it answers that the node starts. */
export class ControlServer {
  readonly path: string;
  readonly #parts: ControlServerParts;
  readonly #limits: Required<ControlLimits>;
  readonly #connections = new Set<ControlConnection>();
  #listener: UnixListener | undefined;
  #target: Perform | undefined;
  #emptied = (): void => undefined;

  constructor(parts: ControlServerParts) {
    this.path = parts.path;
    this.#parts = parts;
    this.#limits = { ...DEFAULT_CONTROL_LIMITS, ...parts.limits };
  }

  /** Connections now. */
  get connections(): number {
    return this.#connections.size;
  }

  /** From now on requests go there. */
  serve(target: Perform): void {
    this.#target = target;
  }

  /** Binds the socket. Use `openControlServer`, which looks at the place first. */
  async listen(): Promise<void> {
    const { files, path } = this.#parts;
    const bound = await listenUnixSocket(path, (socket) => this.#accept(socket));
    if (typeof bound === "string") {
      if (bound === "EADDRINUSE") throw inUse(path);
      throw badPath(`cannot make the control socket ${quotePath(path)} (${bound})`);
    }
    this.#listener = bound;
    try {
      files.setMode(path, SOCKET_MODE);
    } catch (cause) {
      this.close();
      throw badPath(`cannot set the mode of ${quotePath(path)} (${systemCode(cause)})`, cause);
    }
  }

  /** Lets another process have the socket; those that are connected are still answered. */
  handOver(): void {
    this.#listener?.close();
  }

  /** Lets another process have the socket, and resolves when those that are connected have gone, or after so many milliseconds. */
  finish(timeoutMs: number): Promise<void> {
    this.handOver();
    if (this.#connections.size === 0) return Promise.resolve();
    const { clock } = this.#parts;
    return new Promise((resolve) => {
      const timer = clock.at(addMs(clock.now(), timeoutMs), resolve);
      this.#emptied = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  /** Removes the socket, and cuts what is connected. Idempotent. */
  close(): void {
    this.#listener?.close();
    this.#target = undefined;
    for (const connection of [...this.#connections]) connection.destroy();
  }

  #accept(socket: UnixConnection): ReturnType<ControlConnection["sink"]> {
    const { maxConnections } = this.#limits;
    if (this.#connections.size >= maxConnections) {
      socket.write(formatLine({ id: null, ok: false, error: failureOf(busy(maxConnections)) }));
      // What the other side sends on is not read: it is cut, and not waited for.
      this.#parts.clock.later(() => socket.destroy());
      return { connected: () => undefined, bytes: () => undefined, closed: () => undefined };
    }
    const connection = new ControlConnection({
      clock: this.#parts.clock,
      socket,
      limits: this.#limits,
      target: () => this.#target,
      closed: () => {
        this.#connections.delete(connection);
        if (this.#connections.size === 0) this.#emptied();
      },
    });
    this.#connections.add(connection);
    return connection.sink();
  }
}

/** Removes the socket of a process that is gone. */
async function removeStale(files: SocketFiles, path: string): Promise<void> {
  const before = factsOf(files, path);
  if (before === undefined) return;
  if (before.kind !== "other") throw badPath(`${quotePath(path)} exists and is no socket`);
  const code = await probe(path);
  if (code === "ENOENT") return;
  if (code !== "ECONNREFUSED") throw inUse(path);
  // Somebody else may have found it stale too, and made a new one meanwhile.
  const now = factsOf(files, path);
  if (now === undefined) return;
  if (now.stamp !== before.stamp) throw inUse(path);
  try {
    files.remove(path);
  } catch (cause) {
    throw badPath(`cannot remove the old socket ${quotePath(path)} (${systemCode(cause)})`, cause);
  }
}

/** Connects and closes again; the system's code when that fails. */
function probe(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connectUnixSocket(path, {
      connected: () => {
        resolve(undefined);
        socket.destroy();
      },
      bytes: () => undefined,
      closed: (error) => resolve(error),
    });
  });
}

function inUse(path: string): SallyportError {
  return new SallyportError(
    "ERR_CONFIG",
    "CONTROL_IN_USE",
    `a node runs already with the control socket ${quotePath(path)}`,
    {
      detail: { path: quotePath(path) },
      advice: "stop it first (see: sallyport status), or give this node a socket of its own with --control",
    },
  );
}

function busy(limit: number): SallyportError {
  return new SallyportError(
    "ERR_LIMIT",
    "CONTROL_BUSY",
    `${limit} connections are at the control socket, all it takes`,
    {
      detail: { limit, value: limit + 1, option: "maxConnections" },
      advice: "end other commands that wait for this node, and try again",
    },
  );
}
