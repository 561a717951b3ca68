import { Duplex } from "node:stream";
import { describe, expect, it } from "vitest";
import { type EngineConfig, FROM_ENGINE, FrameReader } from "../carrier/quic/engine-frames.ts";
import { KEEP_ALIVE_MS } from "../carrier/quic/quic-limits.ts";
import { QUIC_REMOTE, TakingQuic } from "../testkit/quic-stubs.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import type { NativeBinding, NativeConnection } from "./binding.ts";
import { PIPE_WINDOW_BYTES, Pipe } from "./pipe.ts";
import { Session } from "./session.ts";
import { UdpSocket } from "./udp.ts";

const LANE = 4;
const OTHER_LANE = 8;
const BULK = 68;
const MANY = 1_000_000_000;
/** Octets of a datagram that is hardly more than an ACK. */
const SMALL = 64;

/** @param change what QUIC is from the beginning */
function world(change: Partial<TakingQuic> = {}) {
  const clock = new VirtualClock();
  const heard: string[] = [];
  let opened = 0;
  const note = (type: number, channel: number, octets: number): void => {
    const name = type === FROM_ENGINE.written ? "written" : type === FROM_ENGINE.data ? "data" : String(type);
    heard.push(`${name} ${channel} ${octets}`);
  };
  const reader = new FrameReader(
    (type, _session, body) => {
      if (type === FROM_ENGINE.opened) opened++;
      else note(type, body.readUIntBE(0, 6), body.length >= 10 ? body.readUInt32BE(6) : 0);
    },
    new Set([FROM_ENGINE.data]),
    (type, _session, channel, bytes) => note(type, channel, bytes.length),
  );
  const node = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      reader.push(chunk);
      done();
    },
  });
  const pipe = new Pipe(node, clock);
  const quic = Object.assign(new TakingQuic(), change);
  let isAwake = false;
  const parts = {
    binding: { Shutdown: { Read: 0, Write: 1 } } as NativeBinding,
    clock,
    pipe,
    withheld: { octets: 0 },
    config: { handshakeMs: MANY, keepAliveMs: KEEP_ALIVE_MS, maxBacklogBytes: MANY, lingerMs: MANY } as EngineConfig,
    wake: (woken: Session) => {
      if (isAwake) return;
      isAwake = true;
      clock.later(() => {
        isAwake = false;
        woken.pass();
      });
    },
    gone: () => undefined,
  };
  const socket = {
    host: "0.0.0.0",
    port: 1,
    send: UdpSocket.giveBack,
    close: () => undefined,
  };
  const connection = quic as unknown as NativeConnection;
  const session = new Session(
    parts,
    { id: 2, side: "dial", keys: [] },
    connection,
    ["erlang-dist"],
    socket,
    QUIC_REMOTE,
  );
  const datagram = (octets = 100): void => session.datagram(Buffer.alloc(octets), QUIC_REMOTE.host, QUIC_REMOTE.port);
  session.pass();
  clock.advance(10);
  const said = (): string[] => heard.splice(0);
  const sent = (): number => {
    const { packets } = quic;
    quic.packets = 0;
    return packets;
  };
  sent();
  said();
  return { clock, pipe, quic, session, datagram, said, sent, opened: () => opened };
}

