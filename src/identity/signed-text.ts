import type { IdentityCrypto } from "../base/identity-crypto.ts";

/** What a signature of this project is about. A signature under one label says nothing under another. */
export type SignatureLabel =
  | "sallyport/1 dialler proof"
  | "sallyport/1 acceptor proof"
  | "sallyport/1 succession"
  | "sallyport/1 bundle";

/** What a keyed digest of this project is about. */
export type MacLabel = "sallyport/1 dialler cookie" | "sallyport/1 acceptor cookie" | "sallyport/1 invite";

/** Octets of an Ed25519 signature. */
export const SIGNATURE_BYTES = 64;

const PREFIX_BYTES = 64;
const SPACE = 0x20;
const DIGEST_BYTES = 64;

/**
 * The bytes that are signed: `0x20 * 64 || label || 0x00 || SHA-512(content)` (docs/protocol.md). They are 130 octets or
 * more, so they are never the 104 octets that barrel's handshake signs for anyone, nor anything else that a protocol
 * with text or nonces of a peer's choice at its start would sign.
 */
export function signatureInput(label: SignatureLabel, content: Uint8Array, crypto: IdentityCrypto): Buffer {
  return labelled(label, crypto.sha512(content));
}

/**
 * The bytes that a keyed digest covers: the same form, over the transcript's own SHA-512 `transcriptHash`.
 * @throws RangeError when the hash does not have 64 octets; that is a caller's bug.
 */
export function macInput(label: MacLabel, transcriptHash: Uint8Array): Buffer {
  return labelled(label, transcriptHash);
}

/** Signs `content` under `label` with a 32-byte seed. 64 octets. */
export function signText(label: SignatureLabel, content: Uint8Array, seed: Uint8Array, crypto: IdentityCrypto): Buffer {
  return crypto.ed25519Sign(seed, signatureInput(label, content, crypto));
}

/** Whether `signature` is `publicKey`'s over `content` under `label`. Never throws on a peer's bytes. */
export function verifyText(
  label: SignatureLabel,
  content: Uint8Array,
  publicKey: Uint8Array,
  signature: Uint8Array,
  crypto: IdentityCrypto,
): boolean {
  if (signature.length !== SIGNATURE_BYTES) return false;
  return crypto.ed25519Verify(publicKey, signatureInput(label, content, crypto), signature);
}

/** Whether bytes have the form that `signatureInput` makes, with a label of this project. */
export function isSignatureInput(bytes: Uint8Array): boolean {
  for (let i = 0; i < PREFIX_BYTES; i++) if (bytes[i] !== SPACE) return false;
  const end = bytes.length - DIGEST_BYTES - 1;
  if (end <= PREFIX_BYTES || bytes[end] !== 0) return false;
  return Buffer.from(bytes.subarray(PREFIX_BYTES, end)).toString("latin1").startsWith("sallyport/1 ");
}

function labelled(label: string, digest: Uint8Array): Buffer {
  if (digest.length !== DIGEST_BYTES) throw new RangeError(`a digest of ${digest.length} octets, not ${DIGEST_BYTES}`);
  const out = Buffer.alloc(PREFIX_BYTES + label.length + 1 + DIGEST_BYTES, SPACE);
  out.write(label, PREFIX_BYTES, "latin1");
  out[PREFIX_BYTES + label.length] = 0;
  out.set(digest, PREFIX_BYTES + label.length + 1);
  return out;
}
