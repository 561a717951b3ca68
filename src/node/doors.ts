import { SallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";
import { NamePatterns } from "../identity/name-patterns.ts";

/** What may stop new connections. */
export interface ConnectionStop {
  readonly isClosed: boolean;
  /** Why there may be none now; undefined when there may. */
  readonly refusal: SallyportError | undefined;
}

/** Who may become a session at all, before trust and policy are asked: whom the list of names has, while nothing stops new connections. */
export class Doors {
  readonly #stop: ConnectionStop | undefined;
  #nodes: NamePatterns | undefined;

  /**
   * @param stop such as an audit log that fails closed
   * @param nodes `name@host`, each half a word or `*`; undefined: every name
   * @throws {SallyportError} ERR_CONFIG NAME_PATTERN, ERR_LIMIT NAME_PATTERNS
   */
  constructor(stop?: ConnectionStop, nodes?: readonly string[]) {
    this.#stop = stop;
    this.#nodes = patternsOf(nodes);
  }

  /** Whether nobody may come or be dialled now. */
  get isClosed(): boolean {
    return this.#stop?.isClosed === true;
  }

  /** Why that is so. */
  get closed(): SallyportError | undefined {
    return this.#stop?.refusal;
  }

  /** Why this peer may not come in. */
  refusalOf(peer: NodeName, role: "acceptor" | "dialler"): SallyportError | undefined {
    const { closed } = this;
    if (closed !== undefined) return closed;
    // Whom this node dials it has chosen itself.
    if (role === "dialler" || this.#nodes === undefined || this.#nodes.matches(peer)) return undefined;
    return new SallyportError("ERR_DENIED", "NODE_NOT_ALLOWED", `${peer} is not in accept.nodes`, {
      peer,
      stage: "policy",
      advice: "add it to accept.nodes, if it is to connect",
    });
  }

  /** What comes from now on is judged by this list. @throws as the constructor: the list stays as it was */
  replaceNodes(nodes: readonly string[] | undefined): void {
    this.#nodes = patternsOf(nodes);
  }
}

function patternsOf(nodes: readonly string[] | undefined): NamePatterns | undefined {
  return nodes === undefined ? undefined : new NamePatterns(nodes);
}
