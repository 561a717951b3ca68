import { OpenChallenges } from "../auth/otp-types.ts";
import { addMs, type MonotonicMs } from "../base/clock.ts";
import { SallyportError } from "../base/errors.ts";
import { type NodeName, parseNodeName } from "../base/node-name.ts";
import type { AcceptHandler, Carrier, CarrierInfo, CarrierSink } from "../carrier/carrier.ts";
import { NATIVE_ALPN } from "../dist/handshake.ts";
import { DEFAULT_DIST_LIMITS, type DistLimits } from "../dist/limits.ts";
import { DEFAULT_TICK_OPTIONS } from "../dist/tick.ts";
import { CookieBook } from "../identity/cookies.ts";
import { NodeKey } from "../identity/node-key.ts";
import { loadIdentity } from "../node/load-identity.ts";
import { SallyportNode } from "../node/node.ts";
import type { IdleOption } from "../node/options.ts";
import { RealCrypto } from "../system/real-crypto.ts";
import { RealIdentityCrypto } from "../system/real-identity-crypto.ts";
import { DEFAULT_FLAGS } from "../wire/flags.ts";
import { FaultyFiles } from "./faulty-files.ts";
import { SeededRandom } from "./seeded-random.ts";
import { VirtualClock } from "./virtual-clock.ts";

const crypto = new RealIdentityCrypto();

/** One end of a connection whose bytes take their time, in order. */
class SlowCarrier implements Carrier {
  sink: CarrierSink | undefined;
  peer: SlowCarrier | undefined;
  readonly #world: NativeNodes;
  readonly #info: CarrierInfo;
  /** When what was sent last arrives. */
  #lastAt = 0;
  #isOver = false;
  /** The network has forgotten it: nothing arrives, and nobody is told. */
  isLost = false;

  constructor(world: NativeNodes, info: CarrierInfo) {
    this.#world = world;
    this.#info = info;
  }

