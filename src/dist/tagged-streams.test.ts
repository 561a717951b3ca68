import { describe, expect, it } from "vitest";
import type { SallyportError } from "../base/errors.ts";
import type { ChannelId } from "../carrier/carrier.ts";
import { createBarrelPair } from "../testkit/barrel-pair.ts";
import type { ChannelledMemoryOptions } from "../testkit/channelled-memory.ts";
import { MAX_STREAM_RESET_CODE } from "./stream-codes.ts";
import { CREDIT_TAG } from "./stream-credit.ts";
import { MAX_STREAM_QUEUED_BYTES, type StreamSink, type TaggedStream } from "./tagged-stream.ts";
import { MAX_STREAMS, MAX_WAITING_TAGS, type StreamOwner, TaggedStreams } from "./tagged-streams.ts";

/** One end of a stream: keeps what it hears. */
class Heard implements StreamSink {
  readonly events: string[] = [];
  text = "";
  error: SallyportError | undefined;
  data(chunk: Buffer): void {
    this.text += chunk.toString("latin1");
  }
  ended(): void {
    this.events.push("ended");
  }
  drained(): void {
    this.events.push("drained");
  }
  closedBy(error: SallyportError | undefined): void {
    this.error = error;
    this.events.push(`closed ${error?.reason ?? "in order"}`);
  }
}

/** Takes streams of some tags. */
class Owner implements StreamOwner {
  readonly offered: TaggedStream[] = [];
  readonly taken: Heard[] = [];
  dropped = 0;
  tags: readonly string[] = ["echo", "é", "x".repeat(255)];
  streamOffered(stream: TaggedStream): StreamSink | undefined {
    this.offered.push(stream);
    if (!this.tags.includes(stream.tag)) return undefined;
    const heard = new Heard();
    this.taken.push(heard);
    return heard;
  }
  streamDropped(): void {
    this.dropped++;
  }
}

function pair(memory: ChannelledMemoryOptions = {}) {
  const [a, b] = [new Owner(), new Owner()];
  const [ours, theirs] = [new TaggedStreams(a), new TaggedStreams(b)];
  const link = createBarrelPair({ dialler: { users: ours }, listener: { users: theirs }, memory });
  link.clock.advance(0);
  const open = (tag: string): { stream: TaggedStream; heard: Heard } => {
    const stream = ours.open(tag);
    const heard = new Heard();
    stream.sink = heard;
    return { stream, heard };
  };
  return { ...link, a, b, ours, theirs, open, go: () => link.clock.advance(0) };
}

