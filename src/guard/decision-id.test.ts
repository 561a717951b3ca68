import { describe, expect, it } from "vitest";
import { SeededRandom } from "../testkit/seeded-random.ts";
import { newDecisionId } from "./decision-id.ts";

describe("newDecisionId", () => {
  it("makes 8 to 26 characters of Crockford base32 (rulings U9), all of them in use and none alike", () => {
    const random = new SeededRandom(1);
    const ids = new Set<string>();
    const used = new Set<string>();
    for (let i = 0; i < 2_000; i++) {
      const id = newDecisionId(random);
      expect(id).toMatch(/^[0-9A-HJKMNP-TV-Z]{8,26}$/);
      ids.add(id);
      for (const char of id) used.add(char);
    }
    expect([ids.size, used.size]).toEqual([2_000, 32]);
  });

  it("takes all its bits from the given randomness", () => {
    const random = { bytes: (length: number) => Buffer.alloc(length, 0xff), uint32: () => 0 };
    expect(newDecisionId(random)).toMatch(/^Z+$/);
    expect(newDecisionId({ ...random, bytes: (length: number) => Buffer.alloc(length) })).toMatch(/^0+$/);
  });
});
