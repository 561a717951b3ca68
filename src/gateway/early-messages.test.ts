import { expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import { Pid } from "../term/types.ts";
import { EarlyMessages, MAX_EARLY_MESSAGES } from "./early-messages.ts";

it("early messages are kept in order, up to so many, and given out once", () => {
  const name = parseNodeName("in@h");
  const pid = new Pid(name, 1, 0, 4);
  const early = new EarlyMessages();
  const memory = Buffer.alloc(8);
  const keep = (n: number): void => {
    memory.writeUInt32BE(n, 2);
    early.keep(name, { kind: "link", from: pid, to: pid }, memory, 2, 6);
  };
  for (let n = 0; n < MAX_EARLY_MESSAGES; n++) keep(n);
  expect(() => keep(0)).toThrow(expect.objectContaining({ reason: "EARLY_MESSAGES" }));
  const given = early.take().map(({ payload }) => payload.readUInt32BE(0));
  expect(given).toEqual(Array.from({ length: MAX_EARLY_MESSAGES }, (_, n) => n));
  expect(early.take()).toEqual([]);
});
