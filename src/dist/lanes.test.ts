import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type NodeName, parseNodeName } from "../base/node-name.ts";
import { Pid, Reference, type Term } from "../term/types.ts";
import type { Control } from "../wire/control-types.ts";
import { LaneBudget, LaneReader } from "./lane-reader.ts";
import { LANES, LaneRouter, MAX_ALIAS_LANES, NEEDS_MORE } from "./lane-routing.ts";
import { LaneWriter } from "./lane-writer.ts";
import { Sender } from "./send.ts";

const A: NodeName = parseNodeName("a@h");
const B: NodeName = parseNodeName("b@h");
const mine = (id: number): Pid => new Pid(A, id, 0, 7);
const theirs = (id: number): Pid => new Pid(B, id, 0, 7);
const ref = (n: number): Reference => new Reference(B, 7, [n, 2, 3]);

/** What a sender writes for these messages, in the pieces in which it writes them. */
function sent(messages: readonly (readonly [Control, Term?])[], header = true): Buffer[] {
  const pieces: Buffer[] = [];
  const sender = new Sender(
    { write: (bytes) => void pieces.push(Buffer.from(bytes)), pendingBytes: () => 0, needFlush: () => {} },
    { header, fragments: header, exitPayload: header, congestedBytes: 1e9, maxQueuedBytes: 1e9 },
  );
  for (const [control, payload] of messages) {
    if (payload === undefined) sender.signal(control);
    else sender.message(control, payload);
  }
  sender.flush();
  return pieces;
}

/** Bytes by lane, ticks as lane -1. */
function lanesOf(pieces: readonly Buffer[], router = new LaneRouter()): Map<number, Buffer> {
  const lanes = new Map<number, Buffer>();
  const add = (lane: number, bytes: Uint8Array): void =>
    void lanes.set(lane, Buffer.concat([lanes.get(lane) ?? Buffer.alloc(0), bytes]));
  const writer = new LaneWriter(router, { tick: () => add(-1, Buffer.alloc(4)), lane: add });
  for (const piece of pieces) writer.write(piece);
  return lanes;
}

/** The lane of one message. */
function laneOf(control: Control, payload?: Term, router?: LaneRouter): number {
  const [lane = -2, ...others] = lanesOf(sent([[control, payload]]), router).keys();
  expect(others).toEqual([]);
  return lane;
}

const OF_ONE_PROCESS: readonly (readonly [string, Control, Term | undefined])[] = [
  ["a message to a pid", { kind: "send", from: mine(5), to: theirs(1) }, 1],
  ["a message to another pid", { kind: "send", from: mine(5), to: theirs(2) }, 1],
  ["a message to a name", { kind: "reg-send", from: mine(5), name: "echo" }, 1],
  ["an answer by alias", { kind: "alias-send", from: mine(5), alias: ref(1) }, 1],
  ["a link", { kind: "link", from: mine(5), to: theirs(1) }, undefined],
  ["an unlink", { kind: "unlink-id", id: 9n, from: mine(5), to: theirs(1) }, undefined],
  ["an acknowledged unlink", { kind: "unlink-id-ack", id: 300n, from: mine(5), to: theirs(1) }, undefined],
  ["a monitor of a name", { kind: "monitor", from: mine(5), target: "echo", ref: ref(2) }, undefined],
  ["its end", { kind: "exit", from: mine(5), to: theirs(1), reason: "payload" }, 1],
  [
    "its end, watched by pid",
    { kind: "monitor-exit", target: mine(5), to: theirs(1), ref: ref(2), reason: "payload" },
    1,
  ],
  [
    "a spawn",
    {
      kind: "spawn-request",
      ref: ref(3),
      from: mine(5),
      groupLeader: mine(6),
      module: "m",
      function: "f",
      arity: 1,
      options: [],
    },
    [1],
  ],
  ["news of its own birth", { kind: "spawn-reply", ref: ref(4), to: theirs(1), flags: 0, result: mine(5) }, undefined],
];