describe("a session of the QUIC engine", () => {
  it("answers one datagram with what the node says to it, or soon, and two at once", () => {
    const { clock, session, datagram, sent } = world();
    datagram();
    clock.advance(4);
    expect(sent()).toBe(0);
    session.write(LANE, Buffer.alloc(10), true);
    clock.runTurn();
    expect(sent()).toBe(1);
    clock.advance(10);
    datagram();
    clock.advance(5);
    expect(sent()).toBe(1);
    datagram();
    datagram();
    clock.runTurn();
    expect(sent()).toBe(1);
  });

  it("takes an ACK and a message together for one datagram: neither calls forth an ACK of its own", () => {
    const { clock, session, datagram, sent } = world();
    const both = (): void => {
      datagram(SMALL);
      datagram(SMALL + 1);
    };
    both();
    clock.advance(4);
    expect(sent()).toBe(0);
    clock.advance(1);
    expect(sent()).toBe(1);
    clock.advance(10);
    both();
    clock.runTurn();
    expect(sent()).toBe(0);
    session.write(LANE, Buffer.alloc(10), true);
    clock.runTurn();
    expect(sent()).toBe(1);
  });

  it("answers two datagrams that are more than an ACK at once, and of those that are not more, eight", () => {
    const { clock, datagram, sent } = world();
    for (const [count, octets] of [
      [2, SMALL + 1],
      [8, SMALL],
    ] as const) {
      for (let n = 1; n < count; n++) datagram(octets);
      clock.runTurn();
      expect(sent()).toBe(0);
      datagram(octets);
      clock.runTurn();
      expect(sent()).toBe(1);
      clock.advance(10);
    }
  });

  it("sends something that the peer answers when the time for it has come, not before, and again", () => {
    const { clock, quic, session, sent } = world();
    const tendAt = (ms: number): number => {
      clock.advance(ms - clock.now());
      session.tend(clock.now());
      clock.runTurn();
      return quic.elicited;
    };
    expect([tendAt(1_000), tendAt(KEEP_ALIVE_MS - 1), sent()]).toEqual([0, 0, 0]);
    expect([tendAt(KEEP_ALIVE_MS), sent()]).toEqual([1, 1]);
    expect([tendAt(KEEP_ALIVE_MS + 1_000), tendAt(2 * KEEP_ALIVE_MS - 1), sent()]).toEqual([1, 1, 0]);
    expect([tendAt(2 * KEEP_ALIVE_MS), sent()]).toEqual([2, 1]);
  });

  it("keeps nothing alive that has not come up", () => {
    const { clock, quic, session } = world({ isEstablished: () => false });
    clock.advance(2 * KEEP_ALIVE_MS);
    session.tend(clock.now());
    expect(quic.elicited).toBe(0);
  });

  it("closes a connection that was resumed, which shows no certificate, and tells the node of none", () => {
    const { quic, session, opened } = world({ isResumed: () => true });
    expect([quic.closes, opened()]).toEqual([[[false, 0x0a]], 0]);
    quic.readable_.set(1, 9);
    session.datagram(Buffer.alloc(100), QUIC_REMOTE.host, QUIC_REMOTE.port);
    session.pass();
    expect(quic.readable_.size).toBe(1);
    const whole = world();
    expect([whole.quic.closes, whole.opened()]).toEqual([[], 1]);
  });

  it("gives QUIC messages before the application's streams, and those with less urgency", () => {
    const { clock, quic, session, datagram } = world();
    quic.capacity = 1000;
    session.write(BULK, Buffer.alloc(4000), false);
    clock.runTurn();
    session.write(LANE, Buffer.alloc(300), true);
    clock.runTurn();
    quic.capacity = 500;
    datagram();
    clock.runTurn();
    expect(quic.took).toEqual(["68:1000", "4:300", "68:200"]);
    expect(quic.urgencies).toEqual([[BULK, 191]]);
  });

  it("gives QUIC an end with the last octets, where it knows of it, and only then", () => {
    const { clock, quic, session, datagram } = world();
    quic.capacity = 1000;
    session.write(BULK, Buffer.alloc(600), false);
    session.write(BULK, Buffer.alloc(600), false);
    session.finish(BULK);
    clock.runTurn();
    quic.capacity = 1000;
    datagram();
    clock.runTurn();
    expect(quic.took).toEqual(["68:600", "68:400", "68:200 and end"]);
  });

  it("gives QUIC an end alone when it can leave at once, and sends it before anything is received", () => {
    const { clock, quic, session, datagram, sent } = world();
    quic.capacity = 600;
    session.write(BULK, Buffer.alloc(600), false);
    clock.runTurn();
    session.finish(BULK);
    clock.runTurn();
    expect(quic.took).toEqual(["68:600"]);
    quic.capacity = 255;
    datagram();
    clock.runTurn();
    expect(quic.took).toEqual(["68:600"]);
    sent();
    quic.capacity = 256;
    datagram();
    clock.runTurn();
    expect(quic.took).toEqual(["68:600", "68:end alone"]);
    expect(sent()).toBe(2);
  });

  it("holds an end alone back after the last octets where the peer has ended: by then they are acknowledged", () => {
    const { clock, quic, session, sent } = world();
    quic.readable_.set(BULK, 0);
    session.datagram(Buffer.alloc(100), QUIC_REMOTE.host, QUIC_REMOTE.port);
    clock.runTurn();
    session.write(BULK, Buffer.alloc(600), false);
    clock.runTurn();
    session.finish(BULK);
    clock.advance(249);
    expect(quic.took).toEqual(["68:600"]);
    sent();
    clock.advance(10);
    expect(quic.took).toEqual(["68:600", "68:end alone"]);
    expect(sent()).toBe(1);
  });

  it("gives QUIC the application's streams in shares, so that a message comes between", () => {
    const { clock, quic, session } = world();
    const piece = Buffer.alloc(64 * 1024);
    for (let n = 0; n < 20; n++) session.write(BULK, piece, false);
    session.pass();
    session.write(LANE, Buffer.alloc(10), true);
    session.pass();
    clock.advance(100);
    expect(quic.took.slice(0, 4)).toEqual(["68:65536", "68:65536", "4:10", "68:65536"]);
    expect(quic.took).toHaveLength(21);
  });

  it("lets streams that wait have their turn", () => {
    const { clock, quic, session, datagram, sent } = world();
    quic.capacity = 0;
    for (const channel of [BULK, BULK + 4]) session.write(channel, Buffer.alloc(3000), false);
    clock.advance(10);
    for (let n = 0; n < 4; n++) {
      quic.capacity = 1000;
      sent();
      datagram();
      clock.runTurn();
      // What an ACK has made room for leaves at once.
      expect(sent()).toBe(1);
    }
    expect(quic.took).toEqual(["68:1000", "72:1000", "68:1000", "72:1000"]);
  });

  it("tells the node of small writes with the next frame, or soon, and of larger ones at once", () => {
    const { clock, quic, session, datagram, said } = world();
    session.write(LANE, Buffer.alloc(100), true);
    clock.advance(4);
    expect(said()).toEqual([]);
    clock.advance(1);
    expect(said()).toEqual(["written 4 100"]);
    session.write(LANE, Buffer.alloc(2048), true);
    clock.runTurn();
    expect(said()).toEqual(["written 4 2048"]);
    session.write(LANE, Buffer.alloc(50), true);
    clock.runTurn();
    quic.readable_.set(1, 7);
    datagram();
    clock.runTurn();
    expect(said()).toEqual(["data 1 7", "written 4 50"]);
    clock.advance(10);
    quic.capacity = 4000;
    session.write(LANE, Buffer.alloc(5000), true);
    clock.runTurn();
    expect(said()).toEqual([]);
    clock.advance(5);
    expect(said()).toEqual(["written 4 4000"]);
  });

  it("asks those channels first that were readable last", () => {
    const { clock, quic, datagram } = world();
    const asked: number[] = [];
    const read = (...channels: number[]): number[] => {
      asked.length = 0;
      for (const channel of channels) quic.readable_.set(channel, 9);
      datagram();
      clock.runTurn();
      return [...asked];
    };
    quic.streamReadable = (stream) => {
      asked.push(stream);
      return quic.readable_.has(stream);
    };
    const many = Array.from({ length: 16 }, (_, n) => 1 + 4 * n);
    read(...many);
    expect(read(1)).toHaveLength(16);
    expect(read(1)).toEqual([1]);
    read(5);
    expect(read(1)).toEqual([5, 1]);
  });

  it("asks for the list of readable streams only where one is new", () => {
    const { clock, quic, datagram, said } = world();
    for (const channels of [[1, 5], [5], [1], [1, 5]]) {
      for (const channel of channels) quic.readable_.set(channel, 9);
      datagram();
      clock.runTurn();
      expect(said().sort()).toEqual(channels.map((channel) => `data ${channel} 9`));
    }
    expect(quic.lists).toBe(1);
    quic.readable_.set(9, 9);
    datagram();
    clock.runTurn();
    expect([said(), quic.lists]).toEqual([["data 9 9"], 2]);
  });

  it("hands the node messages before the bytes of streams that came before them, when it is slow", () => {
    const { clock, pipe, quic, session, datagram, said } = world();
    quic.readable_.set(BULK, PIPE_WINDOW_BYTES + 70_000);
    datagram();
    clock.runTurn();
    said();
    for (const channel of [OTHER_LANE, BULK]) quic.readable_.set(channel, 10);
    datagram();
    clock.runTurn();
    session.abandon("E");
    expect(said()).toEqual([]);
    pipe.credit(PIPE_WINDOW_BYTES);
    clock.runTurn();
    const order = said();
    expect(order[0]).toBe("data 8 10");
    expect(order.at(-2)).toBe("data 68 10");
    expect(order.at(-1)).toMatch(/^72 /);
  });
});
