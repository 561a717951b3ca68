import { X509Certificate } from "node:crypto";
import { quotePeerText } from "../base/escape.ts";
import { readCertificateNames } from "./certificate-names.ts";
import { buildChain, issued } from "./chain.ts";
import { x509Library } from "./library.ts";

/** What may be wrong with a chain, in the order in which it is looked for. */
export type ChainFault =
  | "CERT_EXPIRED"
  | "CERT_NOT_YET_VALID"
  | "CHAIN_INCOMPLETE"
  | "CERT_UNKNOWN_ISSUER"
  | "CHAIN_TOO_LONG";

/** Against what a chain is held. Certificates are DER. */
export interface ChainGround {
  /** Certificates that chains may end at. */
  readonly authorities: readonly Buffer[];
  /** Intermediates known from elsewhere: one of them that was left out of a chain is recognised. */
  readonly known: readonly Buffer[];
  /** Most intermediates between a certificate and its root. */
  readonly depth: number;
  /** Unix milliseconds. */
  readonly nowMs: number;
}

/** What a chain comes down to. Texts are escaped; nothing in it is secret. */
export interface ChainVerdict {
  readonly fault: ChainFault | undefined;
  /** Completes "the certificate ...". Empty without a fault. */
  readonly says: string;
  readonly detail: Readonly<Record<string, string | number>>;
}

/** Roots that are named in a verdict. */
const MAX_NAMED_ROOTS = 4;

/**
 * Judges a chain as TLS would, and says why: dates of every certificate in it, the issuer that is missing, the way that is
 * too long. Never throws: what cannot be read has an unknown issuer.
 * @param sent the certificate, then what was sent with it
 */
export function judgeChain(sent: readonly Buffer[], ground: ChainGround): ChainVerdict {
  try {
    return judged(sent, ground);
  } catch {
    return { fault: "CERT_UNKNOWN_ISSUER", says: "cannot be read", detail: { sent: sent.length } };
  }
}

function judged(sent: readonly Buffer[], ground: ChainGround): ChainVerdict {
  const chain = buildChain(sent, ground.authorities);
  const [leaf] = sent;
  if (chain === undefined || leaf === undefined) {
    return { fault: "CERT_UNKNOWN_ISSUER", says: "is missing", detail: { sent: 0 } };
  }
  const path = [leaf, ...(chain.ok ? chain.intermediates.map(({ raw }) => raw) : sent.slice(1))];
  const dates = wrongDates(chain.ok ? [...path, chain.root.raw] : path, ground.nowMs);
  if (dates !== undefined) return dates;
  if (!chain.ok) return withoutRoot(chain.last, sent, ground);
  const between = chain.intermediates.length;
  if (between <= ground.depth) return { fault: undefined, says: "", detail: { intermediates: between } };
  return {
    fault: "CHAIN_TOO_LONG",
    says: `is ${between} intermediates away from its root, and depth allows ${ground.depth}`,
    detail: { intermediates: between, depth: ground.depth },
  };
}

function wrongDates(path: readonly Buffer[], nowMs: number): ChainVerdict | undefined {
  for (const [at, der] of path.entries()) {
    const { notBeforeMs, notAfterMs } = readCertificateNames(der);
    if (nowMs >= notBeforeMs && nowMs <= notAfterMs) continue;
    const detail = { notBefore: iso(notBeforeMs), notAfter: iso(notAfterMs), clock: iso(nowMs) };
    const which = at === 0 ? "" : `has above it ${subjectOf(new X509Certificate(der))}, which `;
    return {
      fault: nowMs > notAfterMs ? "CERT_EXPIRED" : "CERT_NOT_YET_VALID",
      says: `${which}is valid from ${detail.notBefore} to ${detail.notAfter}, and the clock here says ${detail.clock}`,
      detail,
    };
  }
  return undefined;
}

/** `last`: as far as the way went. */
function withoutRoot(last: X509Certificate, sent: readonly Buffer[], ground: ChainGround): ChainVerdict {
  const issuer = oneLine(last.issuer);
  const roots = ground.authorities.slice(0, MAX_NAMED_ROOTS).map((der) => new X509Certificate(der));
  const trusted = roots.length === 0 ? "nobody" : roots.map(namedRoot).join("; ");
  const keyId = issuerKeyId(last);
  const detail = {
    sent: sent.length,
    issuer,
    ...(keyId === undefined ? {} : { issuerKeyId: keyId }),
    trusted,
  };
  const known = ground.known.map((der) => new X509Certificate(der)).find((candidate) => issued(candidate, last));
  if (known !== undefined && !known.raw.equals(last.raw)) {
    const says = `was sent without the intermediate ${subjectOf(known)} that issued it`;
    return { fault: "CHAIN_INCOMPLETE", says, detail };
  }
  const says = `was issued by ${issuer}${keyId === undefined ? "" : ` (key ${keyId})`}, and trusted here is ${trusted}`;
  return { fault: "CERT_UNKNOWN_ISSUER", says, detail };
}

/** `CN=DistributeCA (SHA-256 AB:CD:...)` */
function namedRoot(certificate: X509Certificate): string {
  return `${subjectOf(certificate)} (SHA-256 ${certificate.fingerprint256})`;
}

/** Identifier of the key that signed a certificate, hexadecimal; undefined where the certificate does not say. */
function issuerKeyId(certificate: X509Certificate): string | undefined {
  try {
    const { AuthorityKeyIdentifierExtension, X509Certificate: ParsedCertificate } = x509Library();
    return new ParsedCertificate(certificate.raw).getExtension(AuthorityKeyIdentifierExtension)?.keyId?.toUpperCase();
  } catch {
    return undefined;
  }
}

function subjectOf(certificate: X509Certificate): string {
  return oneLine(certificate.subject);
}

function oneLine(name: string): string {
  return name === "" ? "a nameless authority" : quotePeerText(name.split("\n").join(", "));
}

function iso(unixMs: number): string {
  return new Date(unixMs).toISOString();
}
