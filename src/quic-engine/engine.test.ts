import { Duplex } from "node:stream";
import { describe, expect, it, vi } from "vitest";
import { FROM_ENGINE, FrameReader, TO_ENGINE } from "../carrier/quic/engine-frames.ts";
import { QUIC_REMOTE, StandingQuic } from "../testkit/quic-stubs.ts";
import { SeededRandom } from "../testkit/seeded-random.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import type { NativeBinding } from "./binding.ts";
import { Engine } from "./engine.ts";
import { Pipe } from "./pipe.ts";
import { type DatagramHandler, UdpSocket } from "./udp.ts";

const LANE = 4;
const SESSION = 2;
const MANY = 1_000_000_000;
const NODE_MS = 10_000;

/** QUIC that takes all, has a stream with nine octets for each datagram, and counts how often it is looked after. */
class Quic extends StandingQuic {
  readonly took: number[] = [];
  packets = 0;
  /** Its timer is asked for once in each pass. */
  passes = 0;
  /** So many reads are filled first. */
  full = 0;
  #readable = 0;
  #toSend = 0;

  recv(): number {
    this.#readable = 9;
    return 1;
  }

  streamSend(_stream: number, data: Uint8Array): number {
    this.took.push(data.length);
    this.#toSend++;
    return data.length;
  }

  streamRecv(_stream: number, into: Uint8Array): [number, boolean] | null {
    if (this.full > 0) {
      this.full--;
      return [into.length, false];
    }
    const octets = this.#readable;
    this.#readable = 0;
    return octets === 0 ? null : [octets, false];
  }

  send(): [number, { to: typeof QUIC_REMOTE }] | null {
    if (this.#toSend === 0) return null;
    this.#toSend--;
    this.packets++;
    return [1200, { to: QUIC_REMOTE }];
  }

  override timeout(): null {
    this.passes++;
    return null;
  }

  readable = (): number[] => (this.#readable > 0 ? [1] : []);
  isReadable = (): boolean => this.#readable > 0;
  streamReadable = (): boolean => this.#readable > 0;
  streamCapacity = (): number => MANY;
  streamFinished = (): boolean => false;
  /** Packets that came. */
  heard = 1;
  override stats = (): { lost: number; recv: number } => ({ lost: 0, recv: this.heard });
  peerError = (): null => null;
  localError = (): null => null;
  close(): void {
    this.isClosed = () => true;
  }
}

/** An engine with one dialled connection that stands, on a socket that nothing leaves. @param isAnswered false: it does not stand yet */
async function world(isAnswered = true) {
  const clock = new VirtualClock();
  const heard: string[] = [];
  let reads = 0;
  const name = (type: number): string =>
    Object.entries(FROM_ENGINE).find(([, value]) => value === type)?.[0] ?? String(type);
  const reader = new FrameReader(
    (type) => heard.push(name(type)),
    new Set([FROM_ENGINE.data]),
    (type) => heard.push(name(type)),
  );
  const node = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      reads++;
      reader.push(chunk);
      done();
    },
  });
  const quic = new Quic();
  let network: DatagramHandler | undefined;
  const from = { address: QUIC_REMOTE.host, port: QUIC_REMOTE.port, family: "IPv4" as const, size: 100 };
  const mockBind = () =>
    vi.spyOn(UdpSocket, "bind").mockImplementation(async (host, port, handler) => {
      network = handler;
      return { host, port, send: UdpSocket.giveBack, close: () => undefined } as unknown as UdpSocket;
    });
  const bind = mockBind();
  const config = new Proxy({}, { get: () => () => undefined });
  const binding = {
    Config: { withBoringSslCtx: () => config },
    Connection: {
      connect: () => quic,
      accept() {
        throw new Error("BufferTooShort");
      },
    },
    Shutdown: { Read: 0, Write: 1 },
    Type: { Initial: 1 },
    Header: { fromSlice: () => ({ ty: 1, version: 1, dcid: Buffer.alloc(8), scid: Buffer.alloc(8), token: null }) },
    versionIsSupported: () => true,
  } as unknown as NativeBinding;
  const pipe = new Pipe(node, clock);
  let looks = 0;
  const nativeBytes = (): number => {
    looks++;
    return 0;
  };
  const memory = { nativeBytes, collect: () => undefined, exceeded: () => undefined };
  let silences = 0;
  const engine = new Engine({
    ...{ binding, clock, random: new SeededRandom(1), pipe, memory },
    beat: () => undefined,
    nodeSilent: () => silences++,
  });
  const order = (type: number, id: number, body: object): void =>
    engine.order(type, id, Buffer.from(JSON.stringify(body)));
  const limits = { maxHalfOpen: MANY, maxSessions: MANY, maxBacklogBytes: MANY };
  const times = { idleTimeoutMs: MANY, keepAliveMs: MANY, lingerMs: MANY, handshakeMs: MANY, nodeDeadlineMs: NODE_MS };
  order(TO_ENGINE.config, 0, { ...limits, ...times, initialsPerSecond: 1, initialsBurst: 1 });
  order(TO_ENGINE.dial, SESSION, { ...QUIC_REMOTE, alpn: ["erlang-dist"], serverName: "" });
  // Its host and its socket are promised.
  for (let turn = 0; turn < 20; turn++) {
    await Promise.resolve();
    clock.runTurn();
    // The first answer; before it there is no connection.
    if (turn === 10 && isAnswered) network?.datagram(Buffer.alloc(100), from);
  }
  bind.mockRestore();
  expect(heard.includes("opened")).toBe(isAnswered);
  clock.advance(10);
  /** What happened since it was asked for last. */
  const since = () => {
    const happened = {
      took: quic.took.splice(0),
      packets: quic.packets,
      passes: quic.passes,
      told: heard.splice(0),
      reads,
    };
    quic.packets = 0;
    quic.passes = 0;
    reads = 0;
    return happened;
  };
  since();
  return {
    clock,
    engine,
    quic,
    since,
    /** How often memory was looked at since it was asked for last. */
    looks: (): number => {
      const before = looks;
      looks = 0;
      return before;
    },
    write: (octets: number) => engine.write(SESSION, LANE, Buffer.alloc(octets), true),
    datagram: (bytes: number | Buffer = 100) =>
      network?.datagram(typeof bytes === "number" ? Buffer.alloc(bytes) : bytes, from),
    order: (type: number) => engine.order(type, SESSION, Buffer.alloc(0)),
    ping: () => engine.order(TO_ENGINE.ping, 0, Buffer.alloc(4)),
    silences: () => silences,
    /** Begins to listen. */
    async listen() {
      const again = mockBind();
      order(TO_ENGINE.listen, 1, {
        host: "127.0.0.1",
        first: 7,
        last: 7,
        certPem: "",
        keyPem: "",
        alpn: [],
        retry: false,
      });
      for (let turn = 0; turn < 10; turn++) await Promise.resolve();
      again.mockRestore();
    },
  };
}

