/** Suites of TLS 1.3, by the one name that everybody uses. */
const TLS13: readonly string[] = [
  "TLS_AES_256_GCM_SHA384",
  "TLS_AES_128_GCM_SHA256",
  "TLS_CHACHA20_POLY1305_SHA256",
  "TLS_AES_128_CCM_SHA256",
];

/** Suites of TLS 1.2 that may be used: the name of OpenSSL, and that of IANA. Only those with a certificate of the server. */
const TLS12: readonly (readonly [openssl: string, iana: string])[] = [
  ["ECDHE-ECDSA-AES256-GCM-SHA384", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"],
  ["ECDHE-RSA-AES256-GCM-SHA384", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"],
  ["ECDHE-ECDSA-CHACHA20-POLY1305", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"],
  ["ECDHE-RSA-CHACHA20-POLY1305", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"],
  ["ECDHE-ECDSA-AES128-GCM-SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"],
  ["ECDHE-RSA-AES128-GCM-SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"],
  ["ECDHE-ECDSA-AES256-SHA384", "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384"],
  ["ECDHE-RSA-AES256-SHA384", "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384"],
  ["ECDHE-ECDSA-AES128-SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256"],
  ["ECDHE-RSA-AES128-SHA256", "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256"],
  ["DHE-RSA-AES256-GCM-SHA384", "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384"],
  ["DHE-RSA-CHACHA20-POLY1305", "TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256"],
  ["DHE-RSA-AES128-GCM-SHA256", "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256"],
  ["DHE-RSA-AES256-SHA256", "TLS_DHE_RSA_WITH_AES_256_CBC_SHA256"],
  ["DHE-RSA-AES128-SHA256", "TLS_DHE_RSA_WITH_AES_128_CBC_SHA256"],
  ["ECDHE-ECDSA-AES256-SHA", "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA"],
  ["ECDHE-RSA-AES256-SHA", "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA"],
  ["ECDHE-ECDSA-AES128-SHA", "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA"],
  ["ECDHE-RSA-AES128-SHA", "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"],
  ["DHE-RSA-AES256-SHA", "TLS_DHE_RSA_WITH_AES_256_CBC_SHA"],
  ["DHE-RSA-AES128-SHA", "TLS_DHE_RSA_WITH_AES_128_CBC_SHA"],
];

/** What names suites that exist and are not used here: broken, without forward secrecy, or without certificates. */
const REFUSED =
  /(?:RC4|DES|NULL|EXP|MD5|PSK|SRP|ANON|^ADH|^AECDH|DSS|CCM_?8|^ECDH[-_]|_ECDH_|CAMELLIA|SEED|IDEA|ARIA|^AES|^TLS_RSA_WITH_|CCM)/;

const CANONICAL: ReadonlyMap<string, string> = new Map<string, string>([
  ...TLS13.map((name): [string, string] => [name, name]),
  ...TLS12.flatMap(([openssl, iana]): [string, string][] => [
    [openssl, openssl],
    [iana, openssl],
  ]),
]);

/** Every name that `cipherSuite` takes. */
export const CIPHER_SUITE_NAMES: readonly string[] = [...CANONICAL.keys()];

/** One suite by the name that OpenSSL takes; why not, otherwise. `refused`: it exists and is not used here. */
export type CipherReading =
  | { readonly ok: true; readonly name: string }
  | { readonly ok: false; readonly why: "unknown" | "refused" };

/** Reads a name of OpenSSL or of IANA, in any case. */
export function cipherSuite(text: string): CipherReading {
  const upper = text.toUpperCase();
  const name = CANONICAL.get(upper);
  if (name !== undefined) return { ok: true, name };
  return { ok: false, why: text.length <= 64 && REFUSED.test(upper) ? "refused" : "unknown" };
}

/** True for suites of TLS 1.3; all others are of TLS 1.2. */
export function isTls13Suite(name: string): boolean {
  return TLS13.includes(name);
}

/** Key agreement groups: the name that TLS and Erlang use, and that of OpenSSL. */
const GROUPS: ReadonlyMap<string, string> = new Map<string, string>([
  ["secp256r1", "P-256"],
  ["secp384r1", "P-384"],
  ["secp521r1", "P-521"],
  ["x25519", "X25519"],
  ["x448", "X448"],
]);

export const GROUP_NAMES: readonly string[] = [...GROUPS.keys()];

/** The name of OpenSSL for a group, undefined for one that is not used here. */
export function opensslGroup(name: string): string | undefined {
  return GROUPS.get(name);
}

/** Signature schemes of TLS (RFC 8446 section 4.2.3) that may be used, as OpenSSL takes them. */
export const SIGNATURE_SCHEMES: readonly string[] = [
  "ecdsa_secp256r1_sha256",
  "ecdsa_secp384r1_sha384",
  "ecdsa_secp521r1_sha512",
  "ed25519",
  "ed448",
  "rsa_pss_pss_sha256",
  "rsa_pss_pss_sha384",
  "rsa_pss_pss_sha512",
  "rsa_pss_rsae_sha256",
  "rsa_pss_rsae_sha384",
  "rsa_pss_rsae_sha512",
  "rsa_pkcs1_sha256",
  "rsa_pkcs1_sha384",
  "rsa_pkcs1_sha512",
];
