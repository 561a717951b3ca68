import { type CertificateLife, readCertificateLife } from "../x509/certificate-life.ts";
import { buildChain } from "../x509/chain.ts";
import { readPemCertificates } from "../x509/check-key.ts";

/** What a certificate is to this process: its own, between that and its root, a trusted CA, or what a peer has shown. */
export type CertificateRole = "own" | "chain" | "ca" | "peer";

/** A certificate whose end is looked for. */
export interface WatchedCertificate extends CertificateLife {
  readonly role: CertificateRole;
  /** Whose it is: the name of a node; at a gateway the pair and the side. */
  readonly of: string;
  /** Without it the process cannot prove who it is, or believe anybody. */
  readonly isNeeded: boolean;
}

/** Trusted CAs of one file whose end is looked for; the one that vouches for the own certificate is among them. */
export const MAX_WATCHED_AUTHORITIES = 64;

/** Own certificate and trusted CAs, in PEM, as TLS uses them. */
export interface PemFiles {
  /** The own certificate, then its intermediates. */
  readonly certPem: string;
  /** Absent where no CA is trusted. */
  readonly caPem?: string | undefined;
}

/**
 * The certificates of one set of files. Needed are the own one, what is between it and its root, and the root; where the root
 * is not known here, all of them, and of the trusted CAs each that is the only one. What cannot be read is left out.
 */
export function watchedCertificates({ certPem, caPem }: PemFiles, of: string): readonly WatchedCertificate[] {
  const own = readPem(certPem);
  const anchors = caPem === undefined ? [] : readPem(caPem);
  const chain = buildChain(own, anchors);
  const root = chain?.ok === true ? chain.root.raw : undefined;
  const used = chain?.ok === true ? chain.intermediates.map(({ raw }) => raw) : own;
  const isUsed = (der: Buffer): boolean => used.some((one) => one.equals(der));
  const isRoot = (der: Buffer): boolean => (root === undefined ? anchors.length === 1 : root.equals(der));
  const [leaf, ...others] = own;
  const ranked = [...anchors].sort((a, b) => Number(isRoot(b)) - Number(isRoot(a)));
  return [
    ...(leaf === undefined ? [] : watched(leaf, "own", of, true)),
    ...others.flatMap((der) => watched(der, "chain", of, isUsed(der))),
    ...ranked.slice(0, MAX_WATCHED_AUTHORITIES).flatMap((der) => watched(der, "ca", of, isRoot(der))),
  ];
}

/** What a peer has shown; none when it cannot be read. */
export function peerCertificate(der: Uint8Array, of: string): readonly WatchedCertificate[] {
  return watched(der, "peer", of, false);
}

function watched(der: Uint8Array, role: CertificateRole, of: string, isNeeded: boolean): readonly WatchedCertificate[] {
  const life = readCertificateLife(der);
  return life === undefined ? [] : [{ ...life, role, of, isNeeded }];
}

/** They were read once before, by TLS: files that cannot be are no matter of their dates. */
function readPem(pem: string): readonly Buffer[] {
  try {
    return readPemCertificates(pem, "a certificate file");
  } catch {
    return [];
  }
}
