import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeBarrel } from "../auth/barrel-codec.ts";
import { SallyportError } from "../base/errors.ts";
import { parseNodeName } from "../base/node-name.ts";
import type { ChannelId } from "../carrier/carrier.ts";
import { atom, Pid, type Term, type Tuple, tuple } from "../term/types.ts";
import { type BarrelSideEnd, createBarrelPair } from "../testkit/barrel-pair.ts";
import { type Exchange, type Recorded, Replay, replay } from "../testkit/barrel-replay.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import type { Control } from "../wire/control-types.ts";
import { DEFAULT_FLAGS, DIST_HDR_ATOM_CACHE, FRAGMENTS } from "../wire/flags.ts";

const file = new URL("../../test/fixtures/barrel/exchanges.json", import.meta.url);
const recorded: { readonly exchanges: readonly Exchange[] } = JSON.parse(readFileSync(file, "utf8"));
const A = parseNodeName("a@h");
const B = parseNodeName("b@h");
const send = (id: number, to: number): Control => ({
  kind: "send",
  from: new Pid(A, id, 0, 7),
  to: new Pid(B, to, 0, 7),
});

function lastEvent(end: BarrelSideEnd): string | undefined {
  return end.events.at(-1);
}

describe("two nodes over a barrel link", () => {
  it("come up hidden from each other's handshake, with what the keys proved", () => {
    const { clock, dialler, listener } = createBarrelPair();
    clock.advance(0);
    expect([dialler.events, listener.events]).toEqual([
      ["proven", "up b@h 7"],
      ["claimed a@h 7", "proven", "up a@h 7"],
    ]);
    expect(dialler.peer?.info.proven).toMatchObject({ protocol: "barrel", name: B, assurance: "pinned" });
    expect(listener.peer?.info.proven).toMatchObject({ protocol: "barrel", name: A, assurance: "cookie" });
    expect(dialler.attempts).toEqual([{ role: "outgoing", outcome: "ok", durationMs: 0 }]);
    expect(listener.attempts).toEqual([{ role: "incoming", outcome: "ok", durationMs: 0 }]);
  });

  it.each([DEFAULT_FLAGS, DEFAULT_FLAGS & ~FRAGMENTS])("exchange messages small and large with flags %s", (flags) => {
    const { clock, dialler, listener } = createBarrelPair({ dialler: { flags }, listener: { flags } });
    clock.advance(0);
    const large = Buffer.alloc(300_000, 7);
    for (let i = 1; i <= 20; i++) dialler.connection.message(send(i, 1), `small ${i}`);
    dialler.connection.message(send(3, 1), large);
    dialler.connection.message(send(3, 1), "after the large one");
    listener.connection.message({ kind: "send", from: new Pid(B, 1, 0, 7), to: new Pid(A, 3, 0, 7) }, large);
    clock.advance(0);
    expect(listener.got).toHaveLength(22);
    const isLarge = (term: Term | undefined): boolean => Buffer.isBuffer(term) && term.equals(large);
    expect(listener.got.filter(isLarge)).toHaveLength(1);
    expect(listener.got.indexOf("after the large one")).toBeGreaterThan(listener.got.findIndex(isLarge));
    expect(dialler.got.map(isLarge)).toEqual([true]);
    expect([lastEvent(dialler), lastEvent(listener)]).toEqual(["up b@h 7", "up a@h 7"]);
  });

  it("come up and talk wherever the bytes of the streams are cut", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.boolean(), (size, isLarge) => {
        const split = (bytes: Buffer): Buffer[] => {
          const pieces: Buffer[] = [];
          const step = bytes.length > 10_000 ? size * 997 : size;
          for (let at = 0; at < bytes.length; at += step) pieces.push(bytes.subarray(at, at + step));
          return pieces;
        };
        const { clock, dialler, listener } = createBarrelPair({ memory: { split } });
        clock.advance(0);
        for (let i = 1; i <= 5; i++) dialler.connection.message(send(i, 1), `small ${i}`);
        dialler.connection.message(send(1, 1), isLarge ? Buffer.alloc(200_000, 1) : "last");
        clock.advance(0);
        expect(listener.got).toHaveLength(6);
        expect(lastEvent(listener)).toBe("up a@h 7");
      }),
      { numRuns: 12 },
    );
  });

  it("keep the order of what one process sends, over all lanes", () => {
    const { clock, memory, dialler, listener } = createBarrelPair();
    clock.advance(0);
    // The streams are handed over in no order that the sender could count on.
    const chunks: [ChannelId, Buffer][] = [];
    const link = listener.link;
    const take = link.bytes.bind(link);
    link.bytes = (channel, chunk) => void chunks.push([channel, chunk]);
    for (let i = 0; i < 200; i++) dialler.connection.message(send((i % 10) + 1, 1), tuple((i % 10) + 1, i));
    clock.advance(0);
    const lanes = new Set(chunks.map(([channel]) => channel));
    expect(lanes.size).toBeGreaterThan(3);
    expect([...lanes].every((channel) => channel % 4 === 0 && channel >= 4 && channel <= 64)).toBe(true);
    for (const channel of [...lanes].reverse()) {
      for (const [from, chunk] of chunks) if (from === channel) take(channel, chunk);
    }
    const last = new Map<unknown, number>();
    for (const term of listener.got) {
      const [process, i] = (term as Tuple).elements as [number, number];
      expect(i).toBeGreaterThan(last.get(process) ?? -1);
      last.set(process, i);
    }
    expect(listener.got).toHaveLength(200);
    expect(memory.accepted.pendingBytes()).toBe(0);
  });

  it("tick on the control stream and live on it", () => {
    const { clock, dialler, listener } = createBarrelPair();
    clock.advance(0);
    const heard: ChannelId[] = [];
    const take = listener.link.bytes.bind(listener.link);
    listener.link.bytes = (channel, chunk) => {
      heard.push(channel);
      take(channel, chunk);
    };
    clock.advance(10 * 60_000);
    expect(heard.length).toBeGreaterThan(20);
    expect(new Set(heard)).toEqual(new Set([0]));
    expect([lastEvent(dialler), lastEvent(listener)]).toEqual(["up b@h 7", "up a@h 7"]);
    expect(listener.link.strayControlBytes).toBe(0);
  });

  it.each([
    [true, "up a@h 7"],
    [false, "down PEER_SILENT"],
  ])("live on the packets of a peer that sends nothing else: %s", (hasPackets, end) => {
    const { clock, listener } = createBarrelPair();
    clock.advance(0);
    // An Erlang node sends no tick where its QUIC has sent an ACK.
    listener.link.bytes = () => undefined;
    for (let i = 0; i < 300; i++) {
      clock.advance(1000);
      if (hasPackets) listener.link.heard();
    }
    expect(lastEvent(listener)).toBe(end);
  });

  it("end in good order when one of them does", () => {
    const { clock, dialler, listener } = createBarrelPair();
    clock.advance(0);
    dialler.connection.message(send(1, 1), "last words");
    dialler.connection.end();
    clock.advance(0);
    expect(listener.got).toEqual(["last words"]);
    expect([lastEvent(dialler), lastEvent(listener)]).toEqual(["down in order", "down in order"]);
    expect([dialler.connection.isGone, listener.connection.isGone]).toEqual([true, true]);
  });

  it("are refused by what they may not have: another cookie, another ALPN, a cache of atoms", () => {
    const cookie = createBarrelPair({ listener: { cookie: "another" } });
    cookie.clock.advance(0);
    expect([lastEvent(cookie.dialler), lastEvent(cookie.listener)]).toEqual([
      "down SECRET_MISMATCH",
      "down SECRET_MISMATCH",
    ]);
    const alpn = createBarrelPair({ memory: { dialled: { alpn: undefined } } });
    alpn.clock.advance(0);
    expect(lastEvent(alpn.dialler)).toBe("down BARREL_ALPN");
    const cache = createBarrelPair({ dialler: { flags: DEFAULT_FLAGS | DIST_HDR_ATOM_CACHE } });
    cache.clock.advance(0);
    expect(lastEvent(cache.dialler)).toBe("down BARREL_ATOM_CACHE");
  });

  it("say on both sides that a key is not trusted", () => {
    const error = new SallyportError("ERR_DENIED", "KEY_UNTRUSTED", "no");
    const pair = createBarrelPair();
    pair.listener.trust = { kind: "refused", error };
    pair.clock.advance(0);
    expect(lastEvent(pair.listener)).toBe("down KEY_UNTRUSTED");
    expect(lastEvent(pair.dialler)).toBe("down REFUSED_BY_PEER");
    expect(pair.dialler.attempts).toEqual([{ role: "outgoing", outcome: "fail", durationMs: 0 }]);
  });

  it("wait for a trust that is decided later", () => {
    const { clock, dialler, listener } = createBarrelPair();
    dialler.trust = "later";
    listener.trust = "later";
    clock.advance(10);
    expect([dialler.link.stateKind, listener.link.stateKind]).toEqual(["authenticating", "authenticating"]);
    listener.link.answerTrust({ kind: "granted", assurance: "tofu" });
    clock.advance(10);
    dialler.link.answerTrust({ kind: "granted", assurance: "tofu" });
    clock.advance(10);
    expect([lastEvent(dialler), lastEvent(listener)]).toEqual(["up b@h 7", "up a@h 7"]);
  });

  it("name what they waited for when it does not come", () => {
    const tls = createBarrelPair({ memory: { clock: new VirtualClock() } });
    tls.clock.advance(5_000);
    expect(lastEvent(tls.dialler)).toBe("down HANDSHAKE_TIMEOUT");
    const { clock, dialler, listener } = createBarrelPair();
    listener.trust = "later";
    // A dialling side a moment before the dial that it serves, which can name no step.
    clock.advance(9_899);
    expect(dialler.events).toEqual([]);
    clock.advance(1);
    expect([lastEvent(dialler), lastEvent(listener)]).toEqual([
      "down HANDSHAKE_TIMEOUT",
      "down CLOSED_DURING_HANDSHAKE",
    ]);
    expect([dialler.attempts[0]?.outcome, listener.attempts[0]?.outcome]).toEqual(["fail", "fail"]);
  });
});

