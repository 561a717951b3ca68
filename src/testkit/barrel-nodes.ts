import { OpenChallenges } from "../auth/otp-types.ts";
import { SallyportError } from "../base/errors.ts";
import { parseNodeName } from "../base/node-name.ts";
import type { ChannelledAcceptHandler, ChannelledCarrier, ChannelledSink } from "../carrier/channels.ts";
import { BARREL_ALPN } from "../dist/barrel-link.ts";
import { DEFAULT_DIST_LIMITS } from "../dist/limits.ts";
import { DEFAULT_TICK_OPTIONS } from "../dist/tick.ts";
import { CookieBook } from "../identity/cookies.ts";
import { NodeKey } from "../identity/node-key.ts";
import { loadIdentity } from "../node/load-identity.ts";
import { SallyportNode } from "../node/node.ts";
import type { IdentityOption, QuicOption } from "../node/options.ts";
import { visibleTo } from "../node/quic-visible.ts";
import type { PolicyDocument } from "../policy/document.ts";
import { RealCrypto } from "../system/real-crypto.ts";
import { RealIdentityCrypto } from "../system/real-identity-crypto.ts";
import { DEFAULT_FLAGS } from "../wire/flags.ts";
import { createChannelledMemoryPair } from "./channelled-memory.ts";
import { FaultyFiles } from "./faulty-files.ts";
import { sourceOf } from "./scripted-peer.ts";
import { SeededRandom } from "./seeded-random.ts";
import { VirtualClock } from "./virtual-clock.ts";

const crypto = new RealIdentityCrypto();

export interface BarrelNodeOptions {
  readonly trust?: "strict" | "tofu";
  readonly cookie?: string;
  readonly cookieOnly?: readonly string[];
  /** Default 32 times a byte that goes up from node to node. */
  readonly seedByte?: number;
  /** Undefined: the node has no policy. */
  readonly policy?: PolicyDocument;
  /** Key directory; default one by the name. */
  readonly dir?: string;
  readonly visible?: QuicOption["visible"];
  /** False: nobody can dial it. Default true. */
  readonly listens?: boolean;
  /** Connections that it dials for a name go to another one. */
  readonly redirect?: Readonly<Record<string, string>>;
}

/** The cookie of `BarrelNodes`, where none is given. */
export const NODES_COOKIE = "a cookie of thirty-two bytes....";

/** Whole nodes that speak barrel's protocol over connections with channels in memory, on one virtual clock. */
export class BarrelNodes {
  readonly clock: VirtualClock = new VirtualClock();
  readonly files: FaultyFiles = new FaultyFiles();
  readonly #accepts = new Map<string, ChannelledAcceptHandler>();
  readonly #dice: SeededRandom = new SeededRandom(7);
  #next = 1;

  /** The public key that `seedByte` makes. */
  keyOf(seedByte: number): Buffer {
    return new NodeKey(Buffer.alloc(32, seedByte), crypto).publicKey;
  }

  /** Pins a key in a node's directory, before the node starts. */
  pin(owner: string, peer: string, seedByte: number): void {
    this.files.put(`/${owner}/trusted/${peer}.pub`, this.keyOf(seedByte));
  }

  node(text: string, options: BarrelNodeOptions = {}): SallyportNode {
    const name = parseNodeName(text);
    const random = new SeededRandom(this.#dice.uint32());
    const own = { name, creation: 4 + this.#dice.below(1_000_000), flags: DEFAULT_FLAGS };
    const dir = options.dir ?? `/${name}`;
    this.files.put(`${dir}/node.key`, Buffer.alloc(32, options.seedByte ?? this.#next++));
    const cookie = Buffer.from(options.cookie ?? NODES_COOKIE);
    const judgeCertificate = (): { matched: boolean; presented: string[] } => ({ matched: false, presented: [] });
    const identity: IdentityOption = {
      dir,
      trust: options.trust ?? "strict",
      ...(options.cookieOnly === undefined ? {} : { cookieOnly: options.cookieOnly }),
    };
    const { keeper } = loadIdentity(identity, own, {
      files: this.files,
      crypto,
      random,
      clock: this.clock,
      cookies: new CookieBook(cookie, new Map()),
      judgeCertificate,
      profile: "standard",
      allowShortCookie: false,
    });
    const node = new SallyportNode({
      own,
      clock: this.clock,
      random,
      identity: keeper,
      barrel: {
        dialer: {
          dial: (address, _server, sink) => this.#dial(options.redirect?.[address.host] ?? address.host, sink),
        },
        isVisibleTo: visibleTo(options.visible),
        checkDial: () => {},
      },
      handshake: { crypto: new RealCrypto(), random, openChallenges: new OpenChallenges(), cookieFor: () => cookie },
      dialers: {},
      resolver: {
        label: "the test",
        resolve: (target) => Promise.resolve([{ scheme: "quic", host: target, port: 4433 }]),
      },
      judgeCertificate,
      policy: options.policy === undefined ? undefined : sourceOf(options.policy),
      limits: DEFAULT_DIST_LIMITS,
      ticks: DEFAULT_TICK_OPTIONS,
      onListenerError: (error) => {
        throw error;
      },
    });
    if (options.listens !== false) this.#accepts.set(name, node.acceptChannels);
    return node;
  }

  /** What lies in a directory of a node's key directory. */
  pins(owner: string, place: "trusted" | "first-use"): string[] {
    return this.files.paths.filter((path) => path.startsWith(`/${owner}/${place}/`) && path.endsWith(".pub"));
  }

  /** Lets time pass, promises included. */
  async pass(ms: number, stepMs = 250): Promise<void> {
    for (let left = ms; left > 0; left -= stepMs) {
      this.clock.advance(Math.min(stepMs, left));
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

  #dial(to: string, sink: ChannelledSink): ChannelledCarrier {
    const certificate = Buffer.from(`the certificate of ${to}`);
    const pair = createChannelledMemoryPair({
      clock: this.clock,
      dialled: { alpn: BARREL_ALPN, peerCertDer: certificate, transport: "quic" },
      accepted: { alpn: BARREL_ALPN, ownCertDer: certificate, transport: "quic" },
    });
    const accept = this.#accepts.get(to);
    this.clock.afterTurn(() => {
      if (accept === undefined) {
        sink.closed(new SallyportError("ERR_UNREACHABLE", "PORT_CLOSED", "nothing listens there", { stage: "port" }));
        return;
      }
      pair.connect(sink, accept(pair.accepted, { release: () => {} }));
    });
    return pair.dialled;
  }
}
