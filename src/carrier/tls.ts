import { constants, X509Certificate } from "node:crypto";
import { createServer, isIP, type Socket } from "node:net";
import {
  connect,
  createSecureContext,
  createServer as createTlsServer,
  type SecureContextOptions,
  type TLSSocket,
  type TlsOptions,
  type Server as TlsServer,
} from "node:tls";
import { SallyportError, systemCode } from "../base/errors.ts";
import { readPemCertificates } from "../x509/check-key.ts";
import { admitSocket } from "./accept-socket.ts";
import {
  type AcceptHandler,
  type Carrier,
  type CarrierDialer,
  type CarrierInfo,
  type CarrierSink,
  type DialAddress,
  type Listener,
  type OwnTls,
  UNSECURED,
} from "./carrier.ts";
import { chainAsSent, countIntermediates, noteIntermediates } from "./chain-depth.ts";
import { bindServer, type ListenAddress } from "./listen.ts";
import { formatAddress } from "./socket-address.ts";
import {
  DIAL_OPTIONS,
  HIGH_WATER_BYTES,
  SOCKET_OPTIONS,
  SocketCarrier,
  type SocketCarrierLimits,
  type SocketCarrierParts,
} from "./socket-carrier.ts";
import type { Gatekeeper } from "./source-gate.ts";
import { failedHandshake, securedHandshake, type TlsDebug, type TlsDebugSink } from "./tls-debug.ts";
import type { TlsMaterial } from "./tls-material.ts";
import { probeTls } from "./tls-probe.ts";
import { DEFAULT_CHAIN_DEPTH, effectiveVersions, protocolOptions, type TlsProtocolOptions } from "./tls-protocol.ts";

export interface TlsCarrierOptions extends SocketCarrierLimits, TlsProtocolOptions {
  /**
   * ALPN protocols of this node, best first; default none. An acceptor lets in a client that offers only others and reports
   * no protocol, as with a client that offers none; TLS then has to confirm one of the client's, as OpenSSL in Node cannot
   * leave the answer out.
   */
  readonly alpn?: readonly string[];
  /** Hears how every handshake ended. Default nobody. */
  readonly debug?: TlsDebugSink;
}

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

/** Checked material. The certificate's bytes are kept: the TLS session gives them out by encoding them anew each time. */
interface CheckedMaterial {
  readonly secureContext: ReturnType<typeof createSecureContext>;
  readonly certDer: Buffer;
  /** The certificates of `caPem`, to count the way from a peer's to a root. */
  readonly authorities: readonly X509Certificate[];
  readonly own: OwnTls & { readonly seen: Buffer[] };
}

