import type { RemoteInfo } from "node:dgram";
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { EngineConfig, ListenOrder, MaterialOrder } from "../carrier/quic/engine-frames.ts";
import type { HostPort, NativeBinding, NativeConfig, NativeConnection, NativeHeader } from "./binding.ts";
import { makeConfig } from "./configs.ts";
import { destinationKey, idKey, isLongHeader, OWN_ID_BYTES, shortPacketId } from "./packet-head.ts";
import { largestDatagram } from "./packet-size.ts";
import { ResetTokens } from "./reset-tokens.ts";
import { RetryTokens } from "./retry-token.ts";
import type { Session } from "./session.ts";
import { SourceRate } from "./source-rate.ts";
import { type DatagramHandler, UdpSocket } from "./udp.ts";

/** Smallest datagram that may begin a connection, octets. RFC 9000 section 14.1. */
const MIN_INITIAL_BYTES = 1200;
const TICKET_KEY_BYTES = 48;

/** A connection that begins. */
export interface Beginning {
  readonly connection: NativeConnection;
  readonly keys: readonly string[];
  readonly socket: UdpSocket;
  readonly remote: HostPort;
}

/** The node's answer: makes the session with `begin`, or without it forgets who asked. */
export type Answer = (begin: ((beginning: Beginning) => Session) | undefined) => void;

export interface ListenParts {
  readonly binding: NativeBinding;
  readonly clock: Clock;
  readonly random: Random;
  readonly config: EngineConfig;
  /** Places left for connections that are not authenticated. */
  readonly hasRoom: () => boolean;
  /** Asks the node whether a connection from that address may begin; the answer makes its session, or drops it. */
  readonly ask: (remote: HostPort, answer: Answer) => void;
}

/** One listener's UDP socket: finds the session of each datagram, and begins new ones within bounds. */
export class ListenSocket implements DatagramHandler {
  readonly #parts: ListenParts;
  readonly #order: ListenOrder;
  #config: NativeConfig;
  readonly #rate: SourceRate;
  readonly #tokens: RetryTokens;
  readonly #resetRate: SourceRate;
  /** Once it is bound. */
  #resets: ResetTokens | undefined;
  readonly #sessions: Map<string, Session> = new Map<string, Session>();
  /** Connection ids of those about whom the node was asked. */
  readonly #asked: Set<string> = new Set<string>();
  #socket: UdpSocket | undefined;
  #accepting = true;

  constructor(parts: ListenParts, order: ListenOrder) {
    this.#parts = parts;
    this.#order = order;
    this.#rate = new SourceRate(parts.config.initialsPerSecond, parts.config.initialsBurst);
    this.#resetRate = new SourceRate(parts.config.initialsPerSecond, parts.config.initialsBurst);
    this.#tokens = new RetryTokens(parts.random.bytes(32));
    this.#config = this.#configOf(order);
  }

  /** Later connections show another certificate. */
  replaceMaterial(material: MaterialOrder): void {
    this.#config = this.#configOf(material);
  }

