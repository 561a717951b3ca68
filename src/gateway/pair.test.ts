import { describe, expect, it } from "vitest";
import { OpenChallenges } from "../auth/otp-types.ts";
import { SallyportError } from "../base/errors.ts";
import { type NodeName, parseNodeName } from "../base/node-name.ts";
import type { Carrier, CarrierSink } from "../carrier/carrier.ts";
import type { MemoryOptions } from "../carrier/memory.ts";
import { createMemoryNetwork } from "../carrier/memory-network.ts";
import { DistConnection } from "../dist/connection.ts";
import { DEFAULT_DIST_LIMITS, type DistLimits } from "../dist/limits.ts";
import { RealCrypto } from "../system/real-crypto.ts";
import { encodeTerm } from "../term/encode.ts";
import { Pid } from "../term/types.ts";
import { End } from "../testkit/end.ts";
import { SeededRandom } from "../testkit/seeded-random.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import type { Control } from "../wire/control-types.ts";
import {
  ALIAS,
  DEFAULT_FLAGS,
  EXIT_PAYLOAD,
  FRAGMENTS,
  PUBLISHED,
  SEND_SENDER,
  SPAWN,
  UNICODE_IO,
} from "../wire/flags.ts";
import { Link, MAX_PAIRING_ATTEMPTS, type PairEvent } from "./link.ts";
import type { MessageFilter, PairFacts, Side } from "./message-filter.ts";
import type { Route } from "./route.ts";
import { DROP, pass, type Verdict, withPayload } from "./verdict.ts";

const OUT = parseNodeName("out@h");
const IN = parseNodeName("in@h");
const TICKS = { tickTimeMs: 60_000, tickIntensity: 4 };
const toInside: Control = { kind: "send", from: new Pid(OUT, 1, 0, 11), to: new Pid(IN, 2, 0, 22) };
const toOutside: Control = { kind: "send", from: new Pid(IN, 2, 0, 22), to: new Pid(OUT, 1, 0, 11) };

interface WorldOptions {
  readonly outCookie?: string;
  readonly inCookie?: string;
  readonly outFlags?: bigint;
  readonly inFlags?: bigint;
  readonly mask?: bigint;
  readonly judge?: (from: Side, control: Control) => Verdict | undefined;
  readonly isPressed?: (side: Side) => boolean;
  readonly limits?: Partial<DistLimits>;
  readonly memory?: Omit<MemoryOptions, "clock">;
  /** Far legs that may resume a TLS session do. */
  readonly resumes?: boolean;
}

