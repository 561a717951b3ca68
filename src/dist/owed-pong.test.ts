import { describe, expect, it } from "vitest";
import { MAX_WAITING_FOR_PONG, OwedPong } from "./owed-pong.ts";
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

describe("OwedPong", () => {
  it("answers at once as long as little waits", () => {
    const { sent, as } = senderWith(MAX_WAITING_FOR_PONG);
    const pongs = new OwedPong();
    pongs.owe(Buffer.from("a"), as);
    pongs.owe(Buffer.from("b"), as);
    expect(sent).toEqual(["a", "b"]);
  });

  it("answers the latest alone, and once, when what waits has left", () => {
    const { sent, sender, as } = senderWith(MAX_WAITING_FOR_PONG + 1);
    const pongs = new OwedPong();
    for (const frame of ["a", "b", "c"]) pongs.owe(Buffer.from(frame), as);
    pongs.pay(as);
    expect(sent).toEqual([]);
    sender.waitingBytes = 0;
    pongs.pay(as);
    pongs.pay(as);
    expect(sent).toEqual(["c"]);
  });
});
