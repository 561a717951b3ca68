import { networkInterfaces } from "node:os";

/** Addresses of this machine that other machines can reach: without loopback, and without those that need a zone. */
export function networkAddresses(): readonly string[] {
  return Object.values(networkInterfaces())
    .flatMap((entries) => entries ?? [])
    .filter(({ internal, address }) => !internal && !address.toLowerCase().startsWith("fe80:"))
    .map(({ address }) => address);
}
