import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { MonotonicMs } from "../base/clock.ts";
import { encodeTerm } from "../term/encode.ts";
import { Atom, Pid, Reference, type Term, Tuple } from "../term/types.ts";
import type { Control } from "../wire/control-types.ts";
import { Deframer } from "../wire/deframer.ts";
import type { FrameStyle } from "../wire/flags.ts";
import { DEFAULT_DIST_LIMITS } from "./limits.ts";
import { Receiver } from "./receive.ts";
import { Sender, type SenderOptions } from "./send.ts";

const KIB = 1024;
const pid = (id: number) => new Pid("a@h", id, 0, 9);
const remote = (id: number) => new Pid("b@h", id, 0, 5);
const send = (from: number, to: number): Control => ({ kind: "send", from: pid(from), to: remote(to) });
const refOf = (n: number) => new Reference("a@h", 9, [n, 2, 3]);
const big = (size: number, fill = 1) => Buffer.alloc(size, fill);
/** A large term that is not a large binary: nothing of it is spliced. */
const longList = (length: number): Term => Array.from({ length }, (_, i) => 1000 + i);

/** A sender whose bytes a test takes out as it likes, and a receiver that reads them as the peer would. */
function rig(options: Partial<SenderOptions> = {}, autoLeave = true) {
  const all: SenderOptions = {
    header: true,
    fragments: true,
    exitPayload: true,
    congestedBytes: 1024 * KIB,
    maxQueuedBytes: 16 * 1024 * KIB,
    ...options,
  };
  const writes: Buffer[] = [];
  const raw: Uint8Array[] = [];
  let pending = 0;
  const state = { flushes: 0 };
  const sender = new Sender(
    {
      write(bytes) {
        raw.push(bytes);
        writes.push(Buffer.from(bytes));
        if (!autoLeave) pending += bytes.length;
      },
      pendingBytes: () => pending,
      needFlush: () => void state.flushes++,
    },
    all,
  );
  const messages: { readonly control: Control; readonly payload: Term; readonly hasPayload: boolean }[] = [];
  const log: string[] = [];
  const style: FrameStyle = all.header ? "header" : "pass-through";
  const receiver: Receiver = new Receiver(style, DEFAULT_DIST_LIMITS, {
    wanted: () => true,
    refused: () => {},
    message(control, buffer, start, end) {
      const hasPayload = end > start;
      const payload = hasPayload ? receiver.terms.decodeAt(buffer, start, end) : undefined;
      messages.push({ control, payload, hasPayload });
      log.push(`${control.kind}:${describePayload(payload)}`);
    },
  });
  const deframer = new Deframer({ prefix: 4, maxFrameBytes: 64 * 1024 * KIB });
  const frames: string[] = [];
  const read = () => {
    for (const bytes of writes.splice(0)) {
      deframer.receive(bytes, {
        frame(buffer, start, end) {
          frames.push(buffer[start + 1] === 0x45 ? "first" : buffer[start + 1] === 0x46 ? "next" : "whole");
          receiver.frame(buffer, start, end, 0 as MonotonicMs);
        },
        tick() {
          frames.push("tick");
          log.push("tick");
        },
      });
    }
    return messages;
  };
  return {
    sender,
    writes,
    raw,
    read,
    log,
    frames,
    state,
    /** The system takes everything that was written. */
    leave: () => {
      pending = 0;
      return sender.relieved();
    },
    setPending: (bytes: number) => {
      pending = bytes;
    },
    whole: () => deframer.partialBytes === 0,
  };
}

function describePayload(payload: Term): string {
  if (payload instanceof Uint8Array) return `${payload.length}x${payload[0] ?? ""}`;
  if (Array.isArray(payload)) return `list${payload.length}`;
  if (payload instanceof Atom) return payload.name;
  return String(payload);
}

