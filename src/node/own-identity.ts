import type { HeldInvite, NodeIdentity, WaitingPeer } from "./api.ts";
import type { IdentityKeeper } from "./identity-keeper.ts";
import type { SessionHost } from "./session-host.ts";

/** The identity of a running node, as its application sees it. */
export class OwnIdentity implements NodeIdentity {
  readonly #keeper: IdentityKeeper;
  readonly #host: SessionHost;

  constructor(keeper: IdentityKeeper, host: SessionHost) {
    this.#keeper = keeper;
    this.#host = host;
  }

  get fingerprint(): string {
    return this.#keeper.fingerprint;
  }

  get publicKey(): Buffer {
    return Buffer.from(this.#keeper.publicKey);
  }

  get trust(): "strict" | "tofu" {
    return this.#keeper.trust;
  }

  waiting(): readonly WaitingPeer[] {
    return this.#keeper.waiting().map(({ key, ...peer }) => ({ ...peer, publicKey: Buffer.from(key) }));
  }

  join(invite: string): HeldInvite {
    const { acceptor, acceptorKey: fingerprint, expiresMs } = this.#keeper.join(invite);
    return { acceptor, fingerprint, expiresMs };
  }

  reload(): number {
    return this.#host.cutUntrusted(this.#keeper.reload());
  }
}