const said = (role: string, list: readonly Recorded[]): string[] =>
  list.filter((r) => r.from === role).map((r) => r.hex);

const byOctet = (bytes: Buffer): Buffer[] => [...bytes].map((octet) => Buffer.from([octet]));

describe.each(recorded.exchanges.map((exchange) => [exchange.name, exchange] as const))(
  "the record of %s",
  (_, exchange) => {
    it.each(["dialler", "listener"] as const)("is followed byte for byte by our %s, up to the session", (role) => {
      const run = replay(exchange, role);
      const [ownAuth] = role === "dialler" ? [2] : [3];
      expect(run.on(ownAuth ?? -1)).toBe(said(role, exchange.frames).join(""));
      expect(run.ended).toEqual([ownAuth]);
      // Each handshake message alone, without a length before it, and flushed before the next.
      expect(run.control.slice(0, run.control.lastIndexOf("flush") + 1)).toEqual(
        said(role, exchange.handshake).flatMap((text) => [text, "flush"]),
      );
      expect(run.on(0)).toBe(said(role, exchange.handshake).join(""));
      expect(run.last).toMatch(/^up /);
    });

    it.each(["dialler", "listener"] as const)("is followed by our %s with ticks anywhere, octet by octet", (role) => {
      const run = replay(exchange, role, {
        split: byOctet,
        before: (r) => void r.say(0, "0000000000000000"),
      });
      expect(run.last).toMatch(/^up /);
      expect(run.end.link.strayControlBytes).toBe(0);
    });

    it("is followed by our dialler with the listener's messages merged", () => {
      expect(replay(exchange, "dialler", { merged: true }).last).toMatch(/^up /);
    });
  },
);

