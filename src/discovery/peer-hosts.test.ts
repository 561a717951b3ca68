import { describe, expect, it } from "vitest";
import { parseAddress } from "../base/address-range.ts";
import { parseDialTarget } from "../base/node-name.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import { expectedHosts } from "./expected-hosts.ts";
import { MAX_ADDRESSES_PER_HOST, MAX_PEER_HOSTS, PEER_HOSTS_MS, PEER_LOOKUP_MS, PeerHosts } from "./peer-hosts.ts";

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

class Names {
  readonly clock: VirtualClock = new VirtualClock();
  readonly answers = new Map<string, readonly string[]>();
  readonly asked: string[] = [];
  /** Hosts whose answers never come. */
  readonly silent = new Set<string>();
  readonly hosts: PeerHosts = new PeerHosts(this.clock, (host) => {
    this.asked.push(host);
    const answer = this.answers.get(host);
    if (this.silent.has(host)) return new Promise(() => undefined);
    return answer === undefined ? Promise.reject(new Error("ENOTFOUND")) : Promise.resolve(answer);
  });

  holds(address: string): boolean {
    return this.hosts.holds(parseAddress(address) ?? new Uint8Array());
  }
}

describe("PeerHosts", () => {
  it("knows addresses at once, and names when they were looked up", async () => {
    const names = new Names();
    names.answers.set("db1.example", ["192.0.2.7", "2001:db8::7"]);
    await names.hosts.replace(["198.51.100.1", "db1.example"]);
    expect(["198.51.100.1", "192.0.2.7", "2001:db8::7", "192.0.2.8"].map((address) => names.holds(address))).toEqual([
      true,
      true,
      true,
      false,
    ]);
    expect(names.asked).toEqual(["db1.example"]);
  });

  it("looks up again once a minute, and keeps the last answer where none comes", async () => {
    const names = new Names();
    names.answers.set("db1.example", ["192.0.2.7"]);
    await names.hosts.replace(["db1.example"]);
    names.answers.delete("db1.example");
    names.clock.advance(PEER_HOSTS_MS);
    await settle();
    expect(names.holds("192.0.2.7")).toBe(true);
    names.answers.set("db1.example", ["192.0.2.8"]);
    names.clock.advance(PEER_HOSTS_MS);
    await settle();
    expect([names.holds("192.0.2.7"), names.holds("192.0.2.8")]).toEqual([false, true]);
    expect(names.asked).toHaveLength(3);
  });

  it("waits for no name longer than its bound, and asks none twice at once", async () => {
    const names = new Names();
    names.silent.add("slow.example");
    names.answers.set("db1.example", ["192.0.2.7"]);
    const done = names.hosts.replace(["slow.example", "db1.example"]);
    await settle();
    expect(names.holds("192.0.2.7")).toBe(true);
    names.clock.advance(PEER_LOOKUP_MS);
    await done;
    names.clock.advance(PEER_HOSTS_MS);
    await settle();
    expect(names.asked.filter((host) => host === "slow.example")).toHaveLength(1);
  });

  it("forgets hosts that are not asked for any more, and asks no more when it is stopped", async () => {
    const names = new Names();
    names.answers.set("a.example", ["192.0.2.1"]);
    names.answers.set("b.example", ["192.0.2.2"]);
    await names.hosts.replace(["a.example", "b.example"]);
    await names.hosts.replace(["b.example"]);
    expect([names.holds("192.0.2.1"), names.holds("192.0.2.2")]).toEqual([false, true]);
    names.hosts.stop();
    names.clock.advance(PEER_HOSTS_MS * 2);
    await settle();
    expect(names.asked).toHaveLength(3);
    expect(names.clock.pendingTimers).toBe(0);
  });

  it("keeps so many hosts and addresses, and no more", async () => {
    const names = new Names();
    const many = (count: number, of: string): string[] =>
      Array.from({ length: count }, (_, i) => `${of}${i >> 8}.${i & 255}`);
    names.answers.set("big.example", many(MAX_ADDRESSES_PER_HOST + 1, "10.0."));
    await names.hosts.replace(["big.example", ...many(MAX_PEER_HOSTS, "10.1.")]);
    expect(names.holds(`10.0.0.${MAX_ADDRESSES_PER_HOST - 1}`)).toBe(true);
    expect(names.holds(`10.0.0.${MAX_ADDRESSES_PER_HOST}`)).toBe(false);
    expect([names.holds("10.1.0.254"), names.holds("10.1.0.255")]).toEqual([true, false]);
  });
});

describe("expectedHosts", () => {
  it("takes the hosts of the table, and host parts where the table says nothing", () => {
    const resolve = {
      "a@a.example": "192.0.2.1:9100",
      "b@b.example": "tls://[2001:db8::1]:9100",
      "c@c.example": "none",
    };
    const seeds = ["a@a.example", "a@other.example:9200", "d@d.example"].map(parseDialTarget);
    const nodes = ["*@lan.example", "e@*", "c@c.example", "f@f.example", "d@d.example"];
    expect(expectedHosts({ resolve, seeds, nodes })).toEqual([
      "192.0.2.1",
      "2001:db8::1",
      "other.example",
      "d.example",
      "f.example",
    ]);
    expect(expectedHosts({ resolve: [() => undefined], seeds: [], nodes: [] })).toEqual([]);
  });
});
