import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import type { DutySubject } from "../gateway/duty.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import { DUTY_CHECK_MS, DutyWatch } from "./duty-watch.ts";

const INSIDE = parseNodeName("desk@desk.example");
const settle = () => new Promise((resolve) => setImmediate(resolve));

function make() {
  const clock = new VirtualClock();
  const mapped = new Map<string, number>();
  const told: string[] = [];
  const subject: DutySubject = {
    inside: INSIDE,
    onlyDials: true,
    dialledAt: undefined,
    registeredPort: undefined,
    ownMappers: [],
  };
  let looks = 0;
  const watch = new DutyWatch({
    clock,
    world: { lookup: async (host) => mapped.get(host), accepts: async () => false, addresses: () => [] },
    subjects: () => {
      looks++;
      return [subject];
    },
    tell: (inside, findings) => told.push(`${inside}: ${findings.map(({ kind }) => kind).join(" ")}`),
  });
  return { clock, mapped, told, watch, looks: () => looks };
}

describe("DutyWatch", () => {
  it("tells what is found, and again only when that changes", async () => {
    const { clock, mapped, told, watch } = make();
    await settle();
    expect(told).toEqual([]);
    mapped.set("127.0.0.1", 6_000);
    clock.advance(DUTY_CHECK_MS);
    await settle();
    clock.advance(DUTY_CHECK_MS);
    await settle();
    expect(told).toEqual([`${INSIDE}: in-epmd`]);
    expect(watch.findings(INSIDE)).toHaveLength(1);
    mapped.clear();
    watch.look();
    await settle();
    expect(told).toEqual([`${INSIDE}: in-epmd`, `${INSIDE}: `]);
    expect(watch.findings(INSIDE)).toEqual([]);
  });

  it("looks once more, not once for each time it was asked meanwhile", async () => {
    const { watch, looks } = make();
    for (let n = 0; n < 10; n++) watch.look();
    await settle();
    expect(looks()).toBe(2);
  });

  it("leaves no timer when it is stopped, nor tells of the look it was in", async () => {
    const { clock, mapped, told, watch, looks } = make();
    mapped.set("127.0.0.1", 6_000);
    watch.stop();
    await settle();
    watch.look();
    expect([told, looks(), clock.pendingTimers]).toEqual([[], 1, 0]);
  });
});
