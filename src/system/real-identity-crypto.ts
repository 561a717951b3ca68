import {
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  scryptSync,
  sign,
  timingSafeEqual,
  verify,
} from "node:crypto";
import type { Ed25519Signer, IdentityCrypto } from "../base/identity-crypto.ts";

const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;

/** What precedes a raw seed in PKCS #8 (RFC 8410, section 7). */
const PKCS8_PREFIX: Buffer = Buffer.from("302e020100300506032b657004220420", "hex");

/** What precedes a raw public key in SubjectPublicKeyInfo (RFC 8410, section 4). */
const SPKI_PREFIX: Buffer = Buffer.from("302a300506032b6570032100", "hex");

/** Memory above what scrypt itself needs; the system refuses when its estimate lies over the bound. */
const SCRYPT_SPARE_BYTES = 1 << 20;

/** The primitives of `IdentityCrypto`, from OpenSSL. Has no state. */
export class RealIdentityCrypto implements IdentityCrypto {
  sha256(data: Uint8Array): Buffer {
    return createHash("sha256").update(data).digest();
  }

  sha512(data: Uint8Array): Buffer {
    return createHash("sha512").update(data).digest();
  }

  hmacSha256(key: Uint8Array, data: Uint8Array): Buffer {
    return createHmac("sha256", key).update(data).digest();
  }

  equal(a: Uint8Array, b: Uint8Array): boolean {
    // Lengths are no secret; the system's comparison throws on unequal ones.
    return a.length === b.length && timingSafeEqual(a, b);
  }

  ed25519PublicKey(seed: Uint8Array): Buffer {
    const spki = createPublicKey(privateKey(seed)).export({ format: "der", type: "spki" });
    return Buffer.from(spki.subarray(SPKI_PREFIX.length));
  }

  ed25519Sign(seed: Uint8Array, data: Uint8Array): Buffer {
    return sign(null, data, privateKey(seed));
  }

  ed25519Signer(seed: Uint8Array): Ed25519Signer {
    const key = privateKey(seed);
    return (data) => sign(null, data, key);
  }

  ed25519Verify(publicKey: Uint8Array, data: Uint8Array, signature: Uint8Array): boolean {
    if (publicKey.length !== KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false;
    try {
      // A tenth of the time that OpenSSL's decoder of DER takes, and every inbound proof pays it.
      const x = Buffer.from(publicKey).toString("base64url");
      const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
      return verify(null, data, key, signature);
    } catch {
      // Bytes that are no point of the curve: OpenSSL may refuse them as a key instead of failing the signature.
      return false;
    }
  }

  scrypt(secret: Uint8Array, salt: Uint8Array, n: number, r: number, p: number, length: number): Buffer {
    const maxmem = 128 * r * (n + p + 2) + SCRYPT_SPARE_BYTES;
    return scryptSync(secret, salt, length, { N: n, r, p, maxmem });
  }
}

function privateKey(seed: Uint8Array): KeyObject {
  if (seed.length !== KEY_BYTES) throw new RangeError(`an Ed25519 seed has 32 bytes, not ${seed.length}`);
  const der = Buffer.concat([PKCS8_PREFIX, seed]);
  try {
    return createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  } finally {
    der.fill(0);
  }
}
