import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { sentenceOf } from "../../base/errors.ts";
import { checkKeyBelongs } from "../../x509/check-key.ts";
import type { Admission, DialAddress, Listener } from "../carrier.ts";
import type { ChannelledAcceptHandler, ChannelledCarrier, ChannelledDialer, ChannelledSink } from "../channels.ts";
import type { ListenAddress } from "../listen.ts";
import { formatAddress } from "../socket-address.ts";
import type { Gatekeeper } from "../source-gate.ts";
import { type ListenOrder, TO_ENGINE } from "./engine-frames.ts";
import { publicListenerWarning } from "./public-address.ts";
import type { QuicCarrier } from "./quic-carrier.ts";
import type { EngineListener, QuicEngine } from "./quic-engine.ts";
import { publicRefused, quicListenFailed } from "./quic-errors.ts";
import type { QuicLimits } from "./quic-limits.ts";

export interface QuicCarrierOptions extends QuicLimits {
  /** ALPN protocols, best first; default `erlang-dist`. Both sides need a common one. barrel-auth section 1. */
  readonly alpn?: readonly string[];
}

/** What a listener shows: a certificate, usually self-signed, and its key, both PEM. */
export interface QuicMaterial {
  readonly certPem: string;
  readonly keyPem: string;
}

export interface QuicDialOptions extends QuicCarrierOptions {
  /** Dial also where strangers answer, although the engine has known faults; default false. */
  readonly allowPublic?: boolean;
}

export interface QuicListenOptions extends QuicCarrierOptions {
  /** Listen also where strangers reach it, although the engine has known faults; default false. */
  readonly allowPublic?: boolean;
  /** Have each client prove its address first, for one more round trip (RFC 9000 section 8.1.2); default false. */
  readonly retry?: boolean;
}

/** A listener whose certificate can be replaced while it runs. */
export interface QuicListener extends Listener {
  /** False while its engine is away, and when its port is taken afterwards. */
  readonly isListening: boolean;
  /** Later connections see this certificate. @throws {SallyportError} as `listenQuic` */
  replaceMaterial(material: QuicMaterial): void;
}

const DEFAULT_ALPN: readonly string[] = ["erlang-dist"];

/**
 * Dials over QUIC. No chain is verified, but the peer holds the key of the certificate that it shows: `peerCertDer` may be
 * bound to. Nothing of this side is shown. The carrier has no deadline of its own. A host that is no loopback or private address, by itself or by what the
 * name service says, closes it with QUIC_PUBLIC_ADDRESS unless `allowPublic` is set.
 */
export function quicDialer(engine: QuicEngine, options: QuicDialOptions = {}): ChannelledDialer {
  const { alpn = DEFAULT_ALPN, allowPublic = false } = options;
  return {
    dial(address: DialAddress, serverName: string, sink: ChannelledSink): ChannelledCarrier {
      const { host, port } = address;
      // RFC 6066 section 3 allows names only.
      const name = isIP(serverName) === 0 ? serverName : "";
      return engine.dial({ host, port, serverName: name, alpn, allowPublic }, options, sink);
    },
  };
}

/**
 * Accepts over QUIC. The gate is asked about each connection that begins; the handler gets its carrier before its handshake
 * has finished. When the engine is lost, the listener comes back on the same port.
 * @throws {SallyportError} ERR_CONFIG QUIC_PUBLIC_ADDRESS, PORT_IN_USE, BIND_FAILED, QUIC_BINDING_MISSING, KEY_CERT_MISMATCH,
 *   CERT_PARSE, KEY_PARSE; ERR_CLOSED QUIC_ENGINE_CLOSED
 */
export async function listenQuic(
  engine: QuicEngine,
  gate: Gatekeeper,
  address: ListenAddress,
  material: QuicMaterial,
  accept: ChannelledAcceptHandler,
  options: QuicListenOptions = {},
): Promise<QuicListener> {
  checkKeyBelongs(material.certPem, material.keyPem);
  for (const { reason, message } of publicListenerWarning(address.host)) {
    if (options.allowPublic !== true) throw publicRefused(address.host);
    engine.warn(reason, message);
  }
  const listening = new Listening(engine, gate, address, material, accept, options);
  await listening.start();
  return listening;
}

