import { X509Certificate } from "node:crypto";

/** Most certificates of one file that are looked at for a chain. */
const MAX_CHAIN_CERTIFICATES = 16;

/** What became of building a chain: certificates between leaf and root, or why there is none. */
export type Chain =
  | { readonly ok: true; readonly root: X509Certificate; readonly intermediates: readonly X509Certificate[] }
  | { readonly ok: false; readonly last: X509Certificate };

/**
 * Builds the chain of a certificate by names, key identifiers and signatures, as far as the platform checks them; dates are
 * not looked at. A certificate that is itself among the roots is its own chain.
 * @param certificates DER: the certificate, then its intermediates in any order
 * @param roots DER
 */
export function buildChain(certificates: readonly Buffer[], roots: readonly Buffer[]): Chain | undefined {
  const [leaf, ...rest] = certificates.slice(0, MAX_CHAIN_CERTIFICATES).map((der) => new X509Certificate(der));
  if (leaf === undefined) return undefined;
  const anchors = roots.map((der) => new X509Certificate(der));
  const intermediates: X509Certificate[] = [];
  let at = leaf;
  for (;;) {
    const here = at;
    const root =
      anchors.find((anchor) => anchor.raw.equals(here.raw)) ?? anchors.find((anchor) => issued(anchor, here));
    if (root !== undefined) return { ok: true, root, intermediates };
    const next = rest.find((candidate) => !intermediates.includes(candidate) && issued(candidate, here));
    if (next === undefined || next.raw.equals(here.raw)) return { ok: false, last: here };
    intermediates.push(next);
    at = next;
  }
}

/** Whether a certificate with this key may issue, and has issued the other one. */
export function issued(issuer: X509Certificate, certificate: X509Certificate): boolean {
  try {
    return issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
  } catch {
    // A key or a signature of a kind that the platform does not know.
    return false;
  }
}
