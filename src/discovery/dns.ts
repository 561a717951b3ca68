import { SallyportError, systemCode } from "../base/errors.ts";
import { quotePeerText } from "../base/escape.ts";
import { type DialTarget, hostPart, isIpAddress, parseNodeName, tryNodeName } from "../base/node-name.ts";
import type { Random } from "../base/random.ts";
import type { DialAddress } from "../carrier/carrier.ts";
import type { Resolver } from "../node/ports.ts";
import { isDialPort, isHost } from "./address.ts";
import type { DnsClient, SrvRecord } from "./dns-client.ts";
import { bySrvOrder } from "./srv-order.ts";

/** Longest wait for DNS within a chain, in milliseconds; all its questions together. */
export const DNS_RESOLVE_MS = 2_000;

/** Records of one answer that are looked at. A service of Kubernetes has one for each pod. */
export const MAX_DNS_RECORDS = 1_024;

/** Targets of SRV records that a dial is given. */
const MAX_SRV_TARGETS = 4;

/** Members of a service that are listed at most. */
export const MAX_DNS_MEMBERS = 256;

/** Service label under which the endpoint of a host's node is looked up. */
export const SERVICE_LABEL = "_sallyport._tcp";

/** How DNS is asked; the values of `discovery.dns`. */
export interface DnsQuestions {
  /** SRV name of a service whose targets are hosts of nodes. */
  readonly service?: string;
  /** Port at the A and AAAA addresses of a host; without it these are not asked. */
  readonly port?: number;
}

export interface DnsParts {
  readonly client: DnsClient;
  readonly random: Random;
}

/**
 * Looks for the host of a node in DNS: among the targets of the service, then in the SRV records of the host itself, then,
 * where a port is configured, its addresses. @throws {SallyportError} ERR_CONFIG DNS_OPTION_INVALID
 */
export function dnsResolver(parts: DnsParts, questions: DnsQuestions, scheme: DialAddress["scheme"]): Resolver {
  const { service, port } = questions;
  if (service !== undefined && !isHost(service)) throw dnsOptionInvalid("service", service);
  if (port !== undefined && !isDialPort(port)) throw dnsOptionInvalid("port", String(port));
  return {
    label: "DNS",
    maxResolveMs: DNS_RESOLVE_MS,
    async resolve(name, signal, note) {
      const host = hostPart(name).toLowerCase();
      if (isIpAddress(host)) {
        note?.("its host is an address");
        return [];
      }
      const search = new Search(parts, scheme, signal, note ?? (() => undefined));
      return (
        (service === undefined ? undefined : await search.among(service, host)) ??
        (await search.srv(`${SERVICE_LABEL}.${host}`)) ??
        (port === undefined ? undefined : await search.addresses(host, port)) ??
        []
      );
    },
  };
}

/** The questions for one node. Each gives undefined when it found nothing, and notes why. */
class Search {
  readonly #parts: DnsParts;
  readonly #scheme: DialAddress["scheme"];
  readonly #signal: AbortSignal;
  readonly #note: (said: string) => void;

  constructor(parts: DnsParts, scheme: DialAddress["scheme"], signal: AbortSignal, note: (said: string) => void) {
    this.#parts = parts;
    this.#scheme = scheme;
    this.#signal = signal;
    this.#note = note;
  }

  async among(service: string, host: string): Promise<readonly DialAddress[] | undefined> {
    const records = await this.#records(service);
    if (records === undefined) return undefined;
    const own = records.filter((record) => targetOf(record) === host);
    if (own.length === 0) this.#note(`${service} does not name the host`);
    return own.length === 0 ? undefined : this.#located(own);
  }

  async srv(name: string): Promise<readonly DialAddress[] | undefined> {
    const records = await this.#records(name);
    return records === undefined ? undefined : this.#located(records);
  }