const NOTHING = { took: [], packets: 0, passes: 0, told: [], reads: 0 };

describe("orders of the node", () => {
  it("are carried out when all of one read were heard, at once where they are few, and what they tell leaves with them", async () => {
    const { clock, engine, since, write } = await world();
    engine.ordersBegin();
    for (const octets of [10, 3000]) write(octets);
    expect(since()).toEqual(NOTHING);
    engine.ordersEnd(true);
    expect(since()).toMatchObject({ took: [10, 3000], passes: 1, told: ["written"], reads: 1 });
    clock.runTurn();
    expect(since()).toEqual(NOTHING);
  });

  it("are carried out after the datagrams that are there, and together with them, where they are many", async () => {
    const { clock, engine, since, write, datagram } = await world();
    engine.ordersBegin();
    write(3000);
    engine.ordersEnd(false);
    expect(since()).toEqual(NOTHING);
    datagram();
    expect(since()).toEqual(NOTHING);
    clock.runTurn();
    expect(since()).toMatchObject({ took: [3000], passes: 1, told: ["data", "written"], reads: 1 });
  });

  it("take with them what datagrams before them have left to do, which then is done", async () => {
    const { clock, engine, since, write, datagram } = await world();
    datagram();
    engine.ordersBegin();
    write(3000);
    engine.ordersEnd(true);
    expect(since()).toMatchObject({ took: [3000], passes: 1, told: ["data", "written"] });
    clock.runTurn();
    expect(since()).toEqual(NOTHING);
  });

  it("that cause nothing make nobody work", async () => {
    const { clock, engine, since } = await world();
    engine.ordersBegin();
    engine.ordersEnd(true);
    engine.ordersBegin();
    engine.ordersEnd(false);
    clock.runTurn();
    expect(since()).toEqual(NOTHING);
  });

  it("do not keep datagrams that come after them from having their turn", async () => {
    const { clock, engine, since, datagram } = await world();
    engine.ordersBegin();
    engine.ordersEnd(true);
    datagram();
    clock.runTurn();
    expect(since()).toMatchObject({ passes: 1, told: ["data"] });
  });
});

