import { X509Certificate } from "node:crypto";
import { afterEach, describe, expect, it } from "vitest";
import { closeEngines, material, pair } from "./quic-rig.ts";

afterEach(closeEngines);

describe("a QUIC connection", () => {
  it("tells both sides who the other is", async () => {
    const shown = await material();
    const { near, far } = await pair({ material: shown });
    const der = new X509Certificate(shown.certPem).raw;
    expect(near.ear.info).toMatchObject({
      transport: "quic",
      tlsVersion: "TLSv1.3",
      alpn: "erlang-dist",
      chainTrusted: false,
    });
    expect(near.ear.info?.peerCertDer?.equals(der)).toBe(true);
    expect(near.ear.info?.ownCertDer).toBeUndefined();
    expect(far.ear.info?.ownCertDer?.equals(der)).toBe(true);
    expect(far.ear.info?.peerCertDer).toBeUndefined();
    expect(far.ear.info).toMatchObject({ transport: "quic", alpn: "erlang-dist" });
  });

  it("carries bytes both ways, and the end behind them", async () => {
    const { near, far } = await pair();
    const auth = near.carrier.open("auth");
    near.carrier.write(auth, Buffer.from("hello"));
    near.carrier.finish(auth);
    await far.ear.until((ear) => ear.ended.has(2));
    expect(far.ear.text(2)).toBe("hello");
    const control = near.carrier.open("control");
    near.carrier.write(control, Buffer.from("a"));
    await far.ear.until((ear) => ear.count(0) === 1);
    far.carrier.write(0, Buffer.from("b"));
    await near.ear.until((ear) => ear.count(0) === 1);
    near.carrier.end();
    await Promise.all([near.ear.until((e) => e.isClosed), far.ear.until((e) => e.isClosed)]);
    expect([near.ear.cause, far.ear.cause]).toEqual([undefined, undefined]);
  });
});
