import type { ShownIdentity } from "../auth/otp-types.ts";
import { expandDigest } from "../wire/flags.ts";

/** The least creation that a node can have. */
const FIRST_CREATION = 4;

/**
 * What the gateway expects a node to show, for legs whose HELLO stands for it and leaves before it is asked. A guess that is
 * wrong is found out before anything is confirmed.
 */
export class ExpectedNode {
  readonly #mask: bigint;
  readonly #registered: () => number | undefined;
  #seen: { readonly shown: ShownIdentity; readonly registered: number | undefined } | undefined;

  /** @param registered the creation that the node got from the gateway's port mapper; undefined when it has none */
  constructor(mask: bigint, registered: () => number | undefined) {
    this.#mask = mask;
    this.#registered = registered;
  }

  get shown(): ShownIdentity {
    const registered = this.#registered();
    const seen = this.#seen;
    // A node that has registered since is another life.
    if (seen !== undefined && seen.registered === registered) return seen.shown;
    return { creation: registered ?? FIRST_CREATION, flags: seen?.shown.flags ?? this.#mask };
  }

  /** The node has shown this of itself, with all its flags. */
  learn({ creation, flags }: ShownIdentity): void {
    this.#seen = { shown: { creation, flags: expandDigest(flags) & this.#mask }, registered: this.#registered() };
  }
}
