import type { Assurance } from "../base/assurance.ts";
import type { SallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";
import type { PublicKey } from "../identity/public-key.ts";

/** Number of a byte channel inside one carrier. TCP, TLS and memory carriers have channel 0 only. */
export type ChannelId = number;

/** What kind of channel to open; only multiplexing carriers (QUIC) know more than the one they start with. */
export type ChannelKind = "control" | "data" | "auth" | "user" | "user-uni";

/** Facts about the secured transport under a connection. Certificates are DER; present only with TLS or QUIC. */
export interface CarrierInfo {
  readonly transport: "tcp" | "tls" | "quic" | "memory";
  /** `host:port` of the other end, for logs; IPv6 in brackets. */
  readonly remoteAddress: string;
  readonly localAddress: string;
  /** TLS version as Node names it (`TLSv1.3`), or undefined. */
  readonly tlsVersion: string | undefined;
  /** Negotiated cipher suite as OpenSSL names it; absent without TLS. */
  readonly tlsCipher?: string | undefined;
  /** Negotiated ALPN protocol, or undefined when none was selected. */
  readonly alpn: string | undefined;
  readonly ownCertDer: Buffer | undefined;
  readonly peerCertDer: Buffer | undefined;
  /** True when the peer's chain ends at a configured CA, is within its dates and allowed for its use. */
  readonly chainTrusted: boolean;
  /** Why the chain is not trusted, as Node's stable code (`CERT_HAS_EXPIRED`, ...). */
  readonly chainError: string | undefined;
  /** RFC 5705/9266 keying material bound to this TLS session. */
  readonly exporter: ((label: string, length: number) => Buffer) | undefined;
  /** Present only where the carrier itself runs an exchange of keys, as barrel's does. */
  readonly proven?: ProvenByCarrier | undefined;
}

/** What an exchange of keys inside the carrier proved of the peer, before the distribution handshake. */
export interface ProvenByCarrier {
  readonly protocol: "barrel";
  /** The only name that this connection may have. Where `publicKey` is undefined it is a claim, which the cookie has yet to cover. */
  readonly name: NodeName;
  /** Undefined in cookie-only mode. */
  readonly publicKey: PublicKey | undefined;
  /** The most that the peer may count for; nothing is pinned by it yet. */
  readonly assurance: Assurance;
}

/** What is known where nothing is secured, or not yet. */
export const UNSECURED: Readonly<Omit<CarrierInfo, "transport" | "remoteAddress" | "localAddress">> = {
  tlsVersion: undefined,
  alpn: undefined,
  ownCertDer: undefined,
  peerCertDer: undefined,
  chainTrusted: false,
  chainError: undefined,
  exporter: undefined,
};

/**
 * A byte transport under one connection, secured or not. All calls are synchronous; nothing throws after close.
 * `write` takes ownership: the buffer must not change until it was written.
 */
export interface Carrier {
  /** Opens a further channel. @throws {SallyportError} ERR_API_MISUSE CHANNEL_UNSUPPORTED on single-channel carriers. */
  open(kind: ChannelKind): ChannelId;
  /**
   * Queues bytes. False means congested: stop when you can, `sink.drained` follows. After close the bytes are dropped.
   * @throws {SallyportError} ERR_API_MISUSE CARRIER_NOT_OPEN before `sink.opened`: nobody has judged the peer yet.
   */
  write(channel: ChannelId, bytes: Uint8Array): boolean;
  /** Hands everything queued on the channel to the system at once. */
  flush(channel: ChannelId): void;
  /** Ends one channel abruptly. On channel 0 of a single-channel carrier this is `destroy`. */
  reset(channel: ChannelId, code: number): void;
  info(): CarrierInfo;
  /** Bytes accepted by `write` that the system has not taken yet. */
  pendingBytes(): number;
  /** Stops and resumes reading, for inbound back-pressure. */
  pause(): void;
  resume(): void;
  /** Sends what is queued, then ends both directions. Idempotent. */
  end(): void;
  /** Closes at once; what is queued is lost. Idempotent. */
  destroy(): void;
  /**
   * True: bytes that `pendingBytes` does not count any more are not looked at again, and their buffer may be written anew.
   * Absent: they may go on as they are, as to another end in this process.
   */
  readonly copiesWrites?: boolean;
  /**
   * Frees the memory of chunks that this carrier handed up, at once instead of by the collector: no view of them may be in
   * use any more. Absent: the collector does it. A carrier has it only when nobody but its sink ever holds its chunks.
   */
  readonly release?: (chunks: readonly Buffer[]) => void;
  /**
   * Told when the distribution handshake is over on this side: frames may be handed up from the end of the turn on. A carrier has it
   * only when it can bring frames before the handshake's last message, as one of many streams can.
   */
  readonly sessionUp?: () => void;
}

/** Upward side of a carrier. Implemented by the layer that owns the connection. */
export interface CarrierSink {
  /** The secure channel stands; before it no bytes come. Exactly once, or never when `closed` comes first. */
  opened(info: CarrierInfo): void;
  /** The chunk belongs to the receiver: the carrier never reuses it. */
  bytes(channel: ChannelId, chunk: Buffer): void;
  /** After a `write` that returned false: there is room again. */
  drained(channel: ChannelId): void;
  /** Exactly once per carrier, whatever the cause; `undefined` means the peer ended in good order. */
  closed(cause: SallyportError | undefined): void;
}

/** How bytes are carried to an address; the first word of an endpoint. */
export type Scheme = "tls" | "tcp" | "quic";

/** Where and how to dial. */
export interface DialAddress {
  readonly scheme: Scheme;
  readonly host: string;
  readonly port: number;
}

/** Makes outgoing carriers of one kind. */
export interface CarrierDialer {
  /**
   * Starts connecting; the result reports through `sink`. `serverName` is the host part of the dialled node name (SNI).
   * The carrier has no deadline of its own: the owner destroys it when its handshake deadline passes.
   */
  dial(address: DialAddress, serverName: string, sink: CarrierSink): Carrier;
}

/** Accepts incoming carriers. */
export interface Listener {
  /** The address really bound. */
  readonly host: string;
  readonly port: number;
  /** Stops accepting; accepted carriers live on. */
  close(): Promise<void>;
}

/** A half-open connection's place under the listener's cap (`accept-gate.ts`). */
export interface Admission {
  /** Gives the place back: the peer is authenticated. Idempotent; the listener calls it itself when the carrier closes. */
  release(): void;
}

/** Called once per accepted connection, before TLS has finished: it returns the sink that hears the rest. */
export type AcceptHandler = (carrier: Carrier, admission: Admission) => CarrierSink;
