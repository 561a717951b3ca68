import { describe, expect, it } from "vitest";
import type { NativeConnection } from "./binding.ts";
import { FormerPaths } from "./former-paths.ts";
import { UdpSocket } from "./udp.ts";

const LOCAL = { host: "127.0.0.1", port: 1 };
const NOW = { host: "127.0.0.1", port: 2 };
const at = (port: number) => ({ host: "10.0.0.1", port });

/** What leaves where QUIC has so many packets for each path, at `MAX` ports that it knows. */
function probed(
  formers: readonly number[],
  packets: number,
  { unknown = [], proven = () => true }: { unknown?: readonly number[]; proven?: () => boolean } = {},
): string[] {
  const left = new Map<number, number>();
  const sent: string[] = [];
  const connection = {
    isPathValidated: (from: typeof LOCAL, to: typeof LOCAL) => from === LOCAL && to === NOW && proven(),
    sendOnPath(into: Buffer, from: typeof LOCAL, to: typeof LOCAL) {
      if (unknown.includes(to.port)) throw new Error("InvalidState");
      const had = left.get(to.port) ?? 0;
      left.set(to.port, had + 1);
      if (from !== LOCAL || had >= packets) return null;
      into[0] = to.port;
      return [39, { to }];
    },
  } as unknown as NativeConnection;
  const socket = {
    ...LOCAL,
    send(datagram: Parameters<UdpSocket["send"]>[0], length: number, host: string, port: number) {
      sent.push(`${datagram.bytes[0]} in ${length} to ${host}:${port}`);
      UdpSocket.giveBack(datagram);
    },
    close: () => undefined,
  };
  const paths = new FormerPaths();
  for (const port of formers) paths.left(at(port));
  paths.probe(connection, LOCAL, socket, NOW);
  return sent;
}

describe("probes for the former paths of a peer", () => {
  it("are sent to where it is now", () => {
    expect(probed([7], 1)).toEqual(["7 in 39 to 127.0.0.1:2"]);
  });

  it("are two for each at the most", () => {
    expect(probed([7, 8], 9)).toEqual([7, 7, 8, 8].map((port) => `${port} in 39 to 127.0.0.1:2`));
  });

  it("are not there for a peer that never moved, where QUIC has nothing to say, and for a path that it has forgotten", () => {
    expect([probed([], 1), probed([7], 0), probed([7, 8], 1, { unknown: [7] })]).toEqual([
      [],
      [],
      ["8 in 39 to 127.0.0.1:2"],
    ]);
  });

  it.each([
    ["has not answered", () => false],
    [
      "QUIC does not know",
      () => {
        throw new Error("InvalidState");
      },
    ],
  ])("are not sent to an address that %s: it may be forged", (_what, proven) => {
    expect(probed([7], 1, { proven })).toEqual([]);
  });

  it("are for the last four", () => {
    expect(probed([1, 2, 3, 4, 5, 6], 1).map((line) => line[0])).toEqual(["3", "4", "5", "6"]);
  });
});
