import type { Clock } from "../base/clock.ts";
import { SallyportError } from "../base/errors.ts";
import { type Carrier, type CarrierInfo, type CarrierSink, type ChannelId, UNSECURED } from "./carrier.ts";

export interface MemoryOptions {
  /** Deliveries run in its `afterTurn`; absent: only `MemoryPair.pump` delivers. */
  readonly clock?: Clock;
  /** Cuts what is delivered at once into chunks, as a network would; their concatenation must be the input. Default: none. */
  readonly split?: (bytes: Buffer) => readonly Buffer[];
  /** Undelivered octets from which `write` answers false; default 256 KiB. */
  readonly highWaterBytes?: number;
  /** Undelivered octets beyond which the connection is cut; default 256 MiB. */
  readonly maxPendingBytes?: number;
  /** What each end learns of the other, such as certificates; overrides the plain defaults. */
  readonly first?: Partial<CarrierInfo>;
  readonly second?: Partial<CarrierInfo>;
}

/** Two connected ends. */
export interface MemoryPair {
  readonly first: MemoryCarrier;
  readonly second: MemoryCarrier;
  /** Names both sinks and opens both ends at the next delivery. Once. */
  connect(firstSink: CarrierSink, secondSink: CarrierSink): void;
  /** Delivers all that can be delivered, until both ends are quiet. Returns the number of deliveries. */
  pump(): number;
}

const DEFAULT_HIGH_WATER_BYTES = 256 * 1024;
const DEFAULT_MAX_PENDING_BYTES = 256 * 1024 * 1024;

type State = "opening" | "open" | "ending" | "closed";

/** One end of a memory pair. Bytes are copied when delivered, so a writer that breaks the ownership rule is seen. */
export class MemoryCarrier implements Carrier {
  readonly #options: MemoryOptions;
  readonly #info: CarrierInfo;
  readonly #wake: () => void;
  #peer: MemoryCarrier | undefined;
  #sink: CarrierSink | undefined;
  #state: State = "opening";
  #queue: Uint8Array[] = [];
  #pending = 0;
  #congested = false;
  #paused = false;
  /** Set when this end has to report its close at the next delivery. */
  #closing: { readonly cause: SallyportError | undefined } | undefined;

  constructor(options: MemoryOptions, info: CarrierInfo, wake: () => void) {
    this.#options = options;
    this.#info = info;
    this.#wake = wake;
  }

  /** Joins the two ends. */
  join(peer: MemoryCarrier): void {
    this.#peer = peer;
  }

  listen(sink: CarrierSink): void {
    this.#sink = sink;
    this.#wake();
  }

  open(): ChannelId {
    throw new SallyportError("ERR_API_MISUSE", "CHANNEL_UNSUPPORTED", "a memory connection has channel 0 only", {
      advice: "send on channel 0",
    });
  }

