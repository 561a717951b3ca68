import { DerReader, INTEGER, OCTET_STRING, SEQUENCE } from "../x509/der-reader.ts";

/** Largest TLS session that is kept, octets: with a certificate and a ticket that holds one it is 1 to 4 KiB. */
export const MAX_SESSION_BYTES: number = 8 * 1024;

/** [3] EXPLICIT, the peer's certificate. */
const PEER = 0xa3;

const TLS_1_3 = 0x0304;

/** What is read of a session as OpenSSL writes it (SSL_SESSION_ASN1 in its ssl/ssl_asn1.c). */
export interface TlsSessionData {
  /** A ticket of TLS 1.3, to be used once (RFC 8446 appendix C.4). */
  readonly isTls13: boolean;
  /** DER of the peer's own certificate; undefined when it showed none. */
  readonly peerDer: Buffer | undefined;
}

/**
 * `SEQUENCE { version, TLS version, cipher, session id, secret, [1] time, [2] timeout, [3] certificate, ... }`; undefined for
 * what is larger than `MAX_SESSION_BYTES` or is none. The certificate is a view.
 */
export function readTlsSession(session: Buffer): TlsSessionData | undefined {
  if (session.length > MAX_SESSION_BYTES) return undefined;
  try {
    const fields = new DerReader(session).enter(SEQUENCE);
    fields.content(INTEGER);
    const version = fields.content(INTEGER);
    for (let i = 0; i < 3; i++) fields.content(OCTET_STRING);
    while (!fields.done && fields.peek() < PEER) fields.skip();
    const peerDer = fields.peek() === PEER ? fields.enter(PEER).element(SEQUENCE) : undefined;
    return { isTls13: version.length === 2 && version.readUInt16BE() === TLS_1_3, peerDer };
  } catch {
    return undefined;
  }
}
