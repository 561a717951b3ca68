import { type ErrorCode, SallyportError, type Stage, systemCode } from "../base/errors.ts";

/** Where an error of a socket happened. */
export interface SocketErrorContext {
  /** `host:port` of the other end. */
  readonly address: string;
  /** `dial`: we connected; `accept`: they did. */
  readonly role: "dial" | "accept";
  /** True when the connection was not yet up (TCP or TLS). */
  readonly opening: boolean;
}

interface Meaning {
  readonly code: ErrorCode;
  readonly reason: string;
  /** Stage when it happens while opening; later it is always `session`. */
  readonly stage: Stage;
  /** Which side found fault: `peer` when it told us so, `local` when our stack did, `network` for neither. */
  readonly side: "peer" | "local" | "network";
  readonly says: string;
  readonly advice: string;
}

function meaning(
  code: ErrorCode,
  reason: string,
  stage: Stage,
  side: Meaning["side"],
  says: string,
  advice: string,
): Meaning {
  return { code, reason, stage, side, says, advice };
}

const PORT_CLOSED: Meaning = meaning(
  "ERR_UNREACHABLE",
  "PORT_CLOSED",
  "port",
  "network",
  "nothing listens on the port",
  "start the node there, or correct the port",
);
const FILTERED: Meaning = meaning(
  "ERR_UNREACHABLE",
  "PORT_FILTERED",
  "port",
  "network",
  "no answer at all came from the port",
  "look for a firewall between the two machines that drops packets to this port",
);
const NO_ROUTE: Meaning = meaning(
  "ERR_UNREACHABLE",
  "HOST_UNREACHABLE",
  "port",
  "network",
  "the network has no way to the host",
  "check address, routes and firewall rules towards the host",
);
const NO_HOST: Meaning = meaning(
  "ERR_UNREACHABLE",
  "HOST_NOT_FOUND",
  "resolve",
  "network",
  "the host name has no address",
  "correct the host name, or give the address with a resolve entry",
);
const LOOKUP_FAILED: Meaning = meaning(
  "ERR_UNREACHABLE",
  "HOST_LOOKUP_FAILED",
  "resolve",
  "network",
  "the name service gave no answer about the host",
  "check this machine's name service, then try again",
);
const RESET: Meaning = meaning(
  "ERR_CLOSED",
  "CONNECTION_RESET",
  "port",
  "network",
  "the connection was reset by the other end or by the network",
  "read the other node's log; a reset during TLS often means that it refused our certificate without saying so",
);
const NOT_TLS: Meaning = meaning(
  "ERR_PEER_INCOMPATIBLE",
  "NOT_A_TLS_PEER",
  "tls",
  "local",
  "the other end does not speak TLS here",
  "dial the TLS port, and check that the other node distributes over TLS (Erlang: -proto_dist inet_tls)",
);
const VERSION_LOCAL: Meaning = meaning(
  "ERR_PEER_INCOMPATIBLE",
  "TLS_VERSION_UNSUPPORTED",
  "tls",
  "local",
  "the other end offers no TLS version that this node allows",
  "allow a common version on one side: minVersion here, {versions, [...]} in an Erlang node",
);
const VERSION_PEER: Meaning = meaning(
  "ERR_PEER_INCOMPATIBLE",
  "TLS_ALERT_PROTOCOL_VERSION",
  "tls",
  "peer",
  "the other end allows no TLS version that this node offers",
  "allow a common version on one side: minVersion here, {versions, [...]} in an Erlang node",
);
const NO_CIPHER: Meaning = meaning(
  "ERR_PEER_INCOMPATIBLE",
  "TLS_NO_SHARED_CIPHER",
  "tls",
  "local",
  "no cipher suite is allowed on both sides for this node's kind of key",
  "allow a common suite; an ECDSA certificate needs ECDSA suites on the other side, an RSA one RSA suites",
);
const NO_ALPN_PEER: Meaning = meaning(
  "ERR_PEER_INCOMPATIBLE",
  "TLS_ALERT_NO_ALPN",
  "tls",
  "peer",
  "the other end speaks none of the application protocols offered",
  "check that host and port belong to the node meant",
);
const HANDSHAKE: Meaning = meaning(
  "ERR_PEER_INCOMPATIBLE",
  "TLS_ALERT_HANDSHAKE_FAILURE",
  "tls",
  "peer",
  "the other end refused the TLS handshake without a closer reason",
  "read the other node's log; an Erlang node says this for a missing client certificate, a host name not in the certificate, or no common suite",
);
const UNKNOWN_CA: Meaning = meaning(
  "ERR_DENIED",
  "TLS_ALERT_UNKNOWN_CA",
  "tls",
  "peer",
  "the other end does not know the authority that issued this node's certificate",
  "add our CA certificate to the other node's CA file, or use a certificate of its CA here",
);
const CERT_EXPIRED: Meaning = meaning(
  "ERR_DENIED",
  "TLS_ALERT_CERT_EXPIRED",
  "tls",
  "peer",
  "the other end says that this node's certificate is outside its dates",
  "renew this node's certificate, and compare the clocks of both machines",
);
const CERT_BAD: Meaning = meaning(
  "ERR_DENIED",
  "TLS_ALERT_BAD_CERT",
  "tls",
  "peer",
  "the other end refused this node's certificate",
  "read the other node's log; often the names or the signature algorithm do not suit it",
);
const CERT_REVOKED: Meaning = meaning(
  "ERR_DENIED",
  "TLS_ALERT_CERT_REVOKED",
  "tls",
  "peer",
  "the other end says that this node's certificate was revoked",
  "issue a new certificate for this node",
);
const CERT_UNSUPPORTED: Meaning = meaning(
  "ERR_DENIED",
  "TLS_ALERT_CERT_UNSUPPORTED",
  "tls",
  "peer",
  "the other end cannot use this node's kind of certificate",
  "issue one with both extended key usages (serverAuth, clientAuth) and an RSA or P-256 key",
);
const CERT_REQUIRED: Meaning = meaning(
  "ERR_DENIED",
  "TLS_ALERT_CERT_REQUIRED",
  "tls",
  "peer",
  "the other end demands a certificate and got none",
  "give this node a certificate and key (tls.certFile, tls.keyFile)",
);
const ACCESS_DENIED: Meaning = meaning(
  "ERR_DENIED",
  "TLS_ALERT_ACCESS_DENIED",
  "tls",
  "peer",
  "the other end's certificate was in order and it refused this node all the same",
  "read the other node's log",
);
const UNKNOWN_NAME: Meaning = meaning(
  "ERR_PEER_INCOMPATIBLE",
  "TLS_ALERT_UNKNOWN_NAME",
  "tls",
  "peer",
  "the other end does not answer for the host name that was dialled",
  "dial the name under which the other node is configured",
);
const BROKEN: Meaning = meaning(
  "ERR_PEER_MISBEHAVED",
  "TLS_PROTOCOL_ERROR",
  "tls",
  "local",
  "the other end broke the TLS protocol, or the bytes were changed on their way",
  "check for a middlebox that rewrites TLS; if there is none, the other end is faulty or hostile",
);
const RENEGOTIATION: Meaning = meaning(
  "ERR_PEER_MISBEHAVED",
  "TLS_RENEGOTIATION",
  "tls",
  "local",
  "the other end tried to renegotiate TLS, which is not allowed",
  "switch renegotiation off on the other side, or use TLS 1.3",
);
const OTHER_ALERT: Meaning = meaning(
  "ERR_PEER_INCOMPATIBLE",
  "TLS_ALERT_OTHER",
  "tls",
  "peer",
  "the other end ended TLS with an alert",
  "read the other node's log at the same moment",
);
const HANDSHAKE_TIMEOUT: Meaning = meaning(
  "ERR_DEADLINE",
  "TLS_HANDSHAKE_TIMEOUT",
  "tls",
  "local",
  "the other end did not finish the TLS handshake in time",
  "check the network, and that the other end speaks TLS on this port",
);
const SOCKET: Meaning = meaning(
  "ERR_CLOSED",
  "SOCKET_ERROR",
  "port",
  "network",
  "the system closed the connection",
  "look up the system code in the detail",
);

