import { addMs } from "../base/clock.ts";
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

const VERBS: readonly string[] = ["send", "call", "cast", "monitor", "link", "exit"];

/** Processes of this node that its owner hands to peers, and takes back. */
export class OwnGrants implements DeathObserver<MessageContext, NodeProcess["tag"]> {
  readonly #core: NodeCore;
  readonly #sessionOf: (node: string) => Session | undefined;
  readonly #withdraw: () => void;

  /** `withdraw` closes what rests on grants that stand no more. */
  constructor(core: NodeCore, sessionOf: (node: string) => Session | undefined, withdraw: () => void) {
    this.#core = core;
    this.#sessionOf = sessionOf;
    this.#withdraw = withdraw;
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
    };
    capabilities.add(capability, now);
    process.observe(this);
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
        if (stood) this.#withdraw();
        return stood;
      },
    };
  }
}

function invalid(option: string, value: string): SallyportError {
  return new SallyportError("ERR_API_MISUSE", "GRANT_INVALID", `${option} of a grant cannot be ${value}`, {
    advice: "give verbs out of send, call, cast, monitor, link and exit, uses of 1 or more, and ttlMs above 0",
  });
}
