import { createRequire } from "node:module";

/** The part of the native quiche binding that the engine uses. Hosts are IP literals throughout: names would block. */
export interface HostPort {
  host: string;
  port: number;
}

export interface NativeConfig {
  verifyPeer(verify: boolean): void;
  grease(grease: boolean): void;
  setTicketKey(key: Uint8Array): void;
  /** Of connections that are accepted with it from now on; undefined: they have none. */
  setStatelessResetToken(token: bigint | undefined): void;
  setApplicationProtos(protocols: string[]): void;
  setMaxIdleTimeout(milliseconds: number): void;
  setMaxRecvUdpPayloadSize(octets: number): void;
  setMaxSendUdpPayloadSize(octets: number): void;
  setInitialMaxData(octets: number): void;
  setInitialMaxStreamDataBidiLocal(octets: number): void;
  setInitialMaxStreamDataBidiRemote(octets: number): void;
  setInitialMaxStreamDataUni(octets: number): void;
  setInitialMaxStreamsBidi(count: number): void;
  setInitialMaxStreamsUni(count: number): void;
  setActiveConnectionIdLimit(count: number): void;
  setDisableActiveMigration(disable: boolean): void;
  setMaxConnectionWindow(octets: number): void;
  setMaxStreamWindow(octets: number): void;
  enablePacing(enable: boolean): void;
}

export interface ConnectionEnd {
  readonly isApp: boolean;
  readonly errorCode: number;
  readonly reason: Uint8Array;
}

export interface NativeConnection {
  recv(data: Uint8Array, info: { from: HostPort; to: HostPort }): number;
  send(data: Uint8Array): [length: number, info: { readonly to: HostPort }] | null;
  /** Whether the peer has answered there. Throws for a path that is not known. */
  isPathValidated(from: HostPort, to: HostPort): boolean;
  /** The next packet on one path. Throws for a path that is not known. */
  sendOnPath(data: Uint8Array, from: HostPort, to: HostPort): [length: number, info: unknown] | null;
  streamRecv(stream: number, data: Uint8Array): [length: number, fin: boolean] | null;
  streamSend(stream: number, data: Uint8Array, fin: boolean): number | null;
  /** Octets the stream may send now. Throws for a stream that ended, or that is not known. */
  streamCapacity(stream: number): number;
  streamShutdown(stream: number, direction: number, code: number): unknown;
  /** Lower urgencies are sent first; 0 to 255. */
  streamPriority(stream: number, urgency: number, incremental: boolean): unknown;
  streamReadable(stream: number): boolean;
  isReadable(): boolean;
  /** True when everything was read and no more comes; also for a stream that is forgotten. */
  streamFinished(stream: number): boolean;
  /** Costs tens of microseconds, however few it lists. */
  readable(): Iterable<number>;
  /** Before the connection stands: what every path carries. */
  maxSendUdpPayloadSize(): number;
  /** Of packets; `recv`: that were decrypted. */
  stats(): { readonly lost: number; readonly recv: number };
  timeout(): number | null;
  onTimeout(): void;
  sendAckEliciting(): void;
  close(app: boolean, code: number, reason: Uint8Array): unknown;
  applicationProto(): Uint8Array;
  peerCertChain(): Uint8Array[] | null;
  isEstablished(): boolean;
  isResumed(): boolean;
  isDraining(): boolean;
  isClosed(): boolean;
  isTimedOut(): boolean;
  peerError(): ConnectionEnd | null;
  localError(): ConnectionEnd | null;
}

export interface NativeHeader {
  readonly ty: number;
  readonly version: number;
  readonly dcid: Uint8Array;
  readonly scid: Uint8Array;
  readonly token?: Uint8Array | null;
}

export interface NativeBinding {
  readonly Config: {
    withBoringSslCtx(
      verifyPeer: boolean,
      verifyAllowFail: boolean,
      ca: Uint8Array | null,
      keys: Uint8Array[] | null,
      certificates: Uint8Array[] | null,
      signatureAlgorithms: string | null,
    ): NativeConfig;
  };
  readonly Connection: {
    connect(
      serverName: string | null,
      scid: Uint8Array,
      local: HostPort,
      remote: HostPort,
      config: NativeConfig,
    ): NativeConnection;
    accept(
      scid: Uint8Array,
      odcid: Uint8Array | null,
      local: HostPort,
      remote: HostPort,
      config: NativeConfig,
    ): NativeConnection;
  };
  readonly Header: { fromSlice(data: Uint8Array, dcidLength: number): NativeHeader };
  readonly Type: { readonly Initial: number };
  readonly Shutdown: { readonly Read: number; readonly Write: number };
  versionIsSupported(version: number): boolean;
  negotiateVersion(scid: Uint8Array, dcid: Uint8Array, out: Uint8Array): number;
  retry(
    scid: Uint8Array,
    dcid: Uint8Array,
    newScid: Uint8Array,
    token: Uint8Array,
    version: number,
    out: Uint8Array,
  ): number;
}

/** The next packet to leave, written to `into`; null when there is none. */
export function nextPacket(connection: NativeConnection, into: Buffer): ReturnType<NativeConnection["send"]> {
  try {
    return connection.send(into);
  } catch {
    // It has ended.
    return null;
  }
}

/** Whether the peer has proven to be there, so that it may be sent more than it has sent itself. */
export function isPathProven(connection: NativeConnection, from: HostPort, to: HostPort): boolean {
  try {
    return connection.isPathValidated(from, to);
  } catch {
    // No path of this connection.
    return false;
  }
}

/** The next packet to leave on one path, written to `into`: its length, 0 where there is none. */
export function nextPacketOn(connection: NativeConnection, into: Buffer, from: HostPort, to: HostPort): number {
  try {
    return connection.sendOnPath(into, from, to)?.[0] ?? 0;
  } catch {
    // It has ended, or has forgotten the path.
    return 0;
  }
}

/** Name of the package that holds the binding for a platform. */
export function bindingPackage(platform: string, arch: string): string {
  return `@infisical/quic-${platform}-${arch}`;
}

/** Loads the binding of this platform's package. Throws what `require` throws. */
export function loadBinding(platform: string, arch: string): NativeBinding {
  const require = createRequire(import.meta.url);
  return require(bindingPackage(platform, arch)) as NativeBinding;
}
