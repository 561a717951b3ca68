import { describe, expect, it } from "vitest";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import { MAX_PRESSED_MS, Pressure } from "./pressure.ts";

function make() {
  const clock = new VirtualClock();
  let over = 0;
  const pressure = new Pressure(clock, () => over++);
  return { clock, pressure, over: () => over };
}

describe("Pressure", () => {
  it("is on from the first moment of it until it is gone, and leaves no timer", () => {
    const { clock, pressure } = make();
    expect([pressure.update(false), pressure.update(true), pressure.update(true), pressure.isOn]).toEqual([
      false,
      true,
      false,
      true,
    ]);
    expect([pressure.update(false), pressure.isOn, clock.pendingTimers]).toEqual([true, false, 0]);
  });

  it("is given up after its time, and not taken up again until it was gone", () => {
    const { clock, pressure, over } = make();
    pressure.update(true);
    clock.advance(MAX_PRESSED_MS - 1);
    expect([pressure.isOn, over()]).toEqual([true, 0]);
    clock.advance(1);
    expect([pressure.isOn, over(), pressure.update(true), pressure.isOn]).toEqual([false, 1, false, false]);
    pressure.update(false);
    expect([pressure.update(true), pressure.isOn]).toEqual([true, true]);
    expect([pressure.stop(), pressure.stop(), clock.pendingTimers]).toEqual([true, false, 0]);
  });
});
