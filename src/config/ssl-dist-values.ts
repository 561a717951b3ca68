import { nearestName } from "../base/nearest-name.ts";
import {
  CIPHER_SUITE_NAMES,
  cipherSuite,
  GROUP_NAMES,
  opensslGroup,
  SIGNATURE_SCHEMES,
} from "../carrier/cipher-suites.ts";
import type { TermNode } from "../term/text-tree.ts";
import type { ErlangText } from "./erlang-text.ts";

/** An option of `ssl` as it stands in a file. */
export interface SslOption {
  readonly name: string;
  /** Where the name stands. */
  readonly at: number;
  readonly value: TermNode;
  /** The file, for places, variables and warnings. */
  readonly text: ErlangText;
}

/** The kind of a value; never the value, which could be a secret. */
export function describeNode(node: TermNode): string {
  switch (node.kind) {
    case "atom":
      return node.name === "true" || node.name === "false" ? node.name : "an atom";
    case "integer":
    case "float":
      return "a number";
    case "text":
      return "a text";
    default:
      return `a ${node.kind}`;
  }
}

export function wrongValue({ name, value, text }: SslOption, expected: string, at: TermNode = value): Error {
  const message = `${name} is ${describeNode(at)}, expected ${expected}`;
  return text.fault("CONF_VALUE", at.at, message, `give ${expected}`);
}

/** A text that is not empty, variables filled in. */
export function readText(option: SslOption, node: TermNode = option.value): { text: string; fromFile: boolean } {
  if (node.kind !== "text") throw wrongValue(option, 'a text such as "/etc/distribute/node.crt"', node);
  const filled = option.text.fill(node.text, node.at, option.name);
  if (filled.text === "") throw option.text.fault("CONF_VALUE", node.at, `${option.name} is empty`, "give a value");
  return filled;
}

export function readFlag(option: SslOption): boolean {
  const { value } = option;
  if (value.kind === "atom" && (value.name === "true" || value.name === "false")) return value.name === "true";
  throw wrongValue(option, "true or false");
}

export function readInteger(option: SslOption, min: number, max: number): number {
  const { value } = option;
  const isRight = value.kind === "integer" && Number(value.value) >= min && Number(value.value) <= max;
  if (!isRight) throw wrongValue(option, `a whole number from ${min} to ${max}`);
  return Number(value.value);
}

function readList(option: SslOption, of: string): readonly TermNode[] {
  const { value } = option;
  if (value.kind !== "list" || value.items.length === 0) throw wrongValue(option, `a list of ${of} that is not empty`);
  return value.items;
}

/** Versions that Erlang knows and nobody should speak any more. */
const OLD_VERSIONS: readonly string[] = ["tlsv1.1", "tlsv1", "sslv3", "dtlsv1", "dtlsv1.2"];

/** `versions` as lowest and highest. */
export function readVersions(option: SslOption): {
  readonly min: "TLSv1.2" | "TLSv1.3";
  readonly max: "TLSv1.2" | "TLSv1.3";
} {
  const found = new Set<string>();
  for (const item of readList(option, "versions")) {
    if (item.kind !== "atom") throw wrongValue(option, "a list of versions such as ['tlsv1.3', 'tlsv1.2']", item);
    if (item.name === "tlsv1.3" || item.name === "tlsv1.2") found.add(item.name);
    else if (OLD_VERSIONS.includes(item.name)) warnDropped(option, item, item.name);
    else throw unknownVersion(option, item);
  }
  if (found.size === 0) throw unknownVersion(option, option.value);
  return { min: found.has("tlsv1.2") ? "TLSv1.2" : "TLSv1.3", max: found.has("tlsv1.3") ? "TLSv1.3" : "TLSv1.2" };
}

function unknownVersion({ text }: SslOption, at: TermNode): Error {
  const message = "versions has none, or one that is not known: only 'tlsv1.3' and 'tlsv1.2' are spoken";
  return text.fault("VERSION_UNKNOWN", at.at, message, "write {versions, ['tlsv1.3', 'tlsv1.2']}, with the quotes");
}

function warnDropped({ name, text }: SslOption, at: TermNode, dropped: string): void {
  const message = `${text.place(at.at)}: ${name} has ${dropped}, which is too weak: it is left out`;
  text.warnings.push({ reason: "CONF_WEAK_LEFT_OUT", message });
}

/** `ciphers` as names of OpenSSL: a list of names, maps and tuples, or one text with colons. */
export function readCiphers(option: SslOption): readonly string[] {
  const { value } = option;
  if (value.kind === "text") {
    const names = readText(option).text.split(":");
    return unique(names.map((name) => suiteOf(option, value, name)));
  }
  return unique(readList(option, "cipher suites").map((item) => suiteOf(option, item, suiteName(option, item))));
}

