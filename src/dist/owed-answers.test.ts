import { describe, expect, it } from "vitest";
import { MAX_WAITING_FOR_PONG, OwedAnswers } from "./owed-answers.ts";
import type { Sender } from "./send.ts";

function senderWith(waitingBytes: number) {
  const sent: string[] = [];
  const sender = {
    waitingBytes,
    link: (frame: Uint8Array) => sent.push(Buffer.from(frame).toString()),
    trim: () => {},
  };
  return { sent, sender, as: sender as unknown as Sender };
}

describe("OwedAnswers", () => {
  it("answers at once as long as little waits", () => {
    const { sent, as } = senderWith(MAX_WAITING_FOR_PONG);
    const owed = new OwedAnswers();
    owed.owe("pong", Buffer.from("a"), as);
    owed.owe("pong", Buffer.from("b"), as);
    expect(sent).toEqual(["a", "b"]);
  });

  it("answers the latest alone, and once, when what waits has left", () => {
    const { sent, sender, as } = senderWith(MAX_WAITING_FOR_PONG + 1);
    const owed = new OwedAnswers();
    for (const frame of ["a", "b", "c"]) owed.owe("pong", Buffer.from(frame), as);
    owed.pay(as);
    expect(sent).toEqual([]);
    sender.waitingBytes = 0;
    owed.pay(as);
    owed.pay(as);
    expect(sent).toEqual(["c"]);
  });

  it("holds one answer of each kind", () => {
    const { sent, sender, as } = senderWith(MAX_WAITING_FOR_PONG + 1);
    const owed = new OwedAnswers();
    for (const frame of ["k1", "k2"]) owed.owe("keep", Buffer.from(frame), as);
    owed.owe("pong", Buffer.from("p"), as);
    expect(sent).toEqual([]);
    sender.waitingBytes = 0;
    owed.pay(as);
    expect(sent).toEqual(["p", "k2"]);
  });
});