  open(): never {
    throw new Error("one channel only");
  }
  write(_channel: number, bytes: Uint8Array): boolean {
    const copy = Buffer.from(bytes);
    if (!this.#isOver) this.#post(() => this.peer?.take(copy));
    return true;
  }
  flush(): void {}
  reset(): void {
    this.destroy();
  }
  info(): CarrierInfo {
    return this.#info;
  }
  pendingBytes(): number {
    return 0;
  }
  pause(): void {}
  resume(): void {}
  end(): void {
    this.#finish(undefined);
  }
  destroy(): void {
    this.#finish(new SallyportError("ERR_CLOSED", "CONNECTION_RESET", "reset", { stage: "session" }));
  }
  start(): void {
    if (!this.#isOver) this.sink?.opened(this.#info);
  }
  take(bytes: Buffer): void {
    if (!this.#isOver) this.sink?.bytes(0, bytes);
  }

  #post(arrive: () => void): void {
    const { clock } = this.#world;
    const at = Math.max(this.#lastAt, clock.now() + this.#world.delayMs());
    this.#lastAt = at;
    clock.at(at as MonotonicMs, () => {
      if (!this.isLost) arrive();
    });
  }

  #finish(cause: SallyportError | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#post(() => this.peer?.shut(cause));
    this.sink?.closed(cause);
  }

  shut(cause: SallyportError | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.sink?.closed(cause);
  }
}

export interface NativeNodeOptions {
  readonly idle?: IdleOption;
  /** False: nobody can dial it. Default true. */
  readonly listens?: boolean;
  readonly limits?: Partial<DistLimits>;
}

/** Whole nodes with keys that all pin each other, on a virtual clock and a network of random delays. */
export class NativeNodes {
  readonly clock: VirtualClock = new VirtualClock();
  readonly dice: SeededRandom;
  readonly files: FaultyFiles = new FaultyFiles();
  readonly #maxDelayMs: number;
  readonly #accepts = new Map<string, AcceptHandler>();
  readonly #carriers: SlowCarrier[] = [];
  #next = 1;

  /** @param names of all nodes there will be */
  constructor(seed: number, names: readonly string[], maxDelayMs = 0) {
    this.dice = new SeededRandom(seed);
    this.#maxDelayMs = maxDelayMs;
    names.forEach((owner, i) => {
      this.files.put(`/${owner}/node.key`, Buffer.alloc(32, i + 1));
      names.forEach((peer, j) => {
        if (i !== j) {
          const { publicKey } = new NodeKey(Buffer.alloc(32, j + 1), crypto);
          this.files.put(`/${owner}/trusted/${peer}.pub`, publicKey);
        }
      });
    });
  }

  delayMs(): number {
    return this.#maxDelayMs === 0 ? 0 : this.dice.below(this.#maxDelayMs + 1);
  }

  node(text: string, options: NativeNodeOptions = {}): SallyportNode {
    const name = parseNodeName(text);
    const random = new SeededRandom(this.dice.uint32());
    const own = { name, creation: 4 + this.dice.below(1_000_000), flags: DEFAULT_FLAGS };
    const judgeCertificate = (): { matched: boolean; presented: string[] } => ({ matched: false, presented: [] });
    const { keeper } = loadIdentity({ dir: `/${name}` }, own, {
      files: this.files,
      crypto,
      random,
      clock: this.clock,
      cookies: new CookieBook(undefined, new Map()),
      judgeCertificate,
      profile: "standard",
      allowShortCookie: false,
    });
    const node = new SallyportNode({
      own,
      clock: this.clock,
      random,
      identity: keeper,
      handshake: {
        crypto: new RealCrypto(),
        random,
        openChallenges: new OpenChallenges(),
        cookieFor: () => undefined,
      },
      dialers: { tls: { dial: (address, _server, sink) => this.#dial(name, address.host, sink) } },
      resolver: {
        label: "the test",
        resolve: (target) => Promise.resolve([{ scheme: "tls", host: target, port: 1 }]),
      },
      judgeCertificate,
      idle: options.idle,
      limits: { ...DEFAULT_DIST_LIMITS, ...options.limits },
      ticks: DEFAULT_TICK_OPTIONS,
      onListenerError: (error) => {
        throw error;
      },
    });
    if (options.listens !== false) this.#accepts.set(name, node.accept);
    return node;
  }

  /** Nobody can dial it any more. */
  unlisten(name: string): void {
    this.#accepts.delete(name);
  }

  /** Whatever stands now carries nothing any more, and nobody is told. */
  loseAll(): void {
    for (const carrier of this.#carriers) carrier.isLost = true;
  }

  /** Hands bytes to one end of a connection as if the other had sent them: 0 is the end that dialled first, 1 its peer. */
  inject(end: number, bytes: Buffer): void {
    this.#carriers[end]?.take(bytes);
  }

  /** Lets time pass, promises included. */
  async pass(ms: number): Promise<void> {
    for (let i = 0; i < ms; i++) {
      this.clock.advance(1);
      await this.settle();
    }
  }

  /** Lets everything happen that needs no time. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 12; quiet++) {
      if (this.clock.runTurn() > 0) quiet = 0;
      await Promise.resolve();
    }
  }

  #dial(from: NodeName, to: string, sink: CarrierSink): Carrier {
    const certificates = [Buffer.from(from), Buffer.from(to)] as const;
    const exporter = Buffer.alloc(32, this.#next++);
    const infoOf = (side: 0 | 1): CarrierInfo => ({
      transport: "memory",
      remoteAddress: side === 0 ? to : from,
      localAddress: side === 0 ? from : to,
      tlsVersion: "TLSv1.3",
      alpn: NATIVE_ALPN,
      ownCertDer: certificates[side],
      peerCertDer: certificates[side === 0 ? 1 : 0],
      chainTrusted: false,
      chainError: undefined,
      exporter: (_label, length) => exporter.subarray(0, length),
    });
    const [near, far] = [new SlowCarrier(this, infoOf(0)), new SlowCarrier(this, infoOf(1))];
    near.sink = sink;
    [near.peer, far.peer] = [far, near];
    this.#carriers.push(near, far);
    this.clock.at(addMs(this.clock.now(), this.delayMs()), () => {
      const accept = this.#accepts.get(to);
      if (accept === undefined) {
        near.shut(new SallyportError("ERR_UNREACHABLE", "PORT_CLOSED", "nothing listens there", { stage: "port" }));
        return;
      }
      far.sink = accept(far, { release: () => {} });
      far.start();
      near.start();
    });
    return near;
  }
}
