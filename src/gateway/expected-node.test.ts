import { expect, it } from "vitest";
import { DEFAULT_FLAGS, PUBLISHED, SPAWN } from "../wire/flags.ts";
import { ExpectedNode } from "./expected-node.ts";

it("what is expected of a node is its last registration, or what it has shown since", () => {
  let registered: number | undefined;
  const expected = new ExpectedNode(DEFAULT_FLAGS, () => registered);
  expect(expected.shown).toEqual({ creation: 4, flags: DEFAULT_FLAGS });
  expected.learn({ creation: 7, flags: (DEFAULT_FLAGS | PUBLISHED) & ~SPAWN });
  expect(expected.shown).toEqual({ creation: 7, flags: DEFAULT_FLAGS & ~SPAWN });
  registered = 8;
  expect(expected.shown).toEqual({ creation: 8, flags: DEFAULT_FLAGS & ~SPAWN });
  // A node that does not take the creation it was given.
  expected.learn({ creation: 9, flags: DEFAULT_FLAGS });
  expect(expected.shown.creation).toBe(9);
  registered = 10;
  expect(expected.shown.creation).toBe(10);
});
