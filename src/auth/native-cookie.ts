import { SallyportError } from "../base/errors.ts";
import type { IdentityCrypto } from "../base/identity-crypto.ts";

/** A cookie below this many bytes is refused in cookie-only mode unless the owner says `dangerous` (rulings U5). */
export const MIN_COOKIE_ONLY_BYTES = 16;

/** Cost of stretching, docs/protocol.md: 32 MiB and some 60 ms, once per cookie at start and never per attempt. */
const SCRYPT_N = 32_768;
const SCRYPT_R = 8;
const SCRYPT_P = 1;
const SALT = "sallyport/1 cookie";

/** A stretched cookie. As secret as the cookie. */
export interface CookieKey {
  /** `K`, 32 bytes. */
  readonly key: Buffer;
  /** Length of the cookie it was made of, in bytes. */
  readonly cookieBytes: number;
}

/**
 * Stretches a cookie into the key of the proofs. Blocks for tens of milliseconds: call it once per cookie at start.
 * @throws {SallyportError} ERR_CONFIG COOKIE_EMPTY
 */
export function stretchCookie(cookie: Uint8Array, crypto: IdentityCrypto): CookieKey {
  if (cookie.length === 0) {
    throw new SallyportError("ERR_CONFIG", "COOKIE_EMPTY", "a cookie of no bytes proves nothing", {
      stage: "cookie",
      advice: "give a cookie of at least 16 random bytes, or none",
    });
  }
  const salt = Buffer.from(SALT, "latin1");
  return { key: crypto.scrypt(cookie, salt, SCRYPT_N, SCRYPT_R, SCRYPT_P, 32), cookieBytes: cookie.length };
}
