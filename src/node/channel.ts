import { SallyportError } from "../base/errors.ts";
import { type NodeName, parseDialTarget } from "../base/node-name.ts";
import type { ProvenPeer } from "../dist/sink.ts";
import { type CertificateDescription, describeCertificate } from "../x509/describe.ts";

/** The secured channel under one session, as it was negotiated; a session that moved has that of its new connection. */
export interface Channel {
  readonly peer: NodeName;
  /** Ours in this connection. */
  readonly role: "dialler" | "acceptor";
  readonly transport: "tcp" | "tls" | "quic" | "memory";
  /** `TLSv1.3`; null without TLS. */
  readonly version: string | null;
  /** `TLS_AES_256_GCM_SHA384`; null without TLS. */
  readonly cipher: string | null;
  readonly alpn: string | null;
  /** An earlier TLS session was resumed: the certificates are those that were shown then. */
  readonly isResumed: boolean;
  /** The same at both ends and on no other connection: shows that nobody stands between. 16 bytes in hexadecimal; null without TLS. */
  readonly bindingId: string | null;
  /** The peer's chain ends at a CA of this node. */
  readonly isChainTrusted: boolean;
  /** What each side showed; null where it showed nothing, or nothing that can be read. */
  readonly peerCertificate: CertificateDescription | null;
  readonly ownCertificate: CertificateDescription | null;
  /** When the session came up, Unix milliseconds. */
  readonly sinceMs: number;
}

/** A session as far as this looks at it. */
interface SecuredSession {
  readonly peer: { readonly name: NodeName };
  readonly connection: { readonly peer: ProvenPeer | undefined };
  readonly sinceMs: number;
}

/** Label of the exporter behind `bindingId`: another one than that of the handshake, whose value stays inside. */
const BINDING_LABEL = "EXPORTER-sallyport-channel-id";
const BINDING_BYTES = 16;

/**
 * The channel of a session. @throws {SallyportError} ERR_CLOSED NOT_CONNECTED, ERR_API_MISUSE NAME_INVALID
 */
export function channelOf(find: (name: NodeName) => SecuredSession | undefined, node: string): Channel {
  const { name } = parseDialTarget(node);
  const session = find(name);
  const proven = session?.connection.peer;
  if (session === undefined || proven === undefined) throw notConnected(name);
  const { info, role } = proven;
  return {
    peer: session.peer.name,
    role: role === "initiator" ? "dialler" : "acceptor",
    transport: info.transport,
    version: info.tlsVersion ?? null,
    cipher: info.tlsCipher ?? null,
    alpn: info.alpn ?? null,
    isResumed: info.resumption === "resumed",
    bindingId: info.exporter?.(BINDING_LABEL, BINDING_BYTES).toString("hex") ?? null,
    isChainTrusted: info.chainTrusted,
    peerCertificate: described(info.peerCertDer),
    ownCertificate: described(info.ownCertDer),
    sinceMs: session.sinceMs,
  };
}

function described(der: Buffer | undefined): CertificateDescription | null {
  if (der === undefined) return null;
  try {
    return describeCertificate(der);
  } catch {
    return null;
  }
}

function notConnected(peer: NodeName): SallyportError {
  return new SallyportError("ERR_CLOSED", "NOT_CONNECTED", `there is no session with ${peer}`, {
    peer,
    stage: "session",
    advice: "connect first, or look at the list of peers",
  });
}
