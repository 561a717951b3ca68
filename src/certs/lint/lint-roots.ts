import { isPublicRoot } from "../../carrier/public-roots.ts";
import { doubt, type Finding } from "./finding.ts";
import { lintCertificate } from "./lint-certificate.ts";

/** More CAs than any cluster needs at once, rotation included. */
const MANY_ROOTS = 16;

/** Looks at the certificates of a CA file. */
export function lintRoots(roots: readonly Buffer[], file: string, nowMs: number): readonly Finding[] {
  const publics = roots.filter(isPublicRoot).length;
  const advice = "use a CA that issues for the nodes of this network and for nothing else";
  if (publics > 0) {
    const message = `${publics} of ${roots.length} certificates are public CAs: whoever has a certificate of one could be let in`;
    return [doubt("CA_NOT_DEDICATED", file, message, advice)];
  }
  const many = `${roots.length} CAs: each of them can let anybody in`;
  return [
    ...(roots.length > MANY_ROOTS ? [doubt("CA_NOT_DEDICATED", file, many, advice)] : []),
    ...roots.flatMap((der) => lintCertificate(der, file, "root", nowMs)),
  ];
}
