import { hostPart, type NodeName } from "../base/node-name.ts";
import { formatEndpoint, parseEndpoint } from "./exchange-words.ts";

/**
 * What others are told of where a node listens: `advertise` (`host:port`) in place of the first endpoint, and the host part of the
 * name in place of addresses that mean every interface.
 */
export function advertisedEndpoints(
  name: NodeName,
  endpoints: readonly string[],
  advertise: string | undefined,
): readonly string[] {
  const bound = endpoints.flatMap((text) => parseEndpoint(text) ?? []);
  const [first] = bound;
  if (first === undefined) return [];
  const said = advertise === undefined ? undefined : parseEndpoint(`${first.scheme}://${advertise}`);
  const told = said === undefined ? bound : [said, ...bound.slice(1)];
  return told.map((address) =>
    formatEndpoint(isEverywhere(address.host) ? { ...address, host: hostPart(name) } : address),
  );
}

function isEverywhere(host: string): boolean {
  return host === "0.0.0.0" || host === "::";
}
