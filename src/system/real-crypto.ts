import { createHash, timingSafeEqual } from "node:crypto";
import type { Crypto } from "../base/crypto.ts";

/** The primitives of `Crypto`, from OpenSSL. Has no state. */
export class RealCrypto implements Crypto {
  md5(data: Uint8Array): Buffer {
    return createHash("md5").update(data).digest();
  }

  sha256(data: Uint8Array): Buffer {
    return createHash("sha256").update(data).digest();
  }

  equal(a: Uint8Array, b: Uint8Array): boolean {
    // Lengths are no secret; the system's comparison throws on unequal ones.
    return a.length === b.length && timingSafeEqual(a, b);
  }
}
