import { describe, expect, it } from "vitest";
import { MovingAway } from "./moving-away.ts";

/** A sender with large messages on their way or without, and what it was given. */
function sender(hasLargeMessages: boolean) {
  const sent: string[] = [];
  return { hasLargeMessages, sent, link: (frame: Uint8Array) => void sent.push(Buffer.from(frame).toString("hex")) };
}

describe("MovingAway", () => {
  it("says MOVED once, behind large messages, and is over then where the peer's has come", () => {
    for (const isOver of [true, false]) {
      const away = new MovingAway();
      const [busy, free] = [sender(true), sender(false)];
      expect(away.step(free)).toBe(false);
      expect([away.begin(isOver), away.begin(!isOver)]).toEqual([true, false]);
      expect(away.step(busy)).toBe(false);
      expect(away.step(free)).toBe(isOver);
      expect(away.step(free)).toBe(false);
      expect([busy.sent, free.sent]).toEqual([[], ["f007"]]);
    }
  });
});
