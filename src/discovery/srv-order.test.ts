import { describe, expect, it } from "vitest";
import { SeededRandom } from "../testkit/seeded-random.ts";
import type { SrvRecord } from "./dns-client.ts";
import { bySrvOrder } from "./srv-order.ts";

const record = (name: string, priority: number, weight: number): SrvRecord => ({ name, port: 1, priority, weight });
const ROUNDS = 2_000;

/** How often each came first. */
function firsts(records: readonly SrvRecord[]): Map<string, number> {
  const random = new SeededRandom(1);
  const count = new Map<string, number>();
  for (let i = 0; i < ROUNDS; i++) {
    const name = bySrvOrder(records, random)[0]?.name ?? "";
    count.set(name, (count.get(name) ?? 0) + 1);
  }
  return count;
}

describe("bySrvOrder", () => {
  it("tries a smaller priority first, whatever the weights, and leaves none out", () => {
    const records = [record("c", 20, 9), record("b", 10, 0), record("a", 0, 1), record("d", 20, 0)];
    const order = bySrvOrder(records, new SeededRandom(7)).map(({ name }) => name);
    expect(order.slice(0, 2)).toEqual(["a", "b"]);
    expect(order.slice(2).sort()).toEqual(["c", "d"]);
    expect(bySrvOrder([], new SeededRandom(7))).toEqual([]);
  });

  it("draws by weight, and gives weight 0 a small chance", () => {
    const heavy = firsts([record("one", 0, 10), record("three", 0, 30), record("zero", 0, 0)]);
    expect((heavy.get("three") ?? 0) / (heavy.get("one") ?? 1)).toBeGreaterThan(2);
    expect(heavy.get("zero")).toBeGreaterThan(0);
    expect(heavy.get("zero")).toBeLessThan(ROUNDS / 10);
  });
});
