import type { Socket } from "node:net";
import { addMs, type Clock, type Timer } from "../base/clock.ts";
import { SallyportError } from "../base/errors.ts";
import type { Carrier, CarrierInfo, CarrierSink, ChannelId } from "./carrier.ts";
import { releaseMemory } from "./release-memory.ts";
import { explainSocketError } from "./tls-errors.ts";

/** What every socket carrier needs from outside. */
export interface SocketCarrierParts {
  readonly clock: Clock;
}

/** Bounds of one socket carrier. */
export interface SocketCarrierLimits {
  /** Octets queued to one peer beyond which the connection is cut; default 256 MiB. */
  readonly maxPendingBytes?: number;
  /** Longest wait for the peer's own end after `end()`, milliseconds; default 5000. */
  readonly endLingerMs?: number;
}

/** What becomes of the secure session under a carrier: see `Carrier.sessionUp` and `Carrier.forgetSession`. */
export interface SessionHooks {
  readonly up: () => void;
  readonly forget: () => void;
}

/** Default of `maxPendingBytes`: four of the largest messages; a peer this far behind is not coming back. */
export const DEFAULT_MAX_PENDING_BYTES: number = 256 * 1024 * 1024;

const DEFAULT_END_LINGER_MS = 5000;

/** Octets queued before `write` answers false. */
export const HIGH_WATER_BYTES: number = 256 * 1024;

/** How each socket is set up, dialled or accepted. */
export const SOCKET_OPTIONS: {
  readonly noDelay: boolean;
  readonly keepAlive: boolean;
  readonly keepAliveInitialDelay: number;
  readonly highWaterMark: number;
} = {
  noDelay: true,
  keepAlive: true,
  // Milliseconds of silence. Distribution ticks come long before, so this only finds dead sockets.
  keepAliveInitialDelay: 60_000,
  highWaterMark: HIGH_WATER_BYTES,
};

/** The same for dialling; with several addresses, each gets 2 seconds before the next is tried too. */
export const DIAL_OPTIONS: typeof SOCKET_OPTIONS & { readonly autoSelectFamilyAttemptTimeout: number } = {
  ...SOCKET_OPTIONS,
  autoSelectFamilyAttemptTimeout: 2000,
};

/** Chunks of at least this size are not gathered with others: copying them would cost more than a further record. */
const GATHER_BELOW_BYTES = 16 * 1024;

type State = "opening" | "open" | "closed";

/**
 * The carrier over one stream socket, plain or TLS. It gathers the small writes of one turn into one write of the
 * socket, counts what is queued, and tells its sink about the end exactly once. `tcp.ts` and `tls.ts` drive it through
 * `listen`, `opened` and `fail`.
 */
export class SocketCarrier implements Carrier {
  readonly #clock: Clock;
  readonly #role: "dial" | "accept";
  readonly #maxPendingBytes: number;
  readonly #endLingerMs: number;
  #socket: Socket;
  #info: CarrierInfo;
  #sink: CarrierSink | undefined;
  #session: SessionHooks | undefined;
  #state: State = "opening";
  #cause: SallyportError | undefined;
  #ended = false;
  #paused = false;
  #corked = false;
  #linger: Timer | undefined;
  /** What has left the socket's queue is encrypted or in the kernel. */
  readonly copiesWrites: boolean = true;
  readonly release: (chunks: readonly Buffer[]) => void = releaseMemory;
  readonly #flushLater: () => void = () => this.#uncork();

  constructor(
    parts: SocketCarrierParts,
    limits: SocketCarrierLimits,
    role: "dial" | "accept",
    socket: Socket,
    info: CarrierInfo,
  ) {
    this.#clock = parts.clock;
    this.#role = role;
    this.#maxPendingBytes = limits.maxPendingBytes ?? DEFAULT_MAX_PENDING_BYTES;
    this.#endLingerMs = limits.endLingerMs ?? DEFAULT_END_LINGER_MS;
    this.#socket = socket;
    this.#info = info;
  }

  /** Names the sink and starts to hear the socket's failures. Once. */
  listen(sink: CarrierSink): void {
    this.#sink = sink;
    this.#hear(this.#socket);
  }

