import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { OpenChallenges } from "../auth/otp-types.ts";
import { SallyportError } from "../base/errors.ts";
import { type NodeName, parseNodeName } from "../base/node-name.ts";
import type { CarrierInfo, CarrierSink } from "../carrier/carrier.ts";
import { createMemoryPair, type MemoryCarrier, type MemoryOptions } from "../carrier/memory.ts";
import { RealCrypto } from "../system/real-crypto.ts";
import { encodeTerm } from "../term/encode.ts";
import { Pid, type Term } from "../term/types.ts";
import { SeededRandom } from "../testkit/seeded-random.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import type { Control } from "../wire/control-types.ts";
import { DEFAULT_FLAGS, FRAGMENTS } from "../wire/flags.ts";
import { decodeFromAcceptor, digestInput, encodeHandshake, prefixHandshake } from "../wire/handshake.ts";
import { DistConnection } from "./connection.ts";
import type { ConnectionParts } from "./connection-parts.ts";
import { DEFAULT_DIST_LIMITS } from "./limits.ts";
import type { ClaimAnswer, DistSink, PeerClaim, ProvenPeer } from "./sink.ts";
import { DEFAULT_TICK_OPTIONS } from "./tick.ts";

const A = parseNodeName("a@h");
const B = parseNodeName("b@h");
const SEND: Control = { kind: "send", from: new Pid(A, 1, 0, 7), to: new Pid(B, 2, 0, 7) };
const BACK: Control = { kind: "send", from: new Pid(B, 2, 0, 7), to: new Pid(A, 1, 0, 7) };

/** A sink that writes down what it hears, and answers at once unless told otherwise. */
class Recorder implements DistSink {
  trustAsked(): void {}
  arbitrationAsked(): void {}
  commitAsked(): void {}
  readonly events: string[] = [];
  readonly payloads: Term[] = [];
  connection: DistConnection | undefined;
  answer: ClaimAnswer | undefined = "ok";
  admits = true;
  cause: SallyportError | undefined;
  onUp: () => void = () => {};
  onMessage: () => void = () => {};
  onSecured: () => void = () => {};
  turns = 0;
  secured(info: CarrierInfo): void {
    this.events.push(`secured ${info.transport}`);
    this.onSecured();
  }
  claimed(claim: PeerClaim): void {
    this.events.push(`claimed ${claim.name}`);
    if (this.answer !== undefined) this.connection?.answerClaim(this.answer);
  }
  proven(peer: ProvenPeer): void {
    this.events.push(`proven ${peer.name} ${peer.role}`);
    if (this.admits) this.connection?.admit();
  }
  up(peer: ProvenPeer): void {
    this.events.push(`up ${peer.name}`);
    this.onUp();
  }
  readonly wanted = (): boolean => true;
  readonly refused = (): void => {};
  message(_control: Control, buffer: Buffer, start: number, end: number): void {
    if (this.turns !== 1) throw new Error("a message outside of a turn");
    this.payloads.push(end > start ? this.connection?.terms.decodeAt(buffer, start, end) : undefined);
    this.onMessage();
  }
  strayPong(): void {}
  turnStarted(): void {
    this.turns++;
  }
  turnEnded(): void {
    this.turns--;
  }
  drained(): void {
    this.events.push("drained");
  }
  down(cause: SallyportError | undefined): void {
    this.cause = cause;
    this.events.push(`down ${cause === undefined ? "in order" : `${cause.code} ${cause.reason}`}`);
  }
  get downs(): string[] {
    return this.events.filter((event) => event.startsWith("down"));
  }
}

interface SideOptions {
  readonly flags?: bigint;
  readonly cookie?: string;
  readonly limits?: Partial<ConnectionParts["limits"]>;
  readonly ticks?: Partial<ConnectionParts["ticks"]>;
}

function partsOf(
  clock: VirtualClock,
  name: NodeName,
  target: NodeName | undefined,
  seed: number,
  options: SideOptions = {},
) {
  const challenges = new OpenChallenges();
  const open = new Set<number>();
  const tracked = Object.assign(challenges, {
    add: (n: number) => void open.add(n),
    remove: (n: number) => void open.delete(n),
  });
  const parts: ConnectionParts = {
    own: { name, creation: 7, flags: options.flags ?? DEFAULT_FLAGS },
    target,
    tools: {
      crypto: new RealCrypto(),
      random: new SeededRandom(seed),
      openChallenges: tracked,
      cookieFor: () => Buffer.from(options.cookie ?? "secret"),
    },
    clock,
    limits: { ...DEFAULT_DIST_LIMITS, ...options.limits },
    ticks: { ...DEFAULT_TICK_OPTIONS, ...options.ticks },
  };
  return { parts, open };
}

