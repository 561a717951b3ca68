import { describe, expect, it } from "vitest";
import type { SallyportError } from "../base/errors.ts";
import type { ChannelledSink } from "../carrier/channels.ts";
import { type ChannelledMemoryOptions, createChannelledMemoryPair } from "./channelled-memory.ts";

class Recorder implements ChannelledSink {
  readonly events: string[] = [];
  opened(): void {
    this.events.push("opened");
  }
  bytes(channel: number, chunk: Buffer): void {
    this.events.push(`${channel} ${chunk.toString("latin1")}`);
  }
  drained(channel: number): void {
    this.events.push(`${channel} drained`);
  }
  heard(): void {
    this.events.push("heard");
  }
  peerMoved(): void {
    this.events.push("moved");
  }
  channelEnded(channel: number): void {
    this.events.push(`${channel} ended`);
  }
  channelReset(channel: number, code: number): void {
    this.events.push(`${channel} reset ${code}`);
  }
  closed(cause: SallyportError | undefined): void {
    this.events.push(`closed ${cause === undefined ? "in order" : `${cause.code} ${cause.reason}`}`);
  }
}

function setUp(options: ChannelledMemoryOptions = {}) {
  const pair = createChannelledMemoryPair(options);
  const one = new Recorder();
  const two = new Recorder();
  pair.connect(one, two);
  pair.pump();
  for (const ear of [one, two]) ear.events.length = 0;
  return { ...pair, one, two };
}

describe("channelled memory carrier", () => {
  it("delivers per channel, and the end behind the bytes", () => {
    const { dialled, accepted, one, two, pump } = setUp();
    const auth = dialled.open("auth");
    const control = dialled.open("control");
    dialled.write(auth, Buffer.from("a"));
    dialled.write(control, Buffer.from("c"));
    dialled.write(auth, Buffer.from("b"));
    dialled.finish(auth);
    pump();
    expect(two.events).toEqual(["2 ab", "2 ended", "0 c"]);
    accepted.write(0, Buffer.from("x"));
    pump();
    expect(one.events).toEqual(["0 x"]);
  });

  it("refuses to write where nothing was opened", () => {
    const { accepted } = setUp();
    for (const channel of [0, 2, 3, 1.5]) {
      expect(() => accepted.write(channel, Buffer.from("x"))).toThrow(
        expect.objectContaining({ code: "ERR_API_MISUSE", reason: "CHANNEL_NOT_OPEN" }),
      );
    }
  });

  it("holds a paused channel while others flow, and resets it above its bound", () => {
    const { dialled, accepted, one, two, pump } = setUp({ maxUnreadBytes: 3 });
    const held = dialled.open("user");
    const free = dialled.open("user");
    accepted.pauseChannel(held);
    dialled.write(held, Buffer.from("abc"));
    dialled.write(free, Buffer.from("x"));
    pump();
    expect(two.events).toEqual([`${free} x`]);
    expect(dialled.pendingOn(held)).toBe(3);
    dialled.write(held, Buffer.from("d"));
    pump();
    expect(two.events.slice(1)).toEqual([`${held} reset 257`]);
    expect(one.events).toEqual([`${held} reset 257`]);
    expect(dialled.write(held, Buffer.from("e"))).toBe(false);
    expect(dialled.pendingBytes()).toBe(0);
  });

  it("resets one channel and leaves the rest", () => {
    const { dialled, one, two, pump } = setUp();
    const a = dialled.open("data");
    const b = dialled.open("data");
    dialled.write(a, Buffer.from("lost"));
    dialled.reset(a, 7);
    dialled.reset(a, 8);
    dialled.write(b, Buffer.from("x"));
    pump();
    expect(two.events).toEqual([`${a} reset 7`, `${b} x`]);
    expect(one.events).toEqual([]);
  });

  it("says drained on the channel that was congested", () => {
    const { dialled, accepted, one, pump } = setUp({ highWaterBytes: 4 });
    const a = dialled.open("data");
    accepted.pause();
    expect(dialled.write(a, Buffer.from("abc"))).toBe(true);
    expect(dialled.write(a, Buffer.from("d"))).toBe(false);
    pump();
    expect(one.events).toEqual([]);
    accepted.resume();
    pump();
    expect(one.events).toEqual([`${a} drained`]);
  });

  it("ends in order after everything queued, and cuts at once", () => {
    const ended = setUp();
    const a = ended.dialled.open("data");
    ended.dialled.write(a, Buffer.from("x"));
    ended.dialled.end();
    ended.pump();
    expect(ended.two.events).toEqual([`${a} x`, "closed in order"]);
    expect(ended.one.events).toEqual(["closed in order"]);
    const cut = setUp();
    cut.dialled.write(cut.dialled.open("data"), Buffer.from("x"));
    cut.dialled.destroy();
    cut.pump();
    expect(cut.two.events).toEqual(["closed ERR_CLOSED CONNECTION_RESET"]);
    expect(cut.one.events).toEqual(["closed ERR_CLOSED CLOSED_LOCALLY"]);
  });
});