  /** The secure channel stands, on `socket` (for an accepting TLS side another one than it began with). */
  opened(socket: Socket, info: CarrierInfo, session?: SessionHooks): void {
    if (this.#state !== "opening") {
      socket.destroy();
      return;
    }
    this.#session = session;
    if (socket !== this.#socket) {
      this.#socket = socket;
      this.#hear(socket);
    }
    this.#state = "open";
    this.#info = info;
    this.#sink?.opened(info);
    // The sink may have closed the carrier. Bytes flow only from here on.
    if (this.#stateNow() !== "open") return;
    if (this.#paused) socket.pause();
    socket.on("data", (chunk: Buffer) => {
      if (this.#state === "open") this.#sink?.bytes(0, chunk);
    });
    socket.on("drain", () => {
      if (this.#state === "open") this.#sink?.drained(0);
    });
    socket.on("end", () => {
      this.#ended = true;
    });
  }

  /** The secure channel stands, on `socket`, and is not taken: it closes with this cause, and nobody hears of it as open. */
  refuse(socket: Socket, cause: SallyportError): void {
    if (socket !== this.#socket) {
      socket.on("error", () => undefined);
      socket.destroy();
    }
    this.#stop(cause);
  }

  readonly sessionUp = (): void => this.#session?.up();
  readonly forgetSession = (): void => this.#session?.forget();

  /** Records why the socket is about to close; the first cause stands. */
  fail(error: unknown): void {
    this.#cause ??= explainSocketError(error, {
      address: this.#info.remoteAddress,
      role: this.#role,
      opening: this.#state === "opening",
    });
  }

  open(): ChannelId {
    throw new SallyportError(
      "ERR_API_MISUSE",
      "CHANNEL_UNSUPPORTED",
      `a ${this.#info.transport} connection has channel 0 only; use QUIC for further channels`,
      { advice: "send on channel 0, or connect over a transport with channels" },
    );
  }

  write(_channel: ChannelId, bytes: Uint8Array): boolean {
    if (this.#state === "closed") return false;
    if (this.#state === "opening") throw notOpen();
    const socket = this.#socket;
    const pending = socket.writableLength + bytes.length;
    if (pending > this.#maxPendingBytes) {
      this.#stop(writeBufferFull(this.#info.remoteAddress, pending, this.#maxPendingBytes));
      return false;
    }
    if (bytes.length >= GATHER_BELOW_BYTES) {
      this.#uncork();
    } else if (!this.#corked) {
      this.#corked = true;
      socket.cork();
      this.#clock.afterTurn(this.#flushLater);
    }
    return socket.write(bytes);
  }

  flush(): void {
    this.#uncork();
  }

  reset(): void {
    this.destroy();
  }

  info(): CarrierInfo {
    return this.#info;
  }

  pendingBytes(): number {
    return this.#state === "closed" ? 0 : this.#socket.writableLength;
  }

  pause(): void {
    this.#paused = true;
    if (this.#state === "open") this.#socket.pause();
  }

  resume(): void {
    this.#paused = false;
    if (this.#state === "open") this.#socket.resume();
  }

  end(): void {
    if (this.#state === "opening") {
      this.destroy();
      return;
    }
    if (this.#state === "closed" || this.#linger !== undefined) return;
    this.#ended = true;
    this.#uncork();
    this.#socket.end();
    // A peer that never ends its side, or never reads ours, must not keep the socket.
    this.#linger = this.#clock.at(addMs(this.#clock.now(), this.#endLingerMs), () => this.#socket.destroy(), true);
    // A paused socket would never see the peer's end.
    if (this.#paused) this.resume();
  }

  destroy(): void {
    if (this.#state !== "closed") this.#stop(closedLocally(this.#info.remoteAddress));
  }

  #stop(cause: SallyportError): void {
    this.#cause ??= cause;
    this.#socket.destroy();
  }

  #uncork(): void {
    if (!this.#corked) return;
    this.#corked = false;
    this.#socket.uncork();
  }

  #hear(socket: Socket): void {
    socket.on("error", (error) => {
      if (this.#socket !== socket) return;
      this.fail(error);
      // Node reports some errors of TLS, such as a renegotiation, without closing.
      socket.destroy();
    });
    socket.on("close", () => {
      if (this.#socket === socket) this.#closed();
    });
  }

  #closed(): void {
    if (this.#state === "closed") return;
    const opening = this.#state === "opening";
    this.#state = "closed";
    this.#linger?.cancel();
    if (this.#cause === undefined && (opening || !this.#ended)) this.#cause = closedEarly(this.#info, opening);
    this.#sink?.closed(this.#cause);
  }

  /** The state, read anew after a call that may have changed it. */
  #stateNow(): State {
    return this.#state;
  }
}

function notOpen(): SallyportError {
  return new SallyportError(
    "ERR_API_MISUSE",
    "CARRIER_NOT_OPEN",
    "nothing can be written before the connection is open",
    {
      advice: "write from the sink's opened() on",
    },
  );
}

function closedLocally(address: string): SallyportError {
  return new SallyportError("ERR_CLOSED", "CLOSED_LOCALLY", `this node closed the connection with ${address}`, {
    detail: { address },
    stage: "session",
    advice: "look for the reason this node gives at the same moment",
  });
}

function closedEarly(info: CarrierInfo, opening: boolean): SallyportError {
  const address = info.remoteAddress;
  if (!opening) {
    return new SallyportError(
      "ERR_CLOSED",
      "CONNECTION_LOST",
      `the connection with ${address} ended without a cause given`,
      {
        detail: { address },
        stage: "session",
        advice: "read the other node's log",
      },
    );
  }
  return new SallyportError(
    "ERR_CLOSED",
    "CLOSED_WHILE_OPENING",
    `${address} closed before the ${info.transport} connection was up`,
    {
      detail: { address },
      stage: info.transport === "tls" ? "tls" : "port",
      advice: "check that this is the port of a node that expects this kind of connection, and read its log",
    },
  );
}

function writeBufferFull(address: string, pending: number, limit: number): SallyportError {
  return new SallyportError(
    "ERR_LIMIT",
    "WRITE_BUFFER_FULL",
    `${pending} octets wait for ${address} where maxPendingBytes is ${limit}; the connection was cut`,
    {
      detail: { address, limit, value: pending, option: "maxPendingBytes" },
      stage: "session",
      advice: "send less, wait for drained, or raise maxPendingBytes",
    },
  );
}
