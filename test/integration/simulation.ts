import { OpenChallenges } from "../../src/auth/otp-types.ts";
import { addMs, type Clock } from "../../src/base/clock.ts";
import { type NodeName, parseNodeName } from "../../src/base/node-name.ts";
import type { Carrier, CarrierInfo, CarrierSink } from "../../src/carrier/carrier.ts";
import { NATIVE_ALPN } from "../../src/dist/handshake.ts";
import { DEFAULT_DIST_LIMITS } from "../../src/dist/limits.ts";
import { readCookies } from "../../src/identity/cookies.ts";
import { NodeKey } from "../../src/identity/node-key.ts";
import type { OwnFacts } from "../../src/node/identity-keeper.ts";
import { loadIdentity } from "../../src/node/load-identity.ts";
import { SallyportNode } from "../../src/node/node.ts";
import { RealCrypto } from "../../src/system/real-crypto.ts";
import { RealIdentityCrypto } from "../../src/system/real-identity-crypto.ts";
import { FaultyFiles } from "../../src/testkit/faulty-files.ts";
import { createMemoryPair, SeededRandom, VirtualClock } from "../../src/testkit/public.ts";
import { DEFAULT_FLAGS } from "../../src/wire/flags.ts";

/** One machine of a simulation. It can stop without a word. */
export interface Machine {
  readonly name: NodeName;
  /** Undefined for one that has no key and speaks as a BEAM does. */
  readonly key: NodeKey | undefined;
  readonly node: SallyportNode;
  /** Power off: nothing is sent, heard or done here any more, and nobody is told. */
  isDead: boolean;
}

/** What the network does with a connection. */
export interface Weather {
  /** Milliseconds on the way, of each chunk. */
  readonly delayMs: () => number;
  /** Whether this chunk ends the connection for both sides instead of arriving. */
  readonly resets: () => boolean;
}

export const CALM: Weather = { delayMs: () => 0, resets: () => false };

/** Hands on what arrives at one end of a connection, late, unless one of the two machines is dead. */
class WeatherSink implements CarrierSink {
  readonly #sink: CarrierSink;
  readonly #info: Partial<CarrierInfo>;
  readonly #clock: Clock;
  readonly #weather: () => Weather;
  readonly #isCut: () => boolean;
  readonly #reset: () => void;
  #lastAt = 0;

  constructor(
    sink: CarrierSink,
    info: Partial<CarrierInfo>,
    clock: Clock,
    weather: () => Weather,
    isCut: () => boolean,
    reset: () => void,
  ) {
    this.#sink = sink;
    this.#info = info;
    this.#clock = clock;
    this.#weather = weather;
    this.#isCut = isCut;
    this.#reset = reset;
  }

  opened(info: CarrierInfo): void {
    this.#later(() => this.#sink.opened({ ...info, ...this.#info }));
  }

  bytes(channel: number, chunk: Buffer): void {
    if (this.#weather().resets()) {
      this.#reset();
      return;
    }
    this.#later(() => this.#sink.bytes(channel, chunk));
  }

  drained(channel: number): void {
    this.#later(() => this.#sink.drained(channel));
  }

  closed(cause: Parameters<CarrierSink["closed"]>[0]): void {
    this.#later(() => this.#sink.closed(cause));
  }

  /** In the order of coming, whatever the delays. */
  #later(run: () => void): void {
    if (this.#isCut()) return;
    const now = this.#clock.now();
    const at = Math.max(this.#lastAt, addMs(now, this.#weather().delayMs()));
    if (at <= now) {
      run();
      return;
    }
    this.#lastAt = at;
    this.#clock.at(addMs(now, at - now), () => {
      if (!this.#isCut()) run();
    });
  }
}

/** A clock that stops with its machine. */
function mortal(clock: Clock, isDead: () => boolean): Clock {
  const unlessDead = (run: () => void) => () => {
    if (!isDead()) run();
  };
  return {
    now: () => clock.now(),
    wallMs: () => clock.wallMs(),
    at: (at, run, background) => clock.at(at, unlessDead(run), background),
    afterTurn: (run) => clock.afterTurn(unlessDead(run)),
    later: (run) => clock.later(unlessDead(run)),
  };
}

const crypto = new RealIdentityCrypto();
const keys = new Map<number, NodeKey>();

/** Nodes in memory on one virtual clock. The same seed gives the same run. */
export class Simulation {
  readonly clock = new VirtualClock();
  readonly dice: SeededRandom;
  readonly machines: Machine[] = [];
  weather: Weather = CALM;
  readonly #byHost = new Map<string, Machine>();
  readonly #tickTimeMs: number;

  constructor(seed: number, tickTimeMs: number) {
    this.dice = new SeededRandom(seed);
    this.#tickTimeMs = tickTimeMs;
  }

