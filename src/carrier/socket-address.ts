import { isIPv6 } from "node:net";

/** What stands for the address of a socket that says none. */
const UNKNOWN = "unknown";

/** `host:port`, an IPv6 host in brackets. */
export function formatAddress(host: string | undefined, port: number | undefined): string {
  if (host === undefined || port === undefined) return UNKNOWN;
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The host of what `formatAddress` gives, as `plainHost` writes it; undefined when there is none. */
export function hostOf(address: string): string | undefined {
  if (address === UNKNOWN) return undefined;
  const bracketed = /^\[([^\]]*)\]/.exec(address);
  const host = plainHost(bracketed?.[1] ?? address.replace(/:\d*$/, ""));
  return host === "" ? undefined : host;
}

/** A host in one way only: an IPv4 peer on a socket that speaks both comes as `::ffff:a.b.c.d`. */
export function plainHost(host: string): string {
  return host.replace(/^::ffff:(?=\d+\.)/i, "");
}

/** Whether a host, as an operator writes it, is this machine and nobody else. */
export function isLoopbackHost(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}
