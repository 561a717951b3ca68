import { expect, it } from "vitest";
import { fuzz } from "./harness.ts";
import { nodeHeadersTarget, nodePlainTarget } from "./target-node.ts";

it("node-headers: a peer that sends mutated frames loses its connection, and nothing else happens", async () => {
  const figures = await fuzz(nodeHeadersTarget, 0.09);
  expect(figures.refused.size).toBeGreaterThan(10);
  expect(figures.accepted).toBeGreaterThan(0);
});

it("node-plain: the same in pass-through frames", async () => {
  const figures = await fuzz(nodePlainTarget, 0.06);
  expect(figures.refused.size).toBeGreaterThan(10);
});
