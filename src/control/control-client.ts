import { addMs, type Clock, type Timer } from "../base/clock.ts";
import { SallyportError } from "../base/errors.ts";
import type { StoreFiles } from "../base/store-files.ts";
import { connectUnixSocket, type UnixConnection } from "../carrier/unix-socket.ts";
import { quotePath } from "../identity/key-layout.ts";
import { errorOf } from "./answer-error.ts";
import {
  type ControlAnswer,
  type ControlOp,
  type Fields,
  formatLine,
  MAX_ANSWER_BYTES,
  MAX_REQUEST_BYTES,
  readAnswer,
} from "./control-protocol.ts";
import { LineReader } from "./line-reader.ts";
import { checkSocketDirectory, factsOf } from "./socket-place.ts";

export interface ControlClientParts {
  readonly clock: Clock;
  readonly files: StoreFiles;
}

/** What connecting says when nobody listens: no file, or the file of a process that is gone. */
const NOBODY: readonly string[] = ["ENOENT", "ECONNREFUSED"];

/** Longest wait for a connection on this machine, milliseconds. */
const CONNECT_MS = 2_000;

interface Waiting {
  readonly timer: Timer;
  resolve(result: Fields): void;
  reject(error: SallyportError): void;
}

/**
 * Connects to the node behind a control socket; undefined when no node runs there.
 * @throws {SallyportError} ERR_DENIED CONTROL_DIRECTORY, ERR_CONFIG CONTROL_PATH, ERR_UNREACHABLE CONTROL_UNREACHABLE
 */
export async function connectControl(parts: ControlClientParts, path: string): Promise<ControlClient | undefined> {
  if (factsOf(parts.files, path) === undefined) return undefined;
  checkSocketDirectory(parts.files, path);
  const client = new ControlClient(parts.clock, path);
  const failure = await client.opened;
  if (failure === undefined) return client;
  if (NOBODY.includes(failure)) return undefined;
  throw new SallyportError("ERR_UNREACHABLE", "CONTROL_UNREACHABLE", `cannot reach the node at ${quotePath(path)}`, {
    detail: { system: failure },
    advice: "run this as the user that runs the node, or see whether the node hangs",
  });
}

/** A connection to a running node of this machine. Several requests may be under way. */
export class ControlClient {
  /** Resolves with the system's code when connecting failed. */
  readonly opened: Promise<string | undefined>;
  readonly #clock: Clock;
  readonly #path: string;
  readonly #socket: UnixConnection;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  #closed = false;

  constructor(clock: Clock, path: string) {
    this.#clock = clock;
    this.#path = path;
    const reader = new LineReader(MAX_ANSWER_BYTES, (line) => this.#answered(readAnswer(line)));
    let settle: (failure: string | undefined) => void = () => undefined;
    this.opened = new Promise((resolve) => {
      settle = resolve;
    });
    const timer = clock.at(addMs(clock.now(), CONNECT_MS), () => {
      settle("ETIMEDOUT");
      this.#socket.destroy();
    });
    this.#socket = connectUnixSocket(path, {
      connected: () => {
        timer.cancel();
        settle(undefined);
      },
      bytes: (chunk) => {
        if (!reader.push(chunk)) this.#fail(confused(path));
      },
      closed: (failure) => {
        timer.cancel();
        settle(failure ?? "ECONNRESET");
        this.#fail(lost(path));
      },
    });
  }

  /**
   * Lets the node do an operation; resolves with the fields of its result.
   * @param timeoutMs longest wait for the answer
   * @throws {SallyportError} what the node says; ERR_DEADLINE CONTROL_TIMEOUT, ERR_CLOSED CONTROL_CLOSED, ERR_LIMIT
   * CONTROL_LINE, ERR_PEER_MISBEHAVED CONTROL_ANSWER
   */
  request(op: ControlOp, args: Fields, timeoutMs: number): Promise<Fields> {
    const id = ++this.#lastId;
    const line = formatLine({ id, op, args });
    if (line.length > MAX_REQUEST_BYTES) return Promise.reject(tooLong(line.length));
    if (this.#closed) return Promise.reject(lost(this.#path));
    return new Promise((resolve, reject) => {
      const timer = this.#clock.at(addMs(this.#clock.now(), timeoutMs), () => {
        this.#waiting.delete(id);
        reject(timedOut(op, timeoutMs));
      });
      this.#waiting.set(id, { timer, resolve, reject });
      this.#socket.write(line);
    });
  }

  /** Ends the connection; the node gives up what is under way. Idempotent. */
  close(): void {
    this.#socket.destroy();
    this.#fail(lost(this.#path));
  }

  #answered(answer: ControlAnswer | undefined): void {
    if (answer === undefined) {
      this.#fail(confused(this.#path));
      return;
    }
    if (answer.id === null) {
      // A refusal of the whole connection.
      if (!answer.ok) this.#fail(errorOf(answer.error));
      return;
    }
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    waiting?.timer.cancel();
    if (answer.ok) waiting?.resolve(answer.result);
    else waiting?.reject(errorOf(answer.error));
  }

  #fail(error: SallyportError): void {
    this.#closed = true;
    this.#socket.destroy();
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { timer, reject } of waiting) {
      timer.cancel();
      reject(error);
    }
  }
}

function timedOut(op: ControlOp, timeoutMs: number): SallyportError {
  return new SallyportError("ERR_DEADLINE", "CONTROL_TIMEOUT", `the node did not answer "${op}" in ${timeoutMs} ms`, {
    detail: { op, timeoutMs },
    advice: "raise --timeout; when the node does not answer `sallyport status` either, it hangs",
  });
}

function lost(path: string): SallyportError {
  const message = `the node at ${quotePath(path)} closed the connection before it answered`;
  return new SallyportError("ERR_CLOSED", "CONTROL_CLOSED", message, {
    advice: "see whether the node still runs: sallyport status",
  });
}

function confused(path: string): SallyportError {
  const message = `what answers at ${quotePath(path)} does not speak like a node`;
  return new SallyportError("ERR_PEER_MISBEHAVED", "CONTROL_ANSWER", message, {
    advice: "see which program owns this socket; use the version of sallyport that the node runs",
  });
}

function tooLong(bytes: number): SallyportError {
  const message = `a request of ${bytes} bytes, more than the ${MAX_REQUEST_BYTES} of one line to a node`;
  return new SallyportError("ERR_LIMIT", "CONTROL_LINE", message, {
    detail: { value: bytes, limit: MAX_REQUEST_BYTES },
    advice: "send a shorter term, or send it by a program of your own",
  });
}
