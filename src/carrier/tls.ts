import { createServer, isIP, type Socket } from "node:net";
import {
  connect,
  createServer as createTlsServer,
  type TLSSocket,
  type TlsOptions,
  type Server as TlsServer,
} from "node:tls";
import { isSallyportError } from "../base/errors.ts";
import { admitSocket } from "./accept-socket.ts";
import { AcceptedSessions, keepById, type SessionEpoch, SessionOfAccept } from "./accepted-sessions.ts";
import type {
  AcceptHandler,
  Carrier,
  CarrierDialer,
  CarrierSink,
  DialAddress,
  DialOptions,
  Listener,
  OwnTls,
} from "./carrier.ts";
import { DialledSessions, SessionOfDial } from "./dialled-sessions.ts";
import { bindServer, type ListenAddress } from "./listen.ts";
import { formatAddress } from "./socket-address.ts";
import {
  DIAL_OPTIONS,
  HIGH_WATER_BYTES,
  type SessionHooks,
  SOCKET_OPTIONS,
  SocketCarrier,
  type SocketCarrierParts,
} from "./socket-carrier.ts";
import type { Gatekeeper } from "./source-gate.ts";
import {
  type CheckedMaterial,
  checkedMaterial,
  contextOptions,
  reusesSessions,
  type TlsCarrierOptions,
} from "./tls-context.ts";
import { failedHandshake, securedHandshake, type TlsDebug } from "./tls-debug.ts";
import type { TlsMaterial } from "./tls-material.ts";
import { openInfo, openingInfo, type PeerOfTls, peerAsKept, peerAsRemembered, peerAsShown } from "./tls-open.ts";
import { probeTls } from "./tls-probe.ts";

export type { TlsCarrierOptions } from "./tls-context.ts";

/** A dialer whose certificate can be replaced while it runs. */
export interface TlsDialer extends CarrierDialer {
  /** Later dials use this material; running connections keep theirs. */
  replaceMaterial(material: TlsMaterial): void;
}

/** A listener whose certificate can be replaced while it runs. */
export interface TlsListener extends Listener {
  /** Later handshakes use this material; running connections keep theirs. */
  replaceMaterial(material: TlsMaterial): void;
}

/** Backstop for an owner that forgot its deadline of 5 seconds, milliseconds. */
const HANDSHAKE_BACKSTOP_MS = 30_000;

/**
 * Dials TLS with mutual certificates. Node's own verdict never ends the connection: the result is handed up in
 * `CarrierInfo` (`chainTrusted`, `chainError`), names are not compared at all, and the owner decides before any byte is
 * used. Without `caPem` no chain is trusted; the public root certificates never count.
 * @throws {SallyportError} ERR_CONFIG TLS_MATERIAL when OpenSSL does not accept certificate or key
 */
