import { expect, it } from "vitest";
import { fuzz } from "./harness.ts";
import { acceptorTarget, initiatorTarget } from "./target-handshake.ts";
import { deframerTarget, receiveHeaderTarget, receivePlainTarget } from "./target-wire.ts";

it("deframer: any cutting of any bytes gives the same frames or the same refusal", async () => {
  const figures = await fuzz(deframerTarget, 0.09);
  expect(figures.accepted).toBeGreaterThan(figures.cases / 10);
  expect([...figures.refused.keys()]).toEqual(["FRAME_TOO_LARGE"]);
});

it("handshake-acceptor: no sequence of messages proves a peer without its digest", async () => {
  const figures = await fuzz(acceptorTarget, 0.07);
  expect(figures.refused.size).toBeGreaterThan(6);
  expect(figures.accepted).toBeGreaterThan(0);
});

it("handshake-initiator: no sequence of messages proves a peer without its digest", async () => {
  const figures = await fuzz(initiatorTarget, 0.07);
  expect(figures.refused.size).toBeGreaterThan(6);
  expect(figures.accepted).toBeGreaterThan(0);
});

it("receive-pass-through: mutated frames are messages or typed refusals", async () => {
  const figures = await fuzz(receivePlainTarget, 0.1);
  expect(figures.refused.size).toBeGreaterThan(10);
});

it("receive-header: mutated frames, fragments and atom caches are messages or typed refusals", async () => {
  const figures = await fuzz(receiveHeaderTarget, 0.12);
  expect(figures.refused.size).toBeGreaterThan(15);
});