describe("tagged streams", () => {
  it.each(["echo", "é", "x".repeat(255)])("carry bytes both ways under a tag, and end both ways (%#)", (tag) => {
    const { b, ours, theirs, open, go } = pair({ split: (bytes) => [...bytes].map((octet) => Buffer.from([octet])) });
    const { stream, heard } = open(tag);
    stream.write(Buffer.from("there"));
    go();
    expect(b.offered.map((offered) => offered.tag)).toEqual([tag]);
    const [other] = b.offered;
    const [taken] = b.taken;
    expect(taken?.text).toBe("there");
    other?.write(Buffer.from("back"));
    stream.finish();
    go();
    expect([heard.text, taken?.events]).toEqual(["back", ["ended"]]);
    expect(() => stream.write(Buffer.from("more"))).toThrow(/takes nothing more/);
    other?.finish();
    go();
    expect([heard.events, taken?.events]).toEqual([
      ["ended", "closed in order"],
      ["ended", "closed in order"],
    ]);
    expect([ours.size, theirs.size]).toEqual([0, 0]);
  });

  it("have the ids of the range above the lanes, on both sides, and the preamble in one piece", () => {
    const { memory, ours, theirs } = pair();
    const writes: [ChannelId, string][] = [];
    const credit = `10${Buffer.from(CREDIT_TAG).toString("hex")}`;
    for (const end of [memory.dialled, memory.accepted]) {
      const write = end.write.bind(end);
      end.write = (channel, bytes) => {
        writes.push([channel, Buffer.from(bytes).toString("hex")]);
        return write(channel, bytes);
      };
    }
    ours.open("echo");
    ours.open("echo");
    theirs.open("echo");
    expect(writes).toEqual([
      [68, "046563686f"],
      [72, credit],
      [76, "046563686f"],
      [65, "046563686f"],
      [69, credit],
    ]);
  });

  it("are refused under a tag that nobody serves, before a byte behind it is seen", () => {
    const { b, open, go } = pair();
    const { stream, heard } = open("other");
    stream.write(Buffer.from("secret"));
    go();
    expect(b.taken).toEqual([]);
    expect(heard.events).toEqual(["closed STREAM_REFUSED"]);
    expect(heard.error?.detail["resetCode"]).toBe(0x100);
  });

  it("are dropped with an empty tag, one that is no text, or one that barrel keeps", () => {
    const { b, memory, go } = pair();
    for (const preamble of [
      [0],
      [1, 0xff],
      [12, ...Buffer.from("barrel_p2p:x")],
      [11, ...Buffer.from("sallyport:x")],
    ]) {
      memory.dialled.write(memory.dialled.open("user"), Buffer.from(preamble));
    }
    go();
    expect([b.dropped, b.offered]).toEqual([4, []]);
  });

  it("may not all wait for their tags: 64 do, the next is refused", () => {
    const { b, memory, go } = pair();
    const channels = Array.from({ length: MAX_WAITING_TAGS + 1 }, () => memory.dialled.open("user"));
    for (const channel of channels) memory.dialled.write(channel, Buffer.from([4]));
    go();
    expect(b.dropped).toBe(1);
    for (const channel of channels) memory.dialled.write(channel, Buffer.from("echo"));
    go();
    expect(b.taken).toHaveLength(MAX_WAITING_TAGS);
    // Ended or reset in its tag, a stream gives its place back.
    const [early, late] = [memory.dialled.open("user"), memory.dialled.open("user")];
    for (const channel of [early, late]) memory.dialled.write(channel, Buffer.from([4]));
    memory.dialled.finish(early);
    go();
    memory.dialled.reset(late, 1);
    go();
    expect(b.dropped).toBe(3);
    for (let i = 0; i < MAX_WAITING_TAGS; i++) memory.dialled.write(memory.dialled.open("user"), Buffer.from([4]));
    go();
    expect(b.dropped).toBe(3);
  });

  it("are refused and counted before the session stands", () => {
    const b = new Owner();
    const link = createBarrelPair({ listener: { users: new TaggedStreams(b) } });
    link.listener.trust = "later";
    link.clock.advance(0);
    link.memory.dialled.write(link.memory.dialled.open("user"), Buffer.from("\x04echo"));
    link.clock.advance(0);
    expect([b.dropped, b.offered]).toEqual([1, []]);
  });

  it("that end within their tag, or before it, end in the other direction too", () => {
    const { memory, go } = pair();
    const cut: ChannelId[] = [];
    const reset = memory.accepted.reset.bind(memory.accepted);
    memory.accepted.reset = (channel, code) => {
      cut.push(channel);
      reset(channel, code);
    };
    const [within, before] = [memory.dialled.open("user"), memory.dialled.open("user")];
    memory.dialled.write(within, Buffer.from([4, 0x65]));
    for (const channel of [within, before]) memory.dialled.finish(channel);
    go();
    expect(cut).toEqual([within, before]);
  });

  it.each([-1, 0.5, 2 ** 32, Number.NaN, 0x100, 0x101])(
    "are cut with no code that means something else (%#)",
    (code) => {
      const { stream, heard } = pair().open("echo");
      expect(() => stream.reset(code)).toThrow(/cannot be cut with/);
      expect(heard.events).toEqual([]);
      stream.reset(MAX_STREAM_RESET_CODE);
      expect(heard.error?.detail["resetCode"]).toBe(MAX_STREAM_RESET_CODE);
    },
  );

  it("are bounded in number, on both sides", () => {
    const { b, ours, memory, go } = pair();
    for (let i = 0; i < MAX_STREAMS; i++) ours.open("echo");
    expect(() => ours.open("echo")).toThrow(/256 streams/);
    go();
    const more = memory.dialled.open("user");
    memory.dialled.write(more, Buffer.from([4, ...Buffer.from("echo")]));
    go();
    expect([b.taken.length, b.dropped]).toEqual([MAX_STREAMS, 1]);
  });

  it("take no more than may wait, and say when there is room again", () => {
    const { b, open, go } = pair({ highWaterBytes: 1000 });
    const { stream, heard } = open("echo");
    go();
    b.offered[0]?.pause();
    expect(stream.write(Buffer.alloc(999))).toBe(true);
    expect(stream.write(Buffer.alloc(1))).toBe(false);
    stream.write(Buffer.alloc(MAX_STREAM_QUEUED_BYTES - 1000));
    expect(() => stream.write(Buffer.alloc(1))).toThrow(/would wait to leave/);
    go();
    expect([b.taken[0]?.text.length, heard.events]).toEqual([0, []]);
    b.offered[0]?.resume();
    go();
    expect([b.taken[0]?.text.length, heard.events]).toEqual([MAX_STREAM_QUEUED_BYTES, ["drained"]]);
  });

  it("do not hold up the session, nor it them, when one is not read", () => {
    const { b, open, go, dialler, listener } = pair({ maxUnreadBytes: 10_000 });
    const { stream, heard } = open("echo");
    go();
    b.offered[0]?.pause();
    stream.write(Buffer.alloc(9_000));
    go();
    expect(listener.connection.isUp && dialler.connection.congested).toBe(false);
    stream.write(Buffer.alloc(9_000));
    go();
    expect(heard.events).toEqual(["closed STREAM_OVERRUN"]);
    expect(listener.connection.isUp).toBe(true);
  });

  it("are told how they were cut", () => {
    const { b, open, go } = pair();
    const { stream, heard } = open("echo");
    go();
    b.offered[0]?.reset();
    go();
    expect([heard.events, b.taken[0]?.events]).toEqual([["closed STREAM_OWNER_GONE"], ["closed STREAM_RESET"]]);
    stream.reset();
    const second = open("echo");
    go();
    second.stream.reset(77);
    go();
    expect(b.taken[1]?.error?.detail["resetCode"]).toBe(77);
  });

  it("end with their session", () => {
    const { a, b, open, go, dialler, ours } = pair();
    const { stream, heard } = open("echo");
    go();
    dialler.connection.end();
    go();
    expect(heard.events).toEqual(["closed SESSION_CLOSED"]);
    expect(b.taken[0]?.events).toEqual(["closed SESSION_CLOSED"]);
    expect(() => stream.write(Buffer.alloc(1))).toThrow(/takes nothing more/);
    expect(() => ours.open("echo")).toThrow(/is over/);
    expect(a.dropped).toBe(0);
  });

  it("of one way are read, and not answered", () => {
    const { b, memory, go } = pair();
    const channel = memory.dialled.open("user-uni");
    memory.dialled.write(channel, Buffer.from("\u0004echohello"));
    memory.dialled.finish(channel);
    go();
    expect([b.offered[0]?.isWritable, b.taken[0]?.text]).toEqual([false, "hello"]);
    expect(b.taken[0]?.events).toEqual(["ended", "closed in order"]);
  });

  it.each(["", "x".repeat(256), "barrel_p2p:x", CREDIT_TAG, "\ud800"])(
    "have no tag that cannot be or is kept (%#)",
    (tag) => {
      expect(() => pair().ours.open(tag)).toThrow(/is no tag/);
    },
  );
});
