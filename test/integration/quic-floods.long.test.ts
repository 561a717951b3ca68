import { describe, expect, it } from "vitest";
import { type Aftermath, type Flood, FloodRig } from "./flood-rig.ts";
import { NativeRig } from "./native-rig.ts";

// The windows that the engine announces are endless, since Erlang peers stop for ever at the end of a smaller one. So whoever sends
// data behind a gap, and whatever else QUIC keeps for a peer, must find its end elsewhere. What floods here is a client made by hand.

const MIB = 1024 * 1024;
const KIB = 1024;
/** Resident memory of the engine in which a stranger's flood ends, MiB: one that idles has some 60. */
const MOST_FOR_A_STRANGER = 128;
/** The same for peers with a session: 256 MiB of native memory, what comes while it looks, V8 and the program. */
const MOST_FOR_A_PEER = 448;
/** Beyond its ceiling of 512 MiB native memory the engine ends by itself. */
const MOST_OF_ALL = 704;

const rig = new NativeRig();

/** What holds whatever comes. */
function expectUnharmed({ tls }: Aftermath): void {
  expect(tls.failed).toBe(0);
  expect(tls.answered).toBeGreaterThan(10);
}

/** The flooding connections were cut, and nobody else. */
function expectCut(after: Aftermath): void {
  expectUnharmed(after);
  expect(after.floods.map(({ closed }) => closed === null)).not.toContain(true);
  expect(after).toMatchObject({ restarts: 0, quic: { failed: 0 } });
}

describe("a stranger who floods over QUIC is cut long before the deadline of its handshake, and costs nobody a call", () => {
  it.each<[string, Flood]>([
    ["data behind a gap", { flood: "gap", bytes: 96 * MIB, bytesPerSecond: 20 * MIB }],
    ["data behind a gap on every stream", { flood: "gap-streams", bytes: 96 * MIB, bytesPerSecond: 20 * MIB }],
    ["single octets behind gaps", { flood: "gap-octets", bytes: 16 * MIB, bytesPerSecond: 4 * MIB }],
    ["single octets, each in a datagram", { flood: "gap-small", bytes: 6 * MIB, bytesPerSecond: MIB }],
    [
      "single octets behind gaps, between what the node has to answer at length",
      { flood: "gap-answered", acks: "along", bytes: 16 * MIB, bytesPerSecond: 2 * MIB },
    ],
    [
      "single octets behind gaps, with packet numbers that make each ACK long",
      { flood: "gap-octets", datagramBytes: 64, acks: "never", step: 2, bytes: 8 * MIB, bytesPerSecond: MIB },
    ],
    ["CRYPTO data behind a gap", { flood: "crypto", bytes: 96 * MIB, bytesPerSecond: 20 * MIB }],
    ["single octets of CRYPTO data behind gaps", { flood: "crypto-octets", bytes: 16 * MIB, bytesPerSecond: 4 * MIB }],
    ["PATH_CHALLENGE", { flood: "path-challenge", acks: "never", bytes: 96 * MIB, bytesPerSecond: 20 * MIB }],
    ["NEW_CONNECTION_ID", { flood: "new-connection-id", acks: "never", bytes: 64 * MIB, bytesPerSecond: 12 * MIB }],
  ])("%s", async (_what, flood) => {
    const after = await (await FloodRig.start(rig)).suffer(flood);
    expectCut(after);
    expect(after.peakMib).toBeLessThan(MOST_FOR_A_STRANGER);
    expect(after.floods[0]?.bytes).toBeLessThan(flood.bytes / 4);
  });

  it("also where hundreds of them each keep below what one may withhold", async () => {
    const flood = {
      flood: "gap-octets",
      connections: 512,
      sources: 16,
      rounds: 4,
      bytes: 120 * KIB,
      bytesPerSecond: 8 * MIB,
    };
    const after = await (await FloodRig.start(rig)).suffer(flood);
    expectUnharmed(after);
    expect(after.floods.length).toBeGreaterThan(400);
    expect(after.peakMib).toBeLessThan(MOST_FOR_A_PEER);
  });
});

describe("a peer with a session that floods over QUIC is cut, and nobody else", () => {
  it.each<[string, Flood]>([
    ["data behind a gap", { flood: "gap", bytes: 400 * MIB, bytesPerSecond: 40 * MIB }],
    ["data behind a gap, after much that was read", { flood: "gap-later", bytes: 400 * MIB, bytesPerSecond: 40 * MIB }],
    [
      "single octets behind gaps, in the room that full packets do not need",
      { flood: "gap-paid", bytes: 320 * MIB, bytesPerSecond: 16 * MIB },
    ],
    [
      "single octets behind gaps, as slowly as the engine forgets",
      { flood: "gap-octets", bytes: 36 * MIB, bytesPerSecond: 0.37 * MIB },
    ],
    ["data behind a gap on every stream", { flood: "gap-streams", bytes: 400 * MIB, bytesPerSecond: 40 * MIB }],
    ["single octets behind gaps", { flood: "gap-octets", bytes: 32 * MIB, bytesPerSecond: 4 * MIB }],
    [
      "the same in small datagrams",
      { flood: "gap-octets", datagramBytes: 180, bytes: 40 * MIB, bytesPerSecond: 3 * MIB },
    ],
    ["CRYPTO data behind a gap", { flood: "crypto", bytes: 400 * MIB, bytesPerSecond: 40 * MIB }],
    ["single octets of CRYPTO data behind gaps", { flood: "crypto-octets", bytes: 32 * MIB, bytesPerSecond: 4 * MIB }],
    ["PATH_CHALLENGE", { flood: "path-challenge", acks: "never", bytes: 600 * MIB, bytesPerSecond: 40 * MIB }],
    ["data behind gaps, four at once", { flood: "gap", connections: 4, bytes: 150 * MIB, bytesPerSecond: 40 * MIB }],
    [
      "single octets behind gaps, and comes again",
      { flood: "gap-octets", rounds: 4, bytes: 64 * MIB, bytesPerSecond: 4 * MIB },
    ],
  ])("%s", { timeout: 180_000 }, async (_what, flood) => {
    const after = await (await FloodRig.start(rig)).suffer({ ...flood, isKnown: true });
    expectCut(after);
    expect(after.peakMib).toBeLessThan(MOST_FOR_A_PEER);
  });
});

describe("an engine that nobody in particular fills", () => {
  it("ends at its ceiling and is started anew, and the node goes on", { timeout: 180_000 }, async () => {
    const many = { connections: 64, sources: 4, bytes: 0.6 * MIB, bytesPerSecond: 4 * MIB };
    const flood = { flood: "gap-octets", ...many, isKnown: true };
    const after = await (await FloodRig.start(rig)).suffer(flood);
    expectUnharmed(after);
    expect(after.restarts).toBeGreaterThan(0);
    expect(after.downs).toContain("flood_0@127.0.0.1 QUIC_ENGINE_LOST");
    expect(after.warnings.join("\n")).toMatch(
      /QUIC_ENGINE_RESTART: .* held more memory for its peers than it may, and ended/,
    );
    expect(after.peakMib).toBeLessThan(MOST_OF_ALL);
  });
});
