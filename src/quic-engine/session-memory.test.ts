import { Duplex } from "node:stream";
import { describe, expect, it } from "vitest";
import type { EngineConfig } from "../carrier/quic/engine-frames.ts";
import { QUIC_REMOTE, StandingQuic } from "../testkit/quic-stubs.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import type { NativeBinding, NativeConnection } from "./binding.ts";
import { MAX_HALF_OPEN_BYTES } from "./memory-guard.ts";
import { Pipe } from "./pipe.ts";
import { Session } from "./session.ts";
import { UdpSocket } from "./udp.ts";

const MANY = 1_000_000_000;
const DATAGRAM_BYTES = 1024;

/** A session over a QUIC that gives the node so many octets of each datagram, on one stream. */
function world(givenOfEach: number, packetBytes = 0) {
  const clock = new VirtualClock();
  const did = { received: 0, isGone: false, closes: [] as unknown[] };
  let readable = 0;
  let toSend = 0;
  const quic = Object.assign(new StandingQuic(), {
    recv: () => {
      did.received++;
      readable += givenOfEach;
      toSend = packetBytes > 0 ? 1 : 0;
    },
    send: () => {
      if (toSend === 0) return null;
      toSend = 0;
      return [packetBytes, { to: QUIC_REMOTE }];
    },
    isReadable: () => readable > 0,
    streamReadable: () => readable > 0,
    readable: () => [4],
    streamRecv: (_stream: number, into: Uint8Array) => {
      if (readable === 0) return null;
      const length = Math.min(readable, into.length);
      readable -= length;
      return [length, false];
    },
    close: (...how: unknown[]) => did.closes.push(how.slice(0, 2)),
    isDraining: () => did.closes.length > 0,
    peerError: () => null,
    localError: () => ({ isApp: true, errorCode: 0x0c }),
  });
  const total = { octets: 0 };
  const parts = {
    binding: { Shutdown: { Read: 0, Write: 1 } } as NativeBinding,
    clock,
    pipe: new Pipe(new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() }), clock),
    withheld: total,
    config: { handshakeMs: MANY, keepAliveMs: MANY, maxBacklogBytes: MANY, lingerMs: MANY } as EngineConfig,
    wake: (woken: Session) => clock.later(() => woken.pass()),
    gone: () => {
      did.isGone = true;
    },
  };
  const socket = { host: "0.0.0.0", port: 1, send: UdpSocket.giveBack, close: () => undefined };
  const facts = { id: 3, side: "accept", keys: [] } as const;
  const session = new Session(parts, facts, quic as unknown as NativeConnection, ["erlang-dist"], socket, QUIC_REMOTE);
  const datagrams = (count: number): void => {
    for (let n = 0; n < count; n++) {
      session.datagram(Buffer.alloc(DATAGRAM_BYTES), QUIC_REMOTE.host, QUIC_REMOTE.port);
      clock.runTurn();
    }
  };
  return { clock, session, total, did, datagrams };
}

const BOUND = MAX_HALF_OPEN_BYTES / DATAGRAM_BYTES;
const CUT = [true, 0x0c];

describe("what a session withholds", () => {
  it("is what came and was not given, and bounded while its peer is not authenticated", () => {
    const { did, session, total, datagrams } = world(0);
    datagrams(BOUND);
    expect([session.withheldBytes, total.octets, did.closes]).toEqual([MAX_HALF_OPEN_BYTES, MAX_HALF_OPEN_BYTES, []]);
    datagrams(1);
    expect(did.closes).toEqual([CUT]);
    // Of a session that was cut nothing is taken any more.
    datagrams(5);
    expect([did.received, did.closes]).toEqual([BOUND + 1, [CUT]]);
    session.abandon("E");
    expect(total.octets).toBe(0);
  });

  it("is not bounded by itself once the peer is authenticated; the engine cuts it", () => {
    const { did, session, datagrams } = world(0);
    session.halfOpen = false;
    datagrams(2 * BOUND);
    expect(did.closes).toEqual([]);
    session.overrun();
    datagrams(1);
    expect([did.received, did.closes]).toEqual([2 * BOUND, [CUT]]);
  });

  it("is let go of with a session that was cut, which QUIC would remember for a while", () => {
    const { did, session, total, datagrams } = world(0);
    datagrams(BOUND);
    expect([did.isGone, total.octets]).toEqual([false, MAX_HALF_OPEN_BYTES]);
    datagrams(1);
    expect([did.isGone, total.octets, session.withheldBytes]).toEqual([true, 0, 0]);
  });

  it("is nothing where streams give what comes, or packets of this side ask for ACKs", () => {
    for (const { session, datagrams } of [world(DATAGRAM_BYTES - 40), world(DATAGRAM_BYTES - 100, 200)]) {
      datagrams(3 * BOUND);
      expect(session.withheldBytes).toBeLessThan(2 * DATAGRAM_BYTES);
    }
  });

  it("fades as time goes by", () => {
    const { clock, session, datagrams } = world(0);
    datagrams(10);
    session.tend(clock.now());
    expect(session.withheldBytes).toBe(9 * DATAGRAM_BYTES);
  });
});
