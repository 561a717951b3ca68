import { createHash, type X509Certificate } from "node:crypto";

/** Longest time from a full handshake to the last that resumes it, milliseconds: one hour. */
export const MAX_RESUMPTION_MS = 3_600_000;

/** What a full handshake found out about a peer's certificate; a resumed one brings the certificate alone, or nothing. */
export interface VerifiedChain {
  readonly leafDer: Buffer;
  /** SHA-256 of `leafDer`, base64. */
  readonly fingerprint: string;
  /** Why the chain was not trusted, as `CarrierInfo.chainError`. */
  readonly chainError: string | undefined;
  /** From when until when all its certificates are within their dates; of an untrusted chain only its first. Unix milliseconds. */
  readonly beginsMs: number;
  readonly endsMs: number;
}

/** The key under which a certificate (DER) is remembered. */
export function fingerprintOf(certDer: Uint8Array): string {
  return createHash("sha256").update(certDer).digest("base64");
}

/**
 * @param leaf the peer's certificate
 * @param path its way to a root, where the chain is trusted
 * @param ownEndsMs end of what this node has shown: nothing is resumed beyond it either
 */
export function verifiedChain(
  leaf: X509Certificate,
  path: readonly X509Certificate[] | undefined,
  chainError: string | undefined,
  ownEndsMs: number,
): VerifiedChain {
  const { beginsMs, endsMs } = validityOf(chainError === undefined ? (path ?? []) : [leaf]);
  const leafDer = leaf.raw;
  const fingerprint = fingerprintOf(leafDer);
  return { leafDer, fingerprint, chainError, beginsMs, endsMs: Math.min(endsMs, ownEndsMs) };
}

/** When all of these are within their dates, Unix milliseconds; never, where there are none or a date cannot be read. */
export function validityOf(path: readonly X509Certificate[]): { readonly beginsMs: number; readonly endsMs: number } {
  const beginsMs = Math.max(...path.map(({ validFrom }) => Date.parse(validFrom)));
  const endsMs = Math.min(...path.map(({ validTo }) => Date.parse(validTo)));
  const isKnown = Number.isFinite(beginsMs) && Number.isFinite(endsMs);
  return isKnown ? { beginsMs, endsMs } : { beginsMs: Number.POSITIVE_INFINITY, endsMs: Number.NEGATIVE_INFINITY };
}

/** Whether a chain that was verified once is still within its dates. */
export function isWithin({ beginsMs, endsMs }: VerifiedChain, wallMs: number): boolean {
  return beginsMs <= wallMs && wallMs < endsMs;
}