/** Two connections that talk to each other. */
function pairOf(options: { a?: SideOptions; b?: SideOptions; memory?: Omit<MemoryOptions, "clock"> } = {}) {
  const clock = new VirtualClock();
  const pair = createMemoryPair({ ...options.memory, clock });
  const [a, b] = [new Recorder(), new Recorder()];
  const one = partsOf(clock, A, B, 1, options.a);
  const two = partsOf(clock, B, undefined, 2, options.b);
  const sinks: CarrierSink[] = [];
  const make = (carrier: MemoryCarrier) => (sink: CarrierSink) => {
    sinks.push(sink);
    return carrier;
  };
  a.connection = new DistConnection(one.parts, a, make(pair.first));
  b.connection = new DistConnection(two.parts, b, make(pair.second));
  pair.connect(sinks[0]!, sinks[1]!);
  return {
    clock,
    a,
    b,
    first: pair.first,
    second: pair.second,
    ca: a.connection,
    cb: b.connection,
    openA: one.open,
    openB: two.open,
  };
}

/** One connection and the bare bytes at its other end. */
function bareOf(role: "initiator" | "acceptor", options: SideOptions = {}, memory: Omit<MemoryOptions, "clock"> = {}) {
  const clock = new VirtualClock();
  const pair = createMemoryPair({ ...memory, clock });
  const sink = new Recorder();
  const { parts, open } = partsOf(clock, A, role === "initiator" ? B : undefined, 1, options);
  let carrierSink: CarrierSink | undefined;
  sink.connection = new DistConnection(parts, sink, (given) => {
    carrierSink = given;
    return pair.first;
  });
  const got: Buffer[] = [];
  const heard: string[] = [];
  const connect = () => {
    pair.connect(carrierSink!, {
      opened: () => {},
      bytes: (_, chunk) => got.push(chunk),
      drained: () => {},
      closed: () => heard.push("closed"),
    });
    clock.runTurn();
  };
  const write = (bytes: Buffer) => {
    pair.second.write(0, bytes);
    clock.runTurn();
  };
  return {
    clock,
    sink,
    connection: sink.connection,
    open,
    connect,
    write,
    got,
    heard,
    peer: pair.second,
    carrier: pair.first,
  };
}

const framed = (message: Parameters<typeof encodeHandshake>[0]) => prefixHandshake(encodeHandshake(message), 4);
const NAME = framed({ kind: "send-name", flags: DEFAULT_FLAGS, creation: 7, name: B });
const digest = (challenge: number) => new RealCrypto().md5(digestInput(Buffer.from("secret"), challenge));
const TICK = Buffer.alloc(4);

/** A bare peer that has brought the accepting connection up. */
function bareUp(options: SideOptions = {}, flags: bigint = DEFAULT_FLAGS) {
  const bare = bareOf("acceptor", options);
  bare.connect();
  bare.write(framed({ kind: "send-name", flags, creation: 7, name: B }));
  const challenge = decodeFromAcceptor(bare.got[0]!, 4 + 3 + 4, bare.got[0]!.length);
  if (challenge.kind !== "challenge") throw new Error("no challenge");
  bare.write(framed({ kind: "challenge-reply", challenge: 5, digest: digest(challenge.challenge) }));
  expect(bare.connection.isUp).toBe(true);
  bare.got.length = 0;
  return bare;
}