  #configOf(material: MaterialOrder): NativeConfig {
    const { alpn } = this.#order;
    const { idleTimeoutMs } = this.#parts.config;
    return makeConfig(this.#parts.binding, {
      alpn,
      idleTimeoutMs,
      certPem: material.certPem,
      keyPem: material.keyPem,
    });
  }

  /** Binds the first free port of the order. Rejects with the system's code as message. */
  async bind(): Promise<HostPort> {
    for (let port = this.#order.first; ; port++) {
      try {
        this.#socket = await UdpSocket.bind(this.#order.host, port, this);
        const bound = { host: this.#socket.host, port: this.#socket.port };
        this.#resets = new ResetTokens(this.#order.keyPem, bound);
        return bound;
      } catch (error) {
        if (port >= this.#order.last || !(error instanceof Error && error.message === "EADDRINUSE")) throw error;
      }
    }
  }

  /** Takes no new connections; the socket closes with the last one. */
  close(): void {
    this.#accepting = false;
    this.#closeWhenEmpty();
  }

  forget(session: Session): void {
    for (const key of session.keys) this.#sessions.delete(key);
    this.#closeWhenEmpty();
  }

  datagram(bytes: Buffer, from: RemoteInfo): void {
    const key = destinationKey(bytes);
    if (key === undefined) return;
    const session = this.#sessions.get(key);
    if (session !== undefined) session.datagram(bytes, from.address, from.port);
    else if (this.#accepting && !this.#asked.has(key) && isLongHeader(bytes) && bytes.length >= MIN_INITIAL_BYTES)
      this.#begin(bytes, from);
    else this.#disown(bytes, from);
  }

  /** A packet of a connection of an earlier life, perhaps: its peer is told that it is over. */
  #disown(bytes: Buffer, from: RemoteInfo): void {
    const socket = this.#socket;
    const resets = this.#resets;
    const id = shortPacketId(bytes);
    if (socket === undefined || resets === undefined || id === undefined) return;
    const { clock, random } = this.#parts;
    if (!this.#resetRate.admit(from.address, clock.now())) return;
    this.#answer(socket, from, (out) => resets.write(out, id, bytes.length, random));
  }

  #begin(bytes: Buffer, from: RemoteInfo): void {
    const { binding, clock, random, hasRoom, ask } = this.#parts;
    const socket = this.#socket;
    // QUIC takes no zone of a link-local address.
    if (socket === undefined || from.address.includes("%")) return;
    if (!(hasRoom() && this.#rate.admit(from.address, clock.now()))) return;
    const head = this.#header(bytes);
    if (head === undefined) return;
    if (!binding.versionIsSupported(head.version)) {
      this.#answer(socket, from, (out) => binding.negotiateVersion(head.scid, head.dcid, out));
      return;
    }
    if (head.ty !== binding.Type.Initial) return;
    let id: Uint8Array = random.bytes(OWN_ID_BYTES);
    let original: Uint8Array | null = null;
    if (this.#order.retry) {
      const token = head.token;
      if (token === undefined || token === null || token.length === 0) {
        const issued = this.#tokens.issue(from.address, from.port, head.dcid, clock.now());
        this.#answer(socket, from, (out) => binding.retry(head.scid, head.dcid, id, issued, head.version, out));
        return;
      }
      original = this.#tokens.open(from.address, from.port, token, clock.now()) ?? null;
      if (original === null || head.dcid.length !== OWN_ID_BYTES) return;
      // The client now uses the id that the Retry gave it.
      id = head.dcid;
    }
    const key = idKey(head.dcid);
    this.#asked.add(key);
    ask({ host: from.address, port: from.port }, (begin) => {
      this.#asked.delete(key);
      if (begin !== undefined) this.#accept(begin, socket, id, key, original, bytes, from);
      this.#closeWhenEmpty();
    });
  }

  #accept(
    begin: (beginning: Beginning) => Session,
    socket: UdpSocket,
    id: Uint8Array,
    key: string,
    original: Uint8Array | null,
    bytes: Buffer,
    from: RemoteInfo,
  ): void {
    const { binding, random } = this.#parts;
    // With the key of its tickets gone, no session of before can be resumed.
    this.#config.setTicketKey(random.bytes(TICKET_KEY_BYTES));
    // After a Retry there is no room for it: this version of QUIC has 128 octets for what a side tells of itself.
    this.#config.setStatelessResetToken(original === null ? this.#resets?.of(id) : undefined);
    this.#config.setMaxSendUdpPayloadSize(largestDatagram(from.address));
    const remote = { host: from.address, port: from.port };
    const local = { host: socket.host, port: socket.port };
    const connection = binding.Connection.accept(id, original, local, remote, this.#config);
    const keys = [...new Set([idKey(id), key])];
    const session = begin({ connection, keys, socket, remote });
    for (const each of keys) this.#sessions.set(each, session);
    session.datagram(bytes, from.address, from.port);
  }

  #header(bytes: Buffer): NativeHeader | undefined {
    try {
      return this.#parts.binding.Header.fromSlice(bytes, OWN_ID_BYTES);
    } catch {
      return undefined;
    }
  }

  #answer(socket: UdpSocket, to: RemoteInfo, make: (out: Buffer) => number): void {
    const datagram = UdpSocket.take(undefined);
    try {
      const length = make(datagram.bytes);
      if (length > 0) socket.send(datagram, length, to.address, to.port);
      else UdpSocket.giveBack(datagram);
    } catch {
      UdpSocket.giveBack(datagram);
    }
  }

  #closeWhenEmpty(): void {
    if (this.#accepting || this.#sessions.size > 0 || this.#asked.size > 0) return;
    this.#socket?.close();
    this.#socket = undefined;
  }
}
