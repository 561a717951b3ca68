import { describe, expect, it } from "vitest";
import { Reference } from "../term/types.ts";
import { OpenWorks } from "./open-work.ts";

const ref = (n: number) => new Reference("p@h", 1, [n, 2, 3]);

function makeWork() {
  const log: string[] = [];
  return { log, end: () => void log.push("end"), reconsider: () => void log.push("reconsider") };
}

describe("open work", () => {
  it("ends when its caller takes the monitor back, and is reconsidered until it is done", () => {
    const works = new OpenWorks();
    const work = makeWork();
    works.add(work, ref(1));
    works.abandoned(ref(2));
    works.abandoned(ref(1));
    works.abandoned(ref(1));
    works.reconsider();
    works.remove(work, ref(1));
    works.reconsider();
    expect([work.log, works.size]).toEqual([["end", "reconsider"], 0]);
  });

  it("is reconsidered and ended whole: without a reference, and under one that is used twice", () => {
    const works = new OpenWorks();
    const all = [makeWork(), makeWork(), makeWork()];
    for (const [i, work] of all.entries()) works.add(work, i === 0 ? undefined : ref(1));
    works.reconsider();
    works.abandoned(ref(1));
    works.end();
    works.end();
    expect(all.map(({ log }) => log)).toEqual([
      ["reconsider", "end"],
      ["reconsider", "end"],
      ["reconsider", "end", "end"],
    ]);
    expect(works.size).toBe(0);
  });

  it("keeps the later work of a reference when the earlier is done", () => {
    const works = new OpenWorks();
    const [first, second] = [makeWork(), makeWork()];
    works.add(first, ref(1));
    works.add(second, ref(1));
    works.remove(first, ref(1));
    works.abandoned(ref(1));
    expect([first.log, second.log]).toEqual([[], ["end"]]);
  });
});
