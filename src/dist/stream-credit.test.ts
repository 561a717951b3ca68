import { describe, expect, it } from "vitest";
import type { ChannelId } from "../carrier/carrier.ts";
import type { ChannelledCarrier } from "../carrier/channels.ts";
import { createBarrelPair } from "../testkit/barrel-pair.ts";
import type { ChannelledMemoryOptions } from "../testkit/channelled-memory.ts";
import { UNKNOWN_TAG_CODE } from "./stream-codes.ts";
import {
  CREDIT_POOL_BYTES,
  CREDIT_TAG,
  CreditPool,
  CreditReader,
  INITIAL_CREDIT_BYTES,
  MAX_CREDIT_BYTES,
  ReceiveWindow,
} from "./stream-credit.ts";
import { MAX_STREAM_QUEUED_BYTES, type StreamSink, type TaggedStream } from "./tagged-stream.ts";
import { MAX_STREAMS, TaggedStreams } from "./tagged-streams.ts";
import type { UserChannels } from "./user-channels.ts";

const MIB = 1024 * 1024;
const PREAMBLE = `${String.fromCharCode(CREDIT_TAG.length)}${CREDIT_TAG}`;

/** An end of a stream: counts what it hears, and pauses where it is told to. */
class Heard implements StreamSink {
  octets = 0;
  readonly events: string[] = [];
  stream: TaggedStream | undefined;
  pauseAt = Number.POSITIVE_INFINITY;
  data(chunk: Buffer): void {
    this.octets += chunk.length;
    if (this.octets >= this.pauseAt) this.stream?.pause();
  }
  ended(): void {
    this.events.push("ended");
  }
  drained(): void {
    this.events.push("drained");
  }
  closedBy(): void {
    this.events.push("closed");
  }
}

/** Streams of a node that takes all; each pauses at `pauseAt` octets. */
class Side {
  readonly taken: Heard[] = [];
  pauseAt = Number.POSITIVE_INFINITY;
  takes = true;
  readonly streams: TaggedStreams = new TaggedStreams({
    streamOffered: (stream) => {
      if (!this.takes) return undefined;
      const heard = new Heard();
      heard.stream = stream;
      heard.pauseAt = this.pauseAt;
      this.taken.push(heard);
      return heard;
    },
    streamDropped: () => this.dropped++,
  });
  dropped = 0;
  open(): { stream: TaggedStream; heard: Heard } {
    const heard = new Heard();
    const stream = this.streams.open("t");
    stream.sink = heard;
    heard.stream = stream;
    return { stream, heard };
  }
}

/** Streams of a node that refuses the first `refusals` credit streams: all, as barrel's do, or those that come too early. */
class Refusing implements UserChannels {
  readonly #inner: UserChannels;
  #carrier: ChannelledCarrier | undefined;
  #left: number;
  constructor(inner: UserChannels, refusals: number) {
    this.#inner = inner;
    this.#left = refusals;
  }
  up(carrier: ChannelledCarrier): void {
    this.#carrier = carrier;
    this.#inner.up(carrier);
  }
  tooEarly(): void {
    this.#inner.tooEarly();
  }
  bytes(channel: ChannelId, chunk: Buffer): void {
    if (this.#left > 0 && chunk.toString("latin1").startsWith(PREAMBLE)) {
      this.#left--;
      this.#carrier?.reset(channel, UNKNOWN_TAG_CODE);
    } else this.#inner.bytes(channel, chunk);
  }
  ended(channel: ChannelId): void {
    this.#inner.ended(channel);
  }
  reset(channel: ChannelId, code: number): void {
    this.#inner.reset(channel, code);
  }
  drained(channel: ChannelId): void {
    this.#inner.drained(channel);
  }
  closed(): void {
    this.#inner.closed(undefined);
  }
}

/** A node of another kind: takes what comes, and says nothing. */
class Plain implements UserChannels {
  octets = 0;
  up(): void {}
  tooEarly(): void {}
  bytes(_channel: ChannelId, chunk: Buffer): void {
    this.octets += chunk.length;
  }
  ended(): void {}
  reset(): void {}
  drained(): void {}
  closed(): void {}
}

function join(listener: (ours: Side) => UserChannels, memory: ChannelledMemoryOptions = {}) {
  const near = new Side();
  const far = new Side();
  const link = createBarrelPair({
    dialler: { users: near.streams },
    listener: { users: listener(far) },
    memory: { highWaterBytes: 32 * MIB, ...memory },
  });
  link.clock.advance(0);
  return { ...link, near, far, go: () => link.clock.advance(0) };
}

