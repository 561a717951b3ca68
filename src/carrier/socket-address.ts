import { isIPv6 } from "node:net";

/** `host:port`, an IPv6 host in brackets. */
export function formatAddress(host: string | undefined, port: number | undefined): string {
  if (host === undefined || port === undefined) return "unknown";
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}
