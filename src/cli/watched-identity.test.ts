import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import { fingerprintOf, parsePublicKey } from "../identity/public-key.ts";
import type { Node, Peer } from "../node/api.ts";
import { RealIdentityCrypto } from "../system/real-identity-crypto.ts";
import { FaultyFiles } from "../testkit/faulty-files.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import { WatchedIdentity } from "./watched-identity.ts";

const crypto = new RealIdentityCrypto();
const own = crypto.ed25519PublicKey(Buffer.alloc(32, 1));
const theirs = fingerprintOf(parsePublicKey(crypto.ed25519PublicKey(Buffer.alloc(32, 2)), "b@h"), crypto);

interface Rig {
  readonly identity: WatchedIdentity;
  readonly clock: VirtualClock;
  readonly peers: Peer[];
  readonly disconnected: string[];
}

function rig(): Rig {
  const clock = new VirtualClock();
  const files = new FaultyFiles();
  files.put("/keys/node.pub", own);
  const peers: Peer[] = [
    { name: parseNodeName("b@h"), fingerprint: theirs } as unknown as Peer,
    { name: parseNodeName("otp@h"), fingerprint: null } as unknown as Peer,
  ];
  const disconnected: string[] = [];
  const node = {
    name: "a@h",
    peers: () => [...peers],
    disconnect: (name: string) => disconnected.push(name) > 0,
  } as unknown as Node;
  return {
    identity: new WatchedIdentity({ node, option: { dir: "/keys" }, clock, files, crypto }),
    clock,
    peers,
    disconnected,
  };
}

/** Lets time and promises pass. */
async function pass(clock: VirtualClock, ms: number): Promise<void> {
  for (let gone = 0; gone < ms; gone += 10) {
    clock.advance(10);
    for (let i = 0; i < 5; i++) await Promise.resolve();
  }
}

describe("WatchedIdentity", () => {
  it("tells the key that was loaded, and strict when nothing else was said", () => {
    const { identity } = rig();
    expect(identity.fingerprint).toBe(fingerprintOf(parsePublicKey(own, "own"), crypto));
    expect(identity.trust).toBe("strict");
    expect(identity.pending()).toEqual([]);
  });

  it("waits until the sessions of a revoked key are gone", async () => {
    const { identity, clock, peers, disconnected } = rig();
    let ended: number | undefined;
    void identity.trustChanged([{ kind: "revoked", fingerprint: theirs }]).then((count) => (ended = count));
    await pass(clock, 400);
    expect(ended).toBeUndefined();
    peers.shift();
    await pass(clock, 40);
    expect(ended).toBe(1);
    expect(disconnected).toEqual([]);
  });

  it("ends them itself within a second when the node does not", async () => {
    const { identity, clock, disconnected } = rig();
    void identity.trustChanged([{ kind: "revoked", fingerprint: theirs }]);
    await pass(clock, 880);
    expect(disconnected).toEqual([]);
    await pass(clock, 60);
    expect(disconnected).toEqual(["b@h"]);
  });

  it("answers at once when no session is concerned", async () => {
    const { identity } = rig();
    const promoted = { kind: "promoted", name: parseNodeName("b@h"), fingerprint: theirs } as const;
    expect(await identity.trustChanged([promoted])).toBe(0);
    expect(await identity.trustChanged([])).toBe(0);
  });

  it("says that a new pair counts after a restart", () => {
    expect(() => rig().identity.keysRotated()).toThrow(expect.objectContaining({ reason: "RESTART_NEEDED" }));
  });
});