describe("Sender, small messages", () => {
  it("collects a turn's messages in one write and asks for one flush", () => {
    const { sender, writes, state, read } = rig();
    for (let i = 0; i < 100; i++) expect(sender.message(send(1, 2), i)).toBe(true);
    sender.signal({ kind: "link", from: pid(1), to: remote(2) });
    expect([writes.length, state.flushes]).toEqual([0, 1]);
    sender.flush();
    expect(writes).toHaveLength(1);
    expect(read().map((message) => message.payload)).toEqual([...Array(100).keys(), undefined]);
    sender.message(send(1, 2), 1);
    expect(state.flushes).toBe(2);
  });

  it("does not write when there is nothing", () => {
    const { sender, writes } = rig();
    sender.flush();
    expect(writes).toEqual([]);
  });

  it("hands over early what has become much", () => {
    const { sender, writes } = rig();
    for (let i = 0; i < 20; i++) sender.message(send(1, 2), big(10 * KIB));
    expect(writes.length).toBeGreaterThan(1);
    expect(sender.waitingBytes).toBeLessThan(80 * KIB);
  });

  it.each([true, false])("encodes every kind of message so that the peer reads the same (header %s)", (header) => {
    const { sender, read } = rig({ header, fragments: header });
    const controls: Control[] = [
      { kind: "link", from: pid(1), to: remote(2) },
      { kind: "unlink-id", id: 2n ** 40n, from: pid(1), to: remote(2) },
      { kind: "monitor", from: pid(1), target: "srv", ref: refOf(1) },
      { kind: "demonitor", from: pid(1), target: remote(2), ref: refOf(1) },
      { kind: "spawn-reply", ref: new Reference("b@h", 5, [1, 2, 3]), to: remote(2), flags: 3, result: pid(9) },
    ];
    for (const control of controls) sender.signal(control);
    const withPayload: Control[] = [
      send(1, 2),
      { kind: "reg-send", from: pid(1), name: "srv" },
      { kind: "alias-send", from: pid(1), alias: new Reference("b@h", 5, [7, 8, 9, 10, 11]) },
      { kind: "exit", from: pid(1), to: remote(2), reason: "payload" },
      { kind: "exit2", from: pid(1), to: remote(2), reason: "payload" },
      { kind: "monitor-exit", target: "srv", to: remote(2), ref: refOf(4), reason: "payload" },
    ];
    const payload = new Tuple([new Atom("x"), 2n ** 70n, [1, 2.5]]);
    for (const control of withPayload) sender.message(control, payload);
    sender.flush();
    const got = read();
    expect(got.map((message) => message.control)).toEqual([...controls, ...withPayload]);
    for (const message of got.slice(controls.length)) expect(message.payload).toEqual(payload);
  });

  it("writes the pass-through style of a session without header and fragments byte for byte (section 10, V7)", () => {
    const { sender, writes } = rig({ header: false, fragments: false });
    sender.message(
      { kind: "reg-send", from: new Pid("a27@127.0.0.1", 0x58, 0, 0x6b00d47b), name: "srv" },
      new Atom("hi"),
    );
    sender.flush();
    expect(writes[0]?.toString("hex")).toBe(
      "0000002e70836804610658770d613237403132372e302e302e3100000058000000006b00d47b770077037372768377026869",
    );
  });

  it("sends what is encoded already as it is", () => {
    const { sender, read } = rig();
    const encoded = encodeTerm([1, 2, 3]);
    sender.encoded(
      send(1, 2),
      Buffer.concat([Buffer.from("zz"), encoded.subarray(1), Buffer.from("z")]),
      2,
      encoded.length + 1,
    );
    sender.flush();
    expect(read()[0]?.payload).toEqual([1, 2, 3]);
  });
});