const first = recorded.exchanges[0] as Exchange;
const ECHO = first.firstFrameOnStream4 ?? "";

describe("frames of a peer", () => {
  it("are those of the record, sent by us and taken by us", () => {
    const run = replay(first, "dialler");
    const me = parseNodeName(first.dialler.name);
    const pid = new Pid(me, 100, 0, 7);
    const heardBefore = run.heard.length;
    const payload: Term = tuple(pid, tuple(atom("hello"), 42, Buffer.from("from node.js")));
    run.end.connection.message({ kind: "reg-send", from: pid, name: "echo" }, payload);
    run.clock.advance(0);
    const [[channel, bytes] = [0, ""]] = run.heard.slice(heardBefore);
    expect([channel, bytes]).toEqual([4, ECHO]);
    const listener = replay(first, "listener");
    listener.say(listener.peer.open("data"), ECHO);
    expect(listener.end.got).toEqual([tuple(pid, tuple(atom("hello"), 42, Buffer.from("from node.js")))]);
  });

  it("are taken on every stream of the distribution's range", () => {
    const run = replay(first, "listener");
    const frames: [ChannelId, string][] = [];
    for (let i = 0; i < 16; i++) frames.push([run.peer.open("data"), ECHO]);
    for (const [channel, text] of frames) run.say(channel, text);
    expect(run.end.got).toHaveLength(16);
  });

  it("are put together stream by stream, however they interleave", () => {
    const run = replay(first, "listener");
    const lanes = [run.peer.open("data"), run.peer.open("data"), run.peer.open("data")];
    for (let at = 0; at < ECHO.length; at += 2) for (const lane of lanes) run.say(lane, ECHO.slice(at, at + 2));
    expect(run.end.got).toHaveLength(3);
    expect(run.failure).toBeUndefined();
  });

  it("wait when they overtake the listener's last handshake message", () => {
    const run = new Replay(first, "dialler");
    const auth = run.peer.open("auth");
    for (const frame of first.frames) if (frame.from === "listener") run.say(auth, frame.hex);
    const theirs = first.handshake.filter((r) => r.from === "listener");
    const lane = run.peer.open("data");
    for (const message of theirs.slice(0, -1)) run.say(0, message.hex);
    run.say(lane, ECHO).say(lane, ECHO.slice(0, 20));
    expect(run.end.got).toHaveLength(0);
    run.say(0, theirs.at(-1)?.hex ?? "").say(lane, ECHO.slice(20));
    expect(run.last).toMatch(/^up /);
    expect(run.end.got).toHaveLength(2);
  });

  it("may not come in numbers before we have proven ourselves", () => {
    const run = new Replay(first, "listener");
    const lane = run.peer.open("data");
    run.say(lane, Buffer.alloc(64 * 1024));
    expect(run.failure).toBeUndefined();
    run.say(lane, Buffer.alloc(1));
    expect(run.failure).toBe("down EARLY_BYTES");
  });

  it("may not leave more unfinished than one message, on all streams together", () => {
    const run = replay(first, "listener", { limits: { maxMessageBytes: 640_000 } });
    const open = (): ChannelId => run.peer.open("data");
    const begin = Buffer.alloc(240_000);
    begin.writeUInt32BE(300_000, 0);
    run.say(open(), begin).say(open(), begin);
    expect(run.failure).toBeUndefined();
    run.say(open(), begin);
    expect(run.failure).toBe("down LANES_FULL");
  });

  it("may not be longer than a message", () => {
    const run = replay(first, "listener");
    const lane = run.peer.open("data");
    const length = Buffer.alloc(4);
    length.writeUInt32BE(64 * 1024 * 1024 + 1, 0);
    run.say(lane, length);
    expect(run.failure).toBe("down FRAME_TOO_LARGE");
    const slow = replay(first, "listener");
    const other = slow.peer.open("data");
    for (const octet of length.subarray(0, 3)) slow.say(other, Buffer.from([octet]));
    expect(slow.failure).toBeUndefined();
    slow.say(other, length.subarray(3));
    expect(slow.failure).toBe("down FRAME_TOO_LARGE");
  });

  it("have a time to be finished in", () => {
    const run = replay(first, "listener");
    const lane = run.peer.open("data");
    run.say(lane, ECHO.slice(0, 20));
    const step = (ms: number): void => {
      for (let passed = 0; passed < ms; passed += 10_000) {
        run.say(0, "00000000");
        run.clock.advance(10_000);
      }
    };
    step(200_000);
    const second = run.peer.open("data");
    run.say(lane, ECHO.slice(20)).say(second, ECHO.slice(0, 20));
    step(290_000);
    expect(run.failure).toBeUndefined();
    step(20_000);
    expect(run.failure).toBe("down FRAME_TOO_SLOW");
  });

  it("end the session when their stream is reset, or ends in the middle of one", () => {
    const reset = replay(first, "listener");
    const lane = reset.peer.open("data");
    reset.say(lane, ECHO);
    reset.peer.finish(lane);
    reset.clock.advance(0);
    expect(reset.failure).toBeUndefined();
    const second = reset.peer.open("data");
    reset.say(second, ECHO);
    reset.peer.reset(second, 7);
    reset.clock.advance(0);
    expect(reset.failure).toBe("down BARREL_STREAM_LOST");
    const half = replay(first, "listener");
    const other = half.peer.open("data");
    half.say(other, ECHO.slice(0, 20));
    half.peer.finish(other);
    half.clock.advance(0);
    expect(half.failure).toBe("down BARREL_STREAM_LOST");
  });
});

