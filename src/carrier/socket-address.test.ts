import { describe, expect, it } from "vitest";
import { formatAddress, hostOf, plainHost } from "./socket-address.ts";

describe("the host of an address", () => {
  it.each([
    ["192.0.2.1", "192.0.2.1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["::FFFF:192.0.2.1", "192.0.2.1"],
    ["2001:db8::1", "2001:db8::1"],
    ["::ffff:0:1", "::ffff:0:1"],
    ["fe80::1%eth0", "fe80::1%eth0"],
    ["host.example", "host.example"],
  ])("%s is %s, whatever port it came from", (host, plain) => {
    expect(hostOf(formatAddress(host, 9100))).toBe(plain);
    expect(hostOf(formatAddress(host, 40000))).toBe(plain);
    expect(plainHost(host)).toBe(plain);
  });

  it("is none where there is none", () => {
    expect([formatAddress(undefined, 1), "", ":9100", "[]:9100"].map(hostOf)).toEqual(Array(4).fill(undefined));
  });
});