describe("Sender, what cannot be sent", () => {
  it.each([true, false])(
    "leaves no trace of a payload that is no term, also after a large binary in it (header %s)",
    (header) => {
      const { sender, read, whole } = rig({ header, fragments: header });
      sender.message(send(1, 2), "before");
      for (const bad of [() => 1, [big(200 * KIB), Symbol("x")], new Tuple([{ plain: 1 } as unknown as Term])]) {
        expect(() => sender.message(send(1, 2), bad as unknown as Term)).toThrow(
          expect.objectContaining({ code: "ERR_API_MISUSE", reason: "TERM_UNENCODABLE" }),
        );
      }
      expect(() => sender.message({ kind: "reg-send", from: pid(1), name: "n".repeat(300) }, 1)).toThrow();
      sender.message(send(1, 2), "after");
      sender.flush();
      expect(read().map((message) => String(message.payload))).toEqual(["before", "after"]);
      expect(whole()).toBe(true);
    },
  );

  it("refuses what would fill the queue beyond its bound, and goes on", () => {
    const { sender, read, leave, whole } = rig({ maxQueuedBytes: 300 * KIB }, false);
    sender.message(send(1, 2), big(250 * KIB));
    for (const payload of [big(250 * KIB), longList(60_000)]) {
      expect(() => sender.message(send(1, 2), payload)).toThrow(
        expect.objectContaining({ code: "ERR_LIMIT", reason: "SEND_QUEUE_FULL" }),
      );
    }
    sender.message(send(3, 4), "small, another pair");
    sender.message(send(1, 2), "small, same pair");
    sender.flush();
    leave();
    expect(read()).toHaveLength(3);
    expect(whole()).toBe(true);
    sender.message(send(1, 2), big(250 * KIB));
    sender.flush();
    leave();
    expect(read()).toHaveLength(4);
  });

  it("refuses small messages too once the bound is passed, and takes them again later", () => {
    const { sender, read, leave } = rig({ maxQueuedBytes: 200 * KIB }, false);
    let sent = 0;
    const fill = () => {
      for (; sent < 100_000; sent++) sender.message(send(1, 2), big(KIB));
    };
    expect(fill).toThrow(expect.objectContaining({ code: "ERR_LIMIT", reason: "SEND_QUEUE_FULL" }));
    expect(sent).toBeGreaterThan(100);
    expect(sent).toBeLessThan(300);
    sender.flush();
    leave();
    expect(read()).toHaveLength(sent);
    expect(sender.message(send(1, 2), "x")).toBe(true);
  });

  it("refuses small messages once the bound is passed, however little each turn sends", () => {
    const { sender, leave } = rig({ maxQueuedBytes: 200 * KIB }, false);
    let sent = 0;
    expect(() => {
      for (; sent < 1_000; sent++) {
        sender.message(send(1, 2), big(KIB));
        sender.flush();
      }
    }).toThrow(expect.objectContaining({ code: "ERR_LIMIT", reason: "SEND_QUEUE_FULL" }));
    expect(sent).toBeLessThan(205);
    leave();
    expect(sender.message(send(1, 2), "x")).toBe(true);
  });

  it("refuses small messages that wait behind a large one when they are too many", () => {
    const { sender, read, leave, setPending } = rig({ maxQueuedBytes: 300 * KIB }, false);
    setPending(290 * KIB);
    sender.message(send(7, 8), "goes ahead");
    setPending(0);
    sender.message(send(1, 2), big(250 * KIB));
    let behind = 0;
    expect(() => {
      for (; behind < 1000; behind++) sender.message(send(1, 2), big(KIB, 2));
    }).toThrow(expect.objectContaining({ reason: "SEND_QUEUE_FULL" }));
    sender.flush();
    leave();
    expect(read()).toHaveLength(2 + behind);
  });
});