/** System and OpenSSL codes with an exact meaning. Alerts are named after what the other end sent us. */
const BY_CODE: ReadonlyMap<string, Meaning> = new Map<string, Meaning>([
  ["ECONNREFUSED", PORT_CLOSED],
  ["ETIMEDOUT", FILTERED],
  ["EHOSTUNREACH", NO_ROUTE],
  ["ENETUNREACH", NO_ROUTE],
  ["EHOSTDOWN", NO_ROUTE],
  ["EADDRNOTAVAIL", NO_ROUTE],
  ["ENOTFOUND", NO_HOST],
  ["EAI_AGAIN", LOOKUP_FAILED],
  ["EAI_FAIL", LOOKUP_FAILED],
  ["ECONNRESET", RESET],
  ["ECONNABORTED", RESET],
  ["EPIPE", RESET],
  ["ERR_TLS_HANDSHAKE_TIMEOUT", HANDSHAKE_TIMEOUT],
  ["ERR_TLS_RENEGOTIATION_DISABLED", RENEGOTIATION],
  ["ERR_SSL_NO_RENEGOTIATION", RENEGOTIATION],
  ["ERR_SSL_WRONG_VERSION_NUMBER", NOT_TLS],
  ["ERR_SSL_HTTP_REQUEST", NOT_TLS],
  ["ERR_SSL_HTTPS_PROXY_REQUEST", NOT_TLS],
  ["ERR_SSL_PACKET_LENGTH_TOO_LONG", NOT_TLS],
  ["ERR_SSL_RECORD_LENGTH_MISMATCH", NOT_TLS],
  ["ERR_SSL_UNSUPPORTED_PROTOCOL", VERSION_LOCAL],
  ["ERR_SSL_VERSION_TOO_LOW", VERSION_LOCAL],
  ["ERR_SSL_NO_PROTOCOLS_AVAILABLE", VERSION_LOCAL],
  ["ERR_SSL_WRONG_SSL_VERSION", VERSION_LOCAL],
  ["ERR_SSL_NO_SHARED_CIPHER", NO_CIPHER],
  ["ERR_SSL_NO_SUITABLE_SIGNATURE_ALGORITHM", NO_CIPHER],
  ["ERR_SSL_NO_SHARED_SIGNATURE_ALGORITHMS", NO_CIPHER],
  ["ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL", NO_ALPN_PEER],
  ["ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION", VERSION_PEER],
  ["ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE", HANDSHAKE],
  ["ERR_SSL_TLSV1_ALERT_INSUFFICIENT_SECURITY", HANDSHAKE],
  ["ERR_SSL_TLSV1_ALERT_UNKNOWN_CA", UNKNOWN_CA],
  ["ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED", CERT_EXPIRED],
  ["ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE", CERT_BAD],
  ["ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN", CERT_BAD],
  ["ERR_SSL_SSLV3_ALERT_CERTIFICATE_REVOKED", CERT_REVOKED],
  ["ERR_SSL_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE", CERT_UNSUPPORTED],
  ["ERR_SSL_SSLV3_ALERT_NO_CERTIFICATE", CERT_REQUIRED],
  ["ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED", CERT_REQUIRED],
  ["ERR_SSL_TLSV1_ALERT_ACCESS_DENIED", ACCESS_DENIED],
  ["ERR_SSL_TLSV1_UNRECOGNIZED_NAME", UNKNOWN_NAME],
]);

/**
 * What a system or OpenSSL error of a socket means, as one `(code, reason)`, with the side that complained, the raw code
 * and an advice. The text of the underlying error does not go into the message: it holds addresses of memory.
 */
export function explainSocketError(error: unknown, context: SocketErrorContext): SallyportError {
  const system = systemCode(error);
  const found = meaningOf(system, context);
  const who = found.side === "peer" ? "peer" : found.side === "local" ? "this node" : "network";
  return new SallyportError(
    found.code,
    found.reason,
    `${context.address}: ${found.says} (${system}, reported by ${who})`,
    {
      detail: { address: context.address, role: context.role, side: found.side, system },
      stage: context.opening ? found.stage : "session",
      advice: found.advice,
      cause: error,
    },
  );
}

function meaningOf(system: string, context: SocketErrorContext): Meaning {
  // A quiet peer of a running connection is lost, not filtered.
  if (system === "ETIMEDOUT" && !context.opening) return RESET;
  const exact = BY_CODE.get(system);
  if (exact !== undefined) return exact;
  if (system.startsWith("ERR_SSL_")) return system.includes("_ALERT_") ? OTHER_ALERT : BROKEN;
  return SOCKET;
}
