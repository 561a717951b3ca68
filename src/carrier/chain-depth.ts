import type { X509Certificate } from "node:crypto";

/** Longest path that is followed, certificates. OpenSSL has followed one of up to 100 before. */
const MAX_PATH = 20;

/**
 * The way from a verified certificate to its root, both included; undefined when none is found within 20 certificates. Each
 * step is a signature that holds, so a peer cannot show a shorter way than there is.
 *
 * @param leaf with the certificates the peer sent behind it, as the TLS session gives them
 * @param authorities the roots, and intermediates beside them
 */
export function verifiedPath(
  leaf: X509Certificate,
  authorities: readonly X509Certificate[],
): readonly X509Certificate[] | undefined {
  // A certificate that is trusted by itself has no way to go.
  if (isRoot(leaf, authorities)) return [leaf];
  const sent: X509Certificate[] = [];
  for (let next = leaf.issuerCertificate; next !== undefined && sent.length < MAX_PATH; next = next.issuerCertificate) {
    sent.push(next);
  }
  const path = [leaf];
  let current = leaf;
  for (let steps = 0; steps < MAX_PATH; steps++) {
    const issuer = issuerOf(current, authorities) ?? issuerOf(current, sent);
    if (issuer === undefined) return undefined;
    path.push(issuer);
    if (isRoot(issuer, authorities)) return path;
    current = issuer;
  }
  return undefined;
}

/** How many intermediates stand between a verified certificate and its root; undefined when no path is found. */
export function countIntermediates(leaf: X509Certificate, authorities: readonly X509Certificate[]): number | undefined {
  const path = verifiedPath(leaf, authorities);
  return path === undefined ? undefined : Math.max(0, path.length - 2);
}

function issuerOf(certificate: X509Certificate, among: readonly X509Certificate[]): X509Certificate | undefined {
  return among.find(
    (candidate) =>
      candidate.subject === certificate.issuer &&
      !candidate.raw.equals(certificate.raw) &&
      isSignedBy(certificate, candidate),
  );
}

/** Never throws: a peer may send certificates with keys that nobody here can read. */
function isSignedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  try {
    return certificate.verify(issuer.publicKey);
  } catch {
    return false;
  }
}

function isRoot(certificate: X509Certificate, authorities: readonly X509Certificate[]): boolean {
  return certificate.subject === certificate.issuer && authorities.some(({ raw }) => raw.equals(certificate.raw));
}

/** DER of the certificates that came in a TLS session, the peer's own first, in the order in which it sent them; at most 20. */
export function chainAsSent(leaf: X509Certificate): readonly Buffer[] {
  const out: Buffer[] = [];
  let next: X509Certificate | undefined = leaf;
  while (next !== undefined && out.length < MAX_PATH) {
    out.push(next.raw);
    next = next.issuerCertificate;
  }
  return out;
}

/** Intermediates of peers that are kept per certificate of this node. */
const MAX_SEEN = 16;

/** Keeps the intermediates of a trusted chain, for a peer that will leave them out. */
export function noteIntermediates(leaf: X509Certificate, seen: Buffer[]): void {
  for (const der of chainAsSent(leaf).slice(1)) {
    if (seen.some((known) => known.equals(der))) continue;
    seen.push(Buffer.from(der));
    if (seen.length > MAX_SEEN) seen.shift();
  }
}
