import { addMs, type Clock, type Timer } from "../base/clock.ts";
import { SallyportError } from "../base/errors.ts";
import type { PlainSocketSink } from "../base/sockets.ts";
import type { UnixConnection } from "../carrier/unix-socket.ts";
import {
  type ControlAnswer,
  type ControlRequest,
  failureOf,
  formatLine,
  MAX_ANSWER_BYTES,
  MAX_OPERATION_MS,
  MAX_REQUEST_BYTES,
  type Perform,
  readRequest,
} from "./control-protocol.ts";
import { LineReader } from "./line-reader.ts";

export interface ControlConnectionParts {
  readonly clock: Clock;
  readonly socket: UnixConnection;
  readonly limits: { readonly maxOpenRequests: number; readonly idleMs: number; readonly requestMs: number };
  /** Undefined while the node starts or stops. */
  target(): Perform | undefined;
  closed(): void;
}

/** What an operation may take beyond its own time before it is given up, milliseconds: its own error says more. */
const GRACE_MS = 1_000;

/** One client of a control socket: its requests, their deadlines, and the time it may sit idle. */
export class ControlConnection {
  readonly #parts: ControlConnectionParts;
  readonly #reader: LineReader;
  readonly #open = new Map<AbortController, Timer>();
  #idle: Timer | undefined;
  #over = false;

  constructor(parts: ControlConnectionParts) {
    this.#parts = parts;
    this.#reader = new LineReader(MAX_REQUEST_BYTES, (line) => this.#take(line));
    this.#rest();
  }

  /** What the socket reports to. */
  sink(): PlainSocketSink {
    return {
      connected: () => undefined,
      bytes: (chunk) => {
        if (!this.#over && !this.#reader.push(chunk)) this.#refuse(lineTooLong());
      },
      closed: () => {
        this.#stop();
        this.#parts.closed();
      },
    };
  }

  /** Cuts the connection; what is under way is aborted. */
  destroy(): void {
    this.#stop();
    this.#parts.socket.destroy();
  }

  #take(line: Buffer): void {
    const read = readRequest(line);
    if (read.kind === "request") {
      this.#start(read.request);
    } else if (read.id === null) {
      this.#refuse(read.error);
    } else {
      this.#rest();
      this.#answer({ id: read.id, ok: false, error: failureOf(read.error) });
    }
  }

  #start(request: ControlRequest): void {
    const { limits, clock } = this.#parts;
    if (this.#open.size >= limits.maxOpenRequests) {
      this.#answer({ id: request.id, ok: false, error: failureOf(tooMany(limits.maxOpenRequests)) });
      return;
    }
    const target = this.#parts.target();
    if (target === undefined) {
      this.#answer({ id: request.id, ok: false, error: failureOf(notReady()) });
      return;
    }
    const controller = new AbortController();
    const ms = timeOf(request, limits.requestMs);
    const timer = clock.at(addMs(clock.now(), ms), () => {
      if (this.#finish(controller)) {
        this.#answer({ id: request.id, ok: false, error: failureOf(overdue(request.op, ms)) });
      }
      controller.abort();
    });
    this.#idle?.cancel();
    this.#open.set(controller, timer);
    target(request, controller.signal).then(
      (result) => {
        if (this.#finish(controller)) this.#answer({ id: request.id, ok: true, result });
      },
      (error: unknown) => {
        if (this.#finish(controller)) this.#answer({ id: request.id, ok: false, error: failureOf(error) });
      },
    );
  }

  /** Takes a request off the books; false when it was off already. */
  #finish(controller: AbortController): boolean {
    const timer = this.#open.get(controller);
    timer?.cancel();
    if (!this.#open.delete(controller)) return false;
    if (this.#open.size === 0) this.#rest();
    return true;
  }

  #answer(answer: ControlAnswer): void {
    if (this.#over) return;
    const line = formatLine(answer);
    if (line.length <= MAX_ANSWER_BYTES) this.#parts.socket.write(line);
    else this.#parts.socket.write(formatLine({ id: answer.id, ok: false, error: failureOf(tooLarge(line.length)) }));
  }

  /** Says why, and closes: what follows on this connection cannot be trusted to be requests. */
  #refuse(error: SallyportError): void {
    this.#answer({ id: null, ok: false, error: failureOf(error) });
    this.#stop();
    const { clock, socket } = this.#parts;
    socket.end();
    // A client that does not close its side is not waited for.
    clock.at(addMs(clock.now(), GRACE_MS), () => socket.destroy(), true);
  }

  /** Nothing is under way: the time for the next whole line begins. */
  #rest(): void {
    this.#idle?.cancel();
    if (this.#over || this.#open.size > 0) return;
    const { clock, limits } = this.#parts;
    this.#idle = clock.at(addMs(clock.now(), limits.idleMs), () => this.destroy(), true);
  }

  #stop(): void {
    this.#over = true;
    this.#reader.stop();
    this.#idle?.cancel();
    for (const [controller, timer] of this.#open) {
      timer.cancel();
      controller.abort();
    }
    this.#open.clear();
  }
}

function timeOf({ args }: ControlRequest, otherwise: number): number {
  const asked = args["timeoutMs"];
  return typeof asked === "number" && asked > 0 && asked <= MAX_OPERATION_MS ? asked + GRACE_MS : otherwise;
}

function lineTooLong(): SallyportError {
  const message = `a request of more than ${MAX_REQUEST_BYTES} bytes`;
  return new SallyportError("ERR_LIMIT", "CONTROL_LINE", message, {
    detail: { limit: MAX_REQUEST_BYTES },
    advice: "send a shorter term, or send it by a program of your own",
  });
}

function tooMany(limit: number): SallyportError {
  const message = `${limit} requests are under way on this connection, all it takes`;
  return new SallyportError("ERR_LIMIT", "CONTROL_REQUESTS", message, {
    detail: { limit, value: limit + 1, option: "maxOpenRequests" },
    advice: "wait for answers before asking more",
  });
}

function notReady(): SallyportError {
  return new SallyportError("ERR_CLOSED", "CONTROL_NOT_READY", "the node is starting or stopping", {
    advice: "try again in a moment",
  });
}

function overdue(op: string, ms: number): SallyportError {
  return new SallyportError("ERR_DEADLINE", "CONTROL_TIMEOUT", `"${op}" was not done in ${ms} ms`, {
    detail: { op, timeoutMs: ms },
    advice: "raise --timeout; when `sallyport status` does not answer either, the node hangs",
  });
}

function tooLarge(bytes: number): SallyportError {
  const message = `the result has ${bytes} bytes as text, more than the ${MAX_ANSWER_BYTES} of one answer`;
  return new SallyportError("ERR_LIMIT", "CONTROL_RESULT", message, {
    detail: { value: bytes, limit: MAX_ANSWER_BYTES },
    advice: "ask for less, or ask by a program of your own",
  });
}
