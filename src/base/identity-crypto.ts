/** Signs with one seed. As secret as the seed: whoever holds it can sign. */
export type Ed25519Signer = (data: Uint8Array) => Buffer;

/**
 * The primitives of identity by key, injected so that the machines which use them stay free of I/O and a model check can
 * run them on symbols. Results belong to the caller. Functions that check a peer's bytes answer false on malformed
 * input, they never throw; the others throw a plain RangeError on a caller's bug, such as a seed that is not 32 bytes.
 */
export interface IdentityCrypto {
  /** SHA-256 of `data`. 32 bytes. */
  sha256(data: Uint8Array): Buffer;
  /** SHA-512 of `data`. 64 bytes. */
  sha512(data: Uint8Array): Buffer;
  /** HMAC with SHA-256 (RFC 2104). 32 bytes. */
  hmacSha256(key: Uint8Array, data: Uint8Array): Buffer;
  /** Constant-time comparison; false when the lengths differ. */
  equal(a: Uint8Array, b: Uint8Array): boolean;
  /** The Ed25519 public key of a 32-byte seed (RFC 8032, 5.1.5). 32 bytes. */
  ed25519PublicKey(seed: Uint8Array): Buffer;
  /** The Ed25519 signature over `data` by a 32-byte seed (RFC 8032, 5.1.6). 64 bytes. */
  ed25519Sign(seed: Uint8Array, data: Uint8Array): Buffer;
  /** `ed25519Sign` for many signatures of one seed, which is taken in once: that costs ten times what a signature does. */
  ed25519Signer(seed: Uint8Array): Ed25519Signer;
  /**
   * Whether `signature` is one of `publicKey` over `data` (RFC 8032, 5.1.7, without multiplying by the cofactor).
   * False for any wrong length. Small-order keys are not refused here: parse a key by `parsePublicKey` first.
   */
  ed25519Verify(publicKey: Uint8Array, data: Uint8Array, signature: Uint8Array): boolean;
  /** scrypt (RFC 7914). `length` bytes; needs about 128 * n * r bytes of memory while it runs, and blocks. */
  scrypt(secret: Uint8Array, salt: Uint8Array, n: number, r: number, p: number, length: number): Buffer;
}
