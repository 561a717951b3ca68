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

/**
 * The address to dial for a host, itself or what the system says of the name; asked once, so that the address that is judged here is the one that is
 * dialled. Of several it is the first that may be dialled.
 * @param allowPublic also one where strangers are
 * @throws what the system says; an error with a code of `PUBLIC_ADDRESS` when no address may be dialled
 */
export async function resolveHost(host: string, allowPublic: boolean, find: Lookup = lookup): Promise<string> {
  const addresses = parseIpAddress(host) !== undefined ? [host] : await addressesOf(host, find);
  const [first] = addresses;
  const chosen = allowPublic ? first : addresses.find((address) => !isOpenToStrangers(address));
  if (chosen === undefined) throw failure(first === undefined ? "ENOTFOUND" : `${PUBLIC_ADDRESS}${first}`);
  return chosen;
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
