import { readCertificateNames } from "../x509/certificate-names.ts";
import { matchCertificate } from "../x509/match-name.ts";
import type { CertificateJudge } from "./ports.ts";

/** Compares the names in a certificate with a node's; `strict` takes fewer forms. */
export function judgeWith(profile: "standard" | "strict"): CertificateJudge {
  return (certDer, nodeName) => {
    const names = readCertificateNames(certDer);
    if (names.authority) return { matched: false, presented: [], isAuthority: true };
    const match = matchCertificate(names, nodeName, { profile });
    return match.matched ? { matched: true, presented: [], warning: match.warning } : match;
  };
}