  write(_channel: ChannelId, bytes: Uint8Array): boolean {
    if (this.#state === "opening") {
      throw new SallyportError(
        "ERR_API_MISUSE",
        "CARRIER_NOT_OPEN",
        "nothing can be written before the connection is open",
        {
          advice: "write from the sink's opened() on",
        },
      );
    }
    if (this.#state !== "open") return false;
    const limit = this.#options.maxPendingBytes ?? DEFAULT_MAX_PENDING_BYTES;
    if (this.#pending + bytes.length > limit) {
      const value = this.#pending + bytes.length;
      const message = `${value} octets wait in memory where maxPendingBytes is ${limit}; the connection was cut`;
      this.#stop(
        new SallyportError("ERR_LIMIT", "WRITE_BUFFER_FULL", message, {
          detail: { limit, value, option: "maxPendingBytes" },
          stage: "session",
          advice: "send less, wait for drained, or raise maxPendingBytes",
        }),
      );
      return false;
    }
    this.#queue.push(bytes);
    this.#pending += bytes.length;
    this.#wake();
    if (this.#pending >= (this.#options.highWaterBytes ?? DEFAULT_HIGH_WATER_BYTES)) this.#congested = true;
    return !this.#congested;
  }

  flush(): void {
    this.#wake();
  }

  reset(): void {
    this.destroy();
  }

  info(): CarrierInfo {
    return this.#info;
  }

  pendingBytes(): number {
    return this.#pending;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#wake();
  }

  end(): void {
    if (this.#state === "opening") this.destroy();
    if (this.#state !== "open") return;
    this.#state = "ending";
    this.#paused = false;
    this.#wake();
  }

  destroy(): void {
    if (this.#state === "closed" || this.#closing !== undefined) return;
    this.#stop(
      new SallyportError("ERR_CLOSED", "CLOSED_LOCALLY", "this node closed the memory connection", {
        stage: "session",
        advice: "look for the reason this node gives at the same moment",
      }),
    );
  }

  #stop(cause: SallyportError): void {
    const reset = new SallyportError(
      "ERR_CLOSED",
      "CONNECTION_RESET",
      "the other end of the memory connection cut it",
      {
        stage: "session",
        advice: "look for the reason the other node gives at the same moment",
      },
    );
    this.#shut(cause);
    const peer = this.#peer;
    if (peer !== undefined) peer.#shut(reset);
    this.#wake();
  }

  #shut(cause: SallyportError | undefined): void {
    if (this.#state === "closed" || this.#closing !== undefined) return;
    this.#closing = { cause };
    if (this.#state === "open") this.#state = "ending";
    this.#queue = [];
    this.#pending = 0;
  }

  /** One step of this end's affairs: open, hand the other end what is queued, end, or close. True when something happened. */
  step(): boolean {
    const peer = this.#peer;
    if (this.#sink === undefined || peer === undefined || peer.#sink === undefined || this.#state === "closed")
      return false;
    if (this.#closing !== undefined) {
      this.#state = "closed";
      this.#sink.closed(this.#closing.cause);
      return true;
    }
    if (this.#state === "opening") {
      this.#state = "open";
      this.#sink.opened(this.#info);
      return true;
    }
    if (this.#pending > 0) return this.#deliver(peer);
    if (this.#state === "ending") {
      // Both directions are done once what the other end still had queued has come over.
      if (peer.#pending > 0 && peer.#closing === undefined) return false;
      this.#shut(undefined);
      peer.#shut(undefined);
      return true;
    }
    return false;
  }

  #deliver(peer: MemoryCarrier): boolean {
    if (peer.#paused || peer.#state === "opening") return false;
    const bytes = Buffer.concat(this.#queue);
    const chunks = this.#options.split?.(bytes) ?? [bytes];
    this.#queue = [];
    for (let i = 0; i < chunks.length; i++) {
      if (peer.#state === "closed" || peer.#closing !== undefined) break;
      if (peer.#paused) {
        this.#queue = [...chunks.slice(i), ...this.#queue];
        break;
      }
      const chunk = chunks[i] ?? Buffer.alloc(0);
      this.#pending -= chunk.length;
      if (chunk.length > 0) peer.#sink?.bytes(0, Buffer.from(chunk));
      if (this.#closing !== undefined) return true;
    }
    if (this.#congested && this.#pending === 0 && this.#state === "open") {
      this.#congested = false;
      this.#sink?.drained(0);
    }
    return true;
  }
}

/** Makes two ends of one connection in memory: ordered, lossless, without hidden time. */
export function createMemoryPair(options: MemoryOptions = {}): MemoryPair {
  let scheduled = false;
  let pumping = false;
  const pump = (): number => {
    if (pumping) return 0;
    pumping = true;
    let steps = 0;
    try {
      // Both ends take their turns until neither has anything left.
      for (let moved = true; moved; ) {
        moved = false;
        for (const end of [first, second]) {
          if (end.step()) {
            moved = true;
            steps++;
          }
        }
      }
    } finally {
      pumping = false;
    }
    return steps;
  };
  const run = (): void => {
    scheduled = false;
    pump();
  };
  const wake = (): void => {
    if (scheduled || pumping || options.clock === undefined) return;
    scheduled = true;
    options.clock.afterTurn(run);
  };
  const first = new MemoryCarrier(options, memoryInfo("memory:2", "memory:1", options.first), wake);
  const second = new MemoryCarrier(options, memoryInfo("memory:1", "memory:2", options.second), wake);
  first.join(second);
  second.join(first);
  return {
    first,
    second,
    connect(firstSink, secondSink) {
      first.listen(firstSink);
      second.listen(secondSink);
    },
    pump,
  };
}

function memoryInfo(remoteAddress: string, localAddress: string, given: Partial<CarrierInfo> | undefined): CarrierInfo {
  return {
    transport: "memory",
    remoteAddress,
    localAddress,
    ...UNSECURED,
    ...given,
  };
}
