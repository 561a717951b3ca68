import { describe, expect, it } from "vitest";
import type { SallyportError } from "../base/errors.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import type { Carrier, CarrierSink } from "./carrier.ts";
import { createMemoryPair, type MemoryOptions } from "./memory.ts";
import { createMemoryNetwork } from "./memory-network.ts";

class Recorder implements CarrierSink {
  readonly events: string[] = [];
  readonly chunks: Buffer[] = [];
  onBytes: (chunk: Buffer) => void = () => undefined;
  opened(): void {
    this.events.push("opened");
  }
  bytes(channel: number, chunk: Buffer): void {
    this.events.push(`bytes ${channel} ${chunk.toString("latin1")}`);
    this.chunks.push(chunk);
    this.onBytes(chunk);
  }
  drained(): void {
    this.events.push("drained");
  }
  closed(cause: SallyportError | undefined): void {
    this.events.push(`closed ${cause === undefined ? "in order" : `${cause.code} ${cause.reason}`}`);
  }
}

function setUp(options: MemoryOptions = {}) {
  const pair = createMemoryPair(options);
  const one = new Recorder();
  const two = new Recorder();
  pair.connect(one, two);
  pair.pump();
  return { ...pair, one, two };
}

describe("memory carrier", () => {
  it("opens both ends and delivers in order, gathered", () => {
    const { first, second, one, two, pump } = setUp();
    first.write(0, Buffer.from("ab"));
    first.write(0, Buffer.from("cd"));
    second.write(0, Buffer.from("x"));
    expect(first.pendingBytes()).toBe(4);
    pump();
    expect(two.events).toEqual(["opened", "bytes 0 abcd"]);
    expect(one.events).toEqual(["opened", "bytes 0 x"]);
    expect(first.pendingBytes()).toBe(0);
  });

  it("cuts chunks as asked", () => {
    const { first, two, pump } = setUp({ split: (bytes) => [...bytes].map((octet) => Buffer.from([octet])) });
    first.write(0, Buffer.from("abc"));
    pump();
    expect(two.events).toEqual(["opened", "bytes 0 a", "bytes 0 b", "bytes 0 c"]);
  });

  it("delivers by the clock's afterTurn without being pumped", () => {
    const clock = new VirtualClock();
    const pair = createMemoryPair({ clock });
    const two = new Recorder();
    pair.connect(new Recorder(), two);
    clock.runTurn();
    pair.first.write(0, Buffer.from("a"));
    expect(two.events).toEqual(["opened"]);
    clock.runTurn();
    expect(two.events).toEqual(["opened", "bytes 0 a"]);
  });

  it("gives the receiver memory of its own", () => {
    const { first, two, pump } = setUp();
    const bytes = Buffer.from("abc");
    first.write(0, bytes);
    pump();
    bytes.fill(0);
    expect(two.chunks[0]?.toString()).toBe("abc");
  });

  it("answers false at the high-water mark and says drained when the bytes are over", () => {
    const { first, second, one, two, pump } = setUp({ highWaterBytes: 4 });
    second.pause();
    expect(first.write(0, Buffer.from("abc"))).toBe(true);
    expect(first.write(0, Buffer.from("d"))).toBe(false);
    pump();
    expect(two.events).toEqual(["opened"]);
    second.resume();
    pump();
    expect(two.events).toEqual(["opened", "bytes 0 abcd"]);
    expect(one.events).toEqual(["opened", "drained"]);
    expect(first.write(0, Buffer.from("e"))).toBe(true);
  });

  it("stops within a delivery when the receiver pauses, and loses nothing", () => {
    const { first, second, two, pump } = setUp({ split: (bytes) => [...bytes].map((octet) => Buffer.from([octet])) });
    two.onBytes = () => second.pause();
    first.write(0, Buffer.from("abc"));
    pump();
    first.write(0, Buffer.from("d"));
    pump();
    expect(two.events).toEqual(["opened", "bytes 0 a"]);
    two.onBytes = () => undefined;
    second.resume();
    pump();
    expect(two.events.slice(2)).toEqual(["bytes 0 b", "bytes 0 c", "bytes 0 d"]);
  });

  it("ends in order after everything queued on both sides has arrived", () => {
    const { first, second, one, two, pump } = setUp();
    first.write(0, Buffer.from("a"));
    second.write(0, Buffer.from("b"));
    first.end();
    first.end();
    pump();
    expect(two.events).toEqual(["opened", "bytes 0 a", "closed in order"]);
    expect(one.events).toEqual(["opened", "bytes 0 b", "closed in order"]);
    expect(first.write(0, Buffer.from("c"))).toBe(false);
    expect(pump()).toBe(0);
  });

  it("destroys at once: what is queued is lost, each end hears its own cause once", () => {
    const { first, one, two, pump } = setUp();
    first.write(0, Buffer.from("a"));
    first.destroy();
    first.destroy();
    pump();
    first.destroy();
    pump();
    expect(one.events).toEqual(["opened", "closed ERR_CLOSED CLOSED_LOCALLY"]);
    expect(two.events).toEqual(["opened", "closed ERR_CLOSED CONNECTION_RESET"]);
  });

  it("cuts the connection when more waits than allowed", () => {
    const { first, second, one, pump } = setUp({ maxPendingBytes: 8 });
    second.pause();
    first.write(0, Buffer.alloc(8));
    first.write(0, Buffer.alloc(1));
    pump();
    expect(one.events).toEqual(["opened", "closed ERR_LIMIT WRITE_BUFFER_FULL"]);
  });

  it("refuses to write before it is open and to open further channels", () => {
    const { first } = createMemoryPair();
    expect(() => first.write(0, Buffer.from("a"))).toThrow(
      expect.objectContaining({ code: "ERR_API_MISUSE", reason: "CARRIER_NOT_OPEN" }),
    );
    expect(() => first.open()).toThrow(
      expect.objectContaining({ code: "ERR_API_MISUSE", reason: "CHANNEL_UNSUPPORTED" }),
    );
  });
});

describe("memory network", () => {
  it("connects a dialler with a listener by host and port", () => {
    const clock = new VirtualClock();
    const network = createMemoryNetwork({ clock });
    const server = new Recorder();
    let accepted: Carrier | undefined;
    network.listen("h", 1, (carrier) => {
      accepted = carrier;
      return server;
    });
    const client = new Recorder();
    const carrier = network.dial({ scheme: "tls", host: "h", port: 1 }, "h", client);
    clock.runTurn();
    carrier.write(0, Buffer.from("a"));
    accepted?.write(0, Buffer.from("b"));
    clock.runTurn();
    expect(client.events).toEqual(["opened", "bytes 0 b"]);
    expect(server.events).toEqual(["opened", "bytes 0 a"]);
  });

  it("reports a closed port, also after a listener went away, and a port in use", async () => {
    const clock = new VirtualClock();
    const network = createMemoryNetwork({ clock });
    const listener = network.listen("h", 1, () => new Recorder());
    expect(() => network.listen("h", 1, () => new Recorder())).toThrow(
      expect.objectContaining({ code: "ERR_CONFIG", reason: "PORT_IN_USE" }),
    );
    await listener.close();
    const client = new Recorder();
    network.dial({ scheme: "tls", host: "h", port: 1 }, "h", client);
    clock.runTurn();
    expect(client.events).toEqual(["closed ERR_UNREACHABLE PORT_CLOSED"]);
  });
});