  async addresses(host: string, port: number): Promise<readonly DialAddress[] | undefined> {
    const found = await this.#asked(host, "address", () => this.#parts.client.addresses(host, this.#signal));
    return found?.map((address) => ({ scheme: this.#scheme, host: address, port }));
  }

  async #records(name: string): Promise<readonly SrvRecord[] | undefined> {
    const records = await this.#asked(name, "SRV record", () => this.#parts.client.srv(name, this.#signal));
    if (records === undefined) return undefined;
    const usable = usableRecords(records);
    if (usable.length === 0) this.#note(`no usable SRV record for ${name}`);
    return usable.length === 0 ? undefined : usable;
  }

  async #asked<T>(name: string, what: string, ask: () => Promise<readonly T[]>): Promise<readonly T[] | undefined> {
    try {
      const found = await ask();
      if (found.length > 0) return found;
      this.#note(`no ${what} for ${name}`);
    } catch (error) {
      this.#note(`no answer about ${name} (${systemCode(error)})`);
    }
    return undefined;
  }

  /** Names that only the configured servers know are asked of them; all others the system looks up when it connects. */
  async #located(records: readonly SrvRecord[]): Promise<readonly DialAddress[] | undefined> {
    const out: DialAddress[] = [];
    for (const record of bySrvOrder(records, this.#parts.random).slice(0, MAX_SRV_TARGETS)) {
      const target = targetOf(record);
      if (!this.#parts.client.hasOwnServers || isIpAddress(target)) {
        out.push({ scheme: this.#scheme, host: target, port: record.port });
      } else {
        out.push(...((await this.addresses(target, record.port)) ?? []));
      }
    }
    return out.length === 0 ? undefined : out;
  }
}

/**
 * The members of a service, for a node that knows only the service: from the targets and ports of its SRV records when the
 * name begins with `_`, else from its A and AAAA records (`LOCAL@ADDRESS`, without port). Empty when there are none. Hints,
 * like every answer: who is there, the handshake says.
 * @throws {SallyportError} ERR_CONFIG NAME_INVALID for `local`; ERR_UNREACHABLE DNS_NO_ANSWER
 */
export async function listMembers(
  client: DnsClient,
  local: string,
  service: string,
  signal: AbortSignal,
): Promise<readonly DialTarget[]> {
  parseNodeName(`${local}@host`);
  const members = new Map<string, DialTarget>();
  const add = (host: string, port: number | undefined): void => {
    const name = tryNodeName(`${local}@${host}`);
    if (name !== undefined && members.size < MAX_DNS_MEMBERS) members.set(`${name} ${port}`, { name, port });
  };
  try {
    if (service.startsWith("_")) {
      for (const record of usableRecords(await client.srv(service, signal))) add(targetOf(record), record.port);
    } else {
      for (const address of (await client.addresses(service, signal)).slice(0, MAX_DNS_RECORDS))
        add(address, undefined);
    }
  } catch (error) {
    throw noAnswer(service, error);
  }
  return [...members.values()];
}

/** Records that lead somewhere. The target `.` says that there is no such service. */
function usableRecords(records: readonly SrvRecord[]): readonly SrvRecord[] {
  return records.slice(0, MAX_DNS_RECORDS).filter((record) => isDialPort(record.port) && isHost(targetOf(record)));
}

function targetOf(record: SrvRecord): string {
  return record.name.replace(/\.$/, "").toLowerCase();
}

/** An option below `discovery` or `discovery.dns` that is not usable. */
export function dnsOptionInvalid(option: string, value: string): SallyportError {
  return new SallyportError(
    "ERR_CONFIG",
    "DNS_OPTION_INVALID",
    `discovery.${option.includes(".") ? option : `dns.${option}`} "${quotePeerText(value)}" is not usable`,
    {
      stage: "resolve",
      advice: option.endsWith("port")
        ? "give a port from 1 to 65535"
        : "write the whole name of an SRV record, for example _dist._tcp.workers.default.svc.cluster.local",
    },
  );
}

function noAnswer(service: string, cause: unknown): SallyportError {
  return new SallyportError(
    "ERR_UNREACHABLE",
    "DNS_NO_ANSWER",
    `no name server answered about ${quotePeerText(service)} (${systemCode(cause)})`,
    { stage: "resolve", advice: "check the name servers of this machine, or those of discovery.dns.servers", cause },
  );
}
