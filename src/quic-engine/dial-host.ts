import { type LookupAddress, lookup } from "node:dns";
import { PUBLIC_ADDRESS } from "../carrier/quic/engine-frames.ts";
import { isOpenToStrangers } from "../carrier/quic/public-address.ts";
import { parseIpAddress } from "../x509/ip-address.ts";

/** What the system knows of a name. */
type Lookup = (
  host: string,
  options: { readonly all: true },
  told: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/** Addresses of one name that are asked at the most. */
export const MAX_DIAL_ADDRESSES = 4;

/**
 * The addresses to dial for a host: itself, or what the system says of the name; asked once, so that the addresses that are judged here are those that
 * are dialled. In the system's order, but of both families by turns (RFC 8305 section 4).
 * @param allowPublic also those where strangers are
 * @throws what the system says; an error with a code of `PUBLIC_ADDRESS` when no address may be dialled
 */
export async function resolveHost(
  host: string,
  allowPublic: boolean,
  find: Lookup = lookup,
): Promise<readonly string[]> {
  const addresses = parseIpAddress(host) !== undefined ? [host] : await addressesOf(host, find);
  const [first] = addresses;
  if (first === undefined) throw failure("ENOTFOUND");
  const usable = addresses.filter((address) => !address.includes("%"));
  if (usable.length === 0) throw failure("QUIC takes no IPv6 address with a zone");
  const allowed = allowPublic ? usable : usable.filter((address) => !isOpenToStrangers(address));
  if (allowed.length === 0) throw failure(`${PUBLIC_ADDRESS}${first}`);
  return byTurns([...new Set(allowed)]).slice(0, MAX_DIAL_ADDRESSES);
}

function byTurns([first, ...others]: readonly string[]): readonly string[] {
  if (first === undefined) return [];
  const isAlike = (address: string): boolean => address.includes(":") === first.includes(":");
  const alike = others.filter(isAlike);
  const different = others.filter((address) => !isAlike(address));
  const turns = Array.from({ length: Math.max(alike.length, different.length) }, (_, i) => [different[i], alike[i]]);
  return [first, ...turns.flat().filter((address) => address !== undefined)];
}

function addressesOf(host: string, find: Lookup): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    find(host, { all: true }, (error, found) => {
      if (error === null) resolve(found.map(({ address }) => address));
      else reject(error);
    });
  });
}

function failure(code: string): Error {
  return Object.assign(new Error(code), { code });
}
