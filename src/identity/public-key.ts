import type { Brand } from "../base/brand.ts";
import { SallyportError } from "../base/errors.ts";
import { quotePeerText } from "../base/escape.ts";
import type { IdentityCrypto } from "../base/identity-crypto.ts";

/** A peer's or our own Ed25519 public key: 32 octets that passed `tryPublicKey`. Treat it as read-only. */
export type PublicKey = Brand<Buffer, "PublicKey">;

/** `SHA256:` and the unpadded base64 of SHA-256(raw key): 50 characters (rulings U7). */
export type Fingerprint = Brand<string, "Fingerprint">;

/** Octets of a public key and of a seed. */
export const KEY_BYTES = 32;

/** Why 32 octets are no key to trust. */
export type KeyFault = "KEY_SIZE" | "KEY_NOT_CANONICAL" | "KEY_SMALL_ORDER";

/**
 * The y coordinates of the eight points whose order divides 8, without the sign bit, as the curve encodes them. The
 * system's verification accepts signatures that anybody can make for them, so such a key proves nothing.
 */
const SMALL_ORDER_Y: ReadonlySet<string> = new Set([
  // Order 1: the neutral element.
  `01${"00".repeat(31)}`,
  // Order 2: y = -1.
  `ec${"ff".repeat(30)}7f`,
  // Order 4: y = 0.
  "00".repeat(32),
  // Order 8: two values, each with two signs of x.
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
]);

/** What is wrong with `bytes` as a public key; undefined when nothing is. */
export function keyFault(bytes: Uint8Array): KeyFault | undefined {
  if (bytes.length !== KEY_BYTES) return "KEY_SIZE";
  const y = Buffer.from(bytes);
  y[KEY_BYTES - 1] = (y[KEY_BYTES - 1] ?? 0) & 0x7f;
  if (!belowPrime(y)) return "KEY_NOT_CANONICAL";
  return SMALL_ORDER_Y.has(y.toString("hex")) ? "KEY_SMALL_ORDER" : undefined;
}

/** Checks 32 octets from a peer or a file without throwing; undefined when they are no key to trust. Copies them. */
export function tryPublicKey(bytes: Uint8Array): PublicKey | undefined {
  return keyFault(bytes) === undefined ? (Buffer.from(bytes) as PublicKey) : undefined;
}

/**
 * Checks 32 octets and copies them.
 * @param whose what the octets are, for the message: a file name or "the key of w@h".
 * @throws {SallyportError} ERR_DENIED KEY_SIZE, KEY_NOT_CANONICAL, KEY_SMALL_ORDER
 */
export function parsePublicKey(bytes: Uint8Array, whose: string): PublicKey {
  const fault = keyFault(bytes);
  if (fault === undefined) return Buffer.from(bytes) as PublicKey;
  if (fault === "KEY_SIZE") {
    throw new SallyportError("ERR_DENIED", "KEY_SIZE", `${whose} has ${bytes.length} bytes, not ${KEY_BYTES}`, {
      stage: "identity",
      detail: { bytes: bytes.length, expected: KEY_BYTES },
      advice: "give the 32 raw bytes of an Ed25519 public key, not PEM, base64 or hex",
    });
  }
  if (fault === "KEY_NOT_CANONICAL") {
    throw new SallyportError("ERR_DENIED", "KEY_NOT_CANONICAL", `${whose} is not the canonical form of a point`, {
      stage: "identity",
      advice: "no honest program makes such a key; do not trust where it came from",
    });
  }
  throw new SallyportError("ERR_DENIED", "KEY_SMALL_ORDER", `${whose} is a key for which anybody can make signatures`, {
    stage: "identity",
    advice: "no honest program makes such a key; do not trust where it came from",
  });
}

/** Whether two keys are the same. Public keys are no secret, so the time it takes does not matter. */
export function sameKey(a: PublicKey, b: PublicKey): boolean {
  return a.equals(b);
}