export function createTlsDialer(
  parts: SocketCarrierParts,
  material: TlsMaterial,
  options: TlsCarrierOptions = {},
): TlsDialer {
  const { clock } = parts;
  let current = checkedMaterial(material, options);
  let shown = material;
  // Under other material nothing is resumed that was made under this.
  let sessions = new DialledSessions(clock);
  return {
    replaceMaterial(next: TlsMaterial): void {
      current = checkedMaterial(next, options);
      shown = next;
      sessions = new DialledSessions(clock);
    },
    get own(): OwnTls {
      return current.own;
    },
    probe: (question) =>
      probeTls(
        { ...parts, material: shown, configured: contextOptions(shown, options), alpn: options.alpn ?? [] },
        question,
      ),
    dial(address: DialAddress, serverName: string, sink: CarrierSink, how: DialOptions = {}): Carrier {
      const checked = current;
      const remoteAddress = formatAddress(address.host, address.port);
      const session = reusesSessions(options)
        ? new SessionOfDial(sessions, clock, `${remoteAddress} ${serverName} ${how.name ?? ""}`, how.isFull !== true)
        : undefined;
      const socket = connect({
        ...DIAL_OPTIONS,
        host: address.host,
        port: address.port,
        // RFC 6066 section 3 allows names only, and Node warns about addresses.
        ...(isIP(serverName) === 0 && serverName !== "" ? { servername: serverName } : {}),
        secureContext: checked.secureContext,
        rejectUnauthorized: false,
        checkServerIdentity: () => undefined,
        ...(session?.offer === undefined ? {} : { session: session.offer.session }),
        ...(options.alpn === undefined || options.alpn.length === 0 ? {} : { ALPNProtocols: [...options.alpn] }),
      });
      // Unlike net.connect, tls.connect drops these two from its options.
      socket.once("connect", () => {
        socket.setNoDelay(DIAL_OPTIONS.noDelay);
        socket.setKeepAlive(DIAL_OPTIONS.keepAlive, DIAL_OPTIONS.keepAliveInitialDelay);
      });
      const opening = openingInfo(remoteAddress, socket, checked, session?.offer !== undefined);
      const carrier = new SocketCarrier(parts, options, "dial", socket, opening);
      carrier.listen(sink);
      if (session !== undefined) followSession(socket, session);
      const end = { carrier, socket, remoteAddress, checked, options, role: "dialler" } as const;
      socket.once("secureConnect", () => {
        open(end, session, () => {
          const isResumed = socket.isSessionReused();
          const peer = isResumed
            ? peerAsKept(socket, remoteAddress, session?.offer, clock)
            : peerAsShown(socket, checked, options);
          session?.secured(isResumed ? undefined : peer.chain);
          return peer;
        });
      });
      const { debug } = options;
      if (debug !== undefined) {
        const failed = (error: unknown): void => {
          debug(failedHandshake("dialler", remoteAddress, error, options, socket));
        };
        socket.once("error", failed);
        socket.once("secureConnect", () => socket.off("error", failed));
      }
      return carrier;
    },
  };
}

/** Tells what a dialled socket brings and how it goes. */
function followSession(socket: TLSSocket, session: SessionOfDial): void {
  socket.on("session", (bytes: Buffer) => session.came(bytes));
  socket.once("connect", () => {
    session.sent();
    if (session.offer === undefined) return;
    // A handshake that was offered a session and failed may have failed by it.
    const failed = session.forget;
    socket.once("close", failed);
    socket.once("secureConnect", () => socket.off("close", failed));
  });
}

/**
 * Accepts TLS with mutual certificates, deciding nothing itself, as the dialer. The gate is asked before TLS begins, and
 * accepting never waits for a handshake. The handler gets each carrier before its TLS has finished.
 * @throws {SallyportError} ERR_CONFIG TLS_MATERIAL; those of `bindServer`
 */
export async function listenTls(
  parts: SocketCarrierParts & { readonly gate: Gatekeeper },
  address: ListenAddress,
  material: TlsMaterial,
  accept: AcceptHandler,
  options: TlsCarrierOptions = {},
): Promise<TlsListener> {
  let shown = material;
  const checked = checkedMaterial(material, options);
  const tls = createTlsServer({
    ...contextOptions(material, options),
    ...alpnOptions(options),
    requestCert: true,
    rejectUnauthorized: false,
    handshakeTimeout: HANDSHAKE_BACKSTOP_MS,
    ...{ highWaterMark: HIGH_WATER_BYTES },
  });
  const sessions = reusesSessions(options)
    ? new AcceptedSessions(parts.clock, () => tls.setSecureContext(contextOptions(shown, options)))
    : undefined;
  const handshakes = new Handshakes(tls, checked, options, sessions);
  const server = createServer(SOCKET_OPTIONS, (socket) => {
    const admission = admitSocket(parts.gate, socket);
    if (admission === undefined) return;
    const opening = openingInfo(formatAddress(socket.remoteAddress, socket.remotePort), socket, handshakes.checked);
    const carrier = new SocketCarrier(parts, options, "accept", socket, opening);
    carrier.listen(accept(carrier, admission));
    if (!socket.destroyed) handshakes.start(socket, carrier);
  });
  const listener = await bindServer(server, address);
  return {
    ...listener,
    replaceMaterial(next: TlsMaterial): void {
      handshakes.checked = checkedMaterial(next, options);
      shown = next;
      // With it come other ticket keys.
      tls.setSecureContext(contextOptions(next, options));
      sessions?.replaced();
    },
  };
}

/**
 * Runs the accepting side's handshakes. Node's TLS server reports their ends by the TLS socket only, and does not say
 * publicly which plain socket it was made of; the four address parts, unique among living connections, tell.
 */
