import { Duplex } from "node:stream";
import { describe, expect, it } from "vitest";
import { VirtualClock } from "../../testkit/virtual-clock.ts";
import { TurnWriter } from "./turn-writer.ts";

function world() {
  const clock = new VirtualClock();
  const writes: string[][] = [];
  const pipe = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      writes.push([chunk.toString()]);
      done();
    },
    writev(chunks, done) {
      writes.push(chunks.map(({ chunk }) => (chunk as Buffer).toString()));
      done();
    },
  });
  return { clock, pipe, writes, writer: new TurnWriter(pipe, clock) };
}

describe("what is written to the QUIC engine's pipe in one turn", () => {
  it("leaves at its end in one write, small pieces in one piece", () => {
    const { clock, writes, writer } = world();
    for (const piece of ["a", "bc", "d"]) writer.write(Buffer.from(piece));
    expect([writes, writer.isGathering]).toEqual([[], true]);
    clock.runTurn();
    writer.write(Buffer.from("e"));
    clock.runTurn();
    const large = "x".repeat(4096);
    for (const piece of ["f", large]) writer.write(Buffer.from(piece));
    clock.runTurn();
    expect([writes, writer.isGathering]).toEqual([[["abcd"], ["e"], ["f", large]], false]);
  });

  it("leaves at once when it is flushed, and never to a pipe that has ended", async () => {
    const { clock, pipe, writes, writer } = world();
    writer.write(Buffer.from("a"));
    writer.flush();
    expect(writes).toEqual([["a"]]);
    const errors: unknown[] = [];
    pipe.on("error", (error) => errors.push(error));
    writer.write(Buffer.from("b"));
    pipe.end();
    clock.runTurn();
    await new Promise((resolve) => pipe.once("finish", resolve));
    expect([writes, errors]).toEqual([[["a"]], []]);
  });

  it("waits for its release when it is held, and for nothing else", () => {
    const { clock, writes, writer } = world();
    writer.hold();
    for (const piece of ["a", "b"]) writer.write(Buffer.from(piece));
    clock.runTurn();
    expect(writes).toEqual([]);
    writer.release();
    expect([writes, writer.isGathering]).toEqual([[["ab"]], false]);
    writer.release();
    writer.write(Buffer.from("c"));
    clock.runTurn();
    expect(writes).toEqual([["ab"], ["c"]]);
  });
});
