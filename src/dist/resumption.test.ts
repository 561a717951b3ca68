import { describe, expect, it } from "vitest";
import { type ErrorCode, SallyportError } from "../base/errors.ts";
import { endsResumption, mayBeResumption } from "./resumption.ts";

const cause = (code: ErrorCode, reason = "X"): SallyportError => new SallyportError(code, reason, "x");
const FOR_CAUSE = ["ERR_DENIED", "ERR_PEER_MISBEHAVED", "ERR_PEER_INCOMPATIBLE"] as const;
const OTHER = ["ERR_CLOSED", "ERR_DEADLINE", "ERR_UNREACHABLE", "ERR_LIMIT"] as const;

describe("the TLS session of a connection that ended", () => {
  it.each(["initiator", "acceptor"] as const)("is forgotten by the %s when one that stood ended for cause", (role) => {
    for (const code of FOR_CAUSE) expect(endsResumption("up", role, undefined, cause(code))).toBe(true);
    for (const code of OTHER) expect(endsResumption("up", role, undefined, cause(code))).toBe(false);
    expect(endsResumption("up", role, undefined, undefined)).toBe(false);
    expect(endsResumption("up", role, undefined, cause("ERR_CLOSED", "CERTIFICATE_RENEWED"))).toBe(true);
  });

  it("is forgotten by the dialler that did not get it, unless its other connection won", () => {
    for (const code of [...FOR_CAUSE, ...OTHER]) {
      expect(endsResumption("handshake", "initiator", undefined, cause(code))).toBe(true);
    }
    expect(endsResumption("handshake", "initiator", "resumed", undefined)).toBe(true);
    expect(endsResumption("handshake", "initiator", "resumed", cause("ERR_CLOSED", "OTHER_CONNECTION_WINS"))).toBe(
      false,
    );
    expect(endsResumption("securing", "initiator", "offered", cause("ERR_CLOSED"))).toBe(false);
  });

  it("is forgotten by the acceptor that refused one that had resumed", () => {
    expect(endsResumption("admitting", "acceptor", "resumed", cause("ERR_DENIED"))).toBe(true);
    expect(endsResumption("admitting", "acceptor", undefined, cause("ERR_DENIED"))).toBe(false);
    expect(endsResumption("handshake", "acceptor", "resumed", cause("ERR_CLOSED"))).toBe(false);
  });

  it("may be what a connection failed by, where it came as far as that", () => {
    for (const code of [...FOR_CAUSE, "ERR_CLOSED"] as const) expect(mayBeResumption(cause(code))).toBe(true);
    expect(mayBeResumption(undefined)).toBe(true);
    for (const reason of [
      "KEY_MISMATCH",
      "KEY_UNTRUSTED",
      "KEY_REVOKED",
      "KEY_REUSED",
      "PIN_BROKEN",
      "PROOF_INVALID",
    ]) {
      expect(mayBeResumption(cause("ERR_DENIED", reason))).toBe(false);
    }
    expect(mayBeResumption(cause("ERR_CLOSED", "OTHER_CONNECTION_WINS"))).toBe(false);
    for (const code of ["ERR_UNREACHABLE", "ERR_DEADLINE"] as const) expect(mayBeResumption(cause(code))).toBe(false);
  });
});
