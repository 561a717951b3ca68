import type { Assurance } from "../base/assurance.ts";
import { SallyportError } from "../base/errors.ts";
import { quotePeerText } from "../base/escape.ts";
import { hostPart, type NodeName } from "../base/node-name.ts";
import type { CarrierInfo } from "../carrier/carrier.ts";
import type { Role } from "../dist/sink.ts";
import type { CertificateJudge } from "./ports.ts";

/** Node's verification results, by the reason we give them. */
const CHAIN_REASONS: Readonly<Record<string, readonly [reason: string, advice: string]>> = {
  CERT_HAS_EXPIRED: ["CERT_EXPIRED", "renew the certificate of the other side"],
  CERT_NOT_YET_VALID: ["CERT_NOT_YET_VALID", "check the clocks of both machines"],
  UNABLE_TO_GET_ISSUER_CERT: ["CERT_UNKNOWN_ISSUER", "give both sides certificates of the same CA, with intermediates"],
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: [
    "CERT_UNKNOWN_ISSUER",
    "give both sides certificates of the same CA, with intermediates",
  ],
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: [
    "CERT_UNKNOWN_ISSUER",
    "give both sides certificates of the same CA, with intermediates",
  ],
  SELF_SIGNED_CERT_IN_CHAIN: ["CERT_UNKNOWN_ISSUER", "add the other side's CA to this side's CA file"],
  DEPTH_ZERO_SELF_SIGNED_CERT: ["CERT_UNKNOWN_ISSUER", "give the other side a certificate of a CA this side knows"],
  INVALID_PURPOSE: ["CERT_WRONG_USE", "issue the certificate for both server and client authentication"],
};

/**
 * The transport part of who the peer is, before a name is known (rulings U6, threat model TL-01 to TL-04).
 * @throws {SallyportError} ERR_DENIED CLIENT_CERT_REQUIRED, CERT_*
 */
export function checkChain(info: CarrierInfo, role: Role, target: NodeName | undefined): void {
  if (info.transport !== "tls") return;
  const peer = target === undefined ? {} : { peer: target };
  if (info.peerCertDer === undefined) {
    throw new SallyportError("ERR_DENIED", "CLIENT_CERT_REQUIRED", `${info.remoteAddress} showed no certificate`, {
      ...peer,
      stage: "tls",
      advice: "give the other side a certificate of the common CA (certfile and keyfile in its TLS options)",
    });
  }
  if (info.chainTrusted) return;
  const code = info.chainError ?? "UNKNOWN";
  const [reason, advice] = CHAIN_REASONS[code] ?? [
    "CERT_INVALID",
    "check the certificate of the other side with openssl verify",
  ];
  throw new SallyportError(
    "ERR_DENIED",
    reason,
    `the certificate of ${target ?? info.remoteAddress} (the ${role === "initiator" ? "server" : "client"}) is not trusted: ${code}`,
    { ...peer, stage: "tls", detail: { code }, advice },
  );
}

/**
 * Compares certificate and name, and says how sure that makes us. A plain connection makes us as sure as the cookie.
 * @throws {SallyportError} ERR_DENIED CERT_NAME_MISMATCH
 */
export function checkName(info: CarrierInfo, name: NodeName, judge: CertificateJudge): Assurance {
  if (info.transport !== "tls" || info.peerCertDer === undefined) {
    // The memory transport of tests says by itself whether it stands for a verified one.
    return info.transport === "memory" && info.chainTrusted ? "ca" : "cookie";
  }
  const verdict = judge(info.peerCertDer, name);
  if (verdict.matched) return "ca";
  const presented = verdict.presented.length === 0 ? "no name at all" : verdict.presented.map(quotePeerText).join(", ");
  throw new SallyportError(
    "ERR_DENIED",
    "CERT_NAME_MISMATCH",
    `the certificate shown for ${name} is for ${presented}`,
    {
      peer: name,
      stage: "identity",
      detail: { expected: name, presented },
      advice: `issue a certificate with the SAN URI dist://${name} or the SAN DNS:${hostPart(name)}`,
    },
  );
}
