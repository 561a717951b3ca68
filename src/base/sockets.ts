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