/** The fingerprint of a key. */
export function fingerprintOf(key: PublicKey, crypto: IdentityCrypto): Fingerprint {
  return `SHA256:${crypto.sha256(key).toString("base64").slice(0, 43)}` as Fingerprint;
}

/** Checks text without throwing; undefined when it is no fingerprint. */
export function tryFingerprint(text: string): Fingerprint | undefined {
  if (!/^SHA256:[A-Za-z0-9+/]{43}$/.test(text)) return undefined;
  // The last character holds 4 of its 6 bits: a second spelling of one fingerprint would escape a comparison.
  const base64 = text.slice(7);
  return Buffer.from(base64, "base64").toString("base64").slice(0, 43) === base64 ? (text as Fingerprint) : undefined;
}

/**
 * Parses `SHA256:...`.
 * @throws {SallyportError} ERR_CONFIG FINGERPRINT_INVALID
 */
export function parseFingerprint(text: string): Fingerprint {
  const fingerprint = tryFingerprint(text);
  if (fingerprint === undefined) {
    throw new SallyportError("ERR_CONFIG", "FINGERPRINT_INVALID", `"${quotePeerText(text)}" is not a fingerprint`, {
      stage: "identity",
      advice: "copy it whole, as printed: SHA256: and 43 characters",
    });
  }
  return fingerprint;
}

/** A fingerprint as 64 lower-case hexadecimal digits: the form used in file names, since base64 has `/` and case. */
export function fingerprintHex(fingerprint: Fingerprint): string {
  return Buffer.from(fingerprint.slice(7), "base64").toString("hex");
}

/** The fingerprint of 64 hexadecimal digits of either case; undefined when they are not that. */
export function fingerprintOfHex(hex: string): Fingerprint | undefined {
  if (!/^[0-9a-fA-F]{64}$/.test(hex)) return undefined;
  return `SHA256:${Buffer.from(hex, "hex").toString("base64").slice(0, 43)}` as Fingerprint;
}

/** A key as text: `ed25519:` and the padded base64 of its 32 octets. */
export function formatPublicKey(key: PublicKey): string {
  return `ed25519:${key.toString("base64")}`;
}

/** What an operator may write for a key: the whole key or its fingerprint. */
export type KeyText =
  | { readonly kind: "key"; readonly key: PublicKey }
  | { readonly kind: "fingerprint"; readonly fingerprint: Fingerprint };

/**
 * Parses `ed25519:BASE64`, padded or not, or `SHA256:...`.
 * @throws {SallyportError} ERR_CONFIG KEY_TEXT_INVALID, FINGERPRINT_INVALID; ERR_DENIED as `parsePublicKey`
 */
export function parseKeyText(text: string): KeyText {
  if (text.startsWith("SHA256:")) return { kind: "fingerprint", fingerprint: parseFingerprint(text) };
  const base64 = /^ed25519:([A-Za-z0-9+/]{43})=?$/.exec(text)?.[1];
  const bytes = base64 === undefined ? undefined : Buffer.from(base64, "base64");
  if (bytes === undefined || bytes.toString("base64").slice(0, 43) !== base64) {
    throw new SallyportError(
      "ERR_CONFIG",
      "KEY_TEXT_INVALID",
      `"${quotePeerText(text)}" is neither key nor fingerprint`,
      {
        stage: "identity",
        advice: "write ed25519: and the base64 of 32 bytes, or SHA256: and 43 characters",
      },
    );
  }
  return { kind: "key", key: parsePublicKey(bytes, "the key in this text") };
}

/** Whether a little-endian number of 255 bits is below 2^255 - 19. */
function belowPrime(y: Buffer): boolean {
  if (y[KEY_BYTES - 1] !== 0x7f) return true;
  for (let i = KEY_BYTES - 2; i > 0; i--) if (y[i] !== 0xff) return true;
  return (y[0] ?? 0) < 0xed;
}
