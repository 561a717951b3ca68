import { createPrivateKey, webcrypto } from "node:crypto";
import type { Extension } from "@peculiar/x509";
import type { Clock } from "../base/clock.ts";
import { SallyportError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";

/** `ec`: ECDSA on P-256; `rsa`: RSA 2048 (4096 for an authority). Both sign with SHA-256. */
export type KeyKind = "ec" | "rsa";

/** What issuing draws on: wall time for the dates, randomness for serial numbers. Keys come from the system's own. */
export interface IssueParts {
  readonly clock: Clock;
  readonly random: Random;
}

const DAY_MS = 86_400_000;
const DEFAULT_DAYS = 365;

/** Certificates are valid from a little before now, since the clocks of two machines are never equal. */
export const BACKDATE_MS: number = 5 * 60_000;

/** RFC 5280, ub-common-name: a longer one makes an Erlang node refuse the whole certificate. */
const MAX_COMMON_NAME_CHARS = 64;

/** How an authority signs, by the kind of its key. */
export const SIGN_EC: { readonly name: string; readonly hash: string } = { name: "ECDSA", hash: "SHA-256" };
export const SIGN_RSA: { readonly name: string; readonly hash: string } = {
  name: "RSASSA-PKCS1-v1_5",
  hash: "SHA-256",
};

/** What a certificate to be made says. */
export interface Profile {
  readonly subject: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly extensions: readonly Extension[];
}

/** A pair of keys that can be exported. */
export async function generateKeys(kind: KeyKind, rsaBits: number): Promise<CryptoKeyPair> {
  if (kind === "ec")
    return webcrypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
  const algorithm = { ...SIGN_RSA, modulusLength: rsaBits, publicExponent: new Uint8Array([1, 0, 1]) };
  return webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
}

/** The key of an authority for signing. @throws {SallyportError} ERR_CONFIG KEY_PARSE */
export async function importSigner(keyPem: string): Promise<{ key: CryptoKey; algorithm: typeof SIGN_EC }> {
  const key = createPrivateKey(keyPem);
  const isEc = key.asymmetricKeyType === "ec";
  const curve = key.asymmetricKeyDetails?.namedCurve;
  if (!(key.asymmetricKeyType === "rsa" || (isEc && curve === "prime256v1"))) {
    throw new SallyportError(
      "ERR_CONFIG",
      "KEY_PARSE",
      "the authority's key is neither RSA nor EC P-256; make a new authority",
      {
        stage: "tls",
        advice: "use an authority with an RSA or EC P-256 key",
      },
    );
  }
  const algorithm = isEc ? { ...SIGN_EC, namedCurve: "P-256" } : SIGN_RSA;
  const der = key.export({ format: "der", type: "pkcs8" });
  const imported = await webcrypto.subtle.importKey("pkcs8", der, algorithm, false, ["sign"]);
  der.fill(0);
  return { key: imported, algorithm };
}

/** Whether a certificate may issue, and still. @throws {SallyportError} ERR_CONFIG NOT_A_CA, CA_EXPIRED */
export function checkAuthority(names: { authority: boolean; notAfterMs: number }, now: number): void {
  if (!names.authority) {
    throw new SallyportError(
      "ERR_CONFIG",
      "NOT_A_CA",
      "the issuing certificate is not a certificate authority (CA:FALSE)",
      {
        stage: "tls",
        advice: "issue with the CA certificate and its key, not with a node certificate",
      },
    );
  }
  if (names.notAfterMs <= now) {
    const ended = new Date(names.notAfterMs).toISOString();
    throw new SallyportError(
      "ERR_CONFIG",
      "CA_EXPIRED",
      `the certificate authority expired at ${ended}; make a new one`,
      {
        detail: { notAfter: ended },
        stage: "tls",
        advice: "make a new certificate authority and distribute its certificate",
      },
    );
  }
}

/** A validity in milliseconds. @throws {SallyportError} ERR_CONFIG DAYS_INVALID */
export function daysMs(days: number | undefined): number {
  const value = days ?? DEFAULT_DAYS;
  if (!(value > 0 && value <= 36_500)) {
    throw new SallyportError(
      "ERR_CONFIG",
      "DAYS_INVALID",
      `a validity of ${value} days is not above 0 and at most 36500`,
      {
        detail: { days: value },
        advice: "give a validity between 1 and 36500 days",
      },
    );
  }
  return value * DAY_MS;
}

/** What the library takes for every kind of certificate. */
export function commonParams(
  parts: IssueParts,
  profile: Profile,
): { serialNumber: string; notBefore: Date; notAfter: Date; extensions: Extension[] } {
  // 126 random bits; the first octet is kept between 0x40 and 0x7f, so the number is positive and never short.
  const serial = parts.random.bytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  return {
    serialNumber: serial.toString("hex"),
    notBefore: new Date(profile.notBeforeMs),
    notAfter: new Date(profile.notAfterMs),
    extensions: [...profile.extensions],
  };
}

/** The subject of a profile: its name as CN, where that is not too long. */
export function subjectOf(profile: Profile): { CN: string[] }[] {
  return [{ CN: [profile.subject.length <= MAX_COMMON_NAME_CHARS ? profile.subject : "Sallyport node"] }];
}
