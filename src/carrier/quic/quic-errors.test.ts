import { describe, expect, it } from "vitest";
import { closedCause } from "./quic-errors.ts";

const by = (who: "peer" | "local" | "timeout" | "reset" | "system", app: boolean, code: number, system = "") => ({
  by: who,
  app,
  code,
  system,
});

describe("the end of a QUIC connection", () => {
  it("is in good order with application code 0, once it was open", () => {
    expect(closedCause(by("peer", true, 0), "h:1", true, "dial")).toBeUndefined();
    expect(closedCause(by("local", true, 0), "h:1", true, "dial")).toBeUndefined();
    expect(closedCause(by("peer", true, 0), "h:1", false, "dial")).toMatchObject({ reason: "CLOSED_WHILE_OPENING" });
  });

  it.each([
    [by("local", false, 0x133), false, "dial", "ERR_PEER_MISBEHAVED", "QUIC_CERTIFICATE_UNPROVEN"],
    [by("peer", false, 0x133), false, "accept", "ERR_PEER_INCOMPATIBLE", "QUIC_TLS_FAILED"],
    [by("peer", false, 0x178), false, "dial", "ERR_PEER_INCOMPATIBLE", "QUIC_NO_ALPN"],
    [by("local", false, 0x128), false, "dial", "ERR_PEER_INCOMPATIBLE", "QUIC_TLS_FAILED"],
    [by("peer", true, 0x0c), true, "dial", "ERR_CLOSED", "CONNECTION_RESET"],
    [by("local", false, 0xa), true, "dial", "ERR_PEER_MISBEHAVED", "QUIC_PROTOCOL"],
    [by("timeout", false, 0), true, "dial", "ERR_CLOSED", "CONNECTION_LOST"],
    [by("reset", false, 0), true, "dial", "ERR_CLOSED", "CONNECTION_LOST"],
    [by("timeout", false, 0), false, "dial", "ERR_UNREACHABLE", "UDP_FILTERED"],
    [by("system", false, 0, "ENOTFOUND"), false, "dial", "ERR_UNREACHABLE", "HOST_NOT_FOUND"],
    [by("system", false, 0, "ECONNREFUSED"), false, "dial", "ERR_UNREACHABLE", "UDP_CLOSED"],
    [by("system", false, 0, "ECONNREFUSED"), true, "dial", "ERR_UNREACHABLE", "QUIC_SYSTEM_ERROR"],
    [by("system", false, 0, "ENETUNREACH"), false, "dial", "ERR_UNREACHABLE", "HOST_UNREACHABLE"],
    [by("system", false, 0, "EAI_AGAIN"), false, "dial", "ERR_UNREACHABLE", "HOST_LOOKUP_FAILED"],
    [by("system", false, 0, "EPERM"), false, "dial", "ERR_UNREACHABLE", "QUIC_SYSTEM_ERROR"],
    [by("peer", false, 0x178), false, "accept", "ERR_PEER_INCOMPATIBLE", "QUIC_NO_ALPN"],
    [by("system", false, 0, "a\nb"), false, "dial", "ERR_UNREACHABLE", "QUIC_SYSTEM_ERROR"],
  ] as const)("%j, open %s, is told to the %s side as %s %s", (facts, opened, side, code, reason) => {
    const cause = closedCause(facts, "h:1", opened, side);
    expect(cause).toMatchObject({ code, reason });
    expect(cause?.message).not.toContain("\n");
  });
});
