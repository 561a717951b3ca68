import { SallyportError } from "../base/errors.ts";
import { quotePeerText } from "../base/escape.ts";
import { canonicalName, hostPart, type NodeName, parseNodeName } from "../base/node-name.ts";
import type { DialAddress } from "../carrier/carrier.ts";
import type { Resolver } from "../node/ports.ts";

/**
 * Parses `HOST:PORT`, `tls://HOST:PORT` or `tcp://HOST:PORT`; IPv6 in brackets.
 * @throws {SallyportError} ERR_CONFIG ADDRESS_INVALID
 */
export function parseAddress(text: string, defaultScheme: DialAddress["scheme"]): DialAddress {
  const match = /^(?:(tls|tcp):\/\/)?(?:\[([0-9A-Fa-f:.]+)\]|([^:/[\]]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[4] ?? 0);
  const host = match?.[2] ?? match?.[3];
  if (match === null || host === undefined || port < 1 || port > 65_535) {
    throw new SallyportError(
      "ERR_CONFIG",
      "ADDRESS_INVALID",
      `"${quotePeerText(text)}" is not an address; write HOST:PORT or tls://HOST:PORT, IPv6 in brackets`,
      { stage: "resolve", advice: "write for example 203.0.113.7:9100" },
    );
  }
  return { scheme: match[1] === "tcp" || match[1] === "tls" ? match[1] : defaultScheme, host, port };
}

/** A fixed table from node names to addresses. @throws {SallyportError} ERR_CONFIG NAME_INVALID, ADDRESS_INVALID */
export function staticResolver(
  table: Readonly<Record<string, string>>,
  defaultScheme: DialAddress["scheme"],
): Resolver {
  const addresses = new Map<NodeName, DialAddress>();
  for (const [name, address] of Object.entries(table)) {
    addresses.set(canonicalName(parseNodeName(name)), parseAddress(address, defaultScheme));
  }
  return {
    label: "the static table",
    async resolve(name) {
      const address = addresses.get(canonicalName(name));
      return address === undefined ? [] : [address];
    },
  };
}

/** The last resort: the host part of the name, at a fixed port. */
export function hostPartResolver(port: number, scheme: DialAddress["scheme"]): Resolver {
  return {
    label: `the host part at port ${port}`,
    async resolve(name) {
      return [{ scheme, host: hostPart(name), port }];
    },
  };
}

/** Asks one resolver after the other; the first that knows an address wins. */
export function chainResolvers(resolvers: readonly Resolver[]): Resolver {
  return {
    label: resolvers.map((resolver) => resolver.label).join(", then "),
    async resolve(name, signal) {
      for (const resolver of resolvers) {
        const addresses = await resolver.resolve(name, signal);
        signal.throwIfAborted();
        if (addresses.length > 0) return addresses;
      }
      return [];
    },
  };
}
