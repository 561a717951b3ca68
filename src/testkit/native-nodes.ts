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
import type { Doors } from "../node/doors.ts";
import { loadIdentity } from "../node/load-identity.ts";
import { SallyportNode } from "../node/node.ts";
import type { IdleOption } from "../node/options.ts";
import type { CertificateJudge, CertificateReader } from "../node/ports.ts";
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
  isOver = false;
  #isPaused = false;
  readonly #unread: (() => void)[] = [];
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
    if (!this.isOver) this.#post(() => this.peer?.take(copy));
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
  pause(): void {
    this.#isPaused = true;
  }
  resume(): void {
    this.#isPaused = false;
    this.#world.clock.later(() => {
      while (!this.#isPaused) {
        const next = this.#unread.shift();
        if (next === undefined) return;
        next();
      }
    });
  }
  end(): void {
    this.#finish(undefined);
  }
  destroy(): void {
    this.#finish(new SallyportError("ERR_CLOSED", "CONNECTION_RESET", "reset", { stage: "session" }));
  }
  start(): void {
    if (!this.isOver) this.sink?.opened(this.#info);
  }
  take(bytes: Buffer): void {
    this.#read(() => {
      if (!this.isOver) this.sink?.bytes(0, bytes);
    });
  }

  /** What has arrived waits while nothing is read. */
  #read(take: () => void): void {
    if (this.#isPaused || this.#unread.length > 0) this.#unread.push(take);
    else take();
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
    if (this.isOver) return;
    this.isOver = true;
    this.#post(() => this.peer?.shut(cause));
    this.sink?.closed(cause);
  }

  /** An end in good order comes behind all that has arrived; a reset at once. */
  shut(cause: SallyportError | undefined): void {
    const end = (): void => {
      if (this.isOver) return;
      this.isOver = true;
      this.sink?.closed(cause);
    };
    if (cause === undefined) this.#read(end);
    else end();
  }
}

export interface NativeNodeOptions {
  readonly idle?: IdleOption;
  /** False: nobody can dial it. Default true. */
  readonly listens?: boolean;
  readonly limits?: Partial<DistLimits>;
  /** Who may connect, and whether anybody may now. */
  readonly doors?: Doors;
}

/** How the nodes of a world know each other. */
export type Trust = "pins" | "authority";

/** A certificate as these worlds have it. */
export interface WorldCertificate {
  readonly serial: number;
  /** Unix milliseconds. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** Whole nodes with keys that all pin each other, or that one authority names, on a virtual clock and a network of random delays. */
export class NativeNodes {
  readonly clock: VirtualClock = new VirtualClock();
  readonly dice: SeededRandom;
  readonly files: FaultyFiles = new FaultyFiles();
  readonly #maxDelayMs: number;
  readonly #accepts = new Map<string, AcceptHandler>();
  readonly #carriers: SlowCarrier[] = [];
  readonly #trust: Trust;
  /** What each node shows on connections that begin later; with trust `authority`. */
  readonly certificates: Map<string, WorldCertificate> = new Map<string, WorldCertificate>();
  #next = 1;

  /** @param names of all nodes there will be */
  constructor(seed: number, names: readonly string[], maxDelayMs = 0, trust: Trust = "pins") {
    this.#trust = trust;
    this.dice = new SeededRandom(seed);
    this.#maxDelayMs = maxDelayMs;
    names.forEach((owner, i) => {
      this.files.put(`/${owner}/node.key`, Buffer.alloc(32, i + 1));
      names.forEach((peer, j) => {
        if (i !== j && trust === "pins") {
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
    const judgeCertificate: CertificateJudge = (certDer, of) => ({
      matched: this.#trust === "authority" && certDer.toString().startsWith(`${of} `),
      presented: [],
    });
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
      readCertificate: (certDer) => this.#readCertificate(certDer),
      isCertificateIssued: this.#trust === "authority",
      idle: options.idle,
      doors: options.doors,
      limits: { ...DEFAULT_DIST_LIMITS, ...options.limits },
      ticks: DEFAULT_TICK_OPTIONS,
      onListenerError: (error) => {
        throw error;
      },
    });
    if (options.listens !== false) this.#accepts.set(name, node.accept);
    return node;
  }

  /** Connections made so far; each has two ends. */
  get dialled(): number {
    return this.#carriers.length / 2;
  }

  /** Connections that neither end has closed. */
  get standing(): number {
    return this.#carriers.filter(({ isOver }) => !isOver).length / 2;
  }

  /** The network forgets one connection, by the order in which they were made: nothing arrives, nobody is told. */
  lose(dialled: number): void {
    for (const end of [0, 1]) {
      const carrier = this.#carriers[2 * dialled + end];
      if (carrier !== undefined) carrier.isLost = true;
    }
  }

  /** Cuts one connection, by the order in which they were made, at both ends. */
  cut(dialled: number): void {
    this.#carriers[2 * dialled]?.destroy();
  }

  #readCertificate(certDer: Buffer): ReturnType<CertificateReader> {
    const [name, serial, notBefore, notAfter] = certDer.toString().split(" ");
    if (notAfter === undefined) return undefined;
    return { spki: `spki:SHA256:${name}/${serial}`, notBeforeMs: Number(notBefore), notAfterMs: Number(notAfter) };
  }

  #certificateOf(name: string): Buffer {
    const certificate = this.certificates.get(name);
    if (certificate === undefined) return Buffer.from(name);
    const { serial, notBeforeMs, notAfterMs } = certificate;
    return Buffer.from(`${name} ${serial} ${notBeforeMs} ${notAfterMs}`);
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
    const certificates = [this.#certificateOf(from), this.#certificateOf(to)] as const;
    const exporter = Buffer.alloc(32, this.#next++);
    const infoOf = (side: 0 | 1): CarrierInfo => ({
      transport: "memory",
      remoteAddress: side === 0 ? to : from,
      localAddress: side === 0 ? from : to,
      tlsVersion: "TLSv1.3",
      alpn: NATIVE_ALPN,
      ownCertDer: certificates[side],
      peerCertDer: certificates[side === 0 ? 1 : 0],
      chainTrusted: this.#trust === "authority",
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
