import { expect, it } from "vitest";
import { describeWithErlang } from "./need-erlang.ts";
import { eventually, TRANSPORTS, useRig } from "./rig.ts";

const SEED = "seed@127.0.0.1";

for (const transport of TRANSPORTS) {
  describeWithErlang(`a BEAM as seed over ${transport}`, () => {
    const t = useRig(transport, async () => ({}));

    it("is joined when it starts, and again after kill -9", async () => {
      const node = await t.rig.sallyport("keeper", { seeds: [SEED], reconnect: { minMs: 50, maxMs: 500 } });
      const told: string[] = [];
      node.on("nodeup", ({ name }) => told.push(`up ${name}`));
      node.on("nodedown", ({ name }) => told.push(`down ${name}`));
      await eventually(() => expect(node.vitals().seeds[0]?.attempts).toBeGreaterThan(0));
      for (let round = 0; round < 2; round++) {
        const beam = await t.rig.erlang("seed");
        await eventually(() => expect(node.vitals().seeds[0]?.state).toBe("joined"));
        await beam.kill();
        await eventually(() => expect(told).toHaveLength(2 * round + 2));
      }
      expect(told).toEqual([`up ${SEED}`, `down ${SEED}`, `up ${SEED}`, `down ${SEED}`]);
    });
  });
}
