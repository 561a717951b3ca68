import { SallyportError } from "../base/errors.ts";
import type { PolicyDocument } from "../policy/document.ts";
import type { Policy } from "../policy/policy.ts";
import type { NodePolicy, PolicyReloadResult } from "./api.ts";
import type { NodeCore } from "./node-core.ts";
import type { PolicyKeeper, PolicyLoader } from "./policy-keeper.ts";
import type { SessionHost } from "./session-host.ts";

/** Where the policy of a node comes from, and comes from anew. */
export interface PolicySource {
  /** The policy to begin with. */
  readonly first: Policy;
  /** Reads its file; undefined where it was given in code. */
  readonly load: PolicyLoader | undefined;
  /** Compiles a document given in code, its tests included. */
  compile(document: PolicyDocument, generation: number): Policy;
}

/** The policy of a running node, as its application sees it. */
export class OwnPolicy implements NodePolicy {
  readonly #keeper: PolicyKeeper;
  readonly #source: PolicySource;
  readonly #host: SessionHost;
  readonly #core: NodeCore;

  constructor(keeper: PolicyKeeper, source: PolicySource, host: SessionHost, core: NodeCore) {
    this.#keeper = keeper;
    this.#source = source;
    this.#host = host;
    this.#core = core;
  }

  get generation(): number {
    return this.#keeper.generation;
  }

  get document(): PolicyDocument {
    return this.#keeper.policy?.document ?? this.#source.first.document;
  }

  reload(): PolicyReloadResult {
    const { load } = this.#source;
    if (load !== undefined) return this.#take(load);
    throw new SallyportError("ERR_API_MISUSE", "POLICY_NOT_A_FILE", "the policy of this node is not read from a file", {
      advice: "call replace with the new policy",
    });
  }

  replace(document: PolicyDocument): PolicyReloadResult {
    return this.#take((generation) => this.#source.compile(document, generation));
  }

  #take(load: PolicyLoader): PolicyReloadResult {
    const result = this.#keeper.take(load);
    if (result.ok) this.#host.standings.policyChanged();
    const { ok, generation, reason, message } = result;
    this.#core.events.emit("reload", {
      what: "policy",
      generation,
      ok,
      ...(reason === undefined ? {} : { reason }),
      ...(message === undefined ? {} : { message }),
    });
    return result;
  }
}