describe("two connections", () => {
  it.each([{ transport: "memory" }, { transport: "tcp" }] as const)("bring a session up over $transport", (info) => {
    const { clock, a, b, ca, cb, openB } = pairOf({ memory: { first: info, second: info } });
    clock.runTurn();
    expect(a.events).toEqual([`secured ${info.transport}`, "proven b@h initiator", "up b@h"]);
    expect(b.events).toEqual([`secured ${info.transport}`, "claimed a@h", "proven a@h acceptor", "up a@h"]);
    expect([ca.isUp, cb.isUp, ca.peer?.name, cb.peer?.name]).toEqual([true, true, "b@h", "a@h"]);
    expect(openB.size).toBe(0);
  });

  it("exchange messages in order however the bytes are cut, from the very chunk that ends the handshake on", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 31 }), fc.constantFrom("memory", "tcp"), (seed, transport) => {
        const random = new SeededRandom(seed);
        const split = (bytes: Buffer) => {
          const chunks: Buffer[] = [];
          for (let at = 0; at < bytes.length; ) {
            const size = 1 + random.below(at > 300 ? 30_000 : 12);
            chunks.push(bytes.subarray(at, at + size));
            at += size;
          }
          return chunks;
        };
        const { clock, a, b, ca, cb } = pairOf({
          memory: { split, first: { transport: transport as "tcp" }, second: { transport: transport as "tcp" } },
        });
        const payloads = [1, "x", Buffer.alloc(500, 1), Buffer.alloc(70_000, 2), [1, 2, 3]];
        b.onUp = () => {
          for (const payload of payloads) cb.message(BACK, payload);
        };
        a.onUp = () => {
          for (const payload of payloads) ca.message(SEND, payload);
        };
        for (let i = 0; i < 4; i++) clock.runTurn();
        const expected = [1, Buffer.from("x"), Buffer.alloc(500, 1), Buffer.alloc(70_000, 2), [1, 2, 3]];
        expect(encodeTerm(a.payloads).equals(encodeTerm(expected))).toBe(true);
        expect(encodeTerm(b.payloads).equals(encodeTerm(expected))).toBe(true);
      }),
      { numRuns: 25 },
    );
  });

  it("take frames in the same chunk as the acknowledgement", () => {
    const chunks: number[] = [];
    const split = (bytes: Buffer) => {
      chunks.push(bytes.length);
      return [bytes];
    };
    const { clock, a, b, cb, first } = pairOf({ memory: { split } });
    b.onUp = () => {
      first.pause();
      cb.message(BACK, 42);
    };
    clock.runTurn();
    expect(a.events).toEqual(["secured memory"]);
    first.resume();
    clock.runTurn();
    expect(a.payloads).toEqual([42]);
    // name, status and challenge, reply, and then everything else at once.
    expect(chunks).toHaveLength(4);
  });

  it("agree that a cookie is wrong on either side", () => {
    const { clock, a, b, openB } = pairOf({ a: { cookie: "other" } });
    clock.runTurn();
    expect(b.downs).toEqual(["down ERR_DENIED SECRET_MISMATCH"]);
    expect(a.downs).toEqual(["down ERR_DENIED SECRET_MISMATCH"]);
    expect(openB.size).toBe(0);
  });

  it("wait for a late answer to the claim and a late admission", () => {
    const { clock, a, b, cb } = pairOf();
    b.answer = undefined;
    b.admits = false;
    clock.advance(3_000);
    expect(b.events).toEqual(["secured memory", "claimed a@h"]);
    cb.answerClaim("ok");
    clock.advance(3_000);
    expect(a.events).toEqual(["secured memory"]);
    cb.admit();
    clock.runTurn();
    expect([a.events.at(-1), b.events.at(-1)]).toEqual(["up b@h", "up a@h"]);
  });

  it.each([
    ["nok", "ERR_CLOSED OTHER_CONNECTION_WINS", "ERR_CLOSED OTHER_CONNECTION_WINS"],
    ["not_allowed", "ERR_DENIED NOT_ALLOWED", "ERR_DENIED NOT_ALLOWED"],
  ] as const)("both end after %s", (answer, ours, theirs) => {
    const { clock, a, b } = pairOf();
    b.answer = answer;
    clock.runTurn();
    expect([a.downs, b.downs]).toEqual([[`down ${ours}`], [`down ${theirs}`]]);
  });

  it("refuse a claim with not_allowed and keep the cause to themselves", () => {
    const { clock, a, b, cb } = pairOf();
    b.answer = undefined;
    clock.runTurn();
    cb.refuseClaim(new SallyportError("ERR_DENIED", "CERT_NAME_MISMATCH", "x"));
    clock.runTurn();
    expect([a.downs, b.downs]).toEqual([["down ERR_DENIED NOT_ALLOWED"], ["down ERR_DENIED CERT_NAME_MISMATCH"]]);
  });

  it("end in order: what waits arrives first", () => {
    const { clock, a, b, ca } = pairOf();
    clock.runTurn();
    ca.message(SEND, 1);
    ca.message(SEND, Buffer.alloc(3_000_000, 2));
    ca.end();
    ca.end();
    clock.runTurn();
    expect(b.payloads[0]).toBe(1);
    expect([a.downs, b.downs]).toEqual([["down in order"], ["down in order"]]);
  });

  it("say congested, and drained once it is over", () => {
    const { clock, a, b, ca, second } = pairOf({ a: { limits: { congestedBytes: 100_000 } } });
    clock.runTurn();
    second.pause();
    expect(ca.message(SEND, Buffer.alloc(600_000))).toBe(false);
    clock.runTurn();
    expect(ca.congested).toBe(true);
    expect(ca.waitingBytes).toBeGreaterThan(500_000);
    second.resume();
    clock.runTurn();
    expect([ca.congested, ca.waitingBytes, b.payloads.length]).toEqual([false, 0, 1]);
    expect(a.events.filter((event) => event === "drained")).toEqual(["drained"]);
  });
});

