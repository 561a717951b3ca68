import type { HeldInvite, NodeIdentity, WaitingPeer } from "./api.ts";
import type { IdentityKeeper } from "./identity-keeper.ts";
import type { OwnCertificate } from "./own-certificate.ts";
import type { SessionHost } from "./session-host.ts";

/** The identity of a running node, as its application sees it. */
export class OwnIdentity implements NodeIdentity {
  readonly #keeper: IdentityKeeper;
  readonly #host: SessionHost;
  readonly #certificate: OwnCertificate | undefined;

  /** @param certificate undefined for a node whose certificate is configured */
  constructor(keeper: IdentityKeeper, host: SessionHost, certificate: OwnCertificate | undefined) {
    this.#keeper = keeper;
    this.#host = host;
    this.#certificate = certificate;
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

  async reload(): Promise<number> {
    const ended = this.#host.standings.cutUntrusted(this.#keeper.reload());
    await this.#certificate?.reload();
    return ended;
  }
}
