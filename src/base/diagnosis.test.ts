import { describe, expect, it } from "vitest";
import { diagnose, PROBE_STAGES, withFinding } from "./diagnosis.ts";
import { SallyportError } from "./errors.ts";

describe("diagnose", () => {
  it("gives a reason of the table its code, stage and fault, and a fix that begins with where", () => {
    const error = new SallyportError("ERR_DENIED", "TLS_ALERT_CERT_EXPIRED", "x", { stage: "tls", advice: "renew it" });
    expect(diagnose(error)).toEqual({
      code: "CERT_EXPIRED",
      stage: "certificate",
      fault: "local",
      retryable: false,
      fix: "on this node: renew it",
    });
    expect(diagnose(error, { local: "a@h", remote: "b@h" }).fix).toBe("on this node, a@h: renew it");
  });

  it("lets a reason without a row stand for itself, at its own stage", () => {
    const refused = new SallyportError("ERR_DENIED", "OWN_KEY", "x", { stage: "identity", advice: "make another" });
    expect(diagnose(refused)).toMatchObject({ code: "OWN_KEY", stage: "identity", fault: "remote" });
    const own = new SallyportError("ERR_CONFIG", "CONSTRUCTOR", "x");
    expect(diagnose(own)).toMatchObject({ code: "CONSTRUCTOR", stage: "session", fault: "local" });
    // A name of Object's own is no row.
    expect(diagnose(new SallyportError("ERR_DENIED", "constructor", "x"))).toMatchObject({ code: "constructor" });
  });

  it("takes a row of barrel's for what belongs to its steps, and leaves the others as they are", () => {
    const skew = (detail: object): SallyportError =>
      new SallyportError("ERR_DENIED", "CLOCK_SKEW", "x", { stage: "identity", detail: { ...detail } });
    expect(diagnose(skew({}))).toMatchObject({ code: "CLOCK_SKEW", stage: "session" });
    expect(diagnose(skew({ barrel: "peer_ts_skew" }))).toMatchObject({ code: "CLOCK_SKEW", stage: "identity" });
    const late = (detail: object): SallyportError =>
      new SallyportError("ERR_DEADLINE", "HANDSHAKE_TIMEOUT", "x", { stage: "cookie", detail: { ...detail } });
    expect(diagnose(late({}))).toMatchObject({ code: "PEER_UNREACHABLE", stage: "tls" });
    expect(diagnose(late({ step: "dist" }))).toMatchObject({ code: "PEER_UNREACHABLE", stage: "cookie" });
  });

  it("goes by what was found out, and then a repetition is in vain", () => {
    const closed = new SallyportError("ERR_CLOSED", "CLOSED_DURING_HANDSHAKE", "it closed", { advice: "read the log" });
    expect(diagnose(closed)).toMatchObject({ code: "PEER_UNREACHABLE", retryable: true });
    const found = withFinding(closed, { code: "CERT_EXPIRED", fault: "local", says: "ours ended", advice: "renew" });
    expect(found.message).toBe("[ERR_CLOSED] it closed; ours ended");
    expect(diagnose(found)).toMatchObject({
      code: "CERT_EXPIRED",
      fault: "local",
      retryable: false,
      fix: "on this node: renew",
    });
  });

  it("has its stages in the order in which a connection comes past them", () => {
    expect(PROBE_STAGES.indexOf("port")).toBeLessThan(PROBE_STAGES.indexOf("tls"));
    expect(PROBE_STAGES.at(-1)).toBe("session");
  });
});