/** Every session proves itself anew: nothing is resumed, nothing renegotiated. */
const SECURE_OPTIONS = constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION;

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
  let current = checkedMaterial(material, options);
  let shown = material;
  return {
    replaceMaterial(next: TlsMaterial): void {
      current = checkedMaterial(next, options);
      shown = next;
    },
    get own(): OwnTls {
      return current.own;
    },
    probe: (question) =>
      probeTls(
        { ...parts, material: shown, configured: contextOptions(shown, options), alpn: options.alpn ?? [] },
        question,
      ),
    dial(address: DialAddress, serverName: string, sink: CarrierSink): Carrier {
      const checked = current;
      const socket = connect({
        ...DIAL_OPTIONS,
        host: address.host,
        port: address.port,
        // RFC 6066 section 3 allows names only, and Node warns about addresses.
        ...(isIP(serverName) === 0 && serverName !== "" ? { servername: serverName } : {}),
        secureContext: checked.secureContext,
        rejectUnauthorized: false,
        checkServerIdentity: () => undefined,
        ...(options.alpn === undefined || options.alpn.length === 0 ? {} : { ALPNProtocols: [...options.alpn] }),
      });
      // Unlike net.connect, tls.connect drops these two from its options.
      socket.once("connect", () => {
        socket.setNoDelay(DIAL_OPTIONS.noDelay);
        socket.setKeepAlive(DIAL_OPTIONS.keepAlive, DIAL_OPTIONS.keepAliveInitialDelay);
      });
      const opening = openingInfo(formatAddress(address.host, address.port), socket, checked);
      const carrier = new SocketCarrier(parts, options, "dial", socket, opening);
      carrier.listen(sink);
      socket.once("secureConnect", () => open(carrier, socket, opening.remoteAddress, checked, options, "dialler"));
      const { debug } = options;
      if (debug !== undefined) {
        const failed = (error: unknown): void => {
          debug(failedHandshake("dialler", opening.remoteAddress, error, options, socket));
        };
        socket.once("error", failed);
        socket.once("secureConnect", () => socket.off("error", failed));
      }
      return carrier;
    },
  };
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
  const checked = checkedMaterial(material, options);
  const tls = createTlsServer({
    ...contextOptions(material, options),
    ...alpnOptions(options),
    requestCert: true,
    rejectUnauthorized: false,
    handshakeTimeout: HANDSHAKE_BACKSTOP_MS,
    ...{ highWaterMark: HIGH_WATER_BYTES },
  });
  const handshakes = new Handshakes(tls, checked, options);
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
      tls.setSecureContext(contextOptions(next, options));
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
  readonly #running: Map<string, Running> = new Map<string, Running>();

  constructor(tls: TlsServer, checked: CheckedMaterial, options: TlsCarrierOptions) {
    this.#tls = tls;
    this.checked = checked;
    tls.on("secureConnection", (socket) => {
      const running = this.#take(keyOf(socket));
      if (running === undefined) socket.destroy();
      else
        open(
          running.carrier,
          socket,
          formatAddress(socket.remoteAddress, socket.remotePort),
          running.checked,
          options,
          "acceptor",
        );
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
    const running = { carrier, checked: this.checked };
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
}

function keyOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort} ${socket.localAddress} ${socket.localPort}`;
}

function open(
  carrier: SocketCarrier,
  socket: TLSSocket,
  remoteAddress: string,
  checked: CheckedMaterial,
  options: TlsCarrierOptions,
  role: TlsDebug["role"],
): void {
  // TLS 1.3 has no renegotiation, and this guard would mistake its key updates for one.
  if (socket.getProtocol() === "TLSv1.2") socket.disableRenegotiation();
  const info = openInfo(socket, remoteAddress, checked, options);
  options.debug?.(securedHandshake(role, info, options));
  carrier.opened(socket, info);
}

function openInfo(
  socket: TLSSocket,
  remoteAddress: string,
  { certDer: ownCertDer, authorities, own }: CheckedMaterial,
  options: TlsCarrierOptions,
): CarrierInfo {
  const peer = socket.getPeerX509Certificate();
  const peerCertDer = peer?.raw;
  const chainError = peer === undefined ? "NO_CERTIFICATE" : chainErrorOf(socket, peer, authorities, options);
  if (peer !== undefined && chainError === undefined) noteIntermediates(peer, own.seen);
  const alpn = socket.alpnProtocol;
  return {
    transport: "tls",
    remoteAddress,
    localAddress: formatAddress(socket.localAddress, socket.localPort),
    tlsVersion: socket.getProtocol() ?? undefined,
    tlsCipher: socket.getCipher().name,
    alpn: typeof alpn === "string" && options.alpn?.includes(alpn) === true ? alpn : undefined,
    ownCertDer,
    peerCertDer,
    // For a client without certificate the verdict is about nothing; only the absent certificate tells.
    chainTrusted: chainError === undefined,
    chainError,
    ...(chainError === undefined ? {} : { peerChain: peer === undefined ? [] : chainAsSent(peer) }),
    own,
    exporter: (label, length) => exportKey(socket, label, length),
  };
}

function openingInfo(remoteAddress: string, socket: Socket, { own }: CheckedMaterial): CarrierInfo {
  return {
    transport: "tls",
    remoteAddress,
    localAddress: formatAddress(socket.localAddress, socket.localPort),
    ...UNSECURED,
    own,
  };
}

/**
 * Node types the verdict as Error; it is the stable code as text, or null. OpenSSL's limit of the chain's length is out of
 * Node's reach, so its own code for it comes from here.
 */
function chainErrorOf(
  socket: TLSSocket,
  peer: X509Certificate,
  authorities: readonly X509Certificate[],
  options: TlsCarrierOptions,
): string | undefined {
  const error: unknown = socket.authorizationError;
  if (!socket.authorized) {
    return typeof error === "string" ? error : error instanceof Error ? error.message : "UNSPECIFIED";
  }
  const intermediates = countIntermediates(peer, authorities);
  const isTooLong = intermediates === undefined || intermediates > (options.depth ?? DEFAULT_CHAIN_DEPTH);
  return isTooLong ? "CERT_CHAIN_TOO_LONG" : undefined;
}

function exportKey(socket: TLSSocket, label: string, length: number): Buffer {
  try {
    return socket.exportKeyingMaterial(length, label, Buffer.alloc(0));
  } catch (cause) {
    throw new SallyportError(
      "ERR_CLOSED",
      "EXPORTER_CLOSED",
      "the TLS session is gone and gives no keying material any more",
      {
        stage: "identity",
        advice: "connect again",
        cause,
      },
    );
  }
}

function alpnOptions(options: TlsCarrierOptions): TlsOptions {
  const own = options.alpn ?? [];
  if (own.length === 0) return {};
  return { ALPNCallback: ({ protocols }) => own.find((protocol) => protocols.includes(protocol)) ?? protocols[0] };
}

function ownTls(
  material: TlsMaterial,
  authorities: readonly Buffer[],
  options: TlsCarrierOptions,
): CheckedMaterial["own"] {
  const versions = effectiveVersions(options);
  return {
    chain: readPemCertificates(material.certPem, "certFile"),
    authorities,
    seen: [],
    depth: options.depth ?? DEFAULT_CHAIN_DEPTH,
    minVersion: versions?.min ?? "none",
    maxVersion: versions?.max ?? "none",
    ciphers: options.ciphers,
  };
}

function contextOptions(material: TlsMaterial, options: TlsCarrierOptions): SecureContextOptions {
  return {
    cert: material.certPem,
    key: material.keyPem,
    ...(material.passphrase === undefined ? {} : { passphrase: material.passphrase }),
    // An empty list, not undefined: that would mean every public authority of the world.
    ca: material.caPem === undefined ? [] : material.caPem,
    ...protocolOptions(options),
    honorCipherOrder: options.honorCipherOrder ?? true,
    secureOptions: SECURE_OPTIONS,
  };
}

function checkedMaterial(material: TlsMaterial, options: TlsCarrierOptions): CheckedMaterial {
  const context = contextOptions(material, options);
  try {
    const secureContext = createSecureContext(context);
    const { caPem } = material;
    const authorities = caPem === undefined ? [] : readPemCertificates(caPem, "caFile");
    return {
      secureContext,
      certDer: new X509Certificate(material.certPem).raw,
      authorities: authorities.map((der) => new X509Certificate(der)),
      own: ownTls(material, authorities, options),
    };
  } catch (cause) {
    const system = systemCode(cause);
    throw new SallyportError("ERR_CONFIG", "TLS_MATERIAL", `TLS cannot use this certificate or key (${system})`, {
      detail: { system },
      stage: "tls",
      advice: "use a key of at least 2048 bits RSA or P-256 with a SHA-256 signature",
    });
  }
}
