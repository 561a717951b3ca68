import { type AddressRange, parseAddress, parseAddressRange, rangeHolds } from "../../base/address-range.ts";

/**
 * Ranges that no route of the internet leads to. `100.64.0.0/10` is shared by the customers of a carrier, who may reach each other, and is
 * what overlay networks use: it counts as private for their sake (docs/quic.md).
 */
const PRIVATE: readonly AddressRange[] = [
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "::1",
  "fc00::/7",
  "fe80::/16",
].flatMap((text) => parseAddressRange(text) ?? []);

/**
 * Whether strangers may reach a listener on this host, or answer there: anything but a loopback or private address. An IPv4 address in the form
 * of IPv6 counts as what it is. All addresses at once (`0.0.0.0`, `::`) count as open, as does a name, since neither says where it will
 * be heard; whoever dials asks about the address that the name means.
 */
export function isOpenToStrangers(host: string): boolean {
  if (host === "localhost") return false;
  const octets = parseAddress(host);
  return octets === undefined || !PRIVATE.some((range) => rangeHolds(range, octets));
}

/** What the operator is warned of whose QUIC listener strangers may reach; nothing where they may not. */
export function publicListenerWarning(host: string): readonly { readonly reason: string; readonly message: string }[] {
  if (!isOpenToStrangers(host)) return [];
  const message =
    `the QUIC listener on ${host} can be reached by strangers, and its engine (quiche 0.18.0) has known faults: ` +
    "CVE-2023-6193, CVE-2024-1410, CVE-2024-1765, CVE-2025-4820, CVE-2025-4821, CVE-2025-7054. " +
    "They can stop all QUIC connections of this node";
  return [{ reason: "QUIC_PUBLIC_LISTENER", message }];
}