describe("a connection's deadlines", () => {
  it("ends when TLS does not finish in time", () => {
    const { clock, sink, connection } = bareOf("initiator");
    clock.advance(4_999);
    expect(connection.isClosed).toBe(false);
    clock.advance(1);
    expect(sink.events).toEqual(["down ERR_DEADLINE HANDSHAKE_TIMEOUT"]);
    expect(sink.cause).toMatchObject({ stage: "tls", peer: B, detail: { ms: 5_000 } });
    expect(clock.pendingTimers).toBe(0);
  });

  it("counts the handshake from the start of the connection, and bytes that dribble in do not extend it", () => {
    const { clock, sink, connect, write } = bareOf("acceptor");
    clock.advance(4_000);
    connect();
    for (let i = 0; i < 5; i++) {
      clock.advance(1_000);
      write(NAME.subarray(i, i + 1));
    }
    clock.advance(999);
    expect(sink.downs).toEqual([]);
    clock.advance(1);
    expect(sink.downs).toEqual(["down ERR_DEADLINE HANDSHAKE_TIMEOUT"]);
    expect(sink.cause).toMatchObject({ stage: "session", detail: { ms: 10_000 } });
  });

  it.each(["claim", "admission"] as const)("also runs while the %s waits for our own answer", (what) => {
    const { clock, sink, connect, write, got, open } = bareOf("acceptor");
    if (what === "claim") sink.answer = undefined;
    sink.admits = false;
    connect();
    write(NAME);
    if (what === "admission") {
      const challenge = decodeFromAcceptor(got[0]!, 11, got[0]!.length);
      if (challenge.kind !== "challenge") throw new Error("no challenge");
      write(framed({ kind: "challenge-reply", challenge: 5, digest: digest(challenge.challenge) }));
      expect(sink.events.at(-1)).toBe("proven b@h acceptor");
    }
    clock.advance(10_000);
    expect(sink.downs).toEqual(["down ERR_DEADLINE HANDSHAKE_TIMEOUT"]);
    expect(open.size).toBe(0);
  });

  it("ends a session whose peer has been silent for five quarters of the tick time", () => {
    const { clock, sink } = bareUp();
    clock.advance(74_999);
    expect(sink.downs).toEqual([]);
    clock.advance(7_501);
    expect(sink.downs).toEqual(["down ERR_CLOSED PEER_SILENT"]);
  });

  it("takes any byte for life", () => {
    const { clock, sink, write } = bareUp();
    for (let i = 0; i < 10; i++) {
      clock.advance(60_000);
      write(TICK);
    }
    expect(sink.downs).toEqual([]);
  });

  it("ends a session whose peer ticks but takes no byte", () => {
    const { clock, sink, connection, write, peer } = bareUp();
    peer.pause();
    connection.message(BACK, Buffer.alloc(100));
    let ms = 0;
    for (; sink.downs.length === 0 && ms < 200_000; ms += 5_000) {
      write(TICK);
      clock.advance(5_000);
    }
    expect(sink.downs).toEqual(["down ERR_CLOSED WRITE_STALLED"]);
    expect(ms).toBeGreaterThanOrEqual(60_000);
    expect(ms).toBeLessThanOrEqual(75_000);
  });

  it("sends a tick only when it has written nothing for a quarter of the tick time", () => {
    const { clock, connection, write, got } = bareUp();
    const ticks = () => got.splice(0).filter((chunk) => chunk.equals(TICK)).length;
    for (let i = 0; i < 20; i++) {
      connection.message(BACK, i);
      write(TICK);
      clock.advance(10_000);
    }
    expect(ticks()).toBe(0);
    for (let i = 0; i < 20; i++) {
      write(TICK);
      clock.advance(15_000);
    }
    const count = ticks();
    expect(count).toBeGreaterThanOrEqual(13);
    expect(count).toBeLessThanOrEqual(20);
  });

  it.each([
    [DEFAULT_FLAGS, 30_000],
    [DEFAULT_FLAGS & ~FRAGMENTS, 300_000],
  ])("ends a session whose peer drips one frame for too long (flags %s)", (flags, maxMs) => {
    const { clock, sink, write } = bareUp({}, flags);
    write(Buffer.from([0, 0, 16, 0]));
    let ms = 0;
    for (; sink.downs.length === 0 && ms < 2 * maxMs; ms += 5_000) {
      write(Buffer.from([1]));
      clock.advance(5_000);
    }
    expect(sink.downs).toEqual(["down ERR_PEER_MISBEHAVED FRAME_TOO_SLOW"]);
    expect(ms).toBeGreaterThan(maxMs);
    expect(ms).toBeLessThanOrEqual(maxMs + 10_000);
  });

  it("does not mind frames that end, however many straddle the chunks", () => {
    const { clock, sink, write } = bareUp();
    write(TICK.subarray(0, 2));
    for (let i = 0; i < 100; i++) {
      clock.advance(5_000);
      write(TICK); // the end of one tick and the beginning of the next
    }
    expect(sink.downs).toEqual([]);
  });
});

