import { describe, expect, it, vi } from "vitest";
import type { Node } from "../../src/node/api.ts";
import { A, B, C, failure, NativeRig, portOf } from "./native-rig.ts";

const { node, acquainted } = new NativeRig();
const PEERS = "sallyport_peers";

const connected = (of: Node) => [...of.vitals().connectedNodes].sort();
const eventually = <T>(check: () => T) => vi.waitFor(check, { timeout: 30_000, interval: 20 });

async function keyOf(name: string): Promise<string> {
  const made = await node(name, "strict", { listen: [] });
  await made.close({ timeoutMs: 0 });
  return made.identity?.fingerprint ?? "";
}

describe("peer exchange over TLS", () => {
  it("joins two nodes with ports of the system through a third one", async () => {
    await acquainted(A, B, C);
    const c = await node(C, "strict", {
      exchange: {},
      policy: {
        version: 1,
        node: C,
        peers: { ours: { names: [A, B], keys: [await keyOf(A), await keyOf(B)] } },
        rules: [{ id: "tell", from: "ours", allow: "call", to: PEERS }],
      },
    });
    const choice = { seeds: [`${C}:${portOf(c)}`], exchange: { with: [C], connect: true } };
    const a = await node(A, "strict", choice);
    await eventually(() => expect(connected(a)).toEqual([C]));
    // The one that comes later hears of the other at once.
    const b = await node(B, "strict", choice);
    await eventually(() => expect(connected(a)).toEqual([B, C]));
    expect(connected(b)).toEqual([A, C]);
    expect(b.peers().find(({ name }) => name === A)).toMatchObject({
      assurance: "pinned",
      address: expect.stringContaining(`:${portOf(a)}`),
    });
    expect(c.vitals().counters["denied"] ?? 0).toBe(0);
  });

  it("answers nobody whom the policy does not name, and then nothing is learned", async () => {
    await acquainted(A, C);
    const c = await node(C, "strict", { exchange: {} });
    const a = await node(A, "strict", { seeds: [`${C}:${portOf(c)}`], exchange: { with: [C], connect: true } });
    await eventually(() => expect(a.vitals().counters["exchange_failed"]).toBe(1));
    expect((await failure(a.call({ name: PEERS, node: C }, 1))).reason).toBe("POLICY_DENIED");
    expect(a.vitals().seeds.map(({ name }) => name)).toEqual([C]);
  });
});
