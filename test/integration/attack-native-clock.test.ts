import { describe, expect, it } from "vitest";
import { GOOD, KeyRig } from "../attack/key-rig.ts";
import { accept, answersPing } from "../attack/native-client.ts";

const DAY_MS = 86_400_000;

describe("a node whose clock is wrong (AU-32)", () => {
  it.each([
    ["a day behind", -DAY_MS],
    ["a day ahead", DAY_MS],
    ["ten years behind", -3_652 * DAY_MS],
  ])("by %s proves itself and others all the same: nonces, not clocks, make a run fresh", async (_, wallSkewMs) => {
    const rig = await KeyRig.start({ trust: "strict", wallSkewMs });
    try {
      (await rig.honestSession(GOOD)).destroy();
      await rig.dropAttackers();
      const { raw, outcome } = await rig.dialled();
      const run = await accept(raw, rig.evil);
      expect([run.end, run.isVictimProven, await outcome]).toEqual(["up", true, "up"]);
      expect(await answersPing(raw)).toBe(true);
      // What its clock says is what its incarnation says.
      expect(Math.abs(Number(run.theirs?.incarnation ?? 0n) - Date.now() - wallSkewMs)).toBeLessThan(DAY_MS / 2);
    } finally {
      await rig.stop();
    }
  });
});