const pair = (memory?: ChannelledMemoryOptions) => join((far) => far.streams, memory);

/** Writes pieces until one waits. Gives the octets that were taken. */
function fill(stream: TaggedStream, go: () => void, most: number): number {
  let octets = 0;
  while (octets < most) {
    octets += 64 * 1024;
    const hasRoom = stream.write(Buffer.alloc(64 * 1024));
    go();
    if (!hasRoom && stream.pendingBytes > 0) break;
  }
  return octets;
}

describe("credit", () => {
  it("holds a writer back where nobody reads, within the largest window, and lets it go on when somebody does", () => {
    const { near, far, go } = pair();
    far.pauseAt = 256 * 1024;
    const { stream, heard } = near.open();
    const octets = fill(stream, go, 32 * MIB);
    expect(octets).toBeLessThanOrEqual(256 * 1024 + MAX_CREDIT_BYTES + 128 * 1024);
    expect(heard.events.filter((event) => event === "closed")).toEqual([]);
    stream.finish();
    go();
    expect(far.taken[0]?.events).toEqual([]);
    const [taken] = far.taken;
    if (taken !== undefined) taken.pauseAt = Number.POSITIVE_INFINITY;
    taken?.stream?.resume();
    go();
    expect([taken?.octets, taken?.events, heard.events.at(-1)]).toEqual([octets, ["ended"], "drained"]);
    taken?.stream?.finish();
    go();
    expect([taken?.events, heard.events.slice(-2)]).toEqual([
      ["ended", "closed"],
      ["ended", "closed"],
    ]);
  });

  it("holds back all streams of a session together within the bound of the carrier", () => {
    const { near, far, go, memory } = pair();
    far.pauseAt = 1;
    for (let n = 0; n < MAX_STREAMS; n++) fill(near.open().stream, go, 4 * MIB);
    const carried = [...near.streams.all()].reduce((sum, { channel }) => sum + memory.dialled.pendingOn(channel), 0);
    expect(carried).toBeLessThanOrEqual(MAX_STREAMS * INITIAL_CREDIT_BYTES + CREDIT_POOL_BYTES);
    expect(near.streams.size).toBe(MAX_STREAMS);
  });

  it("is not waited for towards a node that refuses it, once that is known", () => {
    const plain = new Plain();
    const { near, go } = join(() => new Refusing(plain, Number.POSITIVE_INFINITY));
    const { stream, heard } = near.open();
    expect(stream.write(Buffer.alloc(4 * MIB))).toBe(false);
    go();
    expect([plain.octets, stream.pendingBytes, heard.events]).toEqual([2 + 4 * MIB, 0, ["drained"]]);
    expect(fill(stream, go, 8 * MIB)).toBe(8 * MIB);
    expect(near.open().stream.write(Buffer.alloc(4 * MIB))).toBe(true);
  });

  it("lets no more than the initial octets go before anything is known", () => {
    const plain = new Plain();
    const { near, go } = join(() => plain);
    const { stream, heard } = near.open();
    expect(stream.write(Buffer.alloc(INITIAL_CREDIT_BYTES))).toBe(true);
    expect(stream.write(Buffer.alloc(1))).toBe(false);
    go();
    const preambles = 2 + PREAMBLE.length;
    expect([plain.octets - preambles, stream.pendingBytes, heard.events]).toEqual([INITIAL_CREDIT_BYTES, 1, []]);
    expect(() => stream.write(Buffer.alloc(MAX_STREAM_QUEUED_BYTES))).toThrow(/would wait to leave/);
    stream.reset();
    expect(stream.pendingBytes).toBe(0);
  });

  it("is told of what came before it was known", () => {
    const { near, far, go } = pair();
    const { stream } = near.open();
    stream.write(Buffer.alloc(INITIAL_CREDIT_BYTES + 1000));
    go();
    expect([far.taken[0]?.octets, stream.pendingBytes]).toEqual([INITIAL_CREDIT_BYTES + 1000, 0]);
  });

  it("is told of later where the credit stream itself is full", () => {
    const { near, far, go, memory } = pair({ highWaterBytes: 1 });
    near.open();
    go();
    memory.dialled.pause();
    const streams = [near.open().stream, near.open().stream];
    for (const stream of streams) stream.write(Buffer.alloc(INITIAL_CREDIT_BYTES + 1000));
    go();
    expect(streams.map(({ pendingBytes }) => pendingBytes)).toEqual([1000, 1000]);
    memory.dialled.resume();
    go();
    expect(far.taken.map(({ octets }) => octets)).toEqual([0, ...streams.map(() => INITIAL_CREDIT_BYTES + 1000)]);
  });

  it("is not used up by streams that are over", () => {
    const { near, far, go } = pair();
    for (let n = 0; n < 20; n++) {
      const { stream } = near.open();
      expect(fill(stream, go, 8 * MIB)).toBe(8 * MIB);
      stream.finish();
      far.taken.at(-1)?.stream?.finish();
      go();
    }
    expect(near.streams.size).toBe(0);
    far.pauseAt = 256 * 1024;
    expect(fill(near.open().stream, go, 8 * MIB)).toBeGreaterThan(256 * 1024 + 2 * INITIAL_CREDIT_BYTES);
  });

  it("comes about also where a node that knew of none opens a stream after all", () => {
    const { near, far, go } = join((side) => new Refusing(side.streams, 1));
    far.pauseAt = 256 * 1024;
    far.takes = false;
    near.open();
    go();
    far.takes = true;
    expect(fill(near.open().stream, go, 32 * MIB)).toBeLessThan(4 * MIB);
  });

  it("comes about also where the first words of it were refused because they came too early", () => {
    const { near, far, go } = join((side) => new Refusing(side.streams, 1));
    far.pauseAt = 256 * 1024;
    const { stream } = near.open();
    go();
    far.streams.open("t");
    go();
    expect(fill(stream, go, 32 * MIB)).toBeLessThan(4 * MIB);
    const [taken] = far.taken;
    if (taken !== undefined) taken.pauseAt = Number.POSITIVE_INFINITY;
    taken?.stream?.resume();
    go();
    expect(stream.pendingBytes).toBe(0);
  });

  it("is said on one stream of each side; a second is refused, and what it says of no stream is nothing", () => {
    const { near, far, go, memory } = pair();
    const { stream } = near.open();
    go();
    const second = memory.dialled.open("user");
    memory.dialled.write(second, Buffer.from(PREAMBLE, "latin1"));
    go();
    expect(far.dropped).toBe(1);
    // On the first, cut anywhere: much of a stream that is none, and a little of one that is.
    const first = 72;
    const words = Buffer.from("0000000003e8ffffffff" + "00000000004400000005", "hex");
    far.streams.open("t").write(Buffer.alloc(1));
    go();
    for (const octet of words) {
      memory.dialled.write(first, Buffer.from([octet]));
      go();
    }
    expect(fill(stream, go, 2 * MIB)).toBe(2 * MIB);
  });
});

