import { expect, it } from "vitest";
import { FloodRig } from "./flood-rig.ts";
import { NativeRig } from "./native-rig.ts";

// One flood for each of the two guards, short; all kinds of floods are in quic-floods.long.test.ts.

const MIB = 1024 * 1024;
const rig = new NativeRig();

it("a stranger whose bytes over QUIC never become readable is cut, and costs nobody a call", async () => {
  const flood = { flood: "gap", bytes: 8 * MIB, bytesPerSecond: 16 * MIB };
  const { floods, tls, quic, restarts } = await (await FloodRig.start(rig)).suffer(flood);
  expect(floods).toMatchObject([{ closed: { isApp: true } }]);
  expect(floods[0]?.bytes).toBeLessThan(4 * MIB);
  expect({ tls: tls.failed, quic: quic.failed, restarts }).toEqual({ tls: 0, quic: 0, restarts: 0 });
});

it("a peer with a session that fills the memory of the QUIC engine is cut, and nobody else", async () => {
  const flood = { flood: "gap-octets", bytes: 24 * MIB, bytesPerSecond: 16 * MIB, isKnown: true };
  const { floods, tls, quic, restarts, downs } = await (await FloodRig.start(rig)).suffer(flood);
  expect(floods).toMatchObject([{ closed: { isApp: true } }]);
  expect(downs).toEqual(["flood_0@127.0.0.1 QUIC_PROTOCOL"]);
  expect({ tls: tls.failed, quic: quic.failed, restarts }).toEqual({ tls: 0, quic: 0, restarts: 0 });
});
