import { OpenChallenges } from "../auth/otp-types.ts";
import { type NodeName, parseNodeName } from "../base/node-name.ts";
import type { CarrierInfo } from "../carrier/carrier.ts";
import { NATIVE_ALPN } from "../dist/handshake.ts";
import { DEFAULT_DIST_LIMITS } from "../dist/limits.ts";
import { DEFAULT_TICK_OPTIONS } from "../dist/tick.ts";
import { CookieBook } from "../identity/cookies.ts";
import type { IdentityKeeper } from "../node/identity-keeper.ts";
import { loadIdentity } from "../node/load-identity.ts";
import { SallyportNode } from "../node/node.ts";
import { RealCrypto } from "../system/real-crypto.ts";
import { RealIdentityCrypto } from "../system/real-identity-crypto.ts";
import { DEFAULT_FLAGS } from "../wire/flags.ts";
import { FaultyFiles } from "./faulty-files.ts";
import { HandNetwork } from "./hand-network.ts";
import { SeededRandom } from "./seeded-random.ts";
import { VirtualClock } from "./virtual-clock.ts";

export const A: NodeName = parseNodeName("a@h");
export const B: NodeName = parseNodeName("b@h");

/** Two whole nodes that have pinned each other's keys, on a network that is moved by hand. `a@h` has the smaller name. */
export class NativePair {
  readonly clock: VirtualClock = new VirtualClock();
  readonly network: HandNetwork = new HandNetwork((number) => ({
    dialler: tlsInfo(number, "dialler"),
    acceptor: tlsInfo(number, "acceptor"),
  }));
  readonly #crypto = new RealIdentityCrypto();
  readonly #files = new Map<NodeName, FaultyFiles>([
    [A, new FaultyFiles()],
    [B, new FaultyFiles()],
  ]);
  #lives = 0;

  constructor() {
    const keys = new Map([A, B].map((name) => [name, this.#identity(name, 4).publicKey] as const));
    for (const [owner, key] of keys) this.#files.get(owner === A ? B : A)?.put(`/keys/trusted/${owner}.pub`, key);
  }

  /** Starts a life of one of the two, or an impostor under its name; `label` names the connections that it dials. */
  start(name: NodeName, label: string, key: "its own" | "another" = "its own"): SallyportNode {
    const random = new SeededRandom(++this.#lives + 100);
    const creation = 10 + this.#lives;
    const other = name === A ? B : A;
    const node = new SallyportNode({
      own: { name, creation, flags: DEFAULT_FLAGS },
      clock: this.clock,
      random,
      handshake: {
        crypto: new RealCrypto(),
        random,
        openChallenges: new OpenChallenges(),
        cookieFor: () => undefined,
      },
      identity: key === "its own" ? this.#identity(name, creation) : this.#impostor(name, creation),
      dialers: { tls: this.network.dialer(label) },
      resolver: { label: "the test", resolve: () => Promise.resolve([{ scheme: "tls", host: other, port: 1 }]) },
      judgeCertificate: () => ({ matched: false, presented: [] }),
      limits: DEFAULT_DIST_LIMITS,
      ticks: DEFAULT_TICK_OPTIONS,
      onListenerError: (error) => {
        throw error;
      },
    });
    if (key === "its own") this.network.listen(name, node.accept);
    return node;
  }

  /** Lets everything happen that needs neither the network nor time. */
  async settle(): Promise<void> {
    for (let i = 0; i < 12; i++) {
      await Promise.resolve();
      this.clock.runTurn();
    }
  }

  #impostor(name: NodeName, creation: number): IdentityKeeper {
    const other = name === A ? B : A;
    const files = new FaultyFiles();
    this.#identity(name, creation, files, 3);
    files.put(`/keys/trusted/${other}.pub`, this.#identity(other, creation).publicKey);
    return this.#identity(name, creation, files, 3);
  }

  #identity(
    name: NodeName,
    creation: number,
    files = this.#files.get(name),
    seed = name === A ? 1 : 2,
  ): IdentityKeeper {
    if (files === undefined) throw new Error(`no files of ${name}`);
    return loadIdentity(
      { dir: "/keys" },
      { name, creation, flags: DEFAULT_FLAGS },
      {
        files,
        crypto: this.#crypto,
        random: new SeededRandom(seed),
        clock: this.clock,
        cookies: new CookieBook(undefined, new Map()),
        judgeCertificate: () => ({ matched: false, presented: [] }),
        profile: "standard",
        allowShortCookie: false,
      },
    ).keeper;
  }
}

function tlsInfo(number: number, end: "dialler" | "acceptor"): CarrierInfo {
  const certificates = { dialler: Buffer.from("certificate of the dialler"), acceptor: Buffer.from("of the acceptor") };
  return {
    transport: "memory",
    remoteAddress: `192.0.2.1:${number}`,
    localAddress: "192.0.2.2:1",
    tlsVersion: "TLSv1.3",
    alpn: NATIVE_ALPN,
    ownCertDer: certificates[end],
    peerCertDer: certificates[end === "dialler" ? "acceptor" : "dialler"],
    chainTrusted: false,
    chainError: undefined,
    exporter: (_label, length) => Buffer.alloc(length, number),
  };
}
