import { SallyportError } from "../base/errors.ts";
import type { IdentityCrypto } from "../base/identity-crypto.ts";
import { type NodeName, parseNodeName } from "../base/node-name.ts";
import type { Side } from "../gateway/message-filter.ts";
import type { GatewayPairOption } from "../gateway/options.ts";
import { readCookies } from "../identity/cookies.ts";
import { pinStem } from "../identity/pin-stem.ts";
import type { PairWorld } from "./gateway-world.ts";
import { directoryOf, type IdentityRequest, openPairIdentity, type PairIdentity } from "./pair-identity.ts";
import { pairInvalid } from "./pair-invalid.ts";
import { usesQuic } from "./quic-side.ts";
import { sameText } from "./same-text.ts";

interface Held {
  readonly settings: unknown;
  readonly identity: PairIdentity;
  users: number;
}

/** The identities of one pair, where it has any. */
export interface PairIdentities {
  /** That of its outside legs: it stands for the inside node. */
  readonly outside: PairIdentity | undefined;
  /** Those of its inside legs, by the outside node that each stands for. */
  readonly inside: ReadonlyMap<NodeName, PairIdentity>;
}

/** One use of the identities of a pair. */
export interface IdentityUse {
  readonly identities: PairIdentities;
  /** Another use of the same. */
  again(): IdentityUse;
  /** Lets another process have the directories, for all uses of them. Idempotent. */
  letGo(): void;
  /** Closes those that nobody else uses. Idempotent. */
  release(): void;
}

/** Of one pair, by directory. */
interface Requests {
  readonly outside: IdentityRequest | undefined;
  readonly inside: ReadonlyMap<NodeName, IdentityRequest>;
}

const NO_REQUESTS: Requests = { outside: undefined, inside: new Map() };

/** The key directories of a gateway. A pair that is started anew has its own while the old one still does. */
export class IdentityPool {
  readonly #world: Pick<PairWorld, "system" | "legs" | "notice">;
  readonly #held = new Map<string, Held>();

  constructor(world: Pick<PairWorld, "system" | "legs" | "notice">) {
    this.#world = world;
  }

  /**
   * The identities of all pairs that have one, by option.
   * @throws {SallyportError} ERR_CONFIG GATEWAY_PAIR_INVALID, GATEWAY_RESTART_NEEDED; those of `openPairIdentity` and `parseNodeName`
   */
  async take(options: readonly GatewayPairOption[]): Promise<ReadonlyMap<GatewayPairOption, IdentityUse>> {
    const uses = new Map<GatewayPairOption, IdentityUse>();
    const wanted = options.map((option) => [option, requestsOf(option, this.#world.system.identityCrypto)] as const);
    demandOwn(wanted.map(([, requests]) => requests));
    try {
      for (const [option, requests] of wanted) {
        if (requests.outside === undefined && requests.inside.size === 0) continue;
        uses.set(option, await this.#use(requests));
      }
      return uses;
    } catch (error) {
      for (const use of uses.values()) use.release();
      throw error;
    }
  }

  async #use({ outside, inside }: Requests): Promise<IdentityUse> {
    const taken: string[] = [];
    const take = async (request: IdentityRequest): Promise<PairIdentity> => {
      const directory = directoryOf(request.option);
      const identity = await this.#take(directory, request);
      taken.push(directory);
      return identity;
    };
    try {
      const ofOutside = outside === undefined ? undefined : await take(outside);
      const ofInside = new Map<NodeName, PairIdentity>();
      for (const [name, request] of inside) ofInside.set(name, await take(request));
      return this.#another({ outside: ofOutside, inside: ofInside }, taken);
    } finally {
      // The use that was made has its own.
      for (const directory of taken) this.#drop(directory);
    }
  }

  async #take(directory: string, request: IdentityRequest): Promise<PairIdentity> {
    const cookies = readCookies(request.cookie, this.#world.system.files).book.all();
    const settings = { ...request, cookie: cookies.map((c) => Buffer.from(c).toString("hex")) };
    const held = this.#held.get(directory) ?? {
      settings,
      identity: await openPairIdentity(request, this.#world),
      users: 0,
    };
    if (!sameText(held.settings, settings)) throw otherSettings(directory);
    this.#held.set(directory, held);
    held.users++;
    return held.identity;
  }

  #another(identities: PairIdentities, directories: readonly string[]): IdentityUse {
    for (const directory of directories) {
      const held = this.#held.get(directory);
      if (held !== undefined) held.users++;
    }
    let isReleased = false;
    return {
      identities,
      again: () => this.#another(identities, directories),
      letGo: () => {
        for (const identity of [identities.outside, ...identities.inside.values()]) identity?.letGo();
      },
      release: () => {
        if (isReleased) return;
        isReleased = true;
        for (const directory of directories) this.#drop(directory);
      },
    };
  }

  #drop(directory: string): void {
    const held = this.#held.get(directory);
    if (held === undefined || --held.users > 0) return;
    this.#held.delete(directory);
    held.identity.close();
  }
}

/** @throws {SallyportError} those of `parseNodeName` */
function requestsOf(option: GatewayPairOption, crypto: Pick<IdentityCrypto, "sha256">): Requests {
  if (option.outside.identity === undefined && option.inside.identity === undefined) return NO_REQUESTS;
  const target = parseNodeName(option.inside.node);
  const request = (side: Side, standsFor: NodeName, folder: string): IdentityRequest | undefined => {
    const { identity, cookie, tls, quic = {} } = option[side];
    if (identity === undefined) return undefined;
    return {
      standsFor,
      inside: target,
      option: { ...identity, dir: `${directoryOf(identity)}${folder}` },
      cookie,
      hasTls: tls !== undefined,
      quic: usesQuic(side, option) ? quic : undefined,
    };
  };
  const inside = new Map<NodeName, IdentityRequest>();
  for (const name of option.outside.nodes.map(parseNodeName)) {
    const one = request("inside", name, `/${pinStem(name, crypto)}`);
    if (one !== undefined) inside.set(name, one);
  }
  return { outside: request("outside", target, ""), inside };
}

/** Each leg has a key of its own: who had that of another could end the one with the other's proof. */
function demandOwn(all: readonly Requests[]): void {
  const taken = new Set<string>();
  for (const { outside, inside } of all) {
    for (const { option } of [...(outside === undefined ? [] : [outside]), ...inside.values()]) {
      const directory = directoryOf(option);
      if (taken.has(directory)) throw shared(directory);
      taken.add(directory);
    }
  }
}

function shared(directory: string): SallyportError {
  return pairInvalid(
    `two nodes of the pairs have the key directory ${directory}`,
    "give each side of each pair a key directory of its own",
  );
}

function otherSettings(directory: string): SallyportError {
  return new SallyportError(
    "ERR_CONFIG",
    "GATEWAY_RESTART_NEEDED",
    `the key directory ${directory} is in use with another trust, cookie, certificate, QUIC or node`,
    { advice: "take the pair out, reload, and put it back; or start the gateway anew" },
  );
}
