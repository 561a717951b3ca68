import { describe, expect, it } from "vitest";
import { parseAddress } from "../base/address-range.ts";
import { MAX_SOURCES, networkOf, SourceList, type SourcesOption } from "./source-list.ts";

const reason = (text: string): unknown => expect.objectContaining({ reason: text });
const admitted = (option: SourcesOption, addresses: readonly string[]): string[] => {
  const list = new SourceList(option);
  return addresses.filter((address) => list.admits(address));
};

describe("SourceList", () => {
  const some = ["192.0.2.7", "192.0.2.66", "198.51.100.1", "::1", "2001:db8::7", "127.0.0.1", "no address"];

  it.each<[string, SourcesOption, string[]]>([
    ["lets everybody in without lists", {}, some],
    ["lets nobody in with an empty list", { sources: [] }, []],
    [
      "knows ranges and addresses of both families",
      { sources: ["192.0.2.0/24", "2001:db8::/32"] },
      ["192.0.2.7", "192.0.2.66", "2001:db8::7"],
    ],
    [
      "refuses what is refused, whatever else is said",
      { sources: ["192.0.2.0/24"], refuse: ["192.0.2.64/26"] },
      ["192.0.2.7"],
    ],
    ["refuses nobody else when only refuse is given", { refuse: ["0.0.0.0/0"] }, ["::1", "2001:db8::7"]],
    ["makes no exception of loopback", { sources: ["192.0.2.7"] }, ["192.0.2.7"]],
  ])("%s", (_, option, addresses) => {
    expect(admitted(option, some)).toEqual(addresses);
  });

  it("takes an IPv4 peer of a socket that speaks both for what it is, and leaves out zones", () => {
    expect(admitted({ sources: ["192.0.2.0/24"] }, ["::ffff:192.0.2.7", "::ffff:198.51.100.1"])).toEqual([
      "::ffff:192.0.2.7",
    ]);
    expect(admitted({ sources: ["fe80::/10"] }, ["fe80::1%eth0"])).toEqual(["fe80::1%eth0"]);
    expect(admitted({ refuse: ["192.0.2.0/24"] }, ["::ffff:192.0.2.7"])).toEqual([]);
  });

  it("asks who the peers are where its list says so, and only there", () => {
    const peer = String(parseAddress("192.0.2.7"));
    const peers = { holds: (octets: Uint8Array) => String(octets) === peer };
    const asks = (option: SourcesOption, address: string): boolean => new SourceList(option, peers).admits(address);
    expect(asks({ sources: ["peers"] }, "192.0.2.7")).toBe(true);
    expect(asks({ sources: ["peers"] }, "192.0.2.8")).toBe(false);
    expect(asks({ sources: ["198.51.100.0/24"] }, "192.0.2.7")).toBe(false);
    expect(asks({ sources: ["peers"], refuse: ["192.0.2.0/24"] }, "192.0.2.7")).toBe(false);
  });

  it("can be replaced, and stays as it was where the new lists are wrong", () => {
    const list = new SourceList({ sources: ["192.0.2.7"] });
    list.replace({ sources: ["192.0.2.8"] });
    for (const text of ["192.0.2.0/33", "192.0.2.1/24", "host.example", "", "peers "]) {
      expect(() => list.replace({ sources: [text] }), text).toThrow(reason("SOURCE_INVALID"));
    }
    expect(() => list.replace({ refuse: ["peers"] })).toThrow(reason("SOURCE_INVALID"));
    const many = Array.from({ length: MAX_SOURCES + 1 }, (_, i) => `10.${i >> 8}.${i & 255}.0/24`);
    expect(() => list.replace({ sources: many })).toThrow(reason("SOURCES_TOO_MANY"));
    list.replace({ sources: many.slice(1), refuse: many.slice(1) });
    list.replace({ sources: ["192.0.2.8"] });
    expect(["192.0.2.7", "192.0.2.8"].filter((address) => list.admits(address))).toEqual(["192.0.2.8"]);
  });
});

describe("networkOf", () => {
  it.each([
    ["192.0.2.7", "192.0.2.0/24"],
    ["::ffff:192.0.2.7", "192.0.2.0/24"],
    ["127.0.0.2", "127.0.0.2"],
    ["2001:db8:1:2ff::7", "2001:db8:1:200::/56"],
    ["unknown", "unknown"],
  ])("counts %s under %s", (address, network) => {
    expect(networkOf(address)).toBe(network);
  });
});
