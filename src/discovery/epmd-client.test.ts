import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import type { PlainSocketSink, Sockets } from "../base/sockets.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import { epmdEntry } from "../wire/epmd.ts";
import { acceptsConnections, epmdResolver, portAtEpmd, registerAtEpmd } from "./epmd-client.ts";

const NAME = parseNodeName("js@127.0.0.1");
const never = new AbortController().signal;
// Captured, otp-distribution section 10, V1.
const FOUND = Buffer.from("770015b34800000600060003" + "6a7378" + "0000", "hex");
const ALIVE = Buffer.from("76006b00d4d0", "hex");
const REQUEST = "0010" + "7815b348000006000600036a73780000";

function make() {
  const clock = new VirtualClock();
  const dialled: {
    host: string;
    port: number;
    sink: PlainSocketSink;
    sent: string[];
    destroyed: number;
    keepAlive: boolean[];
  }[] = [];
  const sockets: Sockets = {
    connect(host, port, sink) {
      const entry = { host, port, sink, sent: [] as string[], destroyed: 0, keepAlive: [] as boolean[] };
      dialled.push(entry);
      return {
        write: (bytes) => void entry.sent.push(Buffer.from(bytes).toString("hex")),
        destroy: () => void entry.destroyed++,
        keepAlive: (on) => void entry.keepAlive.push(on),
      };
    },
  };
  return { clock, dialled, parts: { sockets, clock, port: 4369 }, last: () => dialled.at(-1)! };
}
const microtasks = async () => {
  for (let i = 0; i < 5; i++) await Promise.resolve();
};

describe("portAtEpmd", () => {
  it("gives the port, and nothing for an unknown name, a refused connection and silence", async () => {
    const { parts, last, clock } = make();
    const found = portAtEpmd(parts, "127.0.0.1", "js");
    last().sink.connected();
    expect(last().sent).toEqual(["00037a6a73"]);
    last().sink.bytes(FOUND);
    expect(await found).toBe(0x15b3);
    const unknown = portAtEpmd(parts, "127.0.0.1", "js");
    last().sink.bytes(Buffer.from("7701", "hex"));
    expect(await unknown).toBeUndefined();
    const refused = portAtEpmd(parts, "127.0.0.1", "js");
    last().sink.closed("ECONNREFUSED");
    expect(await refused).toBeUndefined();
    const silent = portAtEpmd(parts, "127.0.0.1", "js");
    clock.advance(2_000);
    expect(await silent).toBeUndefined();
    expect(clock.pendingTimers).toBe(0);
  });
});

describe("acceptsConnections", () => {
  it("says yes when it is connected, no when it is refused or a second passes, and sends nothing", async () => {
    const { parts, last, clock } = make();
    const yes = acceptsConnections(parts, "192.0.2.1", 9_100);
    last().sink.connected();
    expect([await yes, last().host, last().sent, last().destroyed]).toEqual([true, "192.0.2.1", [], 1]);
    const no = acceptsConnections(parts, "192.0.2.1", 9_100);
    last().sink.closed("ECONNREFUSED");
    expect(await no).toBe(false);
    const silent = acceptsConnections(parts, "192.0.2.1", 9_100);
    clock.advance(1_000);
    expect([await silent, last().destroyed, clock.pendingTimers]).toEqual([false, 1, 0]);
  });
});

describe("epmdResolver", () => {
  const start = (signal = never) => {
    const made = make();
    const notes: string[] = [];
    const answer = epmdResolver(made.parts, "tls").resolve(NAME, signal, (said) => notes.push(said));
    return { ...made, answer, notes };
  };

  it("asks the EPMD on the host for the local part", async () => {
    const { answer, last, clock } = start();
    expect([last().host, last().port, last().sent]).toEqual(["127.0.0.1", 4369, []]);
    last().sink.connected();
    expect(last().sent).toEqual(["00037a6a73"]);
    last().sink.bytes(FOUND);
    expect(await answer).toEqual([{ scheme: "tls", host: "127.0.0.1", port: 0x15b3 }]);
    expect([last().destroyed, clock.pendingTimers]).toEqual([1, 0]);
  });

  it("takes an answer that comes in two pieces, wherever it is cut, or byte by byte", async () => {
    for (let cut = 0; cut <= FOUND.length; cut++) {
      const { answer, last } = start();
      last().sink.connected();
      last().sink.bytes(FOUND.subarray(0, cut));
      last().sink.bytes(FOUND.subarray(cut));
      expect(await answer).toHaveLength(1);
    }
    const { answer, last } = start();
    for (const octet of FOUND) last().sink.bytes(Buffer.from([octet]));
    expect(await answer).toHaveLength(1);
  });

  it.each([
    ["unknown", (sink: PlainSocketSink) => sink.bytes(Buffer.from("7701", "hex")), "no such node"],
    ["garbage", (sink: PlainSocketSink) => sink.bytes(Buffer.from("HTTP/1.1 400")), "a broken answer"],
    [
      "bytes after the answer",
      (sink: PlainSocketSink) => sink.bytes(Buffer.concat([FOUND, Buffer.from([0])])),
      "a broken answer",
    ],
    [
      "a close before the end",
      (sink: PlainSocketSink) => {
        sink.bytes(FOUND.subarray(0, 9));
        sink.closed(undefined);
      },
      "no answer (closed)",
    ],
    ["a refused connection", (sink: PlainSocketSink) => sink.closed("ECONNREFUSED"), "no answer (ECONNREFUSED)"],
  ] as const)("counts %s as no answer, and says why", async (_, act, says) => {
    const { answer, last, clock, notes } = start();
    act(last().sink);
    expect([await answer, notes]).toEqual([[], [says]]);
    expect([last().destroyed > 0, clock.pendingTimers]).toEqual([true, 0]);
  });

  it("gives up on silence, and on bytes that dribble, after two seconds", async () => {
    const { answer, last, clock } = start();
    last().sink.connected();
    clock.advance(1_000);
    last().sink.bytes(FOUND.subarray(0, 3));
    clock.advance(1_000);
    expect(await answer).toEqual([]);
    expect(last().destroyed).toBe(1);
  });

  it("ends with the dial that asked", async () => {
    const controller = new AbortController();
    const { answer, last, clock } = start(controller.signal);
    controller.abort();
    expect(await answer).toEqual([]);
    expect([last().destroyed, clock.pendingTimers]).toEqual([1, 0]);
  });
});