describe("the control stream", () => {
  it("is read for ticks after the handshake; what else comes is dropped and counted", () => {
    const run = replay(first, "listener");
    run.say(0, ECHO).say(0, "00000000");
    const stray = run.end.link.strayControlBytes;
    expect(stray).toBeGreaterThan(0);
    run.say(0, "0102");
    const notice = { kind: "stray", peer: first.dialler.name };
    expect(run.end.notices).toEqual([
      { ...notice, bytes: stray, isFirst: true },
      { ...notice, bytes: 2, isFirst: false },
    ]);
    expect(run.end.got).toEqual([]);
    expect(run.failure).toBeUndefined();
  });

  it("may tick while the session is not admitted yet", () => {
    const run = replay(first, "listener", {
      before: (r) => {
        r.end.proven = () => {};
      },
    });
    run.say(0, "0000000007");
    expect([run.failure, run.end.peer, run.end.notices]).toEqual([undefined, undefined, []]);
    run.end.connection.admit();
    run.clock.advance(0);
    expect(run.last).toMatch(/^up /);
    // Told only now, when there is a session that they can be of.
    expect(run.end.notices).toEqual([{ kind: "stray", peer: first.dialler.name, bytes: 1, isFirst: true }]);
  });

  it("may begin before the exchange of keys is over, with one message", () => {
    const sendName = first.handshake[0]?.hex ?? "";
    const run = new Replay(first, "listener");
    const auth = run.peer.open("auth");
    run.peer.open("control");
    run.say(0, sendName);
    for (const frame of first.frames) if (frame.from === "dialler") run.say(auth, frame.hex);
    expect(run.end.events).toContain(`claimed ${first.dialler.name} 7`);
    const flood = new Replay(first, "listener");
    flood.peer.open("control");
    flood.say(0, Buffer.alloc(274)).say(0, Buffer.alloc(1));
    expect(flood.failure).toBe("down EARLY_BYTES");
  });

  it.each([
    ["dialler", "5a", "HANDSHAKE_UNKNOWN_MESSAGE"],
    ["dialler", "7378", "HANDSHAKE_BAD_STATUS"],
    ["dialler", "736f6b5f78", "HANDSHAKE_BAD_STATUS"],
    ["dialler", "7200", "HANDSHAKE_UNKNOWN_MESSAGE"],
    ["dialler", "000001", "HANDSHAKE_UNKNOWN_MESSAGE"],
    ["dialler", "736e6f6b", "OTHER_CONNECTION_WINS"],
    ["dialler", "736e6f745f616c6c6f776564", "NOT_ALLOWED"],
    ["listener", "61", "HANDSHAKE_UNKNOWN_MESSAGE"],
    ["listener", "6e00050000", "OLD_NAME_MESSAGE"],
    ["listener", "4e00000000000000000000000001000000", "HANDSHAKE_BAD_NAME"],
  ] as const)("closes as %s on %s", (role, bytes, reason) => {
    const run = new Replay(first, role);
    const auth = run.peer.open("auth");
    for (const frame of first.frames) if (frame.from !== role) run.say(auth, frame.hex);
    if (role === "listener") run.peer.open("control");
    const text = reason === "HANDSHAKE_BAD_NAME" ? "4e0000000403070f94000000070100" : bytes;
    run.say(0, text);
    expect(run.failure).toBe(`down ${reason}`);
  });

  it("has no name but the one that was proven, on either side", () => {
    const renamed = (message: Recorded | undefined): Buffer => {
      const bytes = Buffer.from(message?.hex ?? "", "hex");
      bytes[bytes.indexOf("@") - 1] = "z".charCodeAt(0);
      return bytes;
    };
    for (const role of ["dialler", "listener"] as const) {
      const run = new Replay(first, role);
      const auth = run.peer.open("auth");
      for (const frame of first.frames) if (frame.from !== role) run.say(auth, frame.hex);
      if (role === "listener") run.peer.open("control");
      else run.say(0, first.handshake.find((r) => r.message === "status")?.hex ?? "");
      const name = role === "listener" ? "send_name" : "challenge";
      run.say(0, renamed(first.handshake.find((r) => r.message === name)));
      expect(run.failure).toBe("down PEER_NAME_MISMATCH");
      expect(run.end.events).toHaveLength(1);
    }
  });

  it("has no name but the claimed one in cookie-only mode", () => {
    const run = new Replay(first, "listener", { tools: { cookieOnly: () => true } });
    const auth = run.peer.open("auth");
    run.peer.open("control");
    run.say(auth, encodeBarrel({ kind: "hello", name: parseNodeName("x@127.0.0.1"), publicKey: Buffer.alloc(32) }));
    expect(run.on(3)).toBe("000104");
    expect(run.end.info?.proven).toMatchObject({ name: "x@127.0.0.1", publicKey: undefined, assurance: "cookie" });
    run.say(0, first.handshake[0]?.hex ?? "");
    expect(run.failure).toBe("down PEER_NAME_MISMATCH");
  });

  it("ends the session when the peer ends it", () => {
    const run = replay(first, "listener");
    run.peer.finish(0);
    run.clock.advance(0);
    expect(run.failure).toBe("down in order");
  });
});

