import { SallyportError } from "../base/errors.ts";
import { quotePeerText } from "../base/escape.ts";
import { tryNodeName } from "../base/node-name.ts";
import type { DialAddress, Scheme } from "../carrier/carrier.ts";

const MAX_PORT = 65_535;

/**
 * Parses `HOST:PORT`, `tls://HOST:PORT`, `tcp://HOST:PORT` or `quic://HOST:PORT`; IPv6 in brackets.
 * @throws {SallyportError} ERR_CONFIG ADDRESS_INVALID
 */
export function parseAddress(text: string, defaultScheme: DialAddress["scheme"]): DialAddress {
  const address = tryAddress(text, defaultScheme);
  if (address === undefined) {
    throw new SallyportError(
      "ERR_CONFIG",
      "ADDRESS_INVALID",
      `"${quotePeerText(text)}" is not an address; write HOST:PORT or tls://HOST:PORT, IPv6 in brackets`,
      { stage: "resolve", advice: "write for example 203.0.113.7:9100" },
    );
  }
  return address;
}

/** The same for text that others wrote: `undefined` when it is no address. */
export function tryAddress(text: string, defaultScheme: DialAddress["scheme"]): DialAddress | undefined {
  const match = /^(?:(tls|tcp|quic):\/\/)?(?:\[([0-9A-Fa-f:.]+)\]|([^:/[\]]+)):(\d{1,5})$/.exec(text);
  const host = match?.[2] ?? match?.[3];
  if (match === null || host === undefined) return undefined;
  const scheme = isScheme(match[1]) ? match[1] : defaultScheme;
  const address = { scheme, host, port: Number(match[4]) };
  return isAddress(address) ? address : undefined;
}

/** `tls://HOST:PORT`, IPv6 in brackets: what `tryAddress` reads. */
export function formatEndpoint({ scheme, host, port }: DialAddress): string {
  return `${scheme}://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** Whether a value is an address one can dial. */
export function isAddress(value: unknown): value is DialAddress {
  if (typeof value !== "object" || value === null) return false;
  const { scheme, host, port } = value as Partial<DialAddress>;
  return isScheme(scheme) && isHost(host) && isDialPort(port);
}

function isScheme(value: unknown): value is Scheme {
  return value === "tls" || value === "tcp" || value === "quic";
}

/** Whether a value can be the host of a node: a host name, or an address. */
export function isHost(value: unknown): value is string {
  return typeof value === "string" && tryNodeName(`x@${value}`) !== undefined;
}

/** Whether a value is a port that something can listen on. */
export function isDialPort(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 1 && Number(value) <= MAX_PORT;
}
