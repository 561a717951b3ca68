import type { DialAddress } from "./carrier/carrier.ts";
import { createSockets } from "./carrier/plain-socket.ts";
import { DEFAULT_PORT } from "./discovery/default-chain.ts";
import * as directory from "./discovery/directory.ts";
import * as dns from "./discovery/dns.ts";
import { createDnsClient } from "./discovery/dns-client.ts";
import * as epmd from "./discovery/epmd-client.ts";
import * as fixed from "./discovery/static.ts";
import type { DnsOption } from "./node/options.ts";
import type { Resolver } from "./node/ports.ts";
import { RealClock } from "./system/real-clock.ts";
import { RealIdentityCrypto } from "./system/real-identity-crypto.ts";
import { RealRandom } from "./system/real-random.ts";
import { RealSharedFiles } from "./system/real-shared-files.ts";
import { EPMD_PORT } from "./wire/epmd.ts";

/** For the built-in resolvers: `scheme` of the addresses they give, where nothing else says it. Default `tls`. */
export interface ResolverOptions {
  readonly scheme?: DialAddress["scheme"];
}

/**
 * A fixed table from node names to `host:port` or `tls://host:port`; `none` for a node that only dials.
 * @throws {SallyportError} ERR_CONFIG NAME_INVALID, ADDRESS_INVALID
 */
export function staticResolver(table: Readonly<Record<string, string>>, options: ResolverOptions = {}): Resolver {
  return fixed.staticResolver(table, schemeOf(options));
}

/** Endpoint files in a directory that machines share; of their endpoints those of `scheme`. */
export function directoryResolver(path: string, options: ResolverOptions = {}): Resolver {
  const parts = { files: new RealSharedFiles(), crypto: new RealIdentityCrypto(), clock: new RealClock() };
  return directory.directoryResolver({ ...parts, directory: path }, [schemeOf(options)]);
}

/** SRV records, and addresses where `port` is given. @throws {SallyportError} ERR_CONFIG DNS_OPTION_INVALID, DNS_SERVER_INVALID */
export function dnsResolver(options: DnsOption & ResolverOptions = {}): Resolver {
  const parts = { client: createDnsClient(options.servers), random: new RealRandom() };
  return dns.dnsResolver(parts, options, schemeOf(options));
}

/** The EPMD at the host part of a name. `port`: of EPMD, default 4369. */
export function epmdResolver(options: ResolverOptions & { readonly port?: number } = {}): Resolver {
  const parts = { sockets: createSockets(), clock: new RealClock(), port: options.port ?? EPMD_PORT };
  return epmd.epmdResolver(parts, schemeOf(options));
}

/** The host part of a name at `port`, default 9100. Always has an answer, so it belongs at the end of a chain. */
export function hostPartResolver(options: ResolverOptions & { readonly port?: number } = {}): Resolver {
  return fixed.hostPartResolver(options.port ?? DEFAULT_PORT, schemeOf(options));
}

function schemeOf(options: ResolverOptions): DialAddress["scheme"] {
  return options.scheme ?? "tls";
}
