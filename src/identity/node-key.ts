import type { Ed25519Signer, IdentityCrypto } from "../base/identity-crypto.ts";
import { type BarrelProofContent, barrelProofInput } from "./barrel-proof.ts";
import { type Fingerprint, fingerprintOf, KEY_BYTES, type PublicKey, parsePublicKey } from "./public-key.ts";
import { isSignatureInput, type SignatureLabel, signText } from "./signed-text.ts";
import { makeStatement, type SuccessionStatement } from "./succession.ts";

/**
 * The node's own key pair in memory. The seed stays inside: it is in no property, so no print, log or JSON of this object
 * shows it. `destroy` overwrites it and lets go of the signer made of it.
 */
export class NodeKey {
  readonly publicKey: PublicKey;
  readonly fingerprint: Fingerprint;
  readonly #seed: Buffer;
  readonly #crypto: IdentityCrypto;
  #signer: Ed25519Signer | undefined;

  /** @param seed 32 octets, copied; the caller overwrites its own. */
  constructor(seed: Uint8Array, crypto: IdentityCrypto) {
    this.#crypto = crypto;
    this.#seed = Buffer.alloc(KEY_BYTES);
    this.publicKey = parsePublicKey(crypto.ed25519PublicKey(seed), "our own public key");
    this.#seed.set(seed);
    this.#signer = crypto.ed25519Signer(this.#seed);
    this.fingerprint = fingerprintOf(this.publicKey, crypto);
  }

  /** Signs `content` under `label` (docs/protocol.md, "Signatures"). 64 octets. @throws RangeError after `destroy`. */
  sign(label: SignatureLabel, content: Uint8Array): Buffer {
    this.#alive();
    return signText(label, content, this.#seed, this.#crypto);
  }

  /**
   * Signs an input that `signatureInput` made, and nothing else. 64 octets.
   * @throws RangeError for bytes of another form, and after `destroy`
   */
  signInput(input: Uint8Array): Buffer {
    const sign = this.#alive();
    if (!isSignatureInput(input)) throw new RangeError("these bytes are not an input of this project's signatures");
    return sign(input);
  }

  /**
   * Signs a proof of barrel's auth v2, with this key as the signer in it. 64 octets. The whole 104-octet input is made here:
   * nothing else of that length is ever signed.
   * @throws RangeError for parts of a wrong length, and after `destroy`
   */
  signBarrelProof(content: Omit<BarrelProofContent, "signer">): Buffer {
    return this.#alive()(barrelProofInput({ ...content, signer: this.publicKey }));
  }

  /** Vouches for the key that follows this one. */
  succeed(content: Omit<SuccessionStatement, "signature" | "oldKey">): SuccessionStatement {
    this.#alive();
    return makeStatement({ ...content, oldKey: this.publicKey }, this.#seed, this.#crypto);
  }

  /** Overwrites the seed. Idempotent; signing throws afterwards. */
  destroy(): void {
    this.#signer = undefined;
    this.#seed.fill(0);
  }

  #alive(): Ed25519Signer {
    if (this.#signer === undefined) throw new RangeError("this key was destroyed");
    return this.#signer;
  }
}
