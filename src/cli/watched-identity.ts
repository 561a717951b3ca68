import { addMs, type Clock } from "../base/clock.ts";
import { SallyportError } from "../base/errors.ts";
import type { Files } from "../base/files.ts";
import type { IdentityCrypto } from "../base/identity-crypto.ts";
import type { ControlPending } from "../control/control-target.ts";
import type { ControlIdentity } from "../control/node-target.ts";
import { NODE_PUB_FILE } from "../identity/key-layout.ts";
import { fingerprintOf, parsePublicKey, tryFingerprint } from "../identity/public-key.ts";
import { losesStanding, type TrustChange } from "../identity/trust-change.ts";
import type { Node, Peer } from "../node/api.ts";
import type { IdentityOption } from "../node/options.ts";

export interface WatchedIdentityParts {
  readonly node: Node;
  readonly option: IdentityOption;
  readonly clock: Clock;
  readonly files: Files;
  readonly crypto: IdentityCrypto;
}

/** The node looks at its files more often than this; then sessions that have lost their standing are ended from here. */
const WATCHED_WITHIN_MS = 900;

/** How often to look whether they are gone, milliseconds. */
const LOOK_MS = 20;

/**
 * The identity of a running node as far as it shows from outside: the node watches its key directory by itself, so that a
 * change of trust needs only waiting for. Who waits as pending is not known here, and a new pair counts after a restart.
 */
export class WatchedIdentity implements ControlIdentity {
  readonly fingerprint: string;
  readonly trust: "strict" | "tofu";
  readonly #node: Node;
  readonly #clock: Clock;

  /** Reads the public key that the node has just loaded. */
  constructor(parts: WatchedIdentityParts) {
    const { node, option, clock, files, crypto } = parts;
    const key = parsePublicKey(files.read(`${option.dir}/${NODE_PUB_FILE}`), NODE_PUB_FILE);
    this.fingerprint = fingerprintOf(key, crypto);
    this.trust = option.trust ?? "strict";
    this.#node = node;
    this.#clock = clock;
  }

  pending(): readonly ControlPending[] {
    return [];
  }

  async trustChanged(changes: readonly TrustChange[]): Promise<number> {
    const doomed = this.#node.peers().filter((peer) => isDoomed(peer, changes));
    const giveUpAt = addMs(this.#clock.now(), WATCHED_WITHIN_MS);
    while (this.#standing(doomed).length > 0 && this.#clock.now() < giveUpAt) {
      await new Promise<void>((resolve) => this.#clock.at(addMs(this.#clock.now(), LOOK_MS), resolve));
    }
    for (const peer of this.#standing(doomed)) this.#node.disconnect(peer.name);
    return doomed.length;
  }

  keysRotated(): never {
    throw new SallyportError("ERR_CONFIG", "RESTART_NEEDED", `${this.#node.name} goes on with its old key`, {
      stage: "identity",
      advice: "restart the node: it then uses the new key, and peers follow the signed succession",
    });
  }

  #standing(doomed: readonly Peer[]): readonly Peer[] {
    const peers = new Set(this.#node.peers());
    return doomed.filter((peer) => peers.has(peer));
  }
}

function isDoomed(peer: Peer, changes: readonly TrustChange[]): boolean {
  const fingerprint = peer.fingerprint === null ? undefined : tryFingerprint(peer.fingerprint);
  if (fingerprint === undefined) return false;
  return changes.some((change) => losesStanding(change, peer.name, fingerprint));
}
