import type { X509Certificate } from "node:crypto";
import { describe, expect, it } from "vitest";
import { validityOf, verifiedChain } from "./verified-chain.ts";

/** A certificate between two days of 2030. */
const certificate = (from: number, to: number): X509Certificate =>
  ({
    raw: Buffer.from(`${from} ${to}`),
    validFrom: `Jan ${from} 00:00:00 2030 GMT`,
    validTo: `Jan ${to} 00:00:00 2030 GMT`,
  }) as X509Certificate;
const day = (number: number): number => Date.UTC(2030, 0, number);

describe("what a full handshake verified", () => {
  const leaf = certificate(3, 20);
  const path = [leaf, certificate(5, 12), certificate(1, 25)];

  it("holds while every certificate on the way to the root does, and what this node has shown", () => {
    expect(verifiedChain(leaf, path, undefined, day(30))).toMatchObject({ beginsMs: day(5), endsMs: day(12) });
    expect(verifiedChain(leaf, path, undefined, day(8))).toMatchObject({ beginsMs: day(5), endsMs: day(8) });
  });

  it("of a chain that is not trusted is the certificate alone", () => {
    const chain = verifiedChain(leaf, path, "SELF_SIGNED_CERT_IN_CHAIN", day(30));
    expect(chain).toMatchObject({ beginsMs: day(3), endsMs: day(20), chainError: "SELF_SIGNED_CERT_IN_CHAIN" });
  });

  it("never holds without a way to a root, or with a date that cannot be read", () => {
    for (const none of [undefined, []]) {
      expect(verifiedChain(leaf, none, undefined, day(30)).endsMs).toBe(Number.NEGATIVE_INFINITY);
    }
    expect(validityOf([leaf, { ...leaf, validTo: "soon" } as X509Certificate]).endsMs).toBe(Number.NEGATIVE_INFINITY);
  });
});