describe("a window", () => {
  it("is told of in halves, and doubles while the pool lasts", () => {
    const pool = new CreditPool();
    const window = new ReceiveWindow();
    window.took(INITIAL_CREDIT_BYTES / 2 - 1);
    expect(window.due(pool)).toBe(0);
    window.took(1);
    expect(window.due(pool)).toBe(1.5 * INITIAL_CREDIT_BYTES);
    let size = 2 * INITIAL_CREDIT_BYTES;
    for (; size < MAX_CREDIT_BYTES; size *= 2) {
      window.took(size / 2);
      expect(window.due(pool)).toBe(1.5 * size);
    }
    window.took(size / 2);
    expect(window.due(pool)).toBe(size / 2);
    expect(pool.take(CREDIT_POOL_BYTES - MAX_CREDIT_BYTES + INITIAL_CREDIT_BYTES)).toBe(true);
    const other = new ReceiveWindow();
    other.took(INITIAL_CREDIT_BYTES);
    expect(other.due(pool)).toBe(INITIAL_CREDIT_BYTES);
    window.close(pool);
    expect(pool.take(MAX_CREDIT_BYTES - INITIAL_CREDIT_BYTES)).toBe(true);
    expect(pool.take(1)).toBe(false);
  });

  it("tells of more than one record holds in several", () => {
    const window = new ReceiveWindow();
    const pool = new CreditPool();
    pool.take(CREDIT_POOL_BYTES);
    window.took(2 ** 32 + 7 * MIB);
    expect([window.due(pool), window.due(pool), window.due(pool)]).toEqual([2 ** 32 - 1, 7 * MIB + 1, 0]);
  });
});

it("records of credit are read however they are cut", () => {
  const all = Buffer.from("00000000004400000005" + "ffffffffffffffffffff" + "000000000001" + "00000000", "hex");
  for (let size = 1; size <= all.length; size++) {
    const reader = new CreditReader();
    const got: number[][] = [];
    for (let at = 0; at < all.length; at += size) {
      reader.push(all.subarray(at, at + size), (...record) => void got.push(record));
    }
    expect(got).toEqual([
      [68, 5],
      [2 ** 48 - 1, 2 ** 32 - 1],
      [1, 0],
    ]);
  }
});
