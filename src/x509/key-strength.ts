import type { KeyObject } from "node:crypto";

const MIN_RSA_BITS = 2048;

/** Curves with less than 128 bits of strength. */
const WEAK_CURVES: readonly string[] = ["secp112r1", "secp128r1", "secp160r1", "secp192k1", "prime192v1", "secp224r1"];

/** A key in words: `RSA 2048`, `EC P-256`, `Ed25519`. */
export function keyText({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject): string {
  if (type === "rsa" || type === "rsa-pss") return `RSA ${details?.modulusLength ?? "?"}`;
  if (type === "ec") return `EC ${details?.namedCurve === "prime256v1" ? "P-256" : (details?.namedCurve ?? "?")}`;
  return type === "ed25519" ? "Ed25519" : String(type);
}

/** Why a key is too weak for TLS of today; undefined when it is not. */
export function keyWeakness(key: KeyObject): string | undefined {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  const isShort = (type === "rsa" || type === "rsa-pss") && (details?.modulusLength ?? 0) < MIN_RSA_BITS;
  const isWeakCurve = type === "ec" && WEAK_CURVES.includes(details?.namedCurve ?? "");
  if (isShort || isWeakCurve || type === "dsa") return `a key of ${keyText(key)} is too weak`;
  return undefined;
}
