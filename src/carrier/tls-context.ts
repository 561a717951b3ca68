import { constants, X509Certificate } from "node:crypto";
import { createSecureContext, type SecureContextOptions } from "node:tls";
import { SallyportError, systemCode } from "../base/errors.ts";
import { readPemCertificates } from "../x509/check-key.ts";
import type { OwnTls } from "./carrier.ts";
import type { SocketCarrierLimits } from "./socket-carrier.ts";
import type { TlsDebugSink } from "./tls-debug.ts";
import type { TlsMaterial } from "./tls-material.ts";
import { DEFAULT_CHAIN_DEPTH, effectiveVersions, protocolOptions, type TlsProtocolOptions } from "./tls-protocol.ts";
import { MAX_RESUMPTION_MS, validityOf } from "./verified-chain.ts";

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

/** Checked material. The certificate's bytes are kept: the TLS session gives them out by encoding them anew each time. */
export interface CheckedMaterial {
  readonly secureContext: ReturnType<typeof createSecureContext>;
  readonly certDer: Buffer;
  /** The certificates of `caPem`, to find the way from a peer's to a root. */
  readonly authorities: readonly X509Certificate[];
  readonly own: OwnTls & { readonly seen: Buffer[] };
  /** End of what this node shows, the first of its certificates; Unix milliseconds. */
  readonly ownEndsMs: number;
}

/** Whether sessions of that side are resumed. */
export function reusesSessions(options: TlsCarrierOptions): boolean {
  return options.reuseSessions === undefined || options.reuseSessions === true;
}

/** What OpenSSL is told, for either side. A context made anew of it has ticket keys of its own, drawn by OpenSSL. */
export function contextOptions(material: TlsMaterial, options: TlsCarrierOptions): SecureContextOptions {
  const noTickets = reusesSessions(options) ? 0 : constants.SSL_OP_NO_TICKET;
  return {
    cert: material.certPem,
    key: material.keyPem,
    ...(material.passphrase === undefined ? {} : { passphrase: material.passphrase }),
    // An empty list, not undefined: that would mean every public authority of the world.
    ca: material.caPem === undefined ? [] : material.caPem,
    ...protocolOptions(options),
    honorCipherOrder: options.honorCipherOrder ?? true,
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION | noTickets,
    sessionTimeout: MAX_RESUMPTION_MS / 1000,
  };
}

/** @throws {SallyportError} ERR_CONFIG TLS_MATERIAL when OpenSSL does not accept certificate or key; TLS_OPTIONS */
export function checkedMaterial(material: TlsMaterial, options: TlsCarrierOptions): CheckedMaterial {
  const context = contextOptions(material, options);
  try {
    const secureContext = createSecureContext(context);
    const { caPem } = material;
    const authorities = caPem === undefined ? [] : readPemCertificates(caPem, "caFile");
    const chain = readPemCertificates(material.certPem, "certFile");
    return {
      secureContext,
      certDer: new X509Certificate(material.certPem).raw,
      authorities: authorities.map((der) => new X509Certificate(der)),
      own: ownTls(chain, authorities, options),
      ownEndsMs: validityOf(chain.map((der) => new X509Certificate(der))).endsMs,
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

function ownTls(
  chain: readonly Buffer[],
  authorities: readonly Buffer[],
  options: TlsCarrierOptions,
): CheckedMaterial["own"] {
  const versions = effectiveVersions(options);
  return {
    chain,
    authorities,
    seen: [],
    depth: options.depth ?? DEFAULT_CHAIN_DEPTH,
    minVersion: versions?.min ?? "none",
    maxVersion: versions?.max ?? "none",
    ciphers: options.ciphers,
  };
}