function suiteOf(option: SslOption, at: TermNode, name: string | undefined): string {
  const reading = name === undefined ? ({ ok: false, why: "unknown" } as const) : cipherSuite(name);
  if (reading.ok) return reading.name;
  if (reading.why === "refused") {
    const message =
      "ciphers has a suite that is not used here: broken, without forward secrecy, or without certificates";
    throw option.text.fault("CIPHER_UNSUPPORTED", at.at, message, "leave it out; both sides have better ones");
  }
  const near = name === undefined ? undefined : nearestName(name, CIPHER_SUITE_NAMES);
  const message = `ciphers has a suite that does not exist${near === undefined ? "" : `; did you mean "${near}"?`}`;
  throw option.text.fault("CIPHER_UNKNOWN", at.at, message, 'write a name such as "TLS_AES_256_GCM_SHA384"');
}

/** The name that a suite is written as: of its parts that of IANA, undefined when they are none. */
function suiteName(option: SslOption, item: TermNode): string | undefined {
  if (item.kind === "text") return readText(option, item).text;
  if (item.kind === "tuple") {
    const [exchange, cipher, mac, prf] = item.items.map(atomName);
    return item.items.length < 3 || item.items.length > 4 ? undefined : ianaName(exchange, cipher, mac, prf);
  }
  if (item.kind !== "map") throw wrongValue(option, 'a list of names such as "TLS_AES_256_GCM_SHA384"', item);
  const parts = new Map(item.entries.map(([key, part]) => [atomName(key), atomName(part)]));
  return ianaName(parts.get("key_exchange"), parts.get("cipher"), parts.get("mac"), parts.get("prf"));
}

function ianaName(exchange?: string, cipher?: string, mac?: string, prf?: string): string | undefined {
  const hash = mac === "aead" ? prf : mac;
  if (exchange === undefined || cipher === undefined || hash === undefined) return undefined;
  return exchange === "any" ? `TLS_${cipher}_${hash}` : `TLS_${exchange}_WITH_${cipher}_${hash}`;
}

function atomName(node: TermNode): string | undefined {
  return node.kind === "atom" ? node.name : undefined;
}

/** Groups of Erlang that are left out with a warning: too small, or not in every OpenSSL this runs with. */
const OTHER_GROUPS = /^(?:sect|secp|brainpool|ffdhe|x25519mlkem|mlkem|secp256r1mlkem|secp384r1mlkem)[A-Za-z0-9]*$/;

/** `eccs` and `supported_groups`. */
export function readGroups(option: SslOption): readonly string[] {
  const groups: string[] = [];
  for (const item of readList(option, "groups")) {
    const name = atomName(item);
    if (name === undefined) throw wrongValue(option, "a list of groups such as [x25519, secp256r1]", item);
    if (opensslGroup(name) !== undefined) groups.push(name);
    else if (OTHER_GROUPS.test(name)) warnDropped(option, item, name);
    else throw wrongValue(option, `a list of groups: ${GROUP_NAMES.join(", ")}`, item);
  }
  if (groups.length === 0) throw wrongValue(option, `a list with one of ${GROUP_NAMES.join(", ")}`);
  return unique(groups);
}

const EC_CURVES: Readonly<Record<string, string>> = { sha256: "secp256r1", sha384: "secp384r1", sha512: "secp521r1" };
const OLD_SCHEMES =
  /^(?:rsa_pkcs1_sha1?|ecdsa_sha1?|ecdsa_brainpool\w*|rsa_pkcs1_sha224|dsa\w*|default|mldsa\w*|slh_dsa\w*)$/;

/** `signature_algs`: schemes, and pairs of hash and signature of TLS 1.2. */
export function readSchemes(option: SslOption): readonly string[] {
  const schemes: string[] = [];
  for (const item of readList(option, "signature schemes")) {
    const name = schemeName(item);
    if (name !== undefined && SIGNATURE_SCHEMES.includes(name)) schemes.push(name);
    else if (name !== undefined && OLD_SCHEMES.test(name)) warnDropped(option, item, name);
    else throw wrongValue(option, "a list of schemes such as [ecdsa_secp256r1_sha256, rsa_pss_rsae_sha256]", item);
  }
  if (schemes.length === 0) throw wrongValue(option, "a list with a scheme that is in use");
  return unique(schemes);
}

function schemeName(item: TermNode): string | undefined {
  if (item.kind === "atom") return item.name.replace(/^eddsa_/, "");
  const [hash, sign] = item.kind === "tuple" && item.items.length === 2 ? item.items.map(atomName) : [];
  if (hash === undefined || sign === undefined || !/^(?:md5|sha|sha1|sha224|sha256|sha384|sha512)$/.test(hash))
    return undefined;
  const isOld = !Object.hasOwn(EC_CURVES, hash);
  if (sign === "rsa") return isOld ? "rsa_pkcs1_sha1" : `rsa_pkcs1_${hash}`;
  if (sign === "ecdsa") return isOld ? "ecdsa_sha1" : `ecdsa_${EC_CURVES[hash]}_${hash}`;
  return sign === "dsa" ? "dsa" : /^rsa_pss_(?:pss|rsae)$/.test(sign) ? `${sign}_${hash}` : undefined;
}

function unique(names: readonly string[]): readonly string[] {
  return [...new Set(names)];
}
