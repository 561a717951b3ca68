import { SallyportError } from "../base/errors.ts";
import { canonicalName, type NodeName } from "../base/node-name.ts";

/** Names of which it is remembered whether this node ever reached them by dialling; the oldest is forgotten. */
export const MAX_REMEMBERED_DIAL_ONLY = 4_096;

/** Reasons of a dial that say that nobody is to be found, besides all of ERR_UNREACHABLE. */
const NOT_FOUND: ReadonlySet<string> = new Set(["CONNECT_TIMEOUT"]);

/**
 * Peers that came by themselves and that this node never reached by dialling: most likely they have no listener. A dial to
 * one that is absent fails with words that say so. Only proven peers that hold their name are remembered.
 */
export class DialOnlyPeers {
  /** False: this node has reached it. */
  readonly #cameByItself = new Map<string, boolean>();

  /** A session stands. `dialled`: by this node. */
  sessionUp(peer: NodeName, dialled: boolean): void {
    const name = canonicalName(peer);
    const wasReached = this.#cameByItself.get(name) === false;
    this.#cameByItself.delete(name);
    this.#cameByItself.set(name, !dialled && !wasReached);
    if (this.#cameByItself.size <= MAX_REMEMBERED_DIAL_ONLY) return;
    const [oldest] = this.#cameByItself.keys();
    if (oldest !== undefined) this.#cameByItself.delete(oldest);
  }

  /** The failure of a dial, as those who wait for it are told. */
  explained(target: NodeName, error: SallyportError): SallyportError {
    const isAbsent = error.code === "ERR_UNREACHABLE" || NOT_FOUND.has(error.reason);
    // A resolver may have said so already.
    if (!isAbsent || error.reason === "PEER_OFFLINE" || this.#cameByItself.get(canonicalName(target)) !== true)
      return error;
    return new SallyportError(
      "ERR_UNREACHABLE",
      "PEER_OFFLINE",
      `${target} is not connected, and only ever came by itself (${error.reason})`,
      {
        peer: target,
        stage: error.stage ?? "session",
        advice: "it connects by itself: wait for it, or give its address with resolve",
        cause: error,
      },
    );
  }
}
