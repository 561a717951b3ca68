import { hostPart, type NodeName } from "../base/node-name.ts";
import type { CertificateNames } from "./certificate-names.ts";
import { CLIENT_AUTH, SERVER_AUTH } from "./certificate-names.ts";
import { parseIpAddress } from "./ip-address.ts";

/**
 * Why an Erlang node with `verify_peer` would not take this certificate for a node that it dials or that dials it; undefined
 * when it would. Erlang compares the host part of the dialled name with DNS and IP alternative names, and with the common
 * name only where there is none of them; it knows no `dist://` URI and no full node name (otp-distribution section on TLS).
 * @returns completes "an Erlang node refuses it because ..."
 */
export function beamRefusal(names: CertificateNames, node: NodeName): string | undefined {
  const uses = names.keyUsages;
  if (uses !== undefined && !(uses.includes(SERVER_AUTH) && uses.includes(CLIENT_AUTH))) {
    return "its extended key usage is not for both sides of TLS";
  }
  const host = hostPart(node).toLowerCase();
  const address = parseIpAddress(host);
  if (names.dnsNames.some((dns) => covers(dns.toLowerCase(), host, address === undefined))) return undefined;
  if (address !== undefined && names.ipAddresses.some((ip) => ip.equals(address))) return undefined;
  const hasHostNames = names.dnsNames.length > 0 || names.ipAddresses.length > 0;
  if (!hasHostNames && names.commonNames.some((common) => common.toLowerCase() === host)) return undefined;
  const common = names.commonNames[0];
  if (!hasHostNames && common?.includes("@") === true) {
    return `it has no alternative name for the host "${hostPart(node)}", and its common name is a whole node name`;
  }
  return `none of its names is the host "${hostPart(node)}"`;
}

function covers(pattern: string, host: string, mayBeWild: boolean): boolean {
  if (pattern === host) return true;
  const dot = host.indexOf(".");
  return mayBeWild && pattern.startsWith("*.") && dot > 0 && pattern.slice(1) === host.slice(dot);
}
