import { quotePeerText } from "../base/escape.ts";
import { hostPart, localPart, type NodeName } from "../base/node-name.ts";
import type { CertificateNames } from "./certificate-names.ts";
import { formatIpAddress, parseIpAddress } from "./ip-address.ts";

/** Which kind of name in a certificate named the node. Only `uri` (and a full name as `cn`) names the node itself; the others name its host. */
export type MatchedBy = "uri" | "dns" | "ip" | "cn";

/** What an operator should hear about a match that stands on weak ground. */
export type MatchWarning =
  /** Only the common name matched: a CA rarely checks it, and a newer peer will not accept it. */
  | "CERT_CN_ONLY"
  /** A `*.domain` name matched: every host of the domain can pass for this one. */
  | "CERT_WILDCARD_HOST";

export type NameMatch =
  | { readonly matched: true; readonly by: MatchedBy; readonly warning?: MatchWarning }
  /** `presented`: the names found, escaped for a message, at most sixteen. */
  | { readonly matched: false; readonly presented: readonly string[] };

export interface MatchOptions {
  /** `strict` takes no common name. */
  readonly profile: "standard" | "strict";
}

const SCHEME = "dist://";
const MAX_PRESENTED = 16;

/**
 * Does this certificate name this node (rulings U6)? In this order, and the first kind that is present decides:
 * 1. `dist://name@host` URIs: one must be equal to the node name. No other name counts beside them.
 * 2. A subjectAltName: a DNS name equal to the host, or `*.domain` over it, or an IP address equal to it. An address
 *    host also matches a DNS name that spells it, because OTP 25 can be given no other form.
 * 3. No subjectAltName at all, profile `standard`: the one common name, equal to node name or host; with a warning.
 * Hosts compare without case, addresses by value, local parts byte for byte. The chain is not looked at.
 */
export function matchCertificate(names: CertificateNames, node: NodeName, options: MatchOptions): NameMatch {
  const uris = names.uris.filter(isNodeUri);
  if (uris.length > 0) {
    return uris.some((uri) => uriNames(uri, node)) ? { matched: true, by: "uri" } : missed(names);
  }
  const host = hostPart(node);
  if (names.hasAlternativeNames) return matchHost(names, host);
  if (options.profile === "strict" || names.commonNames.length !== 1) return missed(names);
  const common = names.commonNames[0] ?? "";
  if (equalHosts(common, host) || equalNames(common, node)) return { matched: true, by: "cn", warning: "CERT_CN_ONLY" };
  return missed(names);
}

function matchHost(names: CertificateNames, host: string): NameMatch {
  const address = parseIpAddress(host);
  if (address !== undefined && names.ipAddresses.some((ip) => ip.equals(address))) return { matched: true, by: "ip" };
  if (names.dnsNames.some((dns) => equalHosts(dns, host))) return { matched: true, by: "dns" };
  if (address === undefined && names.dnsNames.some((dns) => wildcardCovers(dns, host))) {
    return { matched: true, by: "dns", warning: "CERT_WILDCARD_HOST" };
  }
  return missed(names);
}

function isNodeUri(uri: string): boolean {
  return uri.slice(0, SCHEME.length).toLowerCase() === SCHEME;
}

/** `dist://name@host`, an IPv6 host with or without brackets. Nothing is decoded: an escape matches no node name. */
function uriNames(uri: string, node: NodeName): boolean {
  const text = uri.slice(SCHEME.length);
  const bracketed = /^([^@]*)@\[([0-9A-Fa-f:.]+)\]$/.exec(text);
  return equalNames(bracketed === null ? text : `${bracketed[1]}@${bracketed[2]}`, node);
}

function equalNames(text: string, node: NodeName): boolean {
  const at = text.indexOf("@");
  return at > 0 && text.slice(0, at) === localPart(node) && equalHosts(text.slice(at + 1), hostPart(node));
}

function equalHosts(a: string, b: string): boolean {
  if (foldAscii(a) === foldAscii(b)) return true;
  if (!a.includes(":") || !b.includes(":")) return false;
  const left = parseIpAddress(a);
  const right = parseIpAddress(b);
  return left !== undefined && right !== undefined && left.equals(right);
}

/** `*.domain` stands for exactly one label, and the domain has two labels at least (RFC 6125 section 6.4.3). */
function wildcardCovers(pattern: string, host: string): boolean {
  if (!pattern.startsWith("*.")) return false;
  const domain = foldAscii(pattern.slice(1));
  if (!/^\.[^.]+(?:\.[^.]+)+$/.test(domain)) return false;
  const dot = host.indexOf(".");
  return dot > 0 && foldAscii(host.slice(dot)) === domain;
}

/** Lower case of A-Z only: `toLowerCase` maps further letters, such as the Kelvin sign, onto ASCII. */
function foldAscii(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

function missed(names: CertificateNames): NameMatch {
  const all: string[] = [];
  for (const uri of names.uris) all.push(`URI:${quotePeerText(uri)}`);
  for (const dns of names.dnsNames) all.push(`DNS:${quotePeerText(dns)}`);
  for (const ip of names.ipAddresses) all.push(`IP:${quotePeerText(formatIpAddress(ip))}`);
  for (const common of names.commonNames) all.push(`CN:${quotePeerText(common)}`);
  return { matched: false, presented: all.slice(0, MAX_PRESENTED) };
}
