import { describe, expect, it } from "vitest";
import { closedAfterReply } from "./connection-failures.ts";

describe("a close right after the proof of the cookie", () => {
  it("has one code, and over QUIC names the policy there as the other cause", () => {
    const [tls, quic] = [closedAfterReply(undefined, false), closedAfterReply(undefined, true)];
    for (const error of [tls, quic]) {
      expect(error).toMatchObject({ code: "ERR_DENIED", reason: "SECRET_MISMATCH", stage: "cookie" });
      expect(error.advice).toMatch(/^set the same cookie on both sides; when it is the same, .*policy/);
    }
    expect(`${tls.message} ${tls.advice}`).not.toContain("QUIC");
    expect(quic.message).toContain("a policy that does not let in who dials over QUIC");
    expect(quic.advice).toContain("entry for this node has keys");
  });
});
