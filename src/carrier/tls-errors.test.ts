import { describe, expect, it } from "vitest";
import { explainSocketError } from "./tls-errors.ts";

const context = { address: "h:1", role: "dial", opening: true } as const;
const failure = (code: string): Error => Object.assign(new Error(`0x7f00dead:${code}`), { code });

describe("explainSocketError", () => {
  it.each([
    ["ECONNREFUSED", "ERR_UNREACHABLE", "PORT_CLOSED", "port", "network"],
    ["ETIMEDOUT", "ERR_UNREACHABLE", "PORT_FILTERED", "port", "network"],
    ["EHOSTUNREACH", "ERR_UNREACHABLE", "HOST_UNREACHABLE", "port", "network"],
    ["ENOTFOUND", "ERR_UNREACHABLE", "HOST_NOT_FOUND", "resolve", "network"],
    ["EAI_AGAIN", "ERR_UNREACHABLE", "HOST_LOOKUP_FAILED", "resolve", "network"],
    ["ECONNRESET", "ERR_CLOSED", "CONNECTION_RESET", "port", "network"],
    ["ERR_SSL_WRONG_VERSION_NUMBER", "ERR_PEER_INCOMPATIBLE", "NOT_A_TLS_PEER", "tls", "local"],
    ["ERR_SSL_TLSV1_ALERT_UNKNOWN_CA", "ERR_DENIED", "TLS_ALERT_UNKNOWN_CA", "tls", "peer"],
    ["ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED", "ERR_DENIED", "TLS_ALERT_CERT_EXPIRED", "tls", "peer"],
    ["ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE", "ERR_DENIED", "TLS_ALERT_BAD_CERT", "tls", "peer"],
    ["ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED", "ERR_DENIED", "TLS_ALERT_CERT_REQUIRED", "tls", "peer"],
    ["ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION", "ERR_PEER_INCOMPATIBLE", "TLS_ALERT_PROTOCOL_VERSION", "tls", "peer"],
    ["ERR_SSL_UNSUPPORTED_PROTOCOL", "ERR_PEER_INCOMPATIBLE", "TLS_VERSION_UNSUPPORTED", "tls", "local"],
    ["ERR_SSL_NO_SHARED_CIPHER", "ERR_PEER_INCOMPATIBLE", "TLS_NO_SHARED_CIPHER", "tls", "local"],
    ["ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE", "ERR_PEER_INCOMPATIBLE", "TLS_ALERT_HANDSHAKE_FAILURE", "tls", "peer"],
    ["ERR_SSL_TLSV1_ALERT_SOMETHING_NEW", "ERR_PEER_INCOMPATIBLE", "TLS_ALERT_OTHER", "tls", "peer"],
    ["ERR_SSL_BAD_SOMETHING_NEW", "ERR_PEER_MISBEHAVED", "TLS_PROTOCOL_ERROR", "tls", "local"],
    ["EMFILE", "ERR_CLOSED", "SOCKET_ERROR", "port", "network"],
  ])("explains %s as %s %s", (system, code, reason, stage, side) => {
    const error = explainSocketError(failure(system), context);
    expect(error).toMatchObject({ code, reason, stage, detail: { side, system, address: "h:1", role: "dial" } });
    expect(error.advice).not.toBe("");
    expect(error.message).not.toContain("0x7f00dead");
  });

  it("takes a timeout of a running connection for a lost peer, in the session stage", () => {
    expect(explainSocketError(failure("ETIMEDOUT"), { ...context, opening: false })).toMatchObject({
      reason: "CONNECTION_RESET",
      stage: "session",
    });
  });

  it("reads the first of several failed addresses, and survives what is no error", () => {
    const several = new AggregateError([failure("ECONNREFUSED"), failure("ENETUNREACH")], "both failed");
    expect(explainSocketError(several, context).reason).toBe("PORT_CLOSED");
    for (const odd of [undefined, "text", new Error("plain"), new AggregateError([], "none")]) {
      expect(explainSocketError(odd, context).reason).toBe("SOCKET_ERROR");
    }
  });
});