class Handshakes {
  /** What the next handshake shows; one that runs keeps what it began with. */
  checked: CheckedMaterial;
  readonly #tls: TlsServer;
  readonly #sessions: AcceptedSessions | undefined;
  readonly #running: Map<string, Running> = new Map<string, Running>();

  constructor(
    tls: TlsServer,
    checked: CheckedMaterial,
    options: TlsCarrierOptions,
    sessions: AcceptedSessions | undefined,
  ) {
    this.#tls = tls;
    this.checked = checked;
    this.#sessions = sessions;
    if (sessions !== undefined) keepById(tls, sessions);
    tls.on("secureConnection", (socket) => {
      const running = this.#take(keyOf(socket));
      if (running === undefined) {
        socket.destroy();
        return;
      }
      const { carrier, checked: shown, epoch } = running;
      const remoteAddress = formatAddress(socket.remoteAddress, socket.remotePort);
      const session = epoch === undefined ? undefined : new SessionOfAccept(epoch);
      const end = { carrier, socket, remoteAddress, checked: shown, options, role: "acceptor" } as const;
      open(end, session, () => {
        const peer = socket.isSessionReused()
          ? peerAsRemembered(socket, remoteAddress, epoch)
          : peerAsShown(socket, shown, options);
        session?.secured(peer.chain);
        return peer;
      });
    });
    // The socket closes after this; its carrier then tells the cause. A peer that hung up has no address any more.
    tls.on("tlsClientError", (error, socket) => {
      const carrier = this.#running.get(keyOf(socket))?.carrier;
      carrier?.fail(error);
      const address = carrier?.info().remoteAddress ?? "";
      options.debug?.(failedHandshake("acceptor", address, error, options, socket));
    });
  }

  start(socket: Socket, carrier: SocketCarrier): void {
    const key = keyOf(socket);
    // First: it may make the keys that this handshake begins with.
    const epoch = this.#sessions?.begin();
    const running = { carrier, checked: this.checked, epoch };
    this.#running.set(key, running);
    socket.once("close", () => {
      if (this.#running.get(key) === running) this.#running.delete(key);
    });
    this.#tls.emit("connection", socket);
  }

  #take(key: string): Running | undefined {
    const running = this.#running.get(key);
    this.#running.delete(key);
    return running;
  }
}

interface Running {
  readonly carrier: SocketCarrier;
  /** What is shown and trusted in this handshake. */
  readonly checked: CheckedMaterial;
  /** What may be resumed in it; undefined: nothing. */
  readonly epoch: SessionEpoch | undefined;
}

function keyOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort} ${socket.localAddress} ${socket.localPort}`;
}

/** One end of a connection whose TLS has come to its end. */
interface OpenedEnd {
  readonly carrier: SocketCarrier;
  readonly socket: TLSSocket;
  readonly remoteAddress: string;
  readonly checked: CheckedMaterial;
  readonly options: TlsCarrierOptions;
  readonly role: TlsDebug["role"];
}

/** @param peerOf throws when a resumed session is not taken */
function open(end: OpenedEnd, session: SessionHooks | undefined, peerOf: () => PeerOfTls): void {
  const { carrier, socket, remoteAddress, checked, options, role } = end;
  // TLS 1.3 has no renegotiation, and this guard would mistake its key updates for one.
  if (socket.getProtocol() === "TLSv1.2") socket.disableRenegotiation();
  let peer: PeerOfTls;
  try {
    peer = peerOf();
  } catch (error) {
    if (!isSallyportError(error)) throw error;
    session?.forget();
    options.debug?.(failedHandshake(role, remoteAddress, error, options, socket));
    carrier.refuse(socket, error);
    return;
  }
  const info = openInfo(socket, remoteAddress, checked, options, peer);
  options.debug?.(securedHandshake(role, info, options));
  carrier.opened(socket, info, session);
}

function alpnOptions(options: TlsCarrierOptions): TlsOptions {
  const own = options.alpn ?? [];
  if (own.length === 0) return {};
  return { ALPNCallback: ({ protocols }) => own.find((protocol) => protocols.includes(protocol)) ?? protocols[0] };
}
