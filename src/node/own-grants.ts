import { addMs, type Timer } from "../base/clock.ts";
import { SallyportError } from "../base/errors.ts";
import { canonicalName, parseNodeName } from "../base/node-name.ts";
import type { Capability, CapabilityVerb, Holder } from "../guard/capabilities.ts";
import { newDecisionId } from "../guard/decision-id.ts";
import { tryFingerprint } from "../identity/public-key.ts";
import type { DeathObserver } from "../process/local-process.ts";
import { Pid } from "../term/types.ts";
import type { GrantOptions, LocalProcessHandle, ProcessGrant } from "./api.ts";
import { ownHandle } from "./handles.ts";
import type { MessageContext } from "./message-context.ts";
import type { NodeCore } from "./node-core.ts";
import type { NodeProcess } from "./node-process.ts";
import type { Session } from "./session.ts";

const VERBS: readonly string[] = ["send", "call", "cast", "io", "monitor", "link", "exit"];

/** Longest time a timer of the platform can be set for, milliseconds. */
const MAX_TIMER_MS = 2_147_483_647;

/** How often it is looked whether the calls that a spent grant let in are done, milliseconds. */
export const SPENT_LOOK_MS = 1_000;

/**
 * Closes what rests on grants that stand no more. `onlyIdle` leaves sessions alone that have calls under way; false when there
 * were some.
 */
export type Withdraw = (onlyIdle: boolean) => boolean;

/** Processes of this node that its owner hands to peers, and takes back. */
export class OwnGrants implements DeathObserver<MessageContext, NodeProcess["tag"]> {
  readonly #core: NodeCore;
  readonly #sessionOf: (node: string) => Session | undefined;
  readonly #withdraw: Withdraw;
  #expiry: Timer | undefined;
  #expiryAt: number = Number.POSITIVE_INFINITY;
  #spentCalls: Timer | undefined;

  constructor(core: NodeCore, sessionOf: (node: string) => Session | undefined, withdraw: Withdraw) {
    this.#core = core;
    this.#sessionOf = sessionOf;
    this.#withdraw = withdraw;
    core.capabilities.watch((capability) => this.#spent(capability));
  }

  stop(): void {
    this.#expiry?.cancel();
    this.#spentCalls?.cancel();
  }

  /** See Node.grant. */
  grant(target: Pid | LocalProcessHandle, options: GrantOptions): ProcessGrant {
    const { capabilities, clock, random, refs } = this.#core;
    const process = this.#processOf(target);
    const verbs = options.verbs ?? ["send"];
    const { uses = Number.POSITIVE_INFINITY, ttlMs } = options;
    if (verbs.length === 0 || !verbs.every((verb) => VERBS.includes(verb))) throw invalid("verbs", String(verbs));
    if (!(uses >= 1)) throw invalid("uses", String(uses));
    if (ttlMs !== undefined && !(ttlMs > 0)) throw invalid("ttlMs", String(ttlMs));
    const now = clock.now();
    const capability: Capability<NodeProcess> = {
      id: newDecisionId(random),
      target: process,
      holder: this.#holderOf(options.to),
      verbs: new Set<CapabilityVerb>(verbs),
      alias: refs.next(),
      usesLeft: Math.floor(uses),
      expiresAt: ttlMs === undefined ? undefined : addMs(now, ttlMs),
      funs: options.funs === true,
      foreign: options.foreign === true,
    };
    capabilities.add(capability, now);
    process.observe(this);
    this.#armFor(capability.expiresAt);
    return this.#shown(capability);
  }

  /** See Node.grants. */
  list(): readonly ProcessGrant[] {
    const { capabilities, clock } = this.#core;
    return capabilities.list(clock.now()).map((capability) => this.#shown(capability));
  }

  processDied(process: NodeProcess): void {
    this.#core.capabilities.targetDied(process);
  }

  /** What was begun under a grant ends with it. */
  #armFor(expiresAt: number | undefined): void {
    if (expiresAt === undefined || expiresAt >= this.#expiryAt) return;
    const { clock } = this.#core;
    const now = clock.now();
    this.#expiry?.cancel();
    this.#expiryAt = expiresAt;
    const wait = Math.min(Math.max(0, expiresAt - now), MAX_TIMER_MS);
    this.#expiry = clock.at(addMs(now, wait), () => this.#expired(), true);
  }

  #expired(): void {
    const { capabilities, clock } = this.#core;
    const now = clock.now();
    const isOver = now >= this.#expiryAt;
    this.#expiryAt = Number.POSITIVE_INFINITY;
    capabilities.expire(now);
    this.#armFor(capabilities.nextExpiry());
    if (isOver) this.#withdraw(false);
  }

  /** The last use is just being made: what it lets in comes first. A call that it lets in keeps its monitor until it is done. */
  #spent({ verbs }: Capability<NodeProcess>): void {
    const { clock } = this.#core;
    if (!verbs.has("call")) {
      clock.later(() => this.#withdraw(false));
      return;
    }
    if (this.#spentCalls !== undefined) return;
    const look = (): void => {
      this.#spentCalls = undefined;
      if (!this.#withdraw(true)) this.#spentCalls ??= clock.at(addMs(clock.now(), SPENT_LOOK_MS), look, true);
    };
    this.#spentCalls = clock.at(addMs(clock.now(), SPENT_LOOK_MS), look, true);
  }

  #processOf(target: Pid | LocalProcessHandle): NodeProcess {
    const { name, processes } = this.#core;
    const process = target instanceof Pid ? processes.lookup(target) : ownHandle(name, target).process;
    if (process?.alive === true) return process;
    throw new SallyportError("ERR_API_MISUSE", "GRANT_INVALID", "only a living process of this node can be granted", {
      advice: "pass the pid or the handle of a process that runs here",
    });
  }

  /**
   * A fingerprint is a holder by itself. A name is that of whoever stands under it now: its key, or, where the protocol has
   * none, the name.
   */
  #holderOf(to: string): Holder {
    const key = tryFingerprint(to);
    if (key !== undefined) return { key };
    const name = canonicalName(parseNodeName(to));
    const session = this.#sessionOf(name);
    if (session === undefined || !session.holdsName) {
      throw new SallyportError("ERR_API_MISUSE", "GRANT_HOLDER_UNKNOWN", `there is no session with ${name}`, {
        peer: name,
        advice: "connect first, so that the grant is bound to the peer's key, or give its fingerprint",
      });
    }
    const { fingerprint, facts } = session;
    return fingerprint === undefined ? { name, assurance: facts.assurance } : { key: fingerprint };
  }

  #shown({ id, target, holder, verbs, alias, usesLeft, expiresAt }: Capability<NodeProcess>): ProcessGrant {
    const { capabilities, clock } = this.#core;
    return {
      id,
      pid: target.pid,
      alias,
      to: "key" in holder ? holder.key : holder.name,
      verbs: [...verbs],
      usesLeft,
      expiresInMs: expiresAt === undefined ? null : Math.max(0, expiresAt - clock.now()),
      revoke: () => {
        const stood = capabilities.revoke(id);
        if (stood) this.#withdraw(false);
        return stood;
      },
    };
  }
}

function invalid(option: string, value: string): SallyportError {
  return new SallyportError("ERR_API_MISUSE", "GRANT_INVALID", `${option} of a grant cannot be ${value}`, {
    advice: "give verbs out of send, call, cast, io, monitor, link and exit, uses of 1 or more, and ttlMs above 0",
  });
}