  /** Makes node `n`. One that is given `pins` is native, and holds the keys of these others. */
  start(n: number, pins?: readonly number[]): Machine {
    const name = nameOf(n);
    const self = { name, key: pins === undefined ? undefined : keyOf(n), isDead: false };
    const machine: Machine = Object.assign(self, { node: this.#node(n, () => machine, pins) });
    this.machines[n] = machine;
    this.#byHost.set(`h${n}`, machine);
    return machine;
  }

  /** Lets everything happen that can without time passing. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 12; quiet++) {
      if (this.clock.runTurn() > 0) quiet = 0;
      await Promise.resolve();
    }
  }

  /** Moves time on, in steps, so that promises move with it. */
  async pass(ms: number, stepMs = 100): Promise<void> {
    for (let left = ms; left > 0; left -= stepMs) {
      this.clock.advance(Math.min(left, stepMs));
      await this.settle();
    }
  }

  #node(n: number, self: () => Machine, pins: readonly number[] | undefined): SallyportNode {
    const clock = mortal(this.clock, () => self().isDead);
    const random = new SeededRandom(this.dice.uint32());
    const own = { name: nameOf(n), creation: 4 + this.dice.below(1_000_000), flags: DEFAULT_FLAGS };
    return new SallyportNode({
      own,
      identity: pins === undefined ? undefined : identityOf(n, pins, own, random, clock),
      clock,
      random,
      handshake: {
        crypto: new RealCrypto(),
        random,
        openChallenges: new OpenChallenges(),
        cookieFor: () => Buffer.from("one cookie for all"),
      },
      dialers: { tls: { dial: ({ host }, _, sink) => this.#dial(self(), host, sink) } },
      resolver: {
        label: "the simulation",
        resolve: (target) => Promise.resolve([{ scheme: "tls", host: target.slice(target.indexOf("@") + 1), port: 1 }]),
      },
      judgeCertificate: NO_CERTIFICATES,
      limits: DEFAULT_DIST_LIMITS,
      ticks: { tickTimeMs: this.#tickTimeMs, tickIntensity: 4 },
      onListenerError: (error) => {
        throw error;
      },
    });
  }

  #dial(self: Machine, host: string, sink: CarrierSink): Carrier {
    const pair = createMemoryPair({ clock: this.clock, first: { remoteAddress: `${host}:1` } });
    this.clock.afterTurn(() => {
      const peer = this.#byHost.get(host);
      // A machine without power does not even say no.
      if (peer === undefined || peer.isDead || self.isDead) return;
      const isCut = () => self.isDead || peer.isDead;
      const through = (end: CarrierSink, own: Machine, other: Machine, carrier: Carrier) =>
        new WeatherSink(
          end,
          infoOf(own, other),
          this.clock,
          () => this.weather,
          isCut,
          () => carrier.destroy(),
        );
      const accepted = peer.node.accept(pair.second, { release: () => undefined });
      pair.connect(through(sink, self, peer, pair.first), through(accepted, peer, self, pair.second));
    });
    return pair.first;
  }
}

const NO_CERTIFICATES = () => ({ matched: false, presented: [] }) as const;

const nameOf = (n: number): NodeName => parseNodeName(`n${n}@h${n}`);

/** Between two nodes with keys it looks like TLS 1.3 that negotiated the native protocol. */
function infoOf(own: Machine, other: Machine): Partial<CarrierInfo> {
  if (own.key === undefined || other.key === undefined) return {};
  return {
    alpn: NATIVE_ALPN,
    tlsVersion: "TLSv1.3",
    ownCertDer: Buffer.from(own.name),
    peerCertDer: Buffer.from(other.name),
    exporter: (label, length) => Buffer.alloc(length, label),
  };
}

/** The key of node `n`, the same in every run. */
function keyOf(n: number): NodeKey {
  const made = keys.get(n) ?? new NodeKey(seedOf(n), crypto);
  keys.set(n, made);
  return made;
}

function seedOf(n: number): Buffer {
  const seed = Buffer.alloc(32, 0x5a);
  seed.writeUInt32BE(n + 1);
  return seed;
}

function identityOf(
  n: number,
  pins: readonly number[],
  own: Omit<OwnFacts, "incarnation">,
  random: SeededRandom,
  clock: Clock,
) {
  const files = new FaultyFiles();
  files.put("/keys/node.key", seedOf(n));
  files.put("/keys/node.pub", keyOf(n).publicKey);
  for (const pin of pins) files.put(`/keys/trusted/${nameOf(pin)}.pub`, keyOf(pin).publicKey);
  const world = {
    files,
    crypto,
    random,
    clock,
    cookies: readCookies(undefined, files).book,
    judgeCertificate: NO_CERTIFICATES,
    profile: "standard",
    allowShortCookie: false,
  } as const;
  return loadIdentity({ dir: "/keys" }, own, world).keeper;
}
