/** One plain TCP exchange for small request/response protocols such as EPMD. Implemented in `carrier/`. */
export interface PlainSocket {
  write(bytes: Uint8Array): void;
  /** Idempotent. */
  destroy(): void;
  /** Keeps or does not keep the process alive. */
  keepAlive(on: boolean): void;
}

export interface PlainSocketSink {
  connected(): void;
  /** The chunk is the receiver's to keep. */
  bytes(chunk: Buffer): void;
  /** Exactly once, whatever the cause; `error` is the system's code (ECONNREFUSED, ...) when there was one. */
  closed(error: string | undefined): void;
}

/** Plain sockets for the protocols around distribution (EPMD), as an injected part. */
export interface Sockets {
  connect(host: string, port: number, sink: PlainSocketSink): PlainSocket;
}

/** A socket that somebody else has opened. */
export interface ServedSocket extends PlainSocket {
  /** Sends what is written, then closes. Idempotent. */
  end(): void;
}

/** Called once per accepted socket with the address of the other end; undefined: it was destroyed. */
export type PlainAcceptHandler = (socket: ServedSocket, host: string) => PlainSocketSink | undefined;
