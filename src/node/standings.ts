import type { Budgets } from "../guard/budgets.ts";
import { SessionGuard } from "../guard/session-guard.ts";
import type { Fingerprint } from "../identity/public-key.ts";
import type { TrustChange } from "../identity/trust-change.ts";
import { isCut, isNamed } from "./identity-keeper.ts";
import type { Inbound } from "./inbound.ts";
import type { NodeCore } from "./node-core.ts";
import { connectWithdrawn, type PolicyKeeper } from "./policy-keeper.ts";
import { PolicyTimer } from "./policy-timer.ts";
import type { Session } from "./session.ts";
import type { Sessions } from "./sessions.ts";
import { trustWithdrawn } from "./trust-failures.ts";

/** Changes of trust that are remembered for messages that wait. */
const MAX_REMEMBERED_CHANGES = 1_024;

/** What becomes of sessions, and of what they were granted, when policy, time, grants or trust change. */
export class Standings {
  readonly #core: NodeCore;
  readonly #policy: PolicyKeeper;
  readonly #budgets: Budgets;
  readonly #inbound: Inbound;
  readonly #sessions: Sessions;
  readonly #nameProven: (session: Session) => void;
  readonly #timer: PolicyTimer;
  /** The latest changes of trust, for what was sent by those who are gone. */
  #withdrawn: readonly TrustChange[] = [];

  /** `nameProven`: a stranger turned out to hold its name. */
  constructor(
    core: NodeCore,
    policy: PolicyKeeper,
    budgets: Budgets,
    inbound: Inbound,
    sessions: Sessions,
    nameProven: (session: Session) => void,
  ) {
    this.#core = core;
    this.#policy = policy;
    this.#budgets = budgets;
    this.#inbound = inbound;
    this.#sessions = sessions;
    this.#nameProven = nameProven;
    this.#timer = new PolicyTimer({
      clock: core.clock,
      nextChangeMs: (nowMs) => policy.nextChangeMs(nowMs),
      changed: () => this.#judgeAll(),
    });
    this.#timer.arm();
  }

  stop(): void {
    this.#timer.stop();
  }

  /** Another policy is in force: sessions that it does not allow end, the others are judged by it; says how many ended. */
  policyChanged(): number {
    this.#budgets.forgetRates();
    return this.#judgeAll();
  }

  /** Judges every session by the policy in force and the time of now; says how many ended. */
  #judgeAll(): number {
    this.#core.epoch.value++;
    this.#timer.arm();
    let ended = 0;
    for (const session of [...this.#sessions.all()]) {
      const role = session.connection.role === "acceptor" ? "acceptor" : "dialler";
      const standing = this.#policy.judge(session.facts, role);
      if (standing.kind === "refused") {
        this.#core.outcasts.add(session.peer);
        session.connection.destroy(connectWithdrawn(session.peer.name));
        ended++;
        continue;
      }
      session.guard.rejudge(standing.rules);
      session.streams?.rejudge();
      this.#inbound.withdraw(session);
    }
    return ended;
  }

  /** What may still be done with what somebody sent who is gone. */
  rulesOfGone({ facts, budget }: SessionGuard): SessionGuard | undefined {
    const fingerprint = facts.fingerprints[0] as Fingerprint | undefined;
    if (isCut(this.#withdrawn, facts.name, fingerprint)) return undefined;
    const standing = this.#policy.judge(facts, "acceptor");
    if (standing.kind === "refused") return undefined;
    const { name, guardLimits: limits, clock } = this.#core;
    return new SessionGuard({ facts, rules: standing.rules, nodes: [name, facts.name], budget, limits, clock });
  }

  /** A grant stands no more: monitors, links and calls that rested on it are closed. See `Withdraw`. */
  grantRevoked(onlyIdle = false): boolean {
    this.#core.epoch.value++;
    let isDone = true;
    for (const session of this.#sessions.all()) {
      if (onlyIdle && session.work.size > 0) isDone = false;
      else this.#inbound.withdraw(session);
    }
    return isDone;
  }

  /** Ends the sessions whose key was revoked, replaced or unpinned; says how many. */
  cutUntrusted(changes: readonly TrustChange[]): number {
    let ended = 0;
    this.#core.epoch.value++;
    this.#withdrawn = [...this.#withdrawn, ...changes].slice(-MAX_REMEMBERED_CHANGES);
    for (const session of [...this.#sessions.all()]) {
      session.warm = undefined;
      if (!isCut(changes, session.peer.name, session.fingerprint)) {
        if (isNamed(changes, session.facts.name, session.fingerprint)) this.#nameProven(session);
        continue;
      }
      this.#core.outcasts.add(session.peer);
      session.connection.destroy(trustWithdrawn(session.peer.name));
      ended++;
    }
    return ended;
  }
}
