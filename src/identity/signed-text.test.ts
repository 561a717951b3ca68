import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RealIdentityCrypto } from "../system/real-identity-crypto.ts";
import { macInput, type SignatureLabel, signatureInput, signText, verifyText } from "./signed-text.ts";

const crypto = new RealIdentityCrypto();
const LABELS: readonly SignatureLabel[] = [
  "sallyport/1 dialler proof",
  "sallyport/1 acceptor proof",
  "sallyport/1 succession",
  "sallyport/1 bundle",
];
const seed = Buffer.alloc(32, 7);
const key = crypto.ed25519PublicKey(seed);

describe("signed text", () => {
  it("is 64 spaces, the label, a zero and SHA-512 of the content", () => {
    const content = Buffer.from("content");
    expect(signatureInput("sallyport/1 bundle", content, crypto).toString("hex")).toBe(
      `${"20".repeat(64)}73616c6c79706f72742f312062756e646c6500${createHash("sha512").update(content).digest("hex")}`,
    );
    const hash = Buffer.alloc(64, 3);
    expect(macInput("sallyport/1 invite", hash).toString("hex")).toBe(
      `${"20".repeat(64)}73616c6c79706f72742f3120696e7669746500${"03".repeat(64)}`,
    );
  });

  it("never has the 104 bytes that barrel's handshake signs, whatever the content", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.constantFrom(...LABELS), (content, label) => {
        const input = signatureInput(label, content, crypto);
        expect(input.length).toBeGreaterThanOrEqual(130);
        expect(input.subarray(0, 64).every((byte) => byte === 0x20)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  it("verifies under its own label, key and content only", () => {
    const content = Buffer.from("content");
    for (const label of LABELS) {
      const signature = signText(label, content, seed, crypto);
      for (const other of LABELS) {
        expect(verifyText(other, content, key, signature, crypto)).toBe(other === label);
      }
      expect(verifyText(label, Buffer.from("Content"), key, signature, crypto)).toBe(false);
      expect(verifyText(label, content, crypto.ed25519PublicKey(Buffer.alloc(32, 8)), signature, crypto)).toBe(false);
      for (const length of [0, 63, 65]) {
        expect(verifyText(label, content, key, Buffer.alloc(length), crypto)).toBe(false);
      }
    }
  });

  it("does not verify for what barrel's handshake would sign on request: any 104 bytes", () => {
    // The strongest request: the first 104 bytes of a real input.
    const input = signatureInput("sallyport/1 bundle", Buffer.from("x"), crypto);
    const signature = crypto.ed25519Sign(seed, input.subarray(0, 104));
    expect(verifyText("sallyport/1 bundle", Buffer.from("x"), key, signature, crypto)).toBe(false);
  });

  it("has inputs that differ for any two labels or contents", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...LABELS),
        fc.constantFrom(...LABELS),
        fc.uint8Array({ maxLength: 40 }),
        fc.uint8Array({ maxLength: 40 }),
        (a, b, x, y) => {
          const same = signatureInput(a, x, crypto).equals(signatureInput(b, y, crypto));
          expect(same).toBe(a === b && Buffer.from(x).equals(Buffer.from(y)));
        },
      ),
    );
  });

  it("refuses a transcript hash of another length as a caller's bug", () => {
    expect(() => macInput("sallyport/1 invite", Buffer.alloc(32))).toThrow(RangeError);
  });
});
