import { X509Certificate } from "node:crypto";
import { CLIENT_AUTH, readCertificateNames, SERVER_AUTH } from "../../x509/certificate-names.ts";
import { signatureOf } from "../../x509/describe.ts";
import { keyWeakness } from "../../x509/key-strength.ts";
import { LIFE_LEFT } from "../renew.ts";
import { doubt, type Finding, fault, faultOf } from "./finding.ts";

/** What a certificate is there for. */
export type CertificateRole = "node" | "intermediate" | "root";

const RENEW: Readonly<Record<CertificateRole, string>> = {
  node: "renew it: sallyport certs renew",
  intermediate: "get a new one from who issued it",
  root: "replace it step by step: sallyport certs rotate-ca",
};

/** What one certificate says that it should not: dates, strength, and for a node its profile. */
export function lintCertificate(der: Buffer, file: string, role: CertificateRole, nowMs: number): readonly Finding[] {
  try {
    return [...lintDates(der, file, role, nowMs), ...lintStrength(der, file, role), ...lintProfile(der, file, role)];
  } catch (error) {
    return [faultOf(error, file)];
  }
}

function lintDates(der: Buffer, file: string, role: CertificateRole, nowMs: number): readonly Finding[] {
  const { notBeforeMs, notAfterMs } = readCertificateNames(der);
  const who = whose(der, role);
  const dates = `valid from ${iso(notBeforeMs)} to ${iso(notAfterMs)}, and the clock says ${iso(nowMs)}`;
  if (nowMs > notAfterMs) return [fault("CERT_EXPIRED", file, `${who} has ended: ${dates}`, RENEW[role])];
  if (nowMs < notBeforeMs) {
    return [fault("CERT_NOT_YET_VALID", file, `${who} has not begun: ${dates}`, "correct the clock, or wait")];
  }
  if (notAfterMs - nowMs >= (notAfterMs - notBeforeMs) * LIFE_LEFT) return [];
  const days = Math.floor((notAfterMs - nowMs) / 86_400_000);
  return [doubt("CERT_ENDING", file, `${who} has ${days} days left, less than a third of its life`, RENEW[role])];
}

function lintStrength(der: Buffer, file: string, role: CertificateRole): readonly Finding[] {
  const who = whose(der, role);
  const out: Finding[] = [];
  const certificate = new X509Certificate(der);
  const weakness = keyWeakness(certificate.publicKey);
  if (weakness !== undefined) {
    const advice = role === "node" ? "make a new key: sallyport certs renew --force --new-key" : RENEW[role];
    out.push(doubt("KEY_WEAK", file, `${who}: ${weakness}`, advice));
  }
  const signature = signatureOf(der);
  // Nobody checks the signature of a root.
  if (role !== "root" && /with (?:MD5|SHA-1)$/i.test(signature)) {
    out.push(doubt("SIGNATURE_WEAK", file, `${who} is signed by ${signature}`, "have it issued anew, with SHA-256"));
  }
  return out;
}

function lintProfile(der: Buffer, file: string, role: CertificateRole): readonly Finding[] {
  const names = readCertificateNames(der);
  if (role !== "node") {
    if (new X509Certificate(der).ca) return [];
    const advice = "take it out: only certificates of CAs belong there";
    return [fault("NOT_A_CA", file, `${whose(der, role)} may not issue certificates`, advice)];
  }
  const uses = names.keyUsages;
  const lacks = [
    ...(names.version === 3 ? [] : [`is X.509 v${names.version}`]),
    ...(names.hasAlternativeNames
      ? []
      : ["has no alternative name, and its common name counts in profile standard only"]),
    ...(uses?.includes(SERVER_AUTH) === true && uses.includes(CLIENT_AUTH)
      ? []
      : [uses === undefined ? "does not say what it is for" : "is not for both sides of TLS"]),
  ];
  if (lacks.length === 0) return [];
  const advice = "issue it anew with sallyport certs issue, or renew it: sallyport certs renew --force";
  return [doubt("CERT_WEAK_PROFILE", file, `${whose(der, role)} ${lacks.join("; ")}`, advice)];
}

function whose(der: Buffer, role: CertificateRole): string {
  const what = role === "node" ? "the certificate" : role === "root" ? "the CA" : "the intermediate";
  const [common] = readCertificateNames(der).commonNames;
  return common === undefined ? what : `${what} "${common.replace(/[^\x20-\x7e]/g, "?").slice(0, 64)}"`;
}

function iso(unixMs: number): string {
  return new Date(unixMs).toISOString();
}
