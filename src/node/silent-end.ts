import { type Finding, withFinding } from "../base/diagnosis.ts";
import type { SallyportError } from "../base/errors.ts";
import { quotePeerText } from "../base/escape.ts";
import type { NodeName } from "../base/node-name.ts";
import type { CarrierInfo, OwnTls } from "../carrier/carrier.ts";
import type { Role } from "../dist/sink.ts";
import { beamRefusal } from "../x509/beam-form.ts";
import { readCertificateNames } from "../x509/certificate-names.ts";
import { buildChain } from "../x509/chain.ts";
import { type ChainFault, judgeChain } from "../x509/chain-verdict.ts";
import type { CertificateJudge } from "./ports.ts";

/** How the other side ended a connection without saying what it did not like. */
const SILENT: readonly string[] = [
  "CLOSED_DURING_HANDSHAKE",
  "CONNECTION_RESET",
  "CONNECTION_LOST",
  "NOT_ALLOWED",
  "TLS_ALERT_HANDSHAKE_FAILURE",
  "TLS_ALERT_BAD_CERT",
  "TLS_ALERT_OTHER",
];

/** What is known of a connection that ended before it was a session. */
export interface EndedAttempt {
  readonly role: Role;
  readonly own: NodeName;
  /** Undefined: TLS itself did not stand. */
  readonly info: CarrierInfo | undefined;
  readonly ownTls: OwnTls | undefined;
  /** Accepting side: the dialler has said its name, and was shown whom it reached. */
  readonly hasAnswered: boolean;
  readonly isOverQuic: boolean;
  readonly judge: CertificateJudge;
  /** Unix milliseconds. */
  readonly nowMs: number;
}

/**
 * Finds out why the other side left, from what this side knows of itself: a peer that refuses our certificate often only closes,
 * and the reason is told here, where the operator of the refused node looks (docs/doctor.md). Any other failure comes back as it was.
 */
export function explainSilentEnd(error: SallyportError, attempt: EndedAttempt): SallyportError {
  // Over QUIC keys count and nobody judges a chain; who left in which step says the failure itself (docs/barrel.md).
  if (attempt.isOverQuic) return error;
  if (error.reason === "TLS_ALERT_UNKNOWN_CA") return withIntermediate(error, attempt);
  if (!SILENT.includes(error.reason) || error.detail["diagnosis"] !== undefined) return error;
  const finding = attempt.hasAnswered ? wrongNode() : (ownFault(attempt) ?? strangers(attempt));
  return finding === undefined ? error : withFinding(error, finding);
}

const CHAIN_ADVICE: Readonly<Record<ChainFault, string>> = {
  CERT_EXPIRED: "renew this node's certificate (sallyport certs renew), and compare the clocks of both machines",
  CERT_NOT_YET_VALID: "compare the clocks of both machines; if they agree, this node's certificate begins later",
  CHAIN_INCOMPLETE: "put the intermediate behind the certificate in this node's certFile",
  CERT_UNKNOWN_ISSUER: "use a certificate of the CA in caFile here, with its intermediates behind it in certFile",
  CHAIN_TOO_LONG: "issue this node's certificate closer to the root, or raise depth on the other node",
};

/** What a peer set up like this node would find fault with in this node's own certificate. */
function ownFault({ ownTls, own, judge, nowMs, role, info }: EndedAttempt): Finding | undefined {
  const leaf = ownTls?.chain[0];
  // Without authorities nobody looks at chains: keys count.
  if (ownTls === undefined || leaf === undefined || ownTls.authorities.length === 0) return undefined;
  const verdict = judgeChain(ownTls.chain, { ...ownTls, known: ownTls.seen, nowMs });
  if (verdict.fault !== undefined) {
    return local(verdict.fault, `this node's own certificate ${verdict.says}`, CHAIN_ADVICE[verdict.fault]);
  }
  const match = judge(leaf, own);
  const issue = `use a certificate for ${own} here: sallyport certs issue ${own}`;
  if (!match.matched) {
    const presented = match.presented.length === 0 ? "nobody" : match.presented.map(quotePeerText).join(", ");
    return local("CERT_NAME_MISMATCH", `this node's own certificate is for ${presented}, not for ${own}`, issue);
  }
  const other = role === "initiator" ? otherRoot(ownTls, info) : undefined;
  if (other !== undefined) return other;
  // Only an Erlang node says so little with an alert, or leaves a node that it dialled.
  if (info?.alpn !== undefined) return undefined;
  const beam = role === "acceptor" ? beamRefusal(readCertificateNames(leaf), own) : undefined;
  if (beam === undefined) return undefined;
  return local("CERT_NAME_MISMATCH", `an Erlang node refuses this node's certificate, because ${beam}`, issue);
}

/** The other side has said that it does not know our issuer: perhaps only because we left it out. */
function withIntermediate(error: SallyportError, attempt: EndedAttempt): SallyportError {
  const finding = ownFault(attempt);
  return finding?.code === "CHAIN_INCOMPLETE" ? withFinding(error, finding) : error;
}

/** The two certificates end at different roots: the other side may not know ours. */
function otherRoot(own: OwnTls, info: CarrierInfo | undefined): Finding | undefined {
  if (info?.peerCertDer === undefined || !info.chainTrusted) return undefined;
  const ours = buildChain(own.chain, own.authorities);
  const theirs = buildChain([info.peerCertDer, ...own.seen], own.authorities);
  if (ours?.ok !== true || theirs?.ok !== true || ours.root.raw.equals(theirs.root.raw)) return undefined;
  const named = (root: { readonly subject: string; readonly fingerprint256: string }): string =>
    `${quotePeerText(root.subject.split("\n").join(", "))} (SHA-256 ${root.fingerprint256})`;
  return local(
    "CERT_UNKNOWN_ISSUER",
    `this node's certificate ends at ${named(ours.root)}, that of the other side at ${named(theirs.root)}, so it may not trust ours`,
    "use a certificate of the other side's CA here, or add our CA certificate to its CA file",
  );
}

/** Both sides trust somebody else. */
function strangers({ info, role }: EndedAttempt): Finding | undefined {
  if (role !== "acceptor" || info?.transport !== "tls" || info.peerCertDer === undefined || info.chainTrusted) {
    return undefined;
  }
  const says = `its own certificate is not trusted here either (${info.chainError ?? "UNKNOWN"}), so the two have different CAs`;
  const advice = "give both nodes certificates of the same CA, with their intermediates";
  return { code: "CERT_UNKNOWN_ISSUER", fault: "either", says, advice };
}

/** A dialler leaves without proof when the one that answers is not the one it meant. */
function wrongNode(): Finding {
  return {
    code: "PEER_NAME_MISMATCH",
    fault: "remote",
    says: "it left when it heard this node's name, so it most likely meant another node",
    advice: "correct the address that the dialling node has for the node it wants",
  };
}

function local(code: string, says: string, advice: string): Finding {
  return { code, fault: "local", says, advice };
}