describe("what may not come yet", () => {
  it("ends at an empty frame in the handshake", () => {
    const { sink, connect, write } = bareOf("acceptor");
    connect();
    write(TICK);
    expect(sink.downs).toEqual(["down ERR_PEER_MISBEHAVED FRAME_TOO_EARLY"]);
  });

  it("ends at a frame between proof and admission", () => {
    const { sink, connect, write, got } = bareOf("acceptor");
    sink.admits = false;
    connect();
    write(NAME);
    const challenge = decodeFromAcceptor(got[0]!, 11, got[0]!.length);
    if (challenge.kind !== "challenge") throw new Error("no challenge");
    const reply = framed({ kind: "challenge-reply", challenge: 5, digest: digest(challenge.challenge) });
    write(Buffer.concat([reply, NAME]));
    expect(sink.downs).toEqual(["down ERR_PEER_MISBEHAVED FRAME_TOO_EARLY"]);
    expect(sink.events).not.toContain("up b@h");
  });

  it("refuses a handshake message beyond its bound by its length alone", () => {
    const { sink, connect, write } = bareOf("acceptor");
    connect();
    write(Buffer.from([0, 0, 16, 1]));
    expect(sink.downs).toEqual(["down ERR_PEER_INCOMPATIBLE NOT_A_DIST_PEER"]);
  });

  it("does not send before the session is up or after it", () => {
    const closed = expect.objectContaining({ code: "ERR_CLOSED", reason: "SESSION_CLOSED" });
    const { connection, connect } = bareOf("initiator");
    const calls = () => [
      () => connection.message(SEND, 1),
      () => connection.signal({ kind: "link", from: new Pid(A, 1, 0, 7), to: new Pid(B, 1, 0, 7) }),
      () => connection.encoded(SEND, Buffer.from([97, 1]), 0, 2),
      () => connection.terms,
    ];
    for (const call of calls()) expect(call).toThrow(closed);
    connect();
    for (const call of calls()) expect(call).toThrow(closed);
    connection.destroy(new SallyportError("ERR_CLOSED", "X", "x"));
    for (const call of calls()) expect(call).toThrow(closed);
  });
});

