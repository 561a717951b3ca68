import { hostPart, type NodeName } from "../base/node-name.ts";
import type { DialAddress } from "../carrier/carrier.ts";
import { parseAddress } from "./address.ts";

/** What others are told about this node. */
export interface OwnEndpoints {
  readonly name: NodeName;
  /** Tells the lives of one node apart. */
  readonly creation: number;
  /** Best first; empty for a node that only dials. */
  readonly endpoints: readonly DialAddress[];
}

/** A place where others look for nodes, and where this one makes itself known. */
export interface Registrar {
  /** @throws {SallyportError} when this node could not be made known. */
  register(own: OwnEndpoints): Promise<Registration>;
}

export interface Registration {
  /** Takes it back, as far as that is possible. Never rejects. */
  close(): Promise<void>;
}

/** Hosts that mean all addresses of a machine, which nobody can dial. */
const WILDCARDS: readonly string[] = ["0.0.0.0", "::"];

/**
 * What to tell others: the endpoints that were bound, the host part of the name where one listens on all addresses, and
 * `advertise` in place of the first. @throws {SallyportError} ERR_CONFIG ADDRESS_INVALID
 */
export function publishedEndpoints(
  name: NodeName,
  bound: readonly string[],
  advertise: string | undefined,
): readonly DialAddress[] {
  const out = bound.map((text) => {
    const address = parseAddress(text, "tls");
    return WILDCARDS.includes(address.host) ? { ...address, host: hostPart(name) } : address;
  });
  const first = out[0];
  if (advertise === undefined || first === undefined) return out;
  return [parseAddress(advertise, first.scheme), ...out.slice(1)];
}

/** Registers everywhere at once; when one place fails the others are taken back. @throws what the first to fail threw. */
export async function registerEverywhere(
  own: OwnEndpoints,
  registrars: readonly Registrar[],
): Promise<readonly Registration[]> {
  const results = await Promise.allSettled(registrars.map((registrar) => registrar.register(own)));
  const done = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  const failed = results.find((result) => result.status === "rejected");
  if (failed === undefined) return done;
  await Promise.all(done.map((registration) => registration.close()));
  throw failed.reason;
}
