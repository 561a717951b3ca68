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

/** One UDP port of another host, which the system tells us about where it learns something. Implemented in `carrier/`. */
export interface DatagramPort {
  /** One datagram; nothing before `ready`. What does not leave is lost. */
  send(bytes: Uint8Array): void;
  /** Nothing is told afterwards. Idempotent. */
  close(): void;
}

export interface DatagramSink {
  ready(): void;
  /** A datagram from that port; the receiver's to keep. */
  bytes(datagram: Buffer): void;
  /** The system's code: `ECONNREFUSED` where the host has no such port, `ENETUNREACH` without a route, `ENOTFOUND` without an address. May come again. */
  failed(system: string): void;
}

/** UDP for diagnosis, as an injected part. */
export interface Datagrams {
  connect(host: string, port: number, sink: DatagramSink): DatagramPort;
  /** Binds a port of this machine for a moment; the system's code where that cannot be. Never rejects. */
  tryBind(host: string, port: number): Promise<string | undefined>;
}

/** A socket that somebody else has opened. */
export interface ServedSocket extends PlainSocket {
  /** Sends what is written, then closes. Idempotent. */
  end(): void;
}

/** Called once per accepted socket with the address of the other end; undefined: it was destroyed. */
export type PlainAcceptHandler = (socket: ServedSocket, host: string) => PlainSocketSink | undefined;
