import { parseAddress, parseAddressRange } from "../../base/address-range.ts";
import { SallyportError } from "../../base/errors.ts";
import { quotePeerText } from "../../base/escape.ts";
import { isLoopbackHost } from "../../carrier/socket-address.ts";
import { PEERS_WORD, readSources, type SourcesOption } from "../../carrier/source-list.ts";
import { formatIpAddress } from "../../x509/ip-address.ts";

/** What carries the bytes to a port: QUIC is UDP. */
export type Transport = "tcp" | "udp";

/** One port, or several next to each other, on one address of this machine or on all. */
export interface OpenPort {
  /** What it is for. */
  readonly what: string;
  readonly transport: Transport;
  /** 4 or 16 octets; undefined: every address. */
  readonly host: Uint8Array | undefined;
  readonly first: number;
  readonly last: number;
}

/** Addresses with their first bits, as text: `203.0.113.0/24`. */
export type Cidr = string;

/** Who shall reach what. */
export interface FirewallPlan {
  /** Of the node or gateway, for comments: letters, digits, `@`, `.`, `_`, `-`, `:`. */
  readonly name: string;
  readonly ports: readonly OpenPort[];
  /** Undefined: everybody. */
  readonly allowed: readonly Cidr[] | undefined;
  readonly refused: readonly Cidr[];
  /** Host and the addresses it was found under. */
  readonly found: readonly (readonly [string, readonly string[]])[];
  readonly warnings: readonly string[];
}

/** Something that listens. */
export interface ListenPlace {
  readonly what: string;
  /** Default `tcp`. */
  readonly transport?: Transport;
  readonly host: string;
  /** Undefined: any free one. */
  readonly ports: { readonly first: number; readonly last: number } | undefined;
}

export interface PlanParts {
  readonly name: string;
  readonly listens: readonly ListenPlace[];
  readonly accept: SourcesOption;
  /** Hosts of the configured peers. */
  readonly hosts: readonly string[];
  /** @throws the system's error */
  readonly lookup: (host: string) => Promise<readonly string[]>;
}

/**
 * What a firewall must let through for these listeners.
 * @throws {SallyportError} ERR_CONFIG FIREWALL_PORT_UNKNOWN, SOURCE_INVALID, ERR_LIMIT SOURCES_TOO_MANY
 */
export async function planFirewall({ name, listens, accept, hosts, lookup }: PlanParts): Promise<FirewallPlan> {
  readSources(accept);
  const warnings: string[] = [];
  const outward = listens.filter(({ host }) => !isLoopbackHost(host));
  const ports = (await Promise.all(outward.map((place) => openPort(place, lookup, warnings)))).flat();
  const { sources, refuse = [] } = accept;
  const asks = sources === undefined ? hosts.length > 0 : sources.includes(PEERS_WORD);
  const found = asks && ports.length > 0 ? await findAll(hosts, lookup, warnings) : [];
  const known = found.flatMap(([, addresses]) => addresses);
  const given = sources?.filter((text) => text !== PEERS_WORD) ?? [];
  const isOpen = sources === undefined && hosts.length === 0;
  if (ports.length === 0) warnings.push("it listens on loopback only, or not at all: there is nothing to open");
  else if (isOpen) warnings.push("accept.sources is not set and no peer is configured: everybody may reach the ports");
  else if (given.length + known.length === 0) warnings.push("no address is known that may connect: nobody may");
  return {
    name: name.replaceAll(/[^A-Za-z0-9@._:-]/g, "_"),
    ports,
    allowed: isOpen ? undefined : [...new Set([...given, ...known].map(cidrOf))],
    refused: [...new Set(refuse.map(cidrOf))],
    found,
    warnings,
  };
}

async function openPort(
  { what: said, transport = "tcp", host, ports }: ListenPlace,
  lookup: PlanParts["lookup"],
  warnings: string[],
): Promise<readonly OpenPort[]> {
  if (ports === undefined) {
    throw new SallyportError("ERR_CONFIG", "FIREWALL_PORT_UNKNOWN", `${quotePeerText(said)} listens on any free port`, {
      stage: "port",
      advice: "give it a port or a range of ports: tls://0.0.0.0:9100 or tls://0.0.0.0:9100-9155",
    });
  }
  const { first, last } = ports;
  // It goes into a comment.
  const what = said.replaceAll(/[^ -~]/g, "_");
  if (host === "0.0.0.0" || host === "::") return [{ what, transport, host: undefined, first, last }];
  const octets = parseAddress(host);
  if (octets !== undefined) return [{ what, transport, host: octets, first, last }];
  const [entry] = await findAll([host], lookup, warnings);
  return (entry?.[1] ?? []).flatMap((text) => {
    const address = parseAddress(text);
    return address === undefined ? [] : [{ what, transport, host: address, first, last }];
  });
}

async function findAll(
  hosts: readonly string[],
  lookup: PlanParts["lookup"],
  warnings: string[],
): Promise<FirewallPlan["found"]> {
  const found: (readonly [string, readonly string[]])[] = [];
  for (const host of hosts) {
    const octets = parseAddress(host);
    if (octets !== undefined) {
      found.push([host, [addressText(octets)]]);
      continue;
    }
    const addresses = await lookup(host).catch(() => []);
    const texts = addresses.flatMap((text) => {
      const address = parseAddress(text);
      return address === undefined ? [] : addressText(address);
    });
    if (texts.length === 0) warnings.push(`no address was found for ${quotePeerText(host)}`);
    found.push([host.replaceAll(/[^A-Za-z0-9._-]/g, "_"), [...new Set(texts)].sort()]);
  }
  return found;
}

/** Text of an address, made from its octets. */
export function addressText(octets: Uint8Array): string {
  return formatIpAddress(octets);
}

/** A range in one way only, made from its octets. */
function cidrOf(text: string): Cidr {
  const range = parseAddressRange(text);
  return range === undefined ? text : `${addressText(range.octets)}/${range.bits}`;
}

/** Whether a range is one of IPv6. */
export function isIpv6(cidr: Cidr): boolean {
  return cidr.includes(":");
}
