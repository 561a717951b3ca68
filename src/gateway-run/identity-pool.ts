import { SallyportError } from "../base/errors.ts";
import type { GatewayPairOption } from "../gateway/options.ts";
import { readCookies } from "../identity/cookies.ts";
import type { PairWorld } from "./gateway-world.ts";
import { directoryOf, type OutsideIdentity, openOutsideIdentity } from "./outside-identity.ts";
import { pairInvalid } from "./pair-invalid.ts";
import { usesQuic } from "./quic-outside.ts";
import { sameText } from "./same-text.ts";

interface Held {
  readonly settings: unknown;
  readonly identity: OutsideIdentity;
  users: number;
}

/** One use of an identity. */
export interface IdentityUse {
  readonly identity: OutsideIdentity;
  /** Another use of the same. */
  again(): IdentityUse;
  /** Closes the identity when nobody else uses it. Idempotent. */
  release(): void;
}

/** The key directories of a gateway. A pair that is started anew has its own while the old one still does. */
export class IdentityPool {
  readonly #world: Pick<PairWorld, "system" | "legs" | "notice">;
  readonly #held = new Map<string, Held>();

  constructor(world: Pick<PairWorld, "system" | "legs" | "notice">) {
    this.#world = world;
  }

  /**
   * The identities of all pairs that have one, by option.
   * @throws {SallyportError} ERR_CONFIG GATEWAY_PAIR_INVALID, GATEWAY_RESTART_NEEDED; those of `openOutsideIdentity`
   */
  async take(options: readonly GatewayPairOption[]): Promise<ReadonlyMap<GatewayPairOption, IdentityUse>> {
    const uses = new Map<GatewayPairOption, IdentityUse>();
    const taken = new Set<string>();
    try {
      for (const option of options) {
        const { identity } = option.outside;
        if (identity === undefined) continue;
        const directory = directoryOf(identity);
        if (taken.has(directory)) throw shared(directory);
        taken.add(directory);
        uses.set(option, await this.#use(directory, option, identity));
      }
      return uses;
    } catch (error) {
      for (const use of uses.values()) use.release();
      throw error;
    }
  }

  async #use(
    directory: string,
    option: GatewayPairOption,
    identity: NonNullable<GatewayPairOption["outside"]["identity"]>,
  ): Promise<IdentityUse> {
    const { inside, outside } = option;
    const cookies = readCookies(outside.cookie, this.#world.system.files).book.all();
    const hasTls = outside.tls !== undefined;
    const settings = {
      identity,
      inside: inside.node,
      hasTls,
      quic: usesQuic(outside) ? (outside.quic ?? {}) : null,
      cookies: cookies.map((c) => Buffer.from(c).toString("hex")),
    };
    const held = this.#held.get(directory) ?? {
      settings,
      identity: await openOutsideIdentity(option, identity, this.#world),
      users: 0,
    };
    if (!sameText(held.settings, settings)) throw otherSettings(directory);
    this.#held.set(directory, held);
    return this.#another(directory, held);
  }

  #another(directory: string, held: Held): IdentityUse {
    held.users++;
    let isReleased = false;
    return {
      identity: held.identity,
      again: () => this.#another(directory, held),
      release: () => {
        if (isReleased) return;
        isReleased = true;
        if (--held.users > 0) return;
        this.#held.delete(directory);
        held.identity.close();
      },
    };
  }
}

function shared(directory: string): SallyportError {
  return pairInvalid(`two pairs have the key directory ${directory}`, "give each inside node a key of its own");
}

function otherSettings(directory: string): SallyportError {
  return new SallyportError(
    "ERR_CONFIG",
    "GATEWAY_RESTART_NEEDED",
    `the key directory ${directory} is in use with another trust, cookie, certificate, QUIC or inside node`,
    { advice: "take the pair out, reload, and put it back; or start the gateway anew" },
  );
}
