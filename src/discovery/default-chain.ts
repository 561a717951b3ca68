import type { Clock } from "../base/clock.ts";
import type { IdentityCrypto } from "../base/identity-crypto.ts";
import type { Random } from "../base/random.ts";
import type { SharedFiles } from "../base/shared-files.ts";
import type { StoreFiles } from "../base/store-files.ts";
import type { DialAddress } from "../carrier/carrier.ts";
import { DEFAULT_PORTS, QUIC_PORT } from "../node/listen-option.ts";
import type { BarrelDiscoveryOption, NodeOptions } from "../node/options.ts";
import type { Resolver, SeedSource } from "../node/ports.ts";
import { isDialPort } from "./address.ts";
import { BARREL_FORM, barrelDnsResolver, barrelStaticResolver, readBarrelNodes } from "./barrel-forms.ts";
import { chainResolvers } from "./chain.ts";
import { type DirectoryParts, directoryRegistrar, directoryResolver } from "./directory.ts";
import { dnsOptionInvalid, dnsResolver, listMembers } from "./dns.ts";
import { createDnsClient } from "./dns-client.ts";
import { type EndpointForm, SALLYPORT_FORM } from "./endpoint-file.ts";
import { type EpmdParts, epmdRegistrar, epmdResolver } from "./epmd-client.ts";
import type { Registrar } from "./registrar.ts";
import { hostPartResolver, staticResolver } from "./static.ts";

/** Port at the host part of a name when nothing else is known. */
export const DEFAULT_PORT: number = DEFAULT_PORTS.first;

export interface DiscoveryWorld {
  readonly clock: Clock;
  readonly random: Random;
  readonly crypto: Pick<IdentityCrypto, "sha256">;
  readonly files: SharedFiles;
  readonly epmd: EpmdParts;
  /** For files that the operator named. */
  readonly local: Pick<StoreFiles, "facts" | "readText">;
  /** Schemes that this node dials; the first is meant where none is written. */
  readonly schemes: readonly [DialAddress["scheme"], ...DialAddress["scheme"][]];
}

export type DiscoveryOptions = Pick<NodeOptions, "resolve" | "discovery" | "epmd" | "visible">;

/**
 * Where this node looks for others: the resolvers of `resolve`, or static table, shared directory, DNS, what `told` knows of peers,
 * EPMD, host part.
 * @throws {SallyportError} ERR_CONFIG NAME_INVALID, ADDRESS_INVALID, DNS_OPTION_INVALID, DNS_SERVER_INVALID
 */
export function makeResolver(
  options: DiscoveryOptions,
  world: DiscoveryWorld,
  told: readonly Resolver[] = [],
): Resolver {
  const { resolve = {}, discovery = {} } = options;
  if (Array.isArray(resolve)) return chainResolvers([...(resolve as readonly Resolver[]), ...told], world.clock);
  const scheme = world.schemes[0];
  const chain: Resolver[] = [staticResolver(resolve as Readonly<Record<string, string>>, scheme)];
  if (discovery.directory !== undefined) {
    chain.push(directoryResolver(directoryParts(discovery.directory, world), world.schemes));
  }
  if (discovery.barrel !== undefined) chain.push(...barrelResolvers(discovery.barrel, world));
  if (discovery.dns !== undefined) {
    const dns = discovery.dns === true ? {} : discovery.dns;
    chain.push(dnsResolver({ client: createDnsClient(dns.servers), random: world.random }, dns, scheme));
  }
  chain.push(...told);
  if (options.epmd !== "off") chain.push(epmdResolver(world.epmd, scheme));
  chain.push(hostPartResolver(DEFAULT_PORT, scheme));
  return chainResolvers(chain, world.clock);
}

function barrelResolvers({ nodesFile, directory, dns }: BarrelDiscoveryOption, world: DiscoveryWorld): Resolver[] {
  const out: Resolver[] = [];
  if (nodesFile !== undefined) {
    out.push(barrelStaticResolver(readBarrelNodes(nodesFile, world.local)));
  }
  if (directory !== undefined) {
    out.push(directoryResolver({ ...directoryParts(directory, world), form: BARREL_FORM }, world.schemes));
  }
  if (dns !== undefined) {
    const { port = QUIC_PORT, servers } = dns === true ? {} : dns;
    if (!isDialPort(port)) throw dnsOptionInvalid("barrel.dns.port", String(port));
    out.push(barrelDnsResolver(createDnsClient(servers), port));
  }
  return out;
}

/** What is behind seeds of the form `dns:LOCAL@SERVICE`: the members of a service, asked of the name servers of `discovery.dns`. */
export function dnsSeeds(discovery: NodeOptions["discovery"] = {}): (local: string, service: string) => SeedSource {
  const { dns } = discovery;
  const client = createDnsClient(typeof dns === "object" ? dns.servers : undefined);
  return (local, service) => ({
    label: `dns:${local}@${service}`,
    list: (signal) => listMembers(client, local, service, signal),
  });
}

/** Where this node makes itself known. */
export function makeRegistrars(
  options: DiscoveryOptions,
  world: DiscoveryWorld,
  warn: (reason: string, message: string) => void,
): readonly Registrar[] {
  const { directory, barrel } = options.discovery ?? {};
  const files = (of: string, form: EndpointForm) => directoryRegistrar({ ...directoryParts(of, world), form, warn });
  return [
    ...(directory === undefined ? [] : [files(directory, SALLYPORT_FORM)]),
    ...(barrel?.directory === undefined ? [] : [files(barrel.directory, BARREL_FORM)]),
    ...(options.epmd === "register" ? [epmdRegistrar(world.epmd, options.visible !== true)] : []),
  ];
}

function directoryParts(directory: string, { files, crypto, clock }: DiscoveryWorld): DirectoryParts {
  return { files, crypto, clock, directory };
}