describe("Sender, large messages", () => {
  it("cuts a large message, binary or not, and the peer puts it together", () => {
    const { sender, read, frames } = rig();
    const list = longList(50_000);
    const mixed = new Tuple([new Atom("m"), big(70 * KIB, 3), "between", big(64 * KIB, 4), [big(100, 5)]]);
    sender.message(send(1, 2), big(200 * KIB));
    sender.message(send(1, 2), list);
    sender.message(send(1, 2), mixed);
    sender.flush();
    const got = read();
    expect(frames.filter((frame) => frame === "whole")).toEqual([]);
    expect(frames.filter((frame) => frame === "first")).toHaveLength(3);
    const payloads = got.map((message) => message.payload);
    expect(encodeTerm(payloads).equals(encodeTerm([big(200 * KIB), list, mixed]))).toBe(true);
  });

  it("sends a large message whole where fragments were not agreed on", () => {
    for (const header of [true, false]) {
      const { sender, read, frames } = rig({ header, fragments: false });
      const mixed = [big(70 * KIB, 3), 1, big(80 * KIB, 4), longList(30_000)];
      sender.message(send(1, 2), 1);
      sender.message(send(1, 2), mixed);
      sender.message(send(1, 2), 2);
      sender.flush();
      const got = read().map((message) => message.payload);
      expect(encodeTerm(got).equals(encodeTerm([1, mixed, 2]))).toBe(true);
      expect(frames).toEqual(["whole", "whole", "whole"]);
    }
  });

  it("does not copy large binaries, with and without fragments", () => {
    for (const fragments of [true, false]) {
      const { sender, raw } = rig({ fragments });
      const binary = big(300 * KIB, 7);
      sender.message(send(1, 2), [binary]);
      sender.flush();
      const shared = raw.filter((bytes) => bytes.buffer === binary.buffer);
      expect(shared.reduce((sum, bytes) => sum + bytes.length, 0)).toBe(300 * KIB);
    }
  });

  it("lets a small message and a tick of others go between the fragments", () => {
    const { sender, read, log, leave, frames } = rig({}, false);
    sender.message(send(1, 2), big(2000 * KIB));
    sender.flush();
    sender.message(send(3, 4), "small");
    sender.flush();
    sender.tick();
    while (sender.waitingBytes > 0) leave();
    read();
    expect(log).toEqual(["send:5x115", "tick", `send:${2000 * KIB}x1`]);
    expect(frames.indexOf("tick")).toBeLessThan(10);
    expect(frames.length).toBeGreaterThan(30);
  });

  it("puts a bounded number of bytes ahead of what the system has taken", () => {
    const { sender, writes } = rig({}, false);
    sender.message(send(1, 2), big(2000 * KIB));
    sender.flush();
    const ahead = writes.reduce((sum, bytes) => sum + bytes.length, 0);
    expect(ahead).toBeGreaterThan(200 * KIB);
    expect(ahead).toBeLessThan(400 * KIB);
  });

  it("takes large messages of several pairs in turn", () => {
    const { sender, read, log, leave } = rig({}, false);
    sender.message(send(1, 2), big(3000 * KIB, 1));
    sender.message(send(3, 4), big(300 * KIB, 2));
    sender.flush();
    while (sender.waitingBytes > 0) leave();
    read();
    expect(log).toEqual([`send:${300 * KIB}x2`, `send:${3000 * KIB}x1`]);
  });

  it("sends up to 96 KiB in one frame, and cuts what is larger", () => {
    const { sender, writes } = rig();
    const tags = (payload: Term): number[] => {
      writes.length = 0;
      sender.message(send(1, 2), payload);
      sender.flush();
      return writes.map((bytes) => bytes[5] ?? 0).filter((tag) => tag === 0x44 || tag === 0x45);
    };
    // A binary's own five bytes count.
    expect(tags(big(64 * KIB))).toEqual([0x44]);
    expect(tags(big(96 * KIB - 5))).toEqual([0x44]);
    expect(tags(big(96 * KIB - 4))).toEqual([0x45]);
  });

  it("uses a fresh non-zero sequence id for each", () => {
    const { sender, writes } = rig();
    sender.message(send(1, 2), big(120 * KIB));
    sender.message(send(3, 4), big(120 * KIB));
    sender.flush();
    const ids = writes.filter((bytes) => bytes[5] === 0x45).map((bytes) => bytes.readBigUInt64BE(6));
    expect(new Set(ids).size).toBe(2);
    expect(ids).not.toContain(0n);
  });
});

