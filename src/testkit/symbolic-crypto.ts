import type { Ed25519Signer, IdentityCrypto } from "../base/identity-crypto.ts";

/** Rewrites what a hash or a signature is about to cover; used to ask what would happen if a part were missing. */
export interface SymbolicView {
  /** The input of SHA-512, as a string that stands for it. Equal strings, equal hashes. */
  hashed(data: Uint8Array): string;
  /** The input of a signature or keyed digest. */
  covered(data: Uint8Array): string;
}

const PLAIN: SymbolicView = {
  hashed: (data) => Buffer.from(data).toString("latin1"),
  covered: (data) => Buffer.from(data).toString("latin1"),
};

/**
 * Perfect cryptography for model checks: each hash, signature and keyed digest is a number given out once per distinct
 * (kind, key, content), so nothing collides and nothing can be made without its key. Deterministic within one instance.
 */
export class SymbolicCrypto implements IdentityCrypto {
  readonly #view: SymbolicView;
  readonly #numbers = new Map<string, number>();

  constructor(view: SymbolicView = PLAIN) {
    this.#view = view;
  }

  sha256(data: Uint8Array): Buffer {
    return this.#symbol(`h256:${Buffer.from(data).toString("latin1")}`, 32);
  }

  sha512(data: Uint8Array): Buffer {
    return this.#symbol(`h512:${this.#view.hashed(data)}`, 64);
  }

  hmacSha256(key: Uint8Array, data: Uint8Array): Buffer {
    return this.#symbol(`mac:${Buffer.from(key).toString("hex")}:${this.#view.covered(data)}`, 32);
  }

  equal(a: Uint8Array, b: Uint8Array): boolean {
    return Buffer.compare(a, b) === 0;
  }

  /** The key of seed `s` is `s` with its last byte cleared: any 32 bytes that pass as a point will do. */
  ed25519PublicKey(seed: Uint8Array): Buffer {
    const key = Buffer.from(seed);
    key[31] = 0;
    return key;
  }

  ed25519Sign(seed: Uint8Array, data: Uint8Array): Buffer {
    return this.#signature(this.ed25519PublicKey(seed), data);
  }

  ed25519Signer(seed: Uint8Array): Ed25519Signer {
    const own = Buffer.from(seed);
    return (data) => this.ed25519Sign(own, data);
  }

  ed25519Verify(publicKey: Uint8Array, data: Uint8Array, signature: Uint8Array): boolean {
    return this.equal(this.#signature(publicKey, data), signature);
  }

  scrypt(secret: Uint8Array, salt: Uint8Array, _n: number, _r: number, _p: number, length: number): Buffer {
    return this.#symbol(`kdf:${Buffer.from(secret).toString("hex")}:${Buffer.from(salt).toString("hex")}`, length);
  }

  #signature(publicKey: Uint8Array, data: Uint8Array): Buffer {
    return this.#symbol(`sig:${Buffer.from(publicKey).toString("hex")}:${this.#view.covered(data)}`, 64);
  }

  #symbol(what: string, length: number): Buffer {
    let number = this.#numbers.get(what);
    if (number === undefined) {
      number = this.#numbers.size + 1;
      this.#numbers.set(what, number);
    }
    const out = Buffer.alloc(length, 0xa5);
    out.writeUInt32BE(number, length - 4);
    return out;
  }
}
