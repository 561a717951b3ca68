import { describe, expect, it } from "vitest";
import { RealCrypto } from "./real-crypto.ts";

const crypto = new RealCrypto();
const text = (value: string): Buffer => Buffer.from(value, "latin1");

describe("RealCrypto", () => {
  it("computes MD5 (RFC 1321, A.5)", () => {
    expect(crypto.md5(text("abc")).toString("hex")).toBe("900150983cd24fb0d6963f7d28e17f72");
  });

  it("computes SHA-256 (FIPS 180-4 example)", () => {
    expect(crypto.sha256(text("abc")).toString("hex")).toBe(
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    );
  });

  it("compares without throwing on unequal lengths", () => {
    expect(crypto.equal(text("abc"), text("abc"))).toBe(true);
    expect(crypto.equal(text("abc"), text("abd"))).toBe(false);
    expect(crypto.equal(text("abc"), text("ab"))).toBe(false);
    expect(crypto.equal(text(""), text(""))).toBe(true);
  });
});