describe("Sender, order of one sender and one target", () => {
  const exit2 = (from: number, to: number): Control => ({
    kind: "exit2",
    from: pid(from),
    to: remote(to),
    reason: "payload",
  });
  const tagged = (tag: number, size: number): Term => new Tuple([tag, big(size)]);

  it("keeps small behind large, large behind large, and signals behind both", () => {
    const { sender, read, leave } = rig({}, false);
    sender.message(send(1, 2), tagged(0, 900 * KIB));
    sender.message(send(1, 2), tagged(1, 10));
    sender.message(send(1, 2), tagged(2, 500 * KIB));
    sender.message(send(1, 2), tagged(3, 10));
    sender.signal({ kind: "link", from: pid(1), to: remote(2) });
    sender.message(exit2(1, 2), tagged(4, 10));
    sender.flush();
    while (sender.waitingBytes > 0) leave();
    const got = read();
    expect(
      got.map(({ control, payload }) => [control.kind, payload instanceof Tuple ? payload.elements[0] : null]),
    ).toEqual([
      ["send", 0],
      ["send", 1],
      ["send", 2],
      ["send", 3],
      ["link", null],
      ["exit2", 4],
    ]);
  });

  it("keeps a signal behind the large message of its own target when a shorter one to another target came later", () => {
    const { sender, read, leave, log } = rig({}, false);
    sender.message(send(1, 2), big(3000 * KIB, 1));
    sender.message(send(1, 3), big(120 * KIB, 2));
    sender.message(exit2(1, 2), new Atom("bye"));
    sender.flush();
    while (sender.waitingBytes > 0) leave();
    read();
    expect(log.indexOf("exit2:bye")).toBeGreaterThan(log.indexOf(`send:${3000 * KIB}x1`));
  });

  it("keeps a message behind a signal to the same target while a large message to another one is on its way", () => {
    const { sender, read, leave, log } = rig({}, false);
    sender.message(send(1, 3), big(3000 * KIB, 1));
    sender.signal({ kind: "link", from: pid(1), to: remote(2) });
    sender.message(send(1, 2), new Atom("after"));
    sender.message(send(1, 2), big(120 * KIB, 2));
    sender.flush();
    while (sender.waitingBytes > 0) leave();
    read();
    const order = ["link:undefined", "send:after", `send:${120 * KIB}x2`].map((entry) => log.indexOf(entry));
    expect(order).not.toContain(-1);
    expect(order).toEqual([...order].sort((a, b) => a - b));
  });

  it.each([
    ["by the process itself", send(1, 2), pid(1)],
    [
      "by alias, when the watcher named the process",
      { kind: "alias-send", from: pid(1), alias: new Reference("b@h", 5, [1, 2, 3]) },
      "srv",
    ],
  ] as const)("keeps the DOWN of a process behind the last large message it sent %s", (_, control, target) => {
    const { sender, read, leave, log } = rig({}, false);
    sender.message(control, big(1000 * KIB, 1));
    const ref = new Reference("b@h", 5, [1, 2, 3]);
    sender.message({ kind: "monitor-exit", target, to: remote(2), ref, reason: "payload" }, new Atom("normal"));
    sender.message(
      { kind: "monitor-exit", target: pid(8), to: remote(2), ref: refOf(7), reason: "payload" },
      new Atom("other"),
    );
    sender.flush();
    while (sender.waitingBytes > 0) leave();
    read();
    expect(log).toEqual(["monitor-exit:other", `${control.kind}:${1000 * KIB}x1`, "monitor-exit:normal"]);
  });

  it("does not make a call to one process wait for a large message to another", () => {
    const { sender, read, leave, log } = rig({}, false);
    sender.message(send(1, 2), big(2000 * KIB, 1));
    sender.signal({ kind: "monitor", from: pid(1), target: "srv", ref: refOf(1) });
    sender.message({ kind: "reg-send", from: pid(1), name: "srv" }, new Atom("call"));
    sender.flush();
    while (sender.waitingBytes > 0) leave();
    read();
    expect(log).toEqual(["monitor:undefined", "reg-send:call", `send:${2000 * KIB}x1`]);
  });

  it("holds for any mix of senders, targets, kinds, sizes and moments at which bytes leave", () => {
    const step = fc.record({
      from: fc.integer({ min: 1, max: 2 }),
      to: fc.integer({ min: 1, max: 3 }),
      kind: fc.constantFrom("send", "send", "send", "exit2", "link", "monitor"),
      size: fc.constantFrom(10, 10, 70 * KIB, 120 * KIB, 300 * KIB),
      next: fc.constantFrom("nothing", "nothing", "flush", "leave", "tick"),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 25 }), (steps) => {
        const { sender, read, leave, whole } = rig({ maxQueuedBytes: 1 << 30 }, false);
        const expected = new Map<string, number[]>();
        const got = new Map<string, number[]>();
        steps.forEach(({ from, to, kind, size, next }, n) => {
          const key = `${from}>${to}`;
          expected.set(key, [...(expected.get(key) ?? []), n]);
          if (kind === "send") sender.message(send(from, to), tagged(n, size));
          else if (kind === "exit2") sender.message(exit2(from, to), tagged(n, size));
          else if (kind === "link")
            sender.signal({ kind: "unlink-id", id: BigInt(n + 1), from: pid(from), to: remote(to) });
          else sender.signal({ kind: "monitor", from: pid(from), target: remote(to), ref: refOf(n) });
          if (next === "flush") sender.flush();
          else if (next === "leave") leave();
          else if (next === "tick") sender.tick();
        });
        sender.flush();
        for (let i = 0; i < 1000 && sender.waitingBytes > 0; i++) leave();
        for (const { control, payload } of read()) {
          let key = "";
          let n = -1;
          if (control.kind === "send" || control.kind === "exit2") {
            key = `${control.from?.id}>${control.to.id}`;
            n = payload instanceof Tuple ? (payload.elements[0] as number) : -1;
          } else if (control.kind === "unlink-id") {
            key = `${control.from.id}>${control.to.id}`;
            n = Number(control.id) - 1;
          } else if (control.kind === "monitor" && control.target instanceof Pid) {
            key = `${control.from.id}>${control.target.id}`;
            n = control.ref.words[0] ?? -1;
          }
          got.set(key, [...(got.get(key) ?? []), n]);
        }
        expect(whole()).toBe(true);
        for (const [key, order] of expected) expect([key, got.get(key)]).toEqual([key, order]);
      }),
      { numRuns: 60 },
    );
  }, 20_000);
});

