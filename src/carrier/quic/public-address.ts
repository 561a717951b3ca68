import { type AddressRange, parseAddress, parseAddressRange, rangeHolds } from "../../base/address-range.ts";
import { isLoopbackHost } from "../socket-address.ts";

/** Ranges that no route of the internet leads to. */
const PRIVATE: readonly AddressRange[] = [
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "fc00::/7",
  "fe80::/16",
].flatMap((text) => parseAddressRange(text) ?? []);

/**
 * Whether strangers may reach a listener on this host: anything but a loopback or private address. All addresses at once
 * (`0.0.0.0`, `::`) count as open, as does a name, since neither says where it will be heard.
 */
export function isOpenToStrangers(host: string): boolean {
  if (isLoopbackHost(host)) return false;
  const octets = parseAddress(host);
  return octets === undefined || !PRIVATE.some((range) => rangeHolds(range, octets));
}
