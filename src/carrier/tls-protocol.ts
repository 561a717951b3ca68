import { DEFAULT_CIPHERS, type SecureContextOptions } from "node:tls";
import { SallyportError } from "../base/errors.ts";
import { cipherSuite, isTls13Suite, opensslGroup, SIGNATURE_SCHEMES } from "./cipher-suites.ts";

export type TlsVersion = "TLSv1.2" | "TLSv1.3";

/** What one side of a TLS connection agrees to. */
export interface TlsProtocolOptions {
  /** Lowest TLS version; default TLSv1.2, which OTP 25 nodes speak unless told otherwise. */
  readonly minVersion?: TlsVersion;
  /** Highest TLS version; default TLSv1.3. */
  readonly maxVersion?: TlsVersion;
  /** Cipher suites, best first, by names of OpenSSL or IANA. Default those of Node. Suites of one version only leave the other out. */
  readonly ciphers?: readonly string[] | undefined;
  /** Groups of the key agreement, best first: `x25519`, `secp256r1`, ... Default those of Node. */
  readonly groups?: readonly string[];
  /** Signature schemes that are taken, best first, by the names of RFC 8446. Default those of OpenSSL. */
  readonly signatureAlgorithms?: readonly string[];
  /** The order of this node's suites counts when it accepts. Default true. */
  readonly honorCipherOrder?: boolean;
  /** Intermediates between a peer's certificate and its root. Default 2. */
  readonly depth?: number;
  /** TLS sessions of this side are resumed, by tickets and session ids. Default true. */
  readonly reuseSessions?: boolean;
}

/** Intermediates allowed when nothing is said. */
export const DEFAULT_CHAIN_DEPTH = 2;

/** Greatest `depth`. */
export const MAX_CHAIN_DEPTH = 16;

/** At least 112 bits everywhere: 2048 bits of RSA, SHA-256 in signatures. */
const LEVEL_2 = "@SECLEVEL=2";

/** A suite of TLS 1.2 for where only TLS 1.3 is spoken: without one OpenSSL does not take the security level. */
const STAND_IN = "ECDHE-ECDSA-AES256-GCM-SHA384";

/** The versions that are left once the suites are known; undefined when none is. */
export function effectiveVersions(options: TlsProtocolOptions): { min: TlsVersion; max: TlsVersion } | undefined {
  const { ciphers } = options;
  const isWithout13 = ciphers !== undefined && !ciphers.some((name) => isTls13Suite(name.toUpperCase()));
  const isWithout12 = ciphers !== undefined && !ciphers.some((name) => !isTls13Suite(name.toUpperCase()));
  const min = isWithout12 ? "TLSv1.3" : (options.minVersion ?? "TLSv1.2");
  const max = isWithout13 ? "TLSv1.2" : (options.maxVersion ?? "TLSv1.3");
  const isFull = min <= max && min >= (options.minVersion ?? "TLSv1.2") && max <= (options.maxVersion ?? "TLSv1.3");
  return isFull ? { min, max } : undefined;
}

/**
 * The part of a secure context that says what is agreed to.
 * @throws {SallyportError} ERR_CONFIG TLS_OPTIONS for names that do not exist or are refused, and when no version is left
 */
export function protocolOptions(options: TlsProtocolOptions): SecureContextOptions {
  const versions = effectiveVersions(options);
  if (versions === undefined) {
    throw wrong("no TLS version is left: the suites of ciphers are of another version than those allowed");
  }
  const { groups, signatureAlgorithms } = options;
  return {
    minVersion: versions.min,
    maxVersion: versions.max,
    ciphers: cipherText(options.ciphers, versions.min),
    ...(groups === undefined ? {} : { ecdhCurve: groups.map(groupName).join(":") }),
    ...(signatureAlgorithms === undefined ? {} : { sigalgs: signatureAlgorithms.map(schemeName).join(":") }),
    // Without it a server takes no suite of the DHE kind.
    ...(options.ciphers?.some((name) => /^(?:TLS_)?DHE[-_]/i.test(name)) === true ? { dhparam: "auto" } : {}),
  };
}

function cipherText(ciphers: readonly string[] | undefined, min: TlsVersion): string {
  if (ciphers === undefined) return `${DEFAULT_CIPHERS}:${LEVEL_2}`;
  const names = ciphers.map((text) => {
    const reading = cipherSuite(text);
    if (reading.ok) return reading.name;
    throw wrong(`ciphers has a suite that ${reading.why === "refused" ? "is too weak" : "does not exist"}`);
  });
  return [...names, ...(min === "TLSv1.3" ? [STAND_IN] : []), LEVEL_2].join(":");
}

function groupName(name: string): string {
  const group = opensslGroup(name);
  if (group === undefined) throw wrong("groups has a name that is none of a group used here");
  return group;
}

function schemeName(name: string): string {
  if (SIGNATURE_SCHEMES.includes(name)) return name;
  throw wrong("signatureAlgorithms has a name that is none of a scheme used here");
}

function wrong(message: string): SallyportError {
  return new SallyportError("ERR_CONFIG", "TLS_OPTIONS", message, {
    stage: "tls",
    advice: "see docs/erlang-config.md for the names; leave the key out for the default",
  });
}
