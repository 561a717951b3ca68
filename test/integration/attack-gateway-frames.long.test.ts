import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { pass } from "../../src/gateway/verdict.ts";
import { GatewayRig } from "../attack/gateway-rig.ts";
import { DROPPED, type Forgery, HONEST } from "../attack/gateway-worker.ts";
import { FORGED, MALFORMED } from "../attack/gateway-worker-frames.ts";

// A worker with a hand-made runtime, on each side of the gateway; the commander is a socket on which every frame is counted.

function titled<T extends Forgery>(rows: readonly T[]): [string, T][] {
  return rows.map((row) => [row.name, row]);
}

function matching(heard: readonly string[], expected: readonly RegExp[]): void {
  expect(heard).toHaveLength(expected.length);
  for (const [index, pattern] of expected.entries()) expect(heard[index]).toMatch(pattern);
}

for (const commander of ["outside", "inside"] as const) {
  describe(`a raw worker, its commander ${commander}`, () => {
    let rig: GatewayRig;
    beforeAll(async () => {
      rig = await GatewayRig.start(commander);
    });
    afterEach(() => rig.drop());
    afterAll(() => rig.stop());

    it.each(titled(HONEST))("is heard: %s", async (_, row) => {
      const session = await rig.session();
      await row.send(session);
      matching(await session.arrived(), row.heard);
    });

    it.each(titled(DROPPED))("is not heard: %s", async (_, row) => {
      const session = await rig.session();
      await row.send(session);
      matching(await session.arrived(), row.heard ?? []);
      const told = await session.told();
      if (row.told === undefined) expect(told).toEqual([]);
      else expect([...new Set(told.map((text) => row.told?.test(text)))]).toEqual([true]);
    });

    it.each(titled([...FORGED, ...MALFORMED]))("is cut off: %s", async (_, row) => {
      const session = await rig.session();
      await row.send(session);
      expect(await session.closed()).toEqual([]);
    });
  });
}

describe("a raw worker where the gateway lets everything pass", () => {
  let rig: GatewayRig;
  beforeAll(async () => {
    rig = await GatewayRig.start("outside", () => ({
      judge: (_from, control, buffer, start, end) => pass(control, buffer, start, end),
    }));
  });
  afterEach(() => rig.drop());
  afterAll(() => rig.stop());

  it.each(titled([...DROPPED, ...FORGED]))("is heard: %s", async (_, row) => {
    const session = await rig.session();
    await row.send(session);
    const heard = await session.arrived();
    expect(heard.filter((text) => !row.heard?.some((honest) => honest.test(text)))).not.toEqual([]);
  });
});