/** A carrier whose TLS rests on an earlier session. */
function resumed(carrier: Carrier): Carrier {
  return new Proxy(carrier, {
    get(target, key) {
      if (key === "info") return () => ({ ...target.info(), resumption: "resumed" });
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** out@h, the gateway with a listener for each direction, and in@h. */
function world(options: WorldOptions = {}) {
  const clock = new VirtualClock();
  const network = createMemoryNetwork({ ...options.memory, clock });
  const crypto = new RealCrypto();
  const events: PairEvent[] = [];
  const facts: PairFacts[] = [];
  const over: string[] = [];
  const limits = { ...DEFAULT_DIST_LIMITS, ...options.limits };
  const toolsWith = (cookie: string, seed: number) => ({
    crypto,
    random: new SeededRandom(seed),
    openChallenges: new OpenChallenges(),
    cookieFor: () => Buffer.from(cookie),
  });
  const tools = { outside: toolsWith("outside-secret", 1), inside: toolsWith("inside-secret", 2) };
  const link = (from: Side, target: NodeName, dialler: NodeName, port: number): Link => {
    const route: Route = {
      from,
      target,
      mayDial: new Set([dialler]),
      mask: options.mask ?? DEFAULT_FLAGS,
      world: { clock, limits, ticks: TICKS, judgeCertificate: () => ({ matched: false, presented: [] }) },
      tools,
      filterFor(given): MessageFilter {
        facts.push(given);
        return {
          judge: (side, control, ...bytes) =>
            options.judge?.(side, control) ?? pass(control, bytes[0], bytes[1], bytes[2]),
          ended: () => void over.push("x"),
          ...(options.isPressed === undefined ? {} : { isPressed: options.isPressed }),
        };
      },
      dial: () => ({
        kind: "stream",
        make(sink, isFull) {
          const carrier = network.dial({ scheme: "tcp", host: target, port: 1 }, target, sink);
          return options.resumes === true && !isFull ? resumed(carrier) : carrier;
        },
      }),
    };
    const made = new Link(route, (event) => void events.push(event));
    network.listen("gate", port, made.accept);
    return made;
  };
  const inward = link("outside", IN, OUT, 1);
  const outward = link("inside", OUT, IN, 2);
  const end = (name: NodeName, side: Side, target?: NodeName) => {
    const it = new End();
    const cookie = (side === "outside" ? options.outCookie : options.inCookie) ?? `${side}-secret`;
    const flags = (side === "outside" ? options.outFlags : options.inFlags) ?? DEFAULT_FLAGS;
    const creation = side === "outside" ? 11 : 22;
    const own = { name, creation, flags };
    const connect = (make: (sink: CarrierSink) => ReturnType<typeof network.dial>): DistConnection => {
      it.connection = new DistConnection(
        { own, target, tools: toolsWith(cookie, 3), clock, limits: DEFAULT_DIST_LIMITS, ticks: TICKS },
        it,
        make,
      );
      return it.connection;
    };
    return { it, connect };
  };
  /** The next connection to that node is taken by the returned end. */
  const listener = (name: NodeName, side: Side): End => {
    const { it, connect } = end(name, side);
    network.listen(name, 1, (carrier) => connect(() => carrier));
    return it;
  };
  const dial = (name: NodeName, side: Side, target: NodeName): End => {
    const { it, connect } = end(name, side, target);
    connect((sink) => network.dial({ scheme: "tcp", host: "gate", port: side === "outside" ? 1 : 2 }, target, sink));
    return it;
  };
  return { clock, network, events, facts, over, inward, outward, listener, dial, end };
}

const refused = (w: ReturnType<typeof world>) =>
  w.events.map((event) => (event.kind === "up" ? "up" : `${event.kind} ${event.endedBy} ${event.error?.reason}`));

function pairUp(options: WorldOptions = {}) {
  const w = world(options);
  const inside = w.listener(IN, "inside");
  const outside = w.dial(OUT, "outside", IN);
  w.clock.runTurn();
  return { ...w, inside, outside };
}

describe("Pair", () => {
  it("shows each node the real name and creation of the other, hidden, with different cookies", () => {
    const { inside, outside, events, facts } = pairUp({
      outFlags: DEFAULT_FLAGS | PUBLISHED,
      inFlags: DEFAULT_FLAGS | PUBLISHED,
    });
    expect(outside.events).toEqual(["proven", "up in@h 22"]);
    expect(inside.events).toEqual(["claimed out@h 11", "proven", "up out@h 11"]);
    expect([inside.peer?.flags, outside.peer?.flags].map((flags) => (flags ?? 1n) & PUBLISHED)).toEqual([0n, 0n]);
    expect(events).toMatchObject([{ kind: "up", inside: IN, outside: OUT, dialledBy: "outside" }]);
    expect(facts).toMatchObject([
      { outside: { name: OUT, creation: 11 }, inside: { name: IN, creation: 22 }, dialledBy: "outside" },
    ]);
  });

  it("joins them the other way round when the inside node dials", () => {
    const w = world();
    const outside = w.listener(OUT, "outside");
    const inside = w.dial(IN, "inside", OUT);
    w.clock.runTurn();
    expect(outside.events).toEqual(["claimed in@h 22", "proven", "up in@h 22"]);
    expect(inside.events).toEqual(["proven", "up out@h 11"]);
    expect(w.facts).toMatchObject([{ outside: { name: OUT }, inside: { name: IN }, dialledBy: "inside" }]);
  });

  it("agrees on what both nodes and the mask have, the same on both legs", () => {
    const { inside, outside } = pairUp({ outFlags: DEFAULT_FLAGS & ~UNICODE_IO, mask: DEFAULT_FLAGS & ~FRAGMENTS });
    expect(inside.peer?.flags).toBe(outside.peer?.flags);
    expect((inside.peer?.flags ?? 0n) & (UNICODE_IO | FRAGMENTS)).toBe(0n);
  });

  it.each([DEFAULT_FLAGS, DEFAULT_FLAGS & ~FRAGMENTS])("forwards both ways with the mask %s", (mask) => {
    const { inside, outside, clock } = pairUp({ mask });
    const large = Buffer.alloc(3_000_000, 7);
    outside.connection.message(toInside, "hello");
    outside.connection.signal({ kind: "link", from: toInside.from as Pid, to: toInside.to });
    inside.connection.message(toOutside, large);
    clock.runTurn();
    expect(inside.got).toEqual(["hello", "signal"]);
    expect(large.equals(outside.got[0] as Buffer)).toBe(true);
  });

  it.each([
    ["before it has said a word", false],
    ["after it was asked for its proof", true],
  ])("dials the far node once more in full when a leg that resumed ends %s", (_, isAsked) => {
    const w = world({ resumes: true });
    const ends: End[] = [];
    w.network.listen(IN, 1, (carrier) => {
      const { it: inside, connect } = w.end(IN, "inside");
      const ending = ends.push(inside) === 1 ? (isAsked ? "proven" : "claimed") : undefined;
      if (ending !== undefined) inside[ending] = () => carrier.destroy();
      return connect(() => carrier);
    });
    const outside = w.dial(OUT, "outside", IN);
    w.clock.runTurn();
    expect([ends.length, outside.events]).toEqual([2, ["proven", "up in@h 22"]]);
    outside.connection.message(toInside, "hello");
    w.clock.runTurn();
    expect(ends[1]?.got).toEqual(["hello"]);
    expect(refused(w)).toEqual(["up"]);
  });

  it.each([
    [true, 2],
    [false, 1],
  ])("takes the word of a leg in full (one that resumed before: %s)", (resumes, dials) => {
    const w = world({ resumes });
    let count = 0;
    w.network.listen(IN, 1, (carrier) => {
      count++;
      const { it: inside, connect } = w.end(IN, "inside");
      inside.claimed = () => carrier.destroy();
      return connect(() => carrier);
    });
    w.dial(OUT, "outside", IN);
    w.clock.runTurn();
    expect(count).toBe(dials);
    expect(refused(w)).toEqual(["refused inside CONNECTION_RESET"]);
  });

  it("ends both legs when one node leaves, and forwards first what that had sent", () => {
    const { inside, outside, clock, events, over, inward } = pairUp();
    outside.connection.message(toInside, "last words");
    outside.connection.end();
    clock.runTurn();
    expect(inside.got).toEqual(["last words"]);
    expect(inside.events.at(-1)).toBe("down in order");
    expect(events.at(-1)).toMatchObject({ kind: "down", endedBy: "outside", dialler: OUT, target: IN });
    expect([over, inward.size]).toEqual([["x"], 0]);
  });

  it("ends both legs when the far node leaves", () => {
    const { inside, outside, clock } = pairUp();
    inside.connection.destroy(new SallyportError("ERR_CLOSED", "CLOSED", "gone"));
    clock.runTurn();
    expect(outside.events.at(-1)).toBe("down in order");
  });
});

describe("Pair, refusing", () => {
  it("says not_allowed to a name it was not told, and dials nobody", () => {
    const w = world();
    const inside = w.listener(IN, "inside");
    const stranger = w.dial(parseNodeName("out2@h"), "outside", IN);
    w.clock.runTurn();
    expect(stranger.events).toEqual(["down NOT_ALLOWED"]);
    expect(inside.events).toEqual([]);
    expect(refused(w)).toEqual(["refused outside NOT_PAIRED"]);
  });

  it.each([
    ["SEND_SENDER", SEND_SENDER],
    ["EXIT_PAYLOAD", EXIT_PAYLOAD],
    ["SPAWN", SPAWN],
    ["ALIAS", ALIAS],
  ])("joins nobody without %s, which the filter reckons with (HS-14)", (_, flag) => {
    const dialling = pairUp({ outFlags: DEFAULT_FLAGS & ~flag });
    expect(refused(dialling)).toEqual(["refused outside FLAGS_MISSING"]);
    expect(dialling.inside.events).toEqual([]);
    const dialled = pairUp({ inFlags: DEFAULT_FLAGS & ~flag });
    expect(refused(dialled)).toEqual(["refused outside FLAGS_MISSING"]);
    expect(dialled.outside.events.some((event) => event.startsWith("up"))).toBe(false);
    expect(dialled.facts).toEqual([]);
  });

  it("gives the inside node no proof when the outside one has a wrong cookie", () => {
    const w = pairUp({ outCookie: "wrong" });
    expect(refused(w)).toEqual(["refused outside SECRET_MISMATCH"]);
    expect(w.inside.events).toEqual(["claimed out@h 11", "down CLOSED_DURING_HANDSHAKE"]);
    expect(w.outside.events.some((event) => event.startsWith("up"))).toBe(false);
  });

  it("acknowledges nothing to the outside node when the inside one has a wrong cookie", () => {
    const w = pairUp({ inCookie: "wrong" });
    expect(refused(w)).toHaveLength(1);
    expect(w.inside.events).toEqual(["claimed out@h 11", "down SECRET_MISMATCH"]);
    // Nothing came after its proof, which is how a wrong cookie looks.
    expect(w.outside.events).toEqual(["down SECRET_MISMATCH"]);
  });

  it.each([
    ["nok", "OTHER_CONNECTION_WINS"],
    ["not_allowed", "NOT_ALLOWED"],
  ] as const)("relays %s", (answer, reason) => {
    const w = world();
    const inside = w.listener(IN, "inside");
    inside.claim = answer;
    const outside = w.dial(OUT, "outside", IN);
    w.clock.runTurn();
    expect(outside.events).toEqual([`down ${reason}`]);
    expect(refused(w)).toEqual([`refused inside ${reason}`]);
  });

  it.each(["ok_simultaneous", "alive"] as const)("relays %s and goes on", (answer) => {
    const w = world();
    const inside = w.listener(IN, "inside");
    inside.claim = answer;
    const outside = w.dial(OUT, "outside", IN);
    w.clock.runTurn();
    expect(outside.events).toEqual(["proven", "up in@h 22"]);
    expect(inside.events.at(-1)).toBe("up out@h 11");
  });

  it("ends both at one deadline, counted from the first byte of the dialling node", () => {
    const w = world({ limits: { maxHandshakeMs: 6_000 } });
    const inside = w.listener(IN, "inside");
    inside.claim = undefined;
    w.dial(OUT, "outside", IN);
    w.clock.runTurn();
    w.clock.advance(6_000);
    w.clock.runTurn();
    expect(refused(w)).toEqual(["refused outside HANDSHAKE_TIMEOUT"]);
    expect(inside.connection.isClosed).toBe(true);
    expect(w.inward.size).toBe(0);
  });

  it("ends the near leg when nothing answers at the far address", () => {
    const w = world();
    const outside = w.dial(OUT, "outside", IN);
    w.clock.runTurn();
    expect(outside.events).toEqual(["down CONNECTION_RESET"]);
    expect(refused(w)).toEqual(["refused inside PORT_CLOSED"]);
  });

  it("dials for so many attempts of one name and no more", () => {
    const w = world();
    const inside = w.listener(IN, "inside");
    inside.claim = undefined;
    for (let n = 0; n <= MAX_PAIRING_ATTEMPTS; n++) w.dial(OUT, "outside", IN);
    w.clock.runTurn();
    expect(inside.events).toHaveLength(MAX_PAIRING_ATTEMPTS);
    expect(refused(w)).toEqual(["refused outside PAIRING_ATTEMPTS_FULL"]);
    w.inward.close();
    w.clock.runTurn();
    expect(w.inward.size).toBe(0);
  });
});

describe("Pair, judged", () => {
  const judged = (verdict: Verdict) => {
    const w = pairUp({ judge: (from) => (from === "inside" ? verdict : undefined) });
    w.inside.connection.message(toOutside, "said");
    w.clock.runTurn();
    return w;
  };

  it("drops", () => {
    const { outside, inside } = judged(DROP);
    expect([outside.got, inside.got]).toEqual([[], []]);
  });

  it("answers the sender", () => {
    const payload = encodeTerm("no").subarray(1);
    const { outside, inside } = judged({ answer: withPayload(toInside, payload) });
    expect([outside.got, inside.got]).toEqual([[], ["no"]]);
  });

  it("forwards another message in place of it", () => {
    const buffer = encodeTerm("other");
    const { outside } = judged({ forward: { control: toOutside, buffer, start: 1, end: buffer.length } });
    expect(outside.got).toEqual(["other"]);
  });

  it("ends the pair", () => {
    const error = new SallyportError("ERR_DENIED", "NOT_PAIRED", "no");
    const w = judged({ close: error });
    expect(refused(w)).toEqual(["up", "down inside NOT_PAIRED"]);
    expect(w.outside.connection.isClosed).toBe(true);
  });
});

describe("Pair, congested", () => {
  it("does not read a leg whose messages the other does not take, and goes on when it does", () => {
    const w = pairUp({ limits: { congestedBytes: 10_000 }, memory: { highWaterBytes: 10_000 } });
    const piece = Buffer.alloc(50_000, 1);
    w.inside.connection.holdReading();
    for (let n = 0; n < 40; n++) {
      w.outside.connection.message(toInside, piece);
      w.clock.runTurn();
    }
    // What is left waits with the sender, not in the gateway.
    expect(w.outside.connection.waitingBytes).toBeGreaterThan(1_500_000);
    // Held for longer than its silence would be borne.
    w.clock.advance(40_000);
    w.clock.runTurn();
    w.inside.connection.releaseReading();
    w.clock.runTurn();
    expect(w.inside.got).toHaveLength(40);
    expect(w.outside.connection.waitingBytes).toBe(0);
  });

  it("ends both when a node ticks but never reads", () => {
    const w = pairUp({ limits: { congestedBytes: 10_000 }, memory: { highWaterBytes: 10_000 } });
    w.inside.connection.holdReading();
    for (let n = 0; n < 5; n++) w.outside.connection.message(toInside, Buffer.alloc(50_000, 1));
    for (let second = 0; second < 75; second++) {
      w.clock.advance(1_000);
      w.clock.runTurn();
    }
    expect(refused(w)).toEqual(["up", "down inside WRITE_STALLED"]);
    expect(w.outside.connection.isClosed).toBe(true);
  });

  it("does not read a leg that asks for more than the other answers, until it has answered or ten seconds are over", () => {
    let isPressed = false;
    const w = pairUp({ isPressed: (side) => isPressed && side === "outside" });
    const say = (from: "outside" | "inside") => {
      w[from].connection.message(from === "outside" ? toInside : toOutside, from);
      w.clock.runTurn();
    };
    isPressed = true;
    say("outside");
    say("outside");
    expect(w.inside.got).toHaveLength(1);
    isPressed = false;
    say("inside");
    w.clock.runTurn();
    expect([w.inside.got.length, w.outside.got.length]).toEqual([2, 1]);
    isPressed = true;
    say("outside");
    say("outside");
    expect(w.inside.got).toHaveLength(3);
    w.clock.advance(10_000);
    w.clock.runTurn();
    say("outside");
    expect(w.inside.got).toHaveLength(5);
  });
});