describe("registerAtEpmd", () => {
  const start = () => {
    const made = make();
    const registering = registerAtEpmd(made.parts, "127.0.0.1", epmdEntry("jsx", 0x15b3, true));
    registering.catch(() => {});
    return { ...made, registering };
  };

  it("registers byte for byte, takes the creation, and no longer keeps the process alive", async () => {
    const { registering, last, clock } = start();
    last().sink.connected();
    expect(last().sent).toEqual([REQUEST]);
    for (const octet of ALIVE) last().sink.bytes(Buffer.from([octet]));
    expect((await registering).creation).toBe(0x6b00d4d0);
    expect([last().keepAlive, last().destroyed, clock.pendingTimers]).toEqual([[false], 0, 0]);
  });

  it.each([
    [
      "a name that is taken",
      (sink: PlainSocketSink) => sink.bytes(Buffer.from("760100000063", "hex")),
      "ERR_CONFIG",
      "EPMD_NAME_TAKEN",
    ],
    [
      "a refused connection",
      (sink: PlainSocketSink) => sink.closed("ECONNREFUSED"),
      "ERR_UNREACHABLE",
      "EPMD_UNREACHABLE",
    ],
    [
      "a close without an answer",
      (sink: PlainSocketSink) => sink.closed(undefined),
      "ERR_UNREACHABLE",
      "EPMD_UNREACHABLE",
    ],
    [
      "garbage",
      (sink: PlainSocketSink) => sink.bytes(Buffer.from("HTTP")),
      "ERR_PEER_MISBEHAVED",
      "EPMD_UNKNOWN_ANSWER",
    ],
  ] as const)("fails with %s, and does not try again", async (_, act, code, reason) => {
    const { registering, last, clock, dialled } = start();
    act(last().sink);
    await expect(registering).rejects.toMatchObject({ code, reason });
    clock.advance(100_000);
    expect([dialled.length, clock.pendingTimers, last().destroyed > 0]).toEqual([1, 0, true]);
  });

  it("fails on silence after two seconds", async () => {
    const { registering, last, clock } = start();
    last().sink.connected();
    clock.advance(2_000);
    await expect(registering).rejects.toMatchObject({ reason: "EPMD_UNREACHABLE" });
    expect(last().destroyed).toBe(1);
  });

  it("registers again after a lost connection, with waits that grow to a bound and start anew after success", async () => {
    const { registering, last, clock, dialled } = start();
    last().sink.connected();
    last().sink.bytes(ALIVE);
    await registering;
    last().sink.closed("ECONNRESET");
    const waits: number[] = [];
    for (let i = 0; i < 9; i++) {
      const before = dialled.length;
      let ms = 0;
      for (; dialled.length === before && ms < 100_000; ms += 250) clock.advance(250);
      waits.push(ms);
      last().sink.closed("ECONNREFUSED");
    }
    expect(waits).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
    clock.advance(30_000);
    last().sink.connected();
    last().sink.bytes(ALIVE);
    last().sink.closed("ECONNRESET");
    const before = dialled.length;
    clock.advance(499);
    expect(dialled.length).toBe(before);
    clock.advance(1);
    expect(dialled.length).toBe(before + 1);
  });

  it.each(["registered", "waiting to try again", "trying again"] as const)("ends for good while %s", async (state) => {
    const { registering, last, clock, dialled } = start();
    last().sink.connected();
    last().sink.bytes(ALIVE);
    const registration = await registering;
    if (state !== "registered") last().sink.closed("ECONNRESET");
    if (state === "trying again") clock.advance(500);
    const before = dialled.length;
    await registration.close();
    if (state !== "waiting to try again") {
      expect(last().destroyed).toBeGreaterThan(0);
      last().sink.closed(undefined);
    }
    clock.advance(100_000);
    await microtasks();
    expect([dialled.length, clock.pendingTimers]).toEqual([before, 0]);
  });
});
