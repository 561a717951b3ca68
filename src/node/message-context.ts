import type { NodeName } from "../base/node-name.ts";
import type { Capability } from "../guard/capabilities.ts";
import type { SessionGuard } from "../guard/session-guard.ts";
import type { Grant } from "../policy/decision.ts";
import type { Pid } from "../term/types.ts";
import type { HandlerContext, Peer } from "./api.ts";

/** Something whose end aborts the work done for it: a session, a call, the node. */
export interface Lifetime {
  /** Made when first asked for. */
  readonly signal: AbortSignal;
}

/** A lifetime that its owner ends. */
export class OwnedLifetime implements Lifetime {
  #controller: AbortController | undefined;
  #ended = false;

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#ended) this.#controller.abort();
    return this.#controller.signal;
  }

  end(): void {
    this.#ended = true;
    this.#controller?.abort();
  }
}

/** Takes back the place of a call that was let in. */
export interface CallPlaces {
  done(process: object, grant: Grant | undefined): void;
}

/** How a message of a peer was let in. */
export interface Admission {
  /** How the sender named the process. */
  readonly target: Pid | string;
  /** The bounded grant that let it in; undefined where nothing is bounded. */
  readonly grant: Grant | undefined;
  /** Epoch of the node in which it was let in. */
  readonly epoch: number;
  /** The grant of the process that the sender holds for it. */
  readonly capability: Capability<object> | undefined;
  /** Of the session over which it came, which may have ended since. */
  readonly guard: SessionGuard;
  readonly inflight: CallPlaces;
}

/** What goes beside a message. Shared by all messages of one sender to one process, except calls. */
export class MessageContext implements HandlerContext {
  readonly peer: Peer | null;
  readonly from: Pid | undefined;
  readonly node: NodeName;
  readonly self: Pid;
  /** Undefined for messages of this node. */
  readonly admission: Admission | undefined;
  readonly #lifetime: Lifetime;

  constructor(
    peer: Peer | null,
    from: Pid | undefined,
    node: NodeName,
    self: Pid,
    lifetime: Lifetime,
    admission?: Admission,
  ) {
    this.admission = admission;
    this.peer = peer;
    this.from = from;
    this.node = node;
    this.self = self;
    this.#lifetime = lifetime;
  }

  get signal(): AbortSignal {
    return this.#lifetime.signal;
  }

  /** The same for work that may end before its session does. */
  within(lifetime: Lifetime): MessageContext {
    return new MessageContext(this.peer, this.from, this.node, this.self, lifetime, this.admission);
  }
}

/** What goes beside one call: it ends when the caller gives up, or with the session. */
export class CallContext extends MessageContext {
  #controller: AbortController | undefined;
  #ended = false;

  constructor(of: MessageContext) {
    super(of.peer, of.from, of.node, of.self, of, of.admission);
  }

  override get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#ended) this.#controller.abort();
    return this.#controller.signal;
  }

  /** The caller gave up, or is gone. */
  end(): void {
    this.#ended = true;
    this.#controller?.abort();
  }
}
