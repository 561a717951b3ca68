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
  /**
   * The certificates the peer sent, DER, its own first; only where its chain is not trusted. At most 20.
   */
  readonly peerChain?: readonly Buffer[] | undefined;
  /**
   * While opening, dialler: a session was `offered` to be resumed. Once open: `resumed` when it was, so that certificates
   * are those of an earlier handshake; absent after a full one.
   */
  readonly resumption?: "offered" | "resumed" | undefined;
  /** What this side showed and trusts; one object for all connections of the same material. */
  readonly own?: OwnTls | undefined;
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

/** One side of TLS as it is set up, without its key. */
export interface OwnTls {
  /** DER: the node's own certificate, then its intermediates. */
  readonly chain: readonly Buffer[];
  /** DER of the certificates that chains may end at. */
  readonly authorities: readonly Buffer[];
  /** Intermediates that peers with a trusted chain have sent, DER; at most 16, the latest. */
  readonly seen: readonly Buffer[];
  /** Most intermediates between a peer's certificate and its root. */
  readonly depth: number;
  readonly minVersion: string;
  readonly maxVersion: string;
  /** Cipher suites by the names of OpenSSL; undefined: those of the platform. */
  readonly ciphers: readonly string[] | undefined;
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
   * Told when the distribution handshake is over on this side. A carrier of many streams, which can bring frames before the
   * handshake's last message, may hand them up from the end of the turn on; one of TLS keeps what it can resume.
   */
  readonly sessionUp?: () => void;
  /**
   * Nothing of the secure session under this connection is to be resumed: the dialler drops what it has for this address and
   * name, the acceptor wants the peer's certificate shown again. Idempotent. Absent where nothing is ever resumed.
   */
  readonly forgetSession?: () => void;
}

/** Upward side of a carrier. Implemented by the layer that owns the connection. */
export interface CarrierSink {
  /** The secure channel stands; before it no bytes come. Exactly once, or never when `closed` comes first. */
  opened(info: CarrierInfo): void;
  /** The chunk belongs to the receiver: the carrier never reuses it. */
  bytes(channel: ChannelId, chunk: Buffer): void;
  /** After a `write` that returned false: there is room again. */
  drained(channel: ChannelId): void;
  /** The peer lives, by what the transport itself exchanges; at most once a second. Carriers that know no such thing never say it. */
  heard?(): void;
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

/** What a dial may say beside where to. */
export interface DialOptions {
  /** The node that is dialled: what was kept of another one at the same address is not offered. */
  readonly name?: NodeName;
  /** Nothing is resumed: both sides show their certificates as they are now. Default false. */
  readonly isFull?: boolean;
}

/** Makes outgoing carriers of one kind. */
export interface CarrierDialer {
  /**
   * Starts connecting; the result reports through `sink`. `serverName` is the host part of the dialled node name (SNI).
   * The carrier has no deadline of its own: the owner destroys it when its handshake deadline passes.
   */
  dial(address: DialAddress, serverName: string, sink: CarrierSink, options?: DialOptions): Carrier;
  /** How this side does TLS; absent without TLS. */
  readonly own?: OwnTls;
  /** One TLS handshake for diagnosis, with its own certificate and other options; absent without TLS. */
  probe?(question: ProbeQuestion): Promise<ProbeAnswer>;
}

/** A TLS handshake that is to tell what the other side takes. */
export interface ProbeQuestion {
  readonly address: DialAddress;
  readonly serverName: string;
  readonly timeoutMs: number;
  /** Offer these alone. Default: the versions of the platform from TLS 1.2 on. */
  readonly version?: "TLSv1.2" | "TLSv1.3";
  /** Suites by the names of OpenSSL. Default: all that the platform has. */
  readonly ciphers?: readonly string[];
  /** As the node itself dials: its versions, suites and application protocols. Default false. */
  readonly asConfigured?: boolean;
}

/** What came of it. */
export interface ProbeAnswer {
  /** Of a handshake that was finished on this side; whether the other side liked our certificate is not in it. */
  readonly opened:
    | { readonly version: string; readonly cipher: string; readonly peerChain: readonly Buffer[] }
    | undefined;
  /** Why it was not. */
  readonly error: SallyportError | undefined;
  /** The first octets that came from the other side, at most 8. */
  readonly firstBytes: Buffer;
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
