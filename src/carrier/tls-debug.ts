import { DEFAULT_CIPHERS, type TLSSocket } from "node:tls";
import { isSallyportError, systemCode } from "../base/errors.ts";
import { quotePeerText } from "../base/escape.ts";
import { describeCertificate } from "../x509/describe.ts";
import type { CarrierInfo } from "./carrier.ts";
import { effectiveVersions, type TlsProtocolOptions } from "./tls-protocol.ts";

/** What is shown of one certificate in `TlsDebug`. Texts are escaped. */
export interface TlsDebugCertificate {
  readonly subject: string;
  readonly issuer: string;
  readonly names: readonly string[];
  readonly serial: string;
  /** ISO 8601. */
  readonly notAfter: string;
}

/** One TLS handshake, as it ended: what the event `tls` tells of with `tls.debug`. Never holds a key, a ticket or a secret of the session. */
export interface TlsDebug {
  readonly role: "dialler" | "acceptor";
  /** `host:port` of the other end. */
  readonly address: string;
  readonly outcome: "secured" | "failed";
  /** What this node offers, or takes. */
  readonly offered: { readonly versions: readonly string[]; readonly ciphers: readonly string[] };
  /** Chosen; null where it did not come to that. */
  readonly version: string | null;
  readonly cipher: string | null;
  readonly alpn: string | null;
  /** An earlier session was resumed: `peer` is the certificate shown then. */
  readonly resumed: boolean;
  readonly own: TlsDebugCertificate | null;
  readonly peer: TlsDebugCertificate | null;
  /** Why the chain of the peer is not trusted, as OpenSSL calls it; null when it is. */
  readonly chainError: string | null;
  /** Of a failure: the code of OpenSSL or of the system. */
  readonly code: string | null;
  /** The TLS alert that came, by its number. */
  readonly alert: number | null;
}

/** Hears of every handshake. */
export type TlsDebugSink = (handshake: TlsDebug) => void;

/** A handshake that ended well, whatever its owner makes of the certificates. */
export function securedHandshake(role: TlsDebug["role"], info: CarrierInfo, options: TlsProtocolOptions): TlsDebug {
  return {
    role,
    address: info.remoteAddress,
    outcome: "secured",
    offered: offeredBy(options),
    version: info.tlsVersion ?? null,
    cipher: info.tlsCipher ?? null,
    alpn: info.alpn ?? null,
    resumed: info.resumption === "resumed",
    own: shown(info.ownCertDer),
    peer: shown(info.peerCertDer),
    chainError: info.chainError ?? null,
    code: null,
    alert: null,
  };
}

/** One that failed with an error of the socket. */
export function failedHandshake(
  role: TlsDebug["role"],
  address: string,
  error: unknown,
  options: TlsProtocolOptions,
  socket?: TLSSocket,
): TlsDebug {
  const text = error instanceof Error ? error.message : "";
  const alert = /alert number (\d{1,3})/.exec(text)?.[1];
  return {
    role,
    address,
    outcome: "failed",
    offered: offeredBy(options),
    version: socket?.getProtocol() ?? null,
    cipher: null,
    alpn: null,
    resumed: false,
    own: null,
    peer: null,
    chainError: null,
    code: isSallyportError(error) ? error.reason : systemCode(error),
    alert: alert === undefined ? null : Number(alert),
  };
}

/** One line for people. */
export function debugText(handshake: TlsDebug): string {
  const { role, address, outcome, version, cipher, alpn, resumed, own, peer, chainError, code, alert, offered } =
    handshake;
  const offer = `offered ${offered.versions.join(" and ")} with ${offered.ciphers.join(":")}`;
  if (outcome === "failed") {
    const by = alert === null ? "" : `, alert ${alert}`;
    return `${role} ${quotePeerText(address)}: failed, ${code ?? "unknown"}${by}; ${offer}`;
  }
  const chain = chainError === null ? "its chain is trusted" : `its chain is not trusted: ${chainError}`;
  const chosen = `${version ?? "?"} ${cipher ?? "?"}${alpn === null ? "" : ` ${alpn}`}${resumed ? ", resumed" : ""}`;
  return (
    `${role} ${quotePeerText(address)}: ${chosen}; peer ${certificateText(peer)}, ${chain}; ` +
    `own ${certificateText(own)}; ${offer}`
  );
}

function certificateText(certificate: TlsDebugCertificate | null): string {
  if (certificate === null) return "without certificate";
  const { subject, issuer, names, serial, notAfter } = certificate;
  return `"${subject}" (${names.join(", ")}), serial ${serial}, of "${issuer}", until ${notAfter}`;
}

function offeredBy(options: TlsProtocolOptions): TlsDebug["offered"] {
  const versions = effectiveVersions(options);
  return {
    versions: versions === undefined ? [] : [...new Set([versions.min, versions.max])],
    ciphers: options.ciphers ?? DEFAULT_CIPHERS.split(":").filter((name) => !name.startsWith("!")),
  };
}

function shown(der: Buffer | undefined): TlsDebugCertificate | null {
  if (der === undefined) return null;
  try {
    const { subject, issuer, names, serial, notAfterMs } = describeCertificate(der);
    return { subject, issuer, names, serial, notAfter: new Date(notAfterMs).toISOString() };
  } catch {
    return { subject: "unreadable", issuer: "", names: [], serial: "", notAfter: "" };
  }
}
