import { describe, expect, it } from "vitest";
import { KnownAddresses, MAX_KNOWN_ADDRESSES } from "./known-addresses.ts";

describe("known addresses", () => {
  it("are those of peers that are surely who they say", () => {
    const known = new KnownAddresses();
    known.sessionUp("192.0.2.1:9100", "pinned");
    known.sessionUp("[2001:db8::1]:40000", "ca");
    known.sessionUp("192.0.2.2:9100", "cookie");
    known.sessionUp("192.0.2.3:9100", "tofu");
    known.sessionUp("192.0.2.4:9100", "none");
    const hosts = ["192.0.2.1", "2001:db8::1", "192.0.2.2", "192.0.2.3", "192.0.2.4"];
    expect(hosts.map((host) => known.has(host))).toEqual([true, true, true, false, false]);
  });

  it("are one whether a socket speaks IPv4 or both", () => {
    const known = new KnownAddresses();
    known.add("192.0.2.1:9100");
    known.add("[::ffff:192.0.2.9]:9100");
    expect([known.has("::ffff:192.0.2.1"), known.has("192.0.2.9")]).toEqual([true, true]);
  });

  it("are bounded: the one not seen for the longest time goes", () => {
    const known = new KnownAddresses();
    for (let i = 0; i < MAX_KNOWN_ADDRESSES; i++) known.add(`h${i}:1`);
    known.add("h0:2");
    known.add("new:1");
    expect([known.has("h0"), known.has("h1"), known.has("h2"), known.has("new")]).toEqual([true, false, true, true]);
  });

  it("are none when there is none", () => {
    const known = new KnownAddresses();
    known.add(":9100");
    known.add("");
    known.add("unknown");
    expect([known.has(""), known.has("unknown")]).toEqual([false, false]);
  });
});
