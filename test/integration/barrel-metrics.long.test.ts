import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BarrelRig, GOOD, VICTIM } from "./barrel-rig.ts";

/** Nothing of a test is to be decided by a slow machine. */
const PATIENT = { timeout: 30_000 };

describe("metrics of a session with a barrel peer", () => {
  let rig: BarrelRig;
  let connection: number;
  beforeAll(async () => {
    rig = await BarrelRig.start();
    connection = await rig.good.dial(VICTIM, rig.address);
    await rig.good.wait({ event: "up", connection });
  });
  afterAll(() => rig.stop());

  const counted = (name: string): unknown[] =>
    rig.node.metrics().flatMap((m) => (m.kind === "counter" && m.name === name ? [[m.labels, m.value]] : []));
  const says = (stream: number, hex: string): Promise<unknown> =>
    rig.good.command("raw", { connection, stream, hex, fin: false });
  const answers = async (): Promise<void> => {
    expect(await rig.good.command("call", { connection, name: "echo", term: 1 })).toMatchObject({ value: 1 });
  };

  it("count its changes of address by its name", async () => {
    expect(counted("barrel_p2p.dist.migrate")).toEqual([]);
    await rig.good.command("rebind", { connection });
    await answers();
    await expect.poll(() => counted("barrel_p2p.dist.migrate"), PATIENT).toEqual([[{ peer: GOOD, outcome: "ok" }, 1]]);
  });

  it("count its streams that never had a tag", async () => {
    expect(counted("barrel_p2p.streams.preamble_dropped")).toEqual([]);
    await says(68, "00");
    await expect.poll(() => counted("barrel_p2p.streams.preamble_dropped"), PATIENT).toEqual([[{}, 1]]);
    await answers();
  });

  it("count what it says on stream 0 that is no tick, with one warning", async () => {
    const warnings: unknown[] = [];
    rig.node.on("warning", (warning) => void warnings.push(warning));
    await says(0, "000000000102");
    await expect.poll(() => counted("dist.control.stray_bytes"), PATIENT).toEqual([[{}, 2]]);
    await says(0, "03");
    await expect.poll(() => counted("dist.control.stray_bytes"), PATIENT).toEqual([[{}, 3]]);
    expect(warnings).toMatchObject([
      { reason: "BARREL_STRAY_BYTES", message: expect.stringContaining(`${GOOD} sends bytes on stream 0`) },
    ]);
    await answers();
  });
});
