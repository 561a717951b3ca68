import type { Assurance } from "../base/assurance.ts";
import { SallyportError } from "../base/errors.ts";
import { quotePeerText } from "../base/escape.ts";
import { hostPart, type NodeName } from "../base/node-name.ts";
import type { CarrierInfo } from "../carrier/carrier.ts";
import type { Role } from "../dist/sink.ts";
import { type ChainVerdict, judgeChain } from "../x509/chain-verdict.ts";
import type { CertificateJudge } from "./ports.ts";

/**
 * The transport part of who the peer is, before a name is known (rulings U6, threat model TL-01 to TL-04). `nowMs` is the
 * wall clock, for the message alone.
 * @throws {SallyportError} ERR_DENIED CLIENT_CERT_REQUIRED, CERT_*, CHAIN_*
 */
export function checkChain(info: CarrierInfo, role: Role, target: NodeName | undefined, nowMs: number): void {
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
  const shown = `the certificate of ${target ?? info.remoteAddress} (the ${role === "initiator" ? "server" : "client"})`;
  throw chainFailure(info, shown, target, nowMs);
}

/** Node's verification results, as the errors we give for them, with what a look at the chain itself says. */
function chainFailure(info: CarrierInfo, shown: string, target: NodeName | undefined, nowMs: number): SallyportError {
  const code = info.chainError ?? "UNKNOWN";
  const verdict = verdictOn(info, nowMs);
  switch (code) {
    case "CERT_HAS_EXPIRED":
      return untrusted(
        "CERT_EXPIRED",
        "renew the certificate of the other side, and compare the clocks of both machines",
      );
    case "CERT_NOT_YET_VALID":
      return untrusted(
        "CERT_NOT_YET_VALID",
        "compare the clocks of both machines; if they agree, the certificate begins later",
      );
    case "UNABLE_TO_GET_ISSUER_CERT":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
    case "SELF_SIGNED_CERT_IN_CHAIN":
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
      if (verdict?.fault === "CHAIN_INCOMPLETE") {
        return untrusted(
          "CHAIN_INCOMPLETE",
          "put the intermediate behind the certificate in the certfile of the other side",
        );
      }
      return untrusted("CERT_UNKNOWN_ISSUER", "give both sides certificates of the same CA, with their intermediates");
    case "CERT_CHAIN_TOO_LONG":
      return untrusted("CHAIN_TOO_LONG", "issue it closer to the root, or raise tls.depth (depth in ssl_dist.conf)");
    case "INVALID_PURPOSE":
      return untrusted("CERT_WRONG_USE", "issue the certificate for both server and client authentication");
    default:
      return untrusted("CERT_INVALID", "check the certificate of the other side with openssl verify");
  }
  function untrusted(reason: string, advice: string): SallyportError {
    const says = verdict?.fault === reason ? `; it ${verdict.says}` : "";
    return new SallyportError("ERR_DENIED", reason, `${shown} is not trusted: ${code}${says}`, {
      ...(target === undefined ? {} : { peer: target }),
      stage: "tls",
      detail: { ...(verdict?.fault === reason ? verdict.detail : {}), code },
      advice,
    });
  }
}

/** What our own look at the chain says; TLS has decided already. */
function verdictOn({ peerChain, own }: CarrierInfo, nowMs: number): ChainVerdict | undefined {
  if (peerChain === undefined || own === undefined) return undefined;
  const known = [...own.chain.slice(1), ...own.seen];
  return judgeChain(peerChain, { authorities: own.authorities, known, depth: own.depth, nowMs });
}

/**
 * Compares certificate and name, and says how sure that makes us. A plain connection makes us as sure as the cookie.
 * @throws {SallyportError} ERR_DENIED CERT_NAME_MISMATCH, CERT_IS_AUTHORITY
 */
export function checkName(info: CarrierInfo, name: NodeName, judge: CertificateJudge): Assurance {
  if (info.transport !== "tls" || info.peerCertDer === undefined) {
    // The memory transport of tests says by itself whether it stands for a verified one.
    return info.transport === "memory" && info.chainTrusted ? "ca" : "cookie";
  }
  const verdict = judge(info.peerCertDer, name);
  if (verdict.matched) return "ca";
  if (verdict.isAuthority === true) {
    throw new SallyportError(
      "ERR_DENIED",
      "CERT_IS_AUTHORITY",
      `the certificate shown for ${name} is that of an authority`,
      {
        peer: name,
        stage: "identity",
        advice: "issue a certificate for the node (CA:FALSE); the authority's own stays where it issues",
      },
    );
  }
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
