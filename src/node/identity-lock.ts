import { addMs, type Clock } from "../base/clock.ts";
import { SallyportError, systemCode } from "../base/errors.ts";
import { DIRECTORY_MODE } from "../base/files.ts";
import type { Random } from "../base/random.ts";
import type { StoreFiles } from "../base/store-files.ts";
import {
  connectUnixSocket,
  listenUnixSocket,
  MAX_SOCKET_PATH_BYTES,
  type UnixListener,
} from "../carrier/unix-socket.ts";
import { type IdentityWarning, quotePath } from "../identity/key-layout.ts";

/** Longest wait for another node that starts at the same moment and does not say what becomes of it, in milliseconds. */
const UNDECIDED_MS = 3_000;

/** Longest wait for what one other node says of itself, in milliseconds. */
const PROBE_MS = 500;

/** Time between two looks, in milliseconds. */
const LOOK_MS = 20;

/** Sockets of nodes that run with a key directory, each under a name that is used once. */
const SOCKET_NAME = /^running-[0-9a-f]{8}$/;

const HELD = Buffer.from("H");
const STARTING = Buffer.from("S");

export interface LockWorld {
  readonly files: StoreFiles;
  readonly clock: Clock;
  readonly random: Random;
}

export interface IdentityLock {
  /** Idempotent. */
  release(): void;
  /** Why there is no lock, and the node starts all the same. */
  readonly warning?: IdentityWarning;
}

/**
 * Lets one node at a time run with a key directory. Each starter binds a socket under a name of its own there, and then asks
 * all others: who binds first is seen by everybody who binds later. A file that nobody listens behind is of a dead process and
 * is removed, which harms nobody since no name is used twice. Of two that see each other start, the smaller name goes on. The
 * system takes the socket back when the process dies, however it does. Where no socket can be made, as on a read-only mount,
 * there is a warning instead of a lock.
 * @throws {SallyportError} ERR_CONFIG ALREADY_RUNNING
 */
export async function lockIdentity(directory: string, world: LockWorld): Promise<IdentityLock> {
  const own = new OwnSocket();
  const name = `running-${world.random.uint32().toString(16).padStart(8, "0")}`;
  const code = await own.bind(directory, name, world.files);
  if (code !== undefined) return { release: () => undefined, warning: skipped(directory, code) };
  try {
    await becomeOnly(directory, name, world);
  } catch (error) {
    own.release();
    throw error;
  }
  own.isHeld = true;
  return own;
}

class OwnSocket implements IdentityLock {
  isHeld = false;
  #listener: UnixListener | undefined;

  /** @returns why there is none */
  async bind(directory: string, name: string, files: StoreFiles): Promise<string | undefined> {
    const path = `${directory}/${name}`;
    if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) return `a path of more than ${MAX_SOCKET_PATH_BYTES} bytes`;
    try {
      files.makeDirectory(directory, DIRECTORY_MODE);
    } catch (cause) {
      return systemCode(cause);
    }
    const bound = await listenUnixSocket(
      path,
      (connection) => {
        connection.keepAlive(false);
        connection.write(this.isHeld ? HELD : STARTING);
        connection.end();
        return { connected: () => undefined, bytes: () => undefined, closed: () => undefined };
      },
      true,
    );
    if (typeof bound === "string") return bound;
    this.#listener = bound;
    return undefined;
  }

  release(): void {
    this.#listener?.close();
  }
}

/** Resolves when no other node lives here. */
async function becomeOnly(directory: string, own: string, { files, clock }: LockWorld): Promise<void> {
  const until = addMs(clock.now(), UNDECIDED_MS);
  for (;;) {
    let isAlone = true;
    for (const name of files.list(directory)) {
      if (name === own || !SOCKET_NAME.test(name)) continue;
      const path = `${directory}/${name}`;
      const state = await probe(path, clock);
      if (state === "dead") removeQuietly(files, path);
      else if (state === "held" || (state === "starting" && name < own)) throw alreadyRunning(directory, path);
      else if (clock.now() >= until) throw alreadyRunning(directory, path);
      else isAlone = false;
    }
    if (isAlone) return;
    await new Promise<void>((resolve) => clock.at(addMs(clock.now(), LOOK_MS), resolve));
  }
}

type Other = "held" | "starting" | "silent" | "dead";

/** What lives behind a socket. Who may not even be asked lives. */
function probe(path: string, clock: Clock): Promise<Other> {
  return new Promise((resolve) => {
    let state: Other = "silent";
    const timer = clock.at(addMs(clock.now(), PROBE_MS), () => socket.destroy());
    const socket = connectUnixSocket(path, {
      connected: () => undefined,
      bytes: (chunk) => {
        state = chunk[0] === HELD[0] ? "held" : "starting";
        socket.destroy();
      },
      closed: (error) => {
        timer.cancel();
        if (error === "ECONNREFUSED" || error === "ENOENT") resolve("dead");
        else resolve(error === "EACCES" || error === "EPERM" ? "held" : state);
      },
    });
  });
}

function removeQuietly(files: StoreFiles, path: string): void {
  try {
    files.remove(path);
  } catch {
    // It means nothing where it lies; whoever may remove it will.
  }
}

function alreadyRunning(directory: string, path: string): SallyportError {
  return new SallyportError(
    "ERR_CONFIG",
    "ALREADY_RUNNING",
    `a node runs already with the key directory ${quotePath(directory)}`,
    {
      stage: "identity",
      detail: { path: quotePath(path) },
      advice: "stop it first (see: sallyport status), or give this node a key directory of its own",
    },
  );
}

function skipped(directory: string, why: string): IdentityWarning {
  const message =
    `${quotePath(directory)} takes no socket (${why}): nothing keeps a second node from running with this identity, and ` +
    "each would end the sessions of the other";
  return { reason: "LOCK_SKIPPED", message };
}
