import { parseIpAddress } from "../../x509/ip-address.ts";
import { isLoopbackHost } from "../socket-address.ts";

/** Leading octets of the address ranges that no route of the internet leads to, with their length in bits. */
const PRIVATE_V4: readonly (readonly [octets: readonly number[], bits: number])[] = [
  [[10], 8],
  [[127], 8],
  [[100, 64], 10],
  [[169, 254], 16],
  [[172, 16], 12],
  [[192, 168], 16],
];
const PRIVATE_V6: readonly (readonly [octets: readonly number[], bits: number])[] = [
  [[0xfc], 7],
  [[0xfe, 0x80], 10],
];

/**
 * Whether strangers may reach a listener on this host: anything but a loopback or private address. All addresses at once
 * (`0.0.0.0`, `::`) count as open, as does a name, since neither says where it will be heard.
 */
export function isOpenToStrangers(host: string): boolean {
  if (isLoopbackHost(host)) return false;
  const zone = host.indexOf("%");
  const octets = parseIpAddress(zone < 0 ? host : host.slice(0, zone));
  if (octets === undefined) return true;
  const mapped = octets.length === 16 && octets.toString("hex", 0, 12) === "00000000000000000000ffff";
  const plain = mapped ? octets.subarray(12) : octets;
  return !(plain.length === 4 ? PRIVATE_V4 : PRIVATE_V6).some(([range, bits]) => isWithin(plain, range, bits));
}

function isWithin(octets: Uint8Array, range: readonly number[], bits: number): boolean {
  return range.every((value, at) => {
    const left = Math.min(8, bits - at * 8);
    const mask = (0xff << (8 - left)) & 0xff;
    return ((octets[at] ?? 0) & mask) === (value & mask);
  });
}
