import type { SessionGuard } from "../guard/session-guard.ts";
import type { Grant } from "../policy/decision.ts";
import type { DeathObserver } from "../process/local-process.ts";
import type { MessageContext } from "./message-context.ts";
import type { NodeProcess } from "./node-process.ts";

/** Calls that one service has not answered, by the grant that let them in; undefined stands for all without bounds. */
type Waiting = Map<Grant | undefined, number>;

/**
 * The calls of one session that services of this node have not answered, in mailboxes or in handlers, also after the session
 * has ended: a peer that connects anew must not get as many again. A service that ends gives the places of its calls back.
 */
export class Inflight implements DeathObserver<MessageContext, NodeProcess["tag"]> {
  readonly #guard: SessionGuard;
  readonly #byProcess = new Map<NodeProcess, Waiting>();
  #isSessionOver = false;

  constructor(guard: SessionGuard) {
    this.#guard = guard;
  }

  /** Whether any call waits. */
  get isEmpty(): boolean {
    for (const waiting of this.#byProcess.values()) if (waiting.size > 0) return false;
    return true;
  }

  /** A call is on its way to `process`; false when the peer has no place left. */
  begin(process: NodeProcess, grant: Grant | undefined): boolean {
    if (!this.#guard.enter("call", grant)) return false;
    let waiting = this.#byProcess.get(process);
    if (waiting === undefined) {
      waiting = new Map();
      this.#byProcess.set(process, waiting);
      process.observe(this);
    }
    waiting.set(grant, (waiting.get(grant) ?? 0) + 1);
    return true;
  }

  /** It was answered, or could not be delivered. Of no effect when the process ended meanwhile. */
  done(process: NodeProcess, grant: Grant | undefined): void {
    const waiting = this.#byProcess.get(process);
    const count = waiting?.get(grant);
    if (waiting === undefined || count === undefined) return;
    if (count > 1) waiting.set(grant, count - 1);
    else waiting.delete(grant);
    this.#guard.leave("call", grant);
    if (this.#isSessionOver && waiting.size === 0) this.#letGo(process);
  }

  /** The session has ended: services are held only as long as they owe an answer. */
  sessionEnded(): void {
    this.#isSessionOver = true;
    for (const [process, waiting] of this.#byProcess) if (waiting.size === 0) this.#letGo(process);
  }

  processDied(process: NodeProcess): void {
    const waiting = this.#byProcess.get(process);
    this.#byProcess.delete(process);
    if (waiting !== undefined) this.#giveBack(waiting);
  }

  #letGo(process: NodeProcess): void {
    this.#byProcess.delete(process);
    process.unobserve(this);
  }

  #giveBack(waiting: Waiting): void {
    for (const [grant, count] of waiting) for (let i = 0; i < count; i++) this.#guard.leave("call", grant);
  }
}