describe("the auth streams", () => {
  it("carry nothing after the exchange", () => {
    const run = replay(first, "listener");
    run.say(2, ECHO);
    expect(run.failure).toBe("down EARLY_BYTES");
  });

  it("end the connection when the peer resets its own, and the exchange is not over", () => {
    const run = new Replay(first, "listener");
    const auth = run.peer.open("auth");
    run.say(auth, first.frames[0]?.hex ?? "");
    run.peer.reset(auth, 3);
    run.clock.advance(0);
    expect(run.failure).toBe("down BARREL_STREAM_RESET");
  });

  it("end the connection when the peer stops ours, named by what was said last; after the exchange that is nothing", () => {
    const stopped: string[] = [];
    for (const role of ["dialler", "listener"] as const) {
      const theirs = first.frames.filter(({ from }) => from !== role);
      // A listener has no stream before it has heard HELLO.
      for (let said = role === "dialler" ? 0 : 1; said <= theirs.length; said++) {
        const run = new Replay(first, role);
        const [ours, auth] = [role === "dialler" ? 2 : 3, run.peer.open("auth")];
        for (const { hex } of theirs.slice(0, said)) run.say(auth, hex);
        run.peer.reset(ours, 9);
        run.clock.advance(0);
        stopped.push(`${role} ${said} ${run.failure} ${run.end.cause?.detail["barrel"]}`);
      }
    }
    expect(stopped).toEqual([
      "dialler 0 down BARREL_STREAM_FAILED send_hello_failed",
      "dialler 1 down BARREL_STREAM_FAILED send_challenge_failed",
      "dialler 2 down BARREL_STREAM_FAILED send_response_failed",
      "dialler 3 down BARREL_STREAM_FAILED send_response_failed",
      "dialler 4 undefined undefined",
      "listener 1 down BARREL_STREAM_FAILED send_challenge_failed",
      "listener 2 down BARREL_STREAM_FAILED send_response_failed",
      "listener 3 undefined undefined",
    ]);
  });

  it.each([
    ["open", "open_auth_stream_failed"],
    ["write", "send_hello_failed"],
  ] as const)("end the connection when the carrier has none to %s: %s", (what, barrel) => {
    const { clock, memory, dialler } = createBarrelPair();
    memory.dialled[what] = () => {
      throw new Error("no");
    };
    clock.advance(0);
    expect(dialler.cause).toMatchObject({ reason: "BARREL_STREAM_FAILED", detail: { barrel } });
    expect(dialler.attempts).toMatchObject([{ role: "outgoing", outcome: "fail" }]);
  });

  it("carry FAIL before the connection ends", () => {
    const run = new Replay(first, "listener");
    run.end.trust = { kind: "refused", error: new SallyportError("ERR_DENIED", "KEY_MISMATCH", "another") };
    run.say(run.peer.open("auth"), first.frames[0]?.hex ?? "");
    expect(run.failure).toBe("down KEY_MISMATCH");
    expect(run.on(3)).toBe(encodeBarrel({ kind: "fail", reason: "key_mismatch" }).toString("hex"));
    expect(run.ended).toEqual([3]);
  });
});

describe("a peer that goes on from another address", () => {
  it("is told of once its name is proven, and has that address", () => {
    const early = new Replay(first, "listener");
    const moved = { ...early.end.link.info(), remoteAddress: "10.0.0.7:4433" };
    early.end.link.peerMoved(moved);
    expect([early.end.notices, early.end.link.info().remoteAddress]).toEqual([[], "10.0.0.7:4433"]);
    const run = replay(first, "listener");
    run.end.link.peerMoved(moved);
    expect(run.end.notices).toEqual([{ kind: "moved", peer: first.dialler.name }]);
    expect(run.end.link.info()).toMatchObject({
      remoteAddress: "10.0.0.7:4433",
      proven: { name: first.dialler.name },
    });
  });
});

describe("streams of the application", () => {
  it("are refused where nobody takes them", () => {
    const run = replay(first, "listener");
    run.say(run.peer.open("user"), "0161");
    expect(run.resets).toEqual([[68, 0x100]]);
    expect(run.failure).toBeUndefined();
  });
});
