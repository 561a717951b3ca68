/**
 * The cryptographic primitives that protocol machines may use, injected so that the machines stay free of I/O and can
 * be run symbolically by a model check.
 */
export interface Crypto {
  /** MD5 of `data`; only for the digests of the OTP handshake, which fixes it. 16 bytes. */
  md5(data: Uint8Array): Buffer;
  /** SHA-256 of `data`. 32 bytes. */
  sha256(data: Uint8Array): Buffer;
  /** Constant-time comparison; false when the lengths differ. */
  equal(a: Uint8Array, b: Uint8Array): boolean;
}
