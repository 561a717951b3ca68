import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { addMs, type Clock, type Timer } from "../base/clock.ts";
import type { Listener } from "./carrier.ts";
import { bindServer, type ListenAddress } from "./listen.ts";
import { isLoopbackHost } from "./socket-address.ts";

/** Connections at once; for a new one the oldest goes, those first that have not asked yet. */
export const MAX_HTTP_CONNECTIONS = 32;

/** Longest request head, octets. */
export const MAX_HTTP_HEAD_BYTES = 4_096;

/** From the first byte of a connection to the end of its request head, milliseconds. */
export const MAX_HTTP_HEAD_MS = 2_000;

/** How long the other end may take to read the answer, milliseconds. */
export const MAX_HTTP_DRAIN_MS = 1_000;

/** A `GET` or `HEAD`; what a `HEAD` is answered has no body on the wire. */
export interface HttpRequest {
  /** Without the query. Hostile text. */
  readonly path: string;
  /** Once. After the connection was cut it does nothing. */
  respond(status: number, body: object): void;
}

export interface HttpListener extends Listener {
  /** Stops accepting and cuts what is open. The port is free when the call returns. Idempotent. */
  close(): Promise<void>;
}

/**
 * Answers small questions in JSON over HTTP: one request a connection, `GET` and `HEAD` only, no body. On a loopback address
 * only requests that name such a host are answered, so that no page of another site can ask through a browser. Whoever is slow
 * or sends what is no request is cut.
 * @param maxAnswerMs longest time `handle` may take to respond; the connection is cut then
 * @throws {SallyportError} ERR_CONFIG as `bindServer`
 */
export async function listenHttp(
  address: ListenAddress,
  clock: Clock,
  maxAnswerMs: number,
  handle: (request: HttpRequest) => void,
): Promise<HttpListener> {
  const visitors = new Visitors(clock, maxAnswerMs);
  const server = createServer({
    maxHeaderSize: MAX_HTTP_HEAD_BYTES,
    // What takes its time is the visitors' matter: the server's own timers look twice a minute.
    requestTimeout: 0,
    headersTimeout: 0,
    noDelay: true,
  });
  server.maxRequestsPerSocket = 1;
  server.on("connection", (socket: Socket) => visitors.came(socket));
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    const status = error.code === "HPE_HEADER_OVERFLOW" ? "431 Request Header Fields Too Large" : "400 Bad Request";
    const cut = (): void => void socket.destroy();
    if (socket.writable) socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, cut);
    else cut();
  });
  const onlyLocal = isLoopbackHost(address.host);
  const asked = (request: IncomingMessage, response: ServerResponse): void => {
    const { socket, method } = request;
    if (!visitors.asked(socket)) return;
    const respond = (status: number, body: object): void => {
      if (visitors.answered(socket)) send(response, status, body, method === "HEAD");
    };
    const refusal = refusalOf(request, onlyLocal);
    if (refusal !== undefined) respond(refusal, { status: "refused" });
    else handle({ path: (request.url ?? "").split("?", 1)[0] ?? "", respond });
  };
  server.on("request", asked);
  server.on("checkContinue", asked);
  const bound = await bindServer(server, address);
  return {
    ...bound,
    close() {
      const closed = bound.close();
      visitors.cut();
      return closed;
    },
  };
}

/** Why a request is not answered; undefined when it is. */
function refusalOf({ method, headers }: IncomingMessage, onlyLocal: boolean): number | undefined {
  if (method !== "GET" && method !== "HEAD") return 405;
  if (headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) !== 0) return 413;
  return onlyLocal && headers.host !== undefined && !isLocalName(headers.host) ? 421 : undefined;
}

function isLocalName(host: string): boolean {
  return isLoopbackHost(host.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1"));
}

function send(response: ServerResponse, status: number, body: object, isHead: boolean): void {
  const bytes = Buffer.from(`${JSON.stringify(body)}\n`);
  response.writeHead(status, {
    "Content-Type": "application/json; charset=utf-8",
    "Content-Length": bytes.length,
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    Connection: "close",
    ...(status === 405 ? { Allow: "GET, HEAD" } : {}),
  });
  response.end(isHead ? undefined : bytes);
}

/** The connections of a listener, each with the deadline of what it does now. */
class Visitors {
  readonly #clock: Clock;
  readonly #maxAnswerMs: number;
  readonly #waiting = new Map<Socket, Timer>();
  readonly #asking = new Map<Socket, Timer>();
  readonly #reading = new Map<Socket, Timer>();

  constructor(clock: Clock, maxAnswerMs: number) {
    this.#clock = clock;
    this.#maxAnswerMs = maxAnswerMs;
  }

  came(socket: Socket): void {
    const all = [...this.#waiting.keys(), ...this.#asking.keys(), ...this.#reading.keys()];
    // Who asks properly is gone within a turn or two: whoever holds a place longest is the one to spare.
    const [oldest] = all;
    if (all.length >= MAX_HTTP_CONNECTIONS && oldest !== undefined) {
      this.#forget(oldest);
      oldest.destroy();
    }
    this.#until(this.#waiting, socket, MAX_HTTP_HEAD_MS);
    socket.once("close", () => this.#forget(socket));
  }

  /** False: it asks for the second time, or was cut, and gets no answer. */
  asked(socket: Socket): boolean {
    if (!this.#waiting.has(socket)) {
      socket.destroy();
      return false;
    }
    this.#until(this.#asking, socket, this.#maxAnswerMs);
    return true;
  }

  /** It only has to read now. False: it is gone, or was answered. */
  answered(socket: Socket): boolean {
    if (!this.#asking.has(socket)) return false;
    this.#until(this.#reading, socket, MAX_HTTP_DRAIN_MS);
    return true;
  }

  cut(): void {
    for (const state of [this.#waiting, this.#asking, this.#reading])
      for (const socket of state.keys()) socket.destroy();
  }

  /** It is in this state now, and may stay for so long. */
  #until(state: Map<Socket, Timer>, socket: Socket, ms: number): void {
    this.#forget(socket);
    state.set(
      socket,
      this.#clock.at(addMs(this.#clock.now(), ms), () => socket.destroy(), true),
    );
  }

  #forget(socket: Socket): void {
    for (const state of [this.#waiting, this.#asking, this.#reading]) {
      state.get(socket)?.cancel();
      state.delete(socket);
    }
  }
}