describe("the end of a connection", () => {
  const states = ["securing", "handshake", "admitting", "up"] as const;
  const endings = {
    "the peer's reset": ({ peer }: Bare) => peer.destroy(),
    "the peer's close in order": ({ peer }: Bare) => peer.end(),
    "our own end": ({ connection }: Bare) => connection.end(),
    "our own destroy": ({ connection }: Bare) => connection.destroy(new SallyportError("ERR_CLOSED", "X", "x")),
    "bytes that are none of the protocol": ({ write }: Bare) => write(Buffer.from("GET / HTTP/1.1\r\n\r\n")),
    time: ({ clock }: Bare) => clock.advance(100_000),
  };
  type Bare = ReturnType<typeof bareOf>;
  const cases = states.flatMap((state) =>
    Object.keys(endings).map((ending) => [state, ending as keyof typeof endings] as const),
  );

  it.each(cases)("in %s by %s is told exactly once and leaves nothing behind", (state, ending) => {
    const bare = state === "up" ? bareUp() : bareOf("acceptor");
    const { sink, clock, connection, open, carrier } = bare;
    if (state === "admitting") sink.admits = false;
    if (state === "handshake" || state === "admitting") {
      bare.connect();
      bare.write(NAME);
      expect(open.size).toBe(1);
    }
    if (state === "admitting") {
      const challenge = decodeFromAcceptor(bare.got[0]!, 11, bare.got[0]!.length);
      if (challenge.kind !== "challenge") throw new Error("no challenge");
      bare.write(framed({ kind: "challenge-reply", challenge: 5, digest: digest(challenge.challenge) }));
    }
    if (state === "securing" && ending.startsWith("bytes")) return; // a carrier gives no bytes before it is open
    endings[ending](bare);
    if (state === "securing") bare.connect();
    clock.advance(1);
    expect(sink.downs).toHaveLength(1);
    expect([connection.isClosed, connection.isUp]).toEqual([true, false]);
    expect([open.size, clock.pendingTimers, sink.turns]).toEqual([0, 0, 0]);
    const heard = sink.events.length;
    connection.end();
    connection.destroy(new SallyportError("ERR_CLOSED", "Y", "y"));
    connection.answerClaim("ok");
    connection.admit();
    connection.opened(carrier.info());
    connection.bytes(0, NAME);
    connection.drained();
    connection.closed(undefined);
    clock.advance(200_000);
    expect(sink.events).toHaveLength(heard);
    expect(bare.heard.length).toBeLessThanOrEqual(1);
  });

  it("by an error of the owner closes this connection alone and names it a bug", () => {
    const [one, two] = [pairOf(), pairOf()];
    for (const { clock } of [one, two]) clock.runTurn();
    const bug = new TypeError("x is not a function");
    one.b.onMessage = () => {
      throw bug;
    };
    one.ca.message(SEND, 1);
    one.ca.message(SEND, 2);
    two.ca.message(SEND, 3);
    for (const { clock } of [one, two]) clock.runTurn();
    expect(one.b.downs).toEqual(["down ERR_INTERNAL CONNECTION_BUG"]);
    expect(one.b.cause?.cause).toBe(bug);
    expect([one.b.payloads, one.b.turns]).toEqual([[1], 0]);
    expect([two.b.payloads, two.b.downs]).toEqual([[3], []]);
  });

  it.each(["onSecured", "onUp"] as const)("by an error in %s closes it, too", (hook) => {
    const { clock, b } = pairOf();
    b[hook] = () => {
      throw new SallyportError("ERR_DENIED", "CERT_EXPIRED", "x");
    };
    clock.runTurn();
    expect(b.downs).toEqual(["down ERR_DENIED CERT_EXPIRED"]);
  });

  it("takes no frame of the chunk in work any more", () => {
    const { clock, a, b, ca, cb } = pairOf();
    clock.runTurn();
    b.onMessage = () => cb.destroy(new SallyportError("ERR_CLOSED", "X", "x"));
    for (let i = 0; i < 5; i++) ca.message(SEND, i);
    clock.runTurn();
    expect(b.payloads).toEqual([0]);
    expect([a.downs.length, b.downs.length]).toEqual([1, 1]);
  });

  it("says cookie when the acceptor closes right after our reply, and only then", () => {
    const early = bareOf("initiator");
    early.connect();
    early.peer.end();
    early.clock.runTurn();
    expect(early.sink.downs).toEqual(["down ERR_CLOSED CLOSED_DURING_HANDSHAKE"]);
    const late = bareOf("initiator");
    late.connect();
    late.write(framed({ kind: "status", status: "ok" }));
    late.write(framed({ kind: "challenge", flags: DEFAULT_FLAGS, challenge: 3, creation: 7, name: B }));
    late.peer.end();
    late.clock.runTurn();
    expect(late.sink.downs).toEqual(["down ERR_DENIED SECRET_MISMATCH"]);
  });
});
