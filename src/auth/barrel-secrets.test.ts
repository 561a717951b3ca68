import { readdirSync, readFileSync } from "node:fs";
import { inspect } from "node:util";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import { BARREL_PROOF_BYTES, barrelProofInput } from "../identity/barrel-proof.ts";
import { NodeKey } from "../identity/node-key.ts";
import { isSignatureInput, type SignatureLabel, signatureInput, verifyText } from "../identity/signed-text.ts";
import { RealIdentityCrypto } from "../system/real-identity-crypto.ts";
import { BarrelEnd, barrelTestNode, runBarrel } from "../testkit/barrel-end.ts";

const crypto = new RealIdentityCrypto();
const LABELS: readonly SignatureLabel[] = [
  "sallyport/1 dialler proof",
  "sallyport/1 acceptor proof",
  "sallyport/1 succession",
  "sallyport/1 bundle",
];
const octets = (length: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((bytes) => Buffer.from(bytes));

describe("one key in two formats of signatures", () => {
  const key = new NodeKey(Buffer.alloc(32, 5), crypto);

  it("has the labels of all that this project signs", () => {
    const source = readFileSync(new URL("../identity/signed-text.ts", import.meta.url), "utf8");
    const union = source.slice(source.indexOf("export type SignatureLabel"), source.indexOf("/** What a keyed digest"));
    expect([...union.matchAll(/"([^"]+)"/g)].map((m) => m[1])).toEqual(LABELS);
  });

  it("signs for barrel what verifies nowhere else, whatever the asker chose", () => {
    fc.assert(
      fc.property(
        octets(32),
        fc.bigInt(0n, 2n ** 64n - 1n),
        octets(32),
        fc.uint8Array(),
        (nonce, ms, binding, text) => {
          const signature = key.signBarrelProof({ nonce, timestampMs: ms, binding });
          const signed = barrelProofInput({ nonce, timestampMs: ms, signer: key.publicKey, binding });
          expect(crypto.ed25519Verify(key.publicKey, signed, signature)).toBe(true);
          expect(isSignatureInput(signed)).toBe(false);
          for (const label of LABELS) {
            expect(verifyText(label, text, key.publicKey, signature, crypto)).toBe(false);
            // The 104 bytes themselves, passed off as the content.
            expect(verifyText(label, signed, key.publicKey, signature, crypto)).toBe(false);
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  it("signs elsewhere what barrel's machines cannot be made to accept", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...LABELS),
        fc.uint8Array(),
        octets(40),
        octets(32),
        (label, content, asked, binding) => {
          const signature = key.sign(label, content);
          expect(signatureInput(label, content, crypto).length).toBeGreaterThan(BARREL_PROOF_BYTES);
          const signed = barrelProofInput({
            nonce: asked.subarray(0, 32),
            timestampMs: asked.readBigUInt64BE(32),
            signer: key.publicKey,
            binding,
          });
          expect(crypto.ed25519Verify(key.publicKey, signed, signature)).toBe(false);
        },
      ),
      { numRuns: 40 },
    );
  });

  it("refuses to sign 104 bytes of somebody else's making", () => {
    expect(() => key.signInput(Buffer.alloc(BARREL_PROOF_BYTES))).toThrow(RangeError);
    const short = { nonce: Buffer.alloc(31), timestampMs: 0n, binding: Buffer.alloc(32) };
    expect(() => key.signBarrelProof(short)).toThrow(RangeError);
  });

  it("makes barrel's format in the key and in barrel's machines alone", () => {
    const users: string[] = [];
    const root = new URL("..", import.meta.url);
    for (const entry of readdirSync(root, { recursive: true, encoding: "utf8" })) {
      if (!entry.endsWith(".ts") || entry.endsWith(".test.ts")) continue;
      if (readFileSync(new URL(entry, root), "utf8").includes("barrelProofInput(")) users.push(entry);
    }
    expect(users.sort()).toEqual(["auth/barrel-step.ts", "identity/barrel-proof.ts", "identity/node-key.ts"]);
  });
});

describe("the machines of barrel's auth v2", () => {
  it("show nothing of seeds, nonces and signatures in errors and prints", () => {
    const seed = Buffer.alloc(32, 0x5a);
    const dialler = new BarrelEnd(Buffer.from("cert"), 0).dial(
      barrelTestNode("a@h", seed, crypto),
      parseNodeName("b@h"),
    );
    const listener = new BarrelEnd(Buffer.from("another"), 0).accept(barrelTestNode("b@h", 2, crypto));
    runBarrel(dialler, listener);
    const shown = inspect([dialler.error, listener.error, dialler.machine], { depth: 9, showHidden: true });
    for (const secret of [seed, ...dialler.sent.slice(1), ...listener.sent.slice(1)]) {
      const body = secret === seed ? secret : secret.subarray(3);
      expect(shown).not.toContain(body.toString("hex").slice(0, 32));
      expect(shown).not.toContain(body.toString("base64").slice(0, 20));
    }
    expect(shown).toContain("PROOF_INVALID");
  });
});
