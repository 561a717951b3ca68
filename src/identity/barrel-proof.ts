import { KEY_BYTES } from "./public-key.ts";

/** Bytes of a nonce of barrel's auth v2. */
export const BARREL_NONCE_BYTES = 32;

/** Bytes of the channel binding: SHA-256 of the listener's certificate. */
export const BARREL_BINDING_BYTES = 32;

/** What barrel's auth v2 signs has exactly this length; what this project signs elsewhere has 130 bytes or more. */
export const BARREL_PROOF_BYTES = 104;

/** What one side of barrel's auth v2 puts its signature to (barrel-auth section 3). */
export interface BarrelProofContent {
  /** Nonce of the CHALLENGE that asks for the proof. 32 bytes of the verifier's choice. */
  readonly nonce: Uint8Array;
  /** Timestamp of that CHALLENGE: unix milliseconds, 64 bits, of the verifier's choice. */
  readonly timestampMs: bigint;
  /** Whoever signs. */
  readonly signer: Uint8Array;
  /** SHA-256 of the listener's certificate (DER), on both sides. */
  readonly binding: Uint8Array;
}

/**
 * `nonce:32 timestamp:64 signer:32 binding:32`. Forty bytes of it are chosen by whoever asks, so the key signs such bytes in
 * this one form and in no other protocol: labelled signatures (`signatureInput`) are longer, and never begin like this at
 * the same length.
 * @throws RangeError when a part has the wrong length; that is a caller's bug.
 */
export function barrelProofInput({ nonce, timestampMs, signer, binding }: BarrelProofContent): Buffer {
  if (nonce.length !== BARREL_NONCE_BYTES || signer.length !== KEY_BYTES || binding.length !== BARREL_BINDING_BYTES) {
    throw new RangeError(`parts of ${nonce.length}, ${signer.length} and ${binding.length} octets, not three of 32`);
  }
  const out = Buffer.alloc(BARREL_PROOF_BYTES);
  out.set(nonce, 0);
  out.writeBigUInt64BE(timestampMs, 32);
  out.set(signer, 40);
  out.set(binding, 72);
  return out;
}
