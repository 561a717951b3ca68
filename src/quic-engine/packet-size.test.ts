import { describe, expect, it } from "vitest";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import { largestDatagram, MAX_DATAGRAM_BYTES, MAX_LOCAL_DATAGRAM_BYTES, PacketSize } from "./packet-size.ts";

function world(most = MAX_LOCAL_DATAGRAM_BYTES) {
  const clock = new VirtualClock();
  const path = { lost: 0 };
  const size = new PacketSize(clock, { maxSendUdpPayloadSize: () => most, stats: () => path });
  const look = (ms: number): number => {
    clock.advance(ms);
    size.look();
    return size.bytes;
  };
  return { size, path, look };
}

describe("the size of packets", () => {
  it("may be larger to loopback addresses only", () => {
    const hosts = ["127.0.0.1", "127.9.9.9", "::1", "10.0.0.1", "192.168.1.1", "::", "fe80::1", "128.0.0.1"];
    expect(hosts.map((host) => largestDatagram(host) > MAX_DATAGRAM_BYTES)).toEqual([
      ...[true, true, true],
      ...[false, false, false, false, false],
    ]);
  });

  it("stays small for a peer that takes no larger ones", () => {
    const { size, look } = world(MAX_DATAGRAM_BYTES);
    expect([size.bytes, look(100_000)]).toEqual([MAX_DATAGRAM_BYTES, MAX_DATAGRAM_BYTES]);
  });

  it("grows once a single large one was not lost", () => {
    const { size, look } = world();
    size.sent(MAX_DATAGRAM_BYTES);
    expect(size.bytes).toBe(MAX_LOCAL_DATAGRAM_BYTES);
    size.sent(MAX_LOCAL_DATAGRAM_BYTES);
    expect([size.bytes, look(49), look(1)]).toEqual([MAX_DATAGRAM_BYTES, MAX_DATAGRAM_BYTES, MAX_LOCAL_DATAGRAM_BYTES]);
  });

  it("is tried again ever later while large ones are lost", () => {
    const { size, path, look } = world();
    for (const waitMs of [1000, 2000, 4000]) {
      size.sent(9000);
      path.lost++;
      expect(look(50)).toBe(MAX_DATAGRAM_BYTES);
      expect(look(waitMs - 1)).toBe(MAX_DATAGRAM_BYTES);
      expect(look(1)).toBe(MAX_LOCAL_DATAGRAM_BYTES);
    }
    size.sent(9000);
    look(50);
    // One that arrives begins the count anew.
    size.expired();
    path.lost++;
    look(50);
    expect([look(999), look(1)]).toEqual([MAX_DATAGRAM_BYTES, MAX_LOCAL_DATAGRAM_BYTES]);
  });

  it("is small while nothing comes back, and after that as the losses tell", () => {
    const { size, path, look } = world();
    size.sent(9000);
    look(50);
    size.expired();
    expect([size.bytes, look(9), look(1)]).toEqual([MAX_DATAGRAM_BYTES, MAX_DATAGRAM_BYTES, MAX_LOCAL_DATAGRAM_BYTES]);
    // Lost and only heard of now: it takes longer to tell.
    path.lost++;
    size.expired();
    expect([look(10), look(39), look(1)]).toEqual([MAX_DATAGRAM_BYTES, MAX_DATAGRAM_BYTES, MAX_LOCAL_DATAGRAM_BYTES]);
    size.expired();
    path.lost += 3;
    expect([look(10), look(50), look(900)]).toEqual([MAX_DATAGRAM_BYTES, MAX_DATAGRAM_BYTES, MAX_DATAGRAM_BYTES]);
  });

  it("is small for good once the system refuses a large one, or the peer is elsewhere", () => {
    const [refused, moved] = [world(), world()];
    refused.size.refused();
    moved.size.moved("127.0.0.2");
    expect(moved.size.bytes).toBe(MAX_LOCAL_DATAGRAM_BYTES);
    moved.size.moved("10.0.0.1");
    for (const { size, look } of [refused, moved]) {
      size.expired();
      expect([look(50), look(100_000)]).toEqual([MAX_DATAGRAM_BYTES, MAX_DATAGRAM_BYTES]);
    }
  });
});