describe("a dial that nobody has answered", () => {
  it("becomes a connection with the first answer", async () => {
    const { clock, since, datagram } = await world(false);
    expect(since().told).toEqual([]);
    datagram();
    clock.runTurn();
    expect(since().told).toEqual(["opened", "data"]);
  });

  it("becomes one that reads nothing, where the node does not read yet", async () => {
    const { clock, order, since, datagram } = await world(false);
    order(TO_ENGINE.pause);
    datagram();
    clock.runTurn();
    expect(since().told).toEqual([]);
    order(TO_ENGINE.resume);
    clock.runTurn();
    expect(since().told).toEqual(["opened", "data"]);
  });

  it("ends when the node wants it no more, and so does its socket's answer", async () => {
    const { clock, order, since, datagram } = await world(false);
    order(TO_ENGINE.destroy);
    clock.runTurn();
    expect(since().told).toEqual(["closed"]);
    order(TO_ENGINE.destroy);
    datagram();
    clock.runTurn();
    expect(since().told).toEqual([]);
  });

  it("ends with the engine", async () => {
    const { clock, engine, since } = await world(false);
    engine.leave(() => undefined);
    clock.runTurn();
    expect(since().told).toEqual(["closed"]);
  });
});

describe("a connection that QUIC cannot begin", () => {
  it("is over, and costs nothing else", async () => {
    const { clock, engine, listen, since, datagram } = await world();
    await listen();
    const initial = Buffer.alloc(1200);
    initial[0] = 0xc0;
    datagram(initial);
    clock.runTurn();
    expect(since().told).toEqual(["listening", "accepted"]);
    engine.order(TO_ENGINE.proceed, 1, Buffer.alloc(0));
    clock.runTurn();
    expect(since().told).toEqual(["closed"]);
  });
});

describe("the life of a peer", () => {
  it("is told once a second at most, where packets came, also to a node that reads nothing", async () => {
    const { clock, quic, order, since } = await world();
    clock.advance(1000);
    since();
    order(TO_ENGINE.pause);
    quic.heard += 5;
    clock.advance(500);
    expect(since().told).toEqual([]);
    clock.advance(500);
    expect(since().told).toEqual(["heard"]);
    clock.advance(3000);
    expect(since().told).toEqual([]);
    quic.heard++;
    clock.advance(1000);
    expect(since().told).toEqual(["heard"]);
  });
});

describe("a node that says nothing", () => {
  it("has its connections given up after its deadline", async () => {
    const { clock, since, silences } = await world();
    clock.advance(NODE_MS);
    expect(since().told).not.toContain("closed");
    clock.advance(1000);
    expect(since().told).toEqual(["closed"]);
    clock.advance(20);
    expect(silences()).toBe(1);
  });

  it("has them kept as long as it asks for signs of life", async () => {
    const { clock, ping, silences } = await world();
    for (let i = 0; i < 10; i++) {
      clock.advance(NODE_MS - 1000);
      ping();
    }
    expect(silences()).toBe(0);
  });
});

describe("the memory of the engine", () => {
  const PIECE = 64 * 1024;

  it("is looked at once a second", async () => {
    const { clock, looks } = await world();
    looks();
    clock.advance(980);
    expect(looks()).toBe(0);
    clock.advance(10);
    expect(looks()).toBe(1);
    clock.advance(3000);
    expect(looks()).toBe(3);
  });

  it("is looked at whenever 1 MiB more is withheld than there was at the last look, or than the least since", async () => {
    const { clock, quic, looks, datagram } = await world();
    const withhold = (pieces: number): number => {
      for (let n = 0; n < pieces; n++) {
        datagram(PIECE);
        clock.runTurn();
      }
      return looks();
    };
    looks();
    expect([withhold(16), withhold(1)]).toEqual([0, 1]);
    expect([withhold(15), withhold(2)]).toEqual([0, 1]);
    // Streams give all of it.
    quic.full = 60;
    expect(withhold(1)).toBe(0);
    expect([withhold(15), withhold(2)]).toEqual([0, 1]);
  });
});
