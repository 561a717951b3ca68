import { Resolver } from "node:dns/promises";
import { SallyportError, systemCode } from "../base/errors.ts";
import { quotePeerText } from "../base/escape.ts";

/** Longest wait for one name server before the next is asked, in milliseconds. Each server is asked twice. */
const DNS_TRY_MS = 700;
const DNS_TRIES = 2;

/** There is a name but no such record, or no name. */
const ABSENT: readonly string[] = ["ENODATA", "ENOTFOUND"];

/** One SRV record (RFC 2782), as it came. */
export interface SrvRecord {
  readonly name: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
}

/** Questions to name servers. What comes back is anybody's. */
export interface DnsClient {
  /** Empty when there is no record. @throws the system's error when there is no answer. */
  srv(name: string, signal: AbortSignal): Promise<readonly SrvRecord[]>;
  /** IPv4 addresses, then IPv6. Empty when there is none. @throws the system's error when there is no answer. */
  addresses(name: string, signal: AbortSignal): Promise<readonly string[]>;
  /** Whether it asks others than this machine's name servers, so that the names in its answers are known to it alone. */
  readonly hasOwnServers: boolean;
}

/**
 * Asks the name servers of this machine, or `servers` (`IP` or `IP:PORT`, IPv6 in brackets). Search domains and the hosts
 * file play no part. @throws {SallyportError} ERR_CONFIG DNS_SERVER_INVALID
 */
export function createDnsClient(servers: readonly string[] | undefined): DnsClient {
  const make = (): Resolver => {
    const resolver = new Resolver({ timeout: DNS_TRY_MS, tries: DNS_TRIES });
    if (servers !== undefined) resolver.setServers(servers);
    return resolver;
  };
  try {
    make();
  } catch (cause) {
    throw serverInvalid(servers ?? [], cause);
  }
  /** A resolver for each question, since it can cancel only all of its own. */
  const ask = async <T>(signal: AbortSignal, question: (resolver: Resolver) => Promise<T[]>): Promise<T[]> => {
    signal.throwIfAborted();
    const resolver = make();
    const cancel = (): void => resolver.cancel();
    signal.addEventListener("abort", cancel, { once: true });
    try {
      return await question(resolver);
    } catch (error) {
      if (ABSENT.includes(systemCode(error))) return [];
      throw error;
    } finally {
      signal.removeEventListener("abort", cancel);
    }
  };
  return {
    hasOwnServers: servers !== undefined,
    srv: (name, signal) => ask(signal, (resolver) => resolver.resolveSrv(name)),
    async addresses(name, signal) {
      const answers = await Promise.allSettled([
        ask(signal, (resolver) => resolver.resolve4(name)),
        ask(signal, (resolver) => resolver.resolve6(name)),
      ]);
      const found = answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
      const failed = answers.find((answer) => answer.status === "rejected");
      if (found.length === 0 && failed !== undefined) throw failed.reason;
      return found;
    },
  };
}

function serverInvalid(servers: readonly string[], cause: unknown): SallyportError {
  return new SallyportError(
    "ERR_CONFIG",
    "DNS_SERVER_INVALID",
    `"${quotePeerText(servers.join(", "))}" are no addresses of name servers`,
    { stage: "resolve", advice: "write IP or IP:PORT, for example 127.0.0.1:5353 or [::1]:5353", cause },
  );
}