describe("Sender, congestion", () => {
  it("answers false above the mark, stays so until relieved, and tells it once", () => {
    const { sender, leave, setPending } = rig({ congestedBytes: 100 * KIB }, false);
    expect(sender.message(send(1, 2), big(150 * KIB))).toBe(false);
    sender.flush();
    expect(sender.congested).toBe(true);
    expect(sender.message(send(3, 4), 1)).toBe(false);
    setPending(101 * KIB);
    expect(sender.relieved()).toBe(false);
    sender.flush();
    expect(leave()).toBe(true);
    expect(sender.congested).toBe(false);
    expect(leave()).toBe(false);
    expect(sender.message(send(3, 4), 1)).toBe(true);
  });

  it("counts small messages at the flush, too", () => {
    const { sender, leave } = rig({ congestedBytes: 10 * KIB }, false);
    for (let i = 0; i < 20; i++) sender.message(send(1, 2), big(KIB));
    sender.flush();
    expect(sender.congested).toBe(true);
    expect(leave()).toBe(true);
  });

  it("counts to zero when everything has left", () => {
    const { sender, leave } = rig({}, false);
    sender.message(send(1, 2), big(900 * KIB));
    sender.message(send(1, 2), 1);
    expect(sender.waitingBytes).toBeGreaterThan(900 * KIB);
    sender.flush();
    while (sender.waitingBytes > 0) leave();
    expect(sender.waitingBytes).toBe(0);
  });
});
