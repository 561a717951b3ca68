import { describe, expect, it } from "vitest";
import { RealIdentityCrypto } from "./real-identity-crypto.ts";

const crypto = new RealIdentityCrypto();
const hex = (text: string): Buffer => Buffer.from(text, "hex");
const text = (value: string): Buffer => Buffer.from(value, "latin1");

/** RFC 8032, 7.1, tests 1 to 3. */
const RFC8032: readonly (readonly [string, string, string, string])[] = [
  [
    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    "",
    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
  ],
  [
    "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    "72",
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
  ],
  [
    "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
    "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
    "af82",
    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
  ],
];

describe("RealIdentityCrypto", () => {
  it.each(RFC8032)("derives, signs and verifies (RFC 8032): %s", (seed, key, data, signature) => {
    expect(crypto.ed25519PublicKey(hex(seed)).toString("hex")).toBe(key);
    expect(crypto.ed25519Sign(hex(seed), hex(data)).toString("hex")).toBe(signature);
    expect(crypto.ed25519Verify(hex(key), hex(data), hex(signature))).toBe(true);
  });

  it.each(RFC8032)(
    "signs alike with a seed taken in once, which may be wiped then: %s",
    (seed, _key, data, signature) => {
      const bytes = hex(seed);
      const sign = crypto.ed25519Signer(bytes);
      bytes.fill(0);
      expect([sign(hex(data)), sign(hex(data))].map((made) => made.toString("hex"))).toEqual([signature, signature]);
    },
  );

  it("refuses a changed signature, message or key, and S + L", () => {
    const [seed, key, data, signature] = RFC8032[2]!;
    const good = hex(signature);
    for (const at of [0, 31, 32, 63]) {
      const bad = Buffer.from(good);
      bad[at] = bad[at]! ^ 1;
      expect(crypto.ed25519Verify(hex(key), hex(data), bad)).toBe(false);
    }
    expect(crypto.ed25519Verify(hex(key), hex("af83"), good)).toBe(false);
    expect(crypto.ed25519Verify(crypto.ed25519PublicKey(Buffer.alloc(32, 7)), hex(data), good)).toBe(false);
    const order = 2n ** 252n + 27742317777372353535851937790883648493n;
    const s = BigInt(`0x${Buffer.from(good.subarray(32)).reverse().toString("hex")}`) + order;
    const malleable = Buffer.from(good);
    malleable.set(hex(s.toString(16).padStart(64, "0")).reverse(), 32);
    expect(crypto.ed25519Verify(hex(key), hex(data), malleable)).toBe(false);
    expect(hex(seed)).toHaveLength(32);
  });

  it("answers false, and never throws, for peer bytes of any length", () => {
    for (let length = 0; length <= 130; length++) {
      const bytes = Buffer.alloc(length, 0xff);
      expect(crypto.ed25519Verify(bytes, text("x"), Buffer.alloc(64))).toBe(false);
      expect(crypto.ed25519Verify(hex(RFC8032[0]![1]), text("x"), bytes)).toBe(false);
    }
  });

  it("refuses a seed of a wrong length without showing it", () => {
    const seed = Buffer.from("5ec2e7".repeat(10), "hex");
    const uses = [
      () => crypto.ed25519PublicKey(seed),
      () => crypto.ed25519Sign(seed, text("x")),
      () => crypto.ed25519Signer(seed),
    ];
    for (const use of uses) {
      expect(use).toThrow(RangeError);
      expect(use).toThrow(expect.not.stringContaining("5ec2e7"));
    }
  });

  it("computes SHA-512 and HMAC-SHA256 (RFC 4231, test 2)", () => {
    expect(crypto.sha256(text("abc")).toString("hex")).toMatch(/^ba7816bf8f01cfea/);
    expect(crypto.sha512(text("abc")).toString("hex")).toMatch(/^ddaf35a193617abacc417349ae204131/);
    expect(crypto.hmacSha256(text("Jefe"), text("what do ya want for nothing?")).toString("hex")).toBe(
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    );
  });

  it("computes scrypt (RFC 7914, 12), also with more memory than the system's default bound", () => {
    expect(crypto.scrypt(text("password"), text("NaCl"), 1024, 8, 16, 64).toString("hex")).toMatch(
      /^fdbabe1c9d3472007856e7190d01e9fe/,
    );
    expect(crypto.scrypt(text("x"), text("y"), 32_768, 8, 1, 32)).toHaveLength(32);
  });

  it("compares without throwing on unequal lengths", () => {
    expect(crypto.equal(text("abc"), text("abc"))).toBe(true);
    expect(crypto.equal(text("abc"), text("abd"))).toBe(false);
    expect(crypto.equal(text("abc"), text("ab"))).toBe(false);
  });
});
