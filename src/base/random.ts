/** Cryptographically strong randomness, as an injected part: tests pass a seeded one. */
export interface Random {
  /** `length` fresh random bytes, owned by the caller. */
  bytes(length: number): Buffer;
  /** A fresh random unsigned 32-bit integer. */
  uint32(): number;
}