class Listening implements QuicListener, EngineListener {
  readonly #engine: QuicEngine;
  readonly #gate: Gatekeeper;
  readonly #address: ListenAddress;
  readonly #accept: ChannelledAcceptHandler;
  readonly #options: QuicListenOptions;
  #material: QuicMaterial;
  #ownCert: Buffer;
  #id: number | undefined;
  #started: { resolve: () => void; reject: (cause: Error) => void } | undefined;
  #isAway = false;
  host = "";
  port = 0;
  isListening = false;

  constructor(
    engine: QuicEngine,
    gate: Gatekeeper,
    address: ListenAddress,
    material: QuicMaterial,
    accept: ChannelledAcceptHandler,
    options: QuicListenOptions,
  ) {
    this.#engine = engine;
    this.#gate = gate;
    this.#address = address;
    this.#material = material;
    this.#ownCert = new X509Certificate(material.certPem).raw;
    this.#accept = accept;
    this.#options = options;
  }

  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#started = { resolve, reject };
      this.#id = this.#engine.listen(this);
    });
  }

  order(): ListenOrder {
    const { ports, host } = this.#address;
    const bound = this.port === 0 ? undefined : this.port;
    const first = bound ?? (typeof ports === "number" ? ports : ports.first);
    const last = bound ?? (typeof ports === "number" ? ports : ports.last);
    const { alpn = DEFAULT_ALPN, retry = false } = this.#options;
    return { host: host === "localhost" ? "127.0.0.1" : host, first, last, ...this.#material, alpn, retry };
  }

  bound(host: string, port: number): void {
    this.host = host;
    this.port = port;
    this.isListening = true;
    this.#started?.resolve();
    this.#started = undefined;
    if (!this.#isAway) return;
    this.#isAway = false;
    this.#engine.warn("QUIC_LISTENER_BACK", `the QUIC listener on ${formatAddress(host, port)} is back`);
  }

  lost(): void {
    this.#isAway ||= this.isListening;
    this.isListening = false;
  }

  failed(system: string): void {
    const where = formatAddress(this.#address.host, this.order().first);
    const cause = quicListenFailed(where, system);
    if (this.#started === undefined) {
      this.#engine.warn(
        "QUIC_LISTENER_LOST",
        `${sentenceOf(cause)}; the QUIC listener is gone until the engine starts anew`,
      );
      return;
    }
    this.ended(cause);
    if (this.#id !== undefined) this.#engine.unlisten(this.#id);
  }

  ended(cause: Error): void {
    this.isListening = false;
    this.#started?.reject(cause);
    this.#started = undefined;
  }

  accepted(session: number, host: string, port: number): QuicCarrier | undefined {
    const place: { carrier?: QuicCarrier; admission?: Admission } = {};
    const admission = this.#gate.admit(host, () => place.carrier?.destroy());
    if (admission === undefined) return undefined;
    const carrier = this.#engine.makeCarrier(
      "accept",
      session,
      formatAddress(host, port),
      this.#options,
      this.#ownCert,
    );
    place.carrier = carrier;
    const release = (): void => {
      admission.release();
      this.#engine.admitted(session, carrier);
    };
    const sink = this.#accept(carrier, { release });
    carrier.listen(releasing(sink, admission));
    return carrier;
  }

  replaceMaterial(material: QuicMaterial): void {
    checkKeyBelongs(material.certPem, material.keyPem);
    this.#material = material;
    this.#ownCert = new X509Certificate(material.certPem).raw;
    if (this.#id !== undefined) this.#engine.order(TO_ENGINE.material, this.#id, material);
  }

  close(): Promise<void> {
    this.isListening = false;
    if (this.#id !== undefined) this.#engine.unlisten(this.#id);
    return Promise.resolve();
  }
}

/** The sink, with the connection's place under the gate's cap given back at its end. */
function releasing(sink: ChannelledSink, admission: Admission): ChannelledSink {
  return {
    opened: (info) => sink.opened(info),
    bytes: (channel, chunk) => sink.bytes(channel, chunk),
    drained: (channel) => sink.drained(channel),
    channelEnded: (channel) => sink.channelEnded(channel),
    channelReset: (channel, code) => sink.channelReset(channel, code),
    heard: () => sink.heard(),
    peerMoved: (info) => sink.peerMoved(info),
    closed(cause) {
      admission.release();
      sink.closed(cause);
    },
  };
}
