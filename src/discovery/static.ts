import { SallyportError } from "../base/errors.ts";
import { canonicalName, hostPart, type NodeName, parseNodeName } from "../base/node-name.ts";
import type { DialAddress } from "../carrier/carrier.ts";
import type { Resolver } from "../node/ports.ts";
import { parseAddress } from "./address.ts";

/** In place of an address: the node only dials. */
const NONE = "none";

/**
 * A fixed table from node names to addresses. `none` instead of an address says that nobody can dial this node.
 * @throws {SallyportError} ERR_CONFIG NAME_INVALID, ADDRESS_INVALID; when asked for a node with `none`, ERR_UNREACHABLE
 * PEER_OFFLINE
 */
export function staticResolver(
  table: Readonly<Record<string, string>>,
  defaultScheme: DialAddress["scheme"],
): Resolver {
  const addresses = new Map<NodeName, DialAddress | typeof NONE>();
  for (const [text, address] of Object.entries(table)) {
    const name = canonicalName(parseNodeName(text));
    addresses.set(name, address === NONE ? NONE : parseAddress(address, defaultScheme));
  }
  return {
    label: "the static table",
    async resolve(name, _signal, note) {
      const address = addresses.get(canonicalName(name));
      if (address === NONE) throw dialsOnly(name);
      if (address === undefined) note?.("no entry");
      return address === undefined ? [] : [address];
    },
  };
}

/** The last resort: the host part of the name, at a fixed port. */
export function hostPartResolver(port: number, scheme: DialAddress["scheme"]): Resolver {
  return {
    label: `the host part at port ${port}`,
    isGuess: true,
    async resolve(name) {
      return [{ scheme, host: hostPart(name), port }];
    },
  };
}

function dialsOnly(name: NodeName): SallyportError {
  return new SallyportError(
    "ERR_UNREACHABLE",
    "PEER_OFFLINE",
    `${name} is not connected, and cannot be dialled: its entry says "none"`,
    { peer: name, stage: "resolve", advice: "wait until it connects; or give its address instead of none" },
  );
}
