import { Duplex } from "node:stream";
import { describe, expect, it } from "vitest";
import { FRAME_OVERHEAD_BYTES } from "../carrier/quic/engine-frames.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import type { NativeConnection } from "./binding.ts";
import { Inbound } from "./inbound.ts";
import { PIPE_WINDOW_BYTES, Pipe } from "./pipe.ts";

const MIB = 1024 * 1024;

/** Has so many octets read, each of which came by itself. */
function drip(inbound: Inbound, octets: number): void {
  let came = 0;
  const streamRecv = (_channel: number, into: Buffer): [number, boolean] | null => {
    if (came === 0) return null;
    came--;
    into[0] = 0x61;
    return [1, false];
  };
  const isReadable = (): boolean => true;
  const connection = { streamRecv, isReadable, streamReadable: isReadable, readable: () => [4] };
  for (let n = 0; n < octets; n++) {
    let left = 1;
    came = 1;
    const once = { ...connection, isReadable: () => left-- > 0 };
    inbound.readAll(once as unknown as NativeConnection, () => undefined);
  }
}

/** An end of a pipe from which nobody reads, and how many frames were written to it. */
function makePipe() {
  const written: Buffer[] = [];
  const clock = new VirtualClock();
  const socket = new Duplex({ read() {}, write: (chunk, _encoding, done) => done(void written.push(chunk)) });
  const pipe = new Pipe(socket, clock);
  return { pipe, written, inbound: new Inbound(1, pipe), turn: () => clock.advance(0) };
}

describe("what a session has for the node", () => {
  it("is counted by the memory it takes while the node does not read, also octet by octet", () => {
    const { inbound, written, turn } = makePipe();
    inbound.pause(true);
    drip(inbound, 100_000);
    turn();
    expect(written).toHaveLength(0);
    expect(inbound.bytes).toBe(100_000 * (16 + FRAME_OVERHEAD_BYTES));
    expect(inbound.bytes).toBeGreaterThan(16 * MIB);
    inbound.pause(false);
    expect(inbound.bytes).toBeGreaterThan(0);
  });

  it("holds the end of a stream also where QUIC lists it no more, once", () => {
    const { inbound, written, turn } = makePipe();
    const ends: (number | string)[][] = [];
    const ended = (channel: number, end: number | "finished"): void => void ends.push([channel, end]);
    const pieces: [number, boolean][] = [[3, false]];
    let isOver = false;
    const connection = {
      streamRecv: () => pieces.shift() ?? null,
      isReadable: () => pieces.length > 0,
      streamReadable: () => pieces.length > 0,
      streamFinished: () => isOver,
      readable: () => [68],
    } as unknown as NativeConnection;
    inbound.readAll(connection, ended);
    inbound.lookForEnds(connection, ended);
    turn();
    expect([ends, written.length]).toEqual([[], 1]);
    isOver = true;
    inbound.lookForEnds(connection, ended);
    inbound.lookForEnds(connection, ended);
    turn();
    expect(ends).toEqual([[68, "finished"]]);
    expect(written).toHaveLength(2);
  });

  it("does not fill the pipe with more frames than the credit pays, and goes on where it stopped", () => {
    const { inbound, pipe, written, turn } = makePipe();
    const octets = 10_000;
    drip(inbound, octets);
    turn();
    const paid = Math.ceil(PIPE_WINDOW_BYTES / (16 + FRAME_OVERHEAD_BYTES));
    expect(written).toHaveLength(paid);
    expect(inbound.bytes).toBe((octets - paid) * (16 + FRAME_OVERHEAD_BYTES));
    pipe.credit(PIPE_WINDOW_BYTES);
    turn();
    expect(written).toHaveLength(octets);
    expect(inbound.bytes).toBe(0);
  });

  it("is read into little memory while little comes, and into more where reads fill it", () => {
    const { inbound, written, turn } = makePipe();
    const slabs = (): number[] => [...new Set(written.splice(0).map(({ buffer }) => buffer.byteLength / 1024))];
    drip(inbound, 3000);
    turn();
    // Gathered pieces are copied: one alone is not.
    written.length = 0;
    drip(inbound, 1);
    turn();
    expect(slabs()).toEqual([16]);
    const flood = {
      streamRecv: (_channel: number, into: Buffer) => (left-- > 0 ? [into.length, false] : null),
      isReadable: () => left > 0,
      streamReadable: () => left > 0,
      readable: () => [4],
    } as unknown as NativeConnection;
    let left = 12;
    inbound.readAll(flood, () => undefined);
    turn();
    expect(slabs()).toEqual([16, 32, 64, 128, 256]);
  });
});