describe("the lane of a message", () => {
  it.each(OF_ONE_PROCESS)("is that of the process which sends %s", (_, control, payload) => {
    expect(laneOf(control, payload)).toBe(laneOf({ kind: "send", from: mine(5), to: theirs(1) }, 1));
  });

  it("differs from process to process", () => {
    const lanes = new Set(
      Array.from({ length: 64 }, (_, i) => laneOf({ kind: "send", from: mine(i), to: theirs(1) }, 1)),
    );
    expect(lanes.size).toBeGreaterThan(LANES / 2);
    expect([...lanes].every((lane) => lane >= 0 && lane < LANES)).toBe(true);
  });

  it("is that of the last answer by the alias, for the DOWN of a process that was watched by name", () => {
    const router = new LaneRouter();
    const down: Control = { kind: "monitor-exit", target: "server", to: theirs(1), ref: ref(1), reason: "payload" };
    const alone = laneOf(down, 1, router);
    const answers = Array.from({ length: 8 }, (_, i) => mine(i + 1));
    for (const from of answers) {
      const lane = laneOf({ kind: "alias-send", from, alias: ref(1) }, 1, router);
      expect(laneOf(down, 1, router)).toBe(lane);
    }
    for (let i = 0; i < MAX_ALIAS_LANES; i++) {
      laneOf({ kind: "alias-send", from: mine(1), alias: ref(100 + i) }, 1, router);
    }
    expect(laneOf(down, 1, router)).toBe(alone);
  });

  it("is kept by the fragments of a large message, and forgotten after the last", () => {
    const router = new LaneRouter();
    const large = Buffer.alloc(200_000, 1);
    const pieces = sent([[{ kind: "send", from: mine(5), to: theirs(1) }, large]]);
    const lanes = lanesOf(pieces, router);
    expect([...lanes.keys()]).toEqual([laneOf({ kind: "send", from: mine(5), to: theirs(1) }, 1)]);
    expect(router.openSequences).toBe(0);
    const first = new LaneRouter();
    const frame = Buffer.concat(pieces);
    first.laneOf(frame, 4, 4 + frame.readUInt32BE(0), true);
    expect(first.openSequences).toBe(1);
  });

  it("is the first for what cannot be read, and unknown while its control message is cut", () => {
    const router = new LaneRouter();
    const [frame = Buffer.alloc(0)] = sent([[{ kind: "send", from: mine(5), to: theirs(1) }, 1]]);
    const body = frame.subarray(4);
    expect(router.laneOf(body, 0, 20, false)).toBe(NEEDS_MORE);
    expect(router.laneOf(body, 0, 20, true)).toBe(0);
    expect(router.laneOf(Buffer.from([9, 9, 9]), 0, 3, true)).toBe(0);
    expect(router.laneOf(Buffer.alloc(0), 0, 0, true)).toBe(0);
  });
});

describe("frames on lanes", () => {
  const messages = fc.array(
    fc.tuple(fc.integer({ min: 1, max: 6 }), fc.oneof(fc.string(), fc.constant(Buffer.alloc(150_000, 3)))),
    { maxLength: 12 },
  );

  it("are the same however the bytes from above are cut, in both styles", () => {
    fc.assert(
      fc.property(messages, fc.boolean(), fc.array(fc.nat(), { maxLength: 20 }), (list, header, cuts) => {
        const pieces = sent(
          list.map(([id, payload]) => [{ kind: "send", from: mine(id), to: theirs(1) }, payload]),
          header,
        );
        const all = Buffer.concat([...pieces, Buffer.alloc(4)]);
        const places = [...new Set(cuts.map((cut) => cut % (all.length + 1)))].sort((a, b) => a - b);
        const cut = [0, ...places].map((from, i) => all.subarray(from, places[i] ?? all.length));
        const [whole, apart] = [lanesOf([all]), lanesOf(cut)];
        expect([...apart.keys()].sort()).toEqual([...whole.keys()].sort());
        for (const [lane, bytes] of whole) expect(apart.get(lane)?.equals(bytes)).toBe(true);
        expect(whole.get(-1)).toHaveLength(4);
      }),
      { numRuns: 40 },
    );
  });

  it("come out of their streams as they went in, however those are cut", () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 3000 }), { maxLength: 10 }),
        fc.array(fc.nat(), { maxLength: 20 }),
        (bodies, cuts) => {
          const frames = bodies.map((body) => {
            const frame = Buffer.alloc(4 + body.length);
            frame.writeUInt32BE(body.length, 0);
            frame.set(body, 4);
            return frame;
          });
          const all = Buffer.concat(frames);
          const budget = new LaneBudget(1e6);
          const reader = new LaneReader(budget, 10_000);
          const up: Buffer[] = [];
          const places = [...new Set(cuts.map((cut) => cut % (all.length + 1)))].sort((a, b) => a - b);
          for (const [i, from] of [0, ...places].entries()) {
            reader.receive(all.subarray(from, places[i] ?? all.length), (bytes) => void up.push(Buffer.from(bytes)));
            expect(budget.bytes).toBe(reader.partialBytes);
            // Whole frames only: what went up ends where a frame ends.
            let at = 0;
            const joined = Buffer.concat(up);
            while (at < joined.length) at += 4 + joined.readUInt32BE(at);
            expect(at).toBe(joined.length);
          }
          expect(Buffer.concat(up).equals(all)).toBe(true);
          expect(budget.bytes).toBe(0);
        },
      ),
    );
  });
});
