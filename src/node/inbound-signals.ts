import { BY_CAPABILITY, type Capability, type CapabilityVerb } from "../guard/capabilities.ts";
import { denied } from "../guard/refusal-answer.ts";
import type { Access } from "../guard/verdicts.ts";
import type { Grant, Verdict } from "../policy/decision.ts";
import type { Pid } from "../term/types.ts";
import type { Control } from "../wire/control-types.ts";
import { decodeReason } from "./decode-payload.ts";
import { holdsUnwanted, type OwnProcesses } from "./message-parts.ts";
import type { NodeCore } from "./node-core.ts";
import type { NodeProcess } from "./node-process.ts";
import { BY_DEFAULT, BY_LIMIT, type Refusals, type Why } from "./refusals.ts";
import type { Session } from "./session.ts";

type Kind<K extends Control["kind"]> = Extract<Control, { kind: K }>;

/** Monitors, links and exit signals of peers on processes of this node. */
export class Signals {
  readonly #core: NodeCore;
  readonly #own: OwnProcesses;
  readonly #refusals: Refusals;

  constructor(core: NodeCore, own: OwnProcesses, refusals: Refusals) {
    this.#core = core;
    this.#own = own;
    this.#refusals = refusals;
  }

  /** MONITOR_P. Who may reach a target may learn that it is gone; nobody else learns whether it exists (rulings U9). */
  monitor(session: Session, control: Kind<"monitor">): void {
    const { processes, nameRules } = this.#core;
    const { target, from, ref } = control;
    const process = typeof target === "string" ? processes.names.whereis(target) : processes.lookup(target);
    if (process !== undefined && this.#watchesOwn(session, process)) {
      session.tables.monitorRequested(from, target, ref);
      return;
    }
    let verdict: Verdict;
    if (process === undefined) {
      const former = typeof target === "string" ? nameRules.get(target) : processes.tagOf(target)?.tag;
      verdict = session.guard.watchingMissing(typeof target === "string" ? target : undefined, former);
    } else {
      verdict = session.guard.watching(process, this.#accessOf(session, target, process), processes.names.generation);
    }
    const capability = process === undefined ? undefined : this.#capability(session, process, "monitor");
    const given = withCapability(verdict, capability);
    if (given.outcome !== "allow" || !this.#take(session, "monitor", target, given)) {
      session.refusedMonitor = ref;
      this.#refusals.down(session, "monitor", target, from, ref, refusedBy(given, BY_LIMIT));
    } else session.tables.monitorRequested(from, target, ref);
  }

  /** DEMONITOR_P: whoever took the monitor of a call back does not wait for its answer any more. */
  demonitor(session: Session, control: Kind<"demonitor">): void {
    session.tables.demonitorRequested(control.from, control.target, control.ref);
    session.work.abandoned(control.ref);
  }

  /** LINK. */
  link(session: Session, control: Kind<"link">): void {
    const { processes } = this.#core;
    const process = processes.lookup(control.to);
    const verdict =
      process === undefined
        ? session.guard.onMissing("link", undefined, processes.tagOf(control.to)?.tag)
        : session.guard.onProcess(
            "link",
            process,
            this.#accessOf(session, control.to, process),
            processes.names.generation,
          );
    const capability = process === undefined ? undefined : this.#capability(session, process, "link");
    const given = withCapability(verdict, capability);
    const isOwn = this.#isOwn(process);
    if (given.outcome === "allow" && !isOwn && this.#take(session, "link", control.to, given)) {
      session.tables.linkRequested(control.from, control.to);
      return;
    }
    const id = this.#refusals.record(session, "link", control.to, refusedBy(given, isOwn ? BY_DEFAULT : BY_LIMIT));
    session.signal({ kind: "exit", from: control.to, to: control.from, reason: "payload" }, denied(id));
  }

  /** EXIT2. */
  exit2(session: Session, control: Kind<"exit2">, buffer: Buffer, start: number, end: number): void {
    const { processes, capabilities } = this.#core;
    const process = processes.lookup(control.to);
    const verdict =
      process === undefined
        ? session.guard.onMissing("exit", undefined, processes.tagOf(control.to)?.tag)
        : session.guard.onProcess(
            "exit",
            process,
            this.#accessOf(session, control.to, process),
            processes.names.generation,
          );
    const capability = process === undefined ? undefined : this.#capability(session, process, "exit");
    const given = withCapability(verdict, capability);
    if (given.outcome !== "allow" || this.#isOwn(process)) {
      this.#refusals.record(session, "exit", control.to, refusedBy(given, BY_DEFAULT));
      return;
    }
    const grant = this.#grantFor(session, given, control, buffer, start, end);
    if ("outcome" in grant) {
      this.#refusals.record(session, "exit", control.to, grant);
      return;
    }
    if (process === undefined) return;
    const reason = decodeReason(session, control.reason, buffer, start, end);
    if (holdsUnwanted(session, grant)) {
      this.#refusals.record(session, "exit", control.to, BY_LIMIT);
      return;
    }
    if (capability !== undefined) capabilities.use(capability);
    this.#refusals.allowed(session, "exit", control.to, given, grant);
    processes.exitSignal(process, control.from, reason, "exit");
  }

  /** Takes back what the peer's rules no longer allow. */
  withdraw(session: Session): void {
    const { generation } = this.#core.processes.names;
    session.tables.withdraw((process, kind, target) => {
      if (kind === "monitor" && this.#watchesOwn(session, process)) return undefined;
      const access = this.#accessOf(session, target, process);
      const verdict =
        kind === "monitor"
          ? session.guard.watching(process, access, generation)
          : session.guard.onProcess("link", process, access, generation);
      const given = withCapability(verdict, this.#capability(session, process, kind));
      return given.outcome === "allow" ? undefined : denied(this.#refusals.record(session, kind, target, given));
    });
  }

  /** The grant of an allowing verdict that lets an exit signal with this very reason through, or why none does. */
  #grantFor(
    { guard, connection }: Session,
    verdict: Verdict,
    { reason }: Kind<"exit2">,
    buffer: Buffer,
    start: number,
    end: number,
  ): Grant | Why {
    const leading = verdict.grants[0] ?? BY_DEFAULT;
    if (guard.isOpen(verdict)) return leading;
    if (reason === "payload") return guard.weigh(verdict, { buffer, start, end, inner: start }, connection.terms);
    // In the control message a reason cannot be measured; both sides know the form in which it can.
    return BY_LIMIT;
  }

  /** Uses up the rates of an allowing verdict, and takes note of what was let through. */
  #take(session: Session, verb: CapabilityVerb, target: Pid | string, verdict: Verdict): boolean {
    const grant = session.guard.spend(verdict);
    if (grant === undefined) return false;
    this.#refusals.allowed(session, verb, target, verdict, grant);
    return true;
  }

  /** Nobody ends what the node itself lives by, whatever rules say of `*` and of pids: not over a link, and not at once. */
  #isOwn(process: NodeProcess | undefined): boolean {
    if (process === undefined) return false;
    const { netKernel, rex, outputSink } = this.#own;
    return process === netKernel || process === rex || process === outputSink || process.pid === this.#core.mainPid;
  }

  /** The node's own processes are watched by callers as others are. */
  #watchesOwn(session: Session, process: NodeProcess): boolean {
    const { netKernel, rex, outputSink } = this.#own;
    if (process === netKernel || process === rex) return session.guard.mayConnect;
    return process === outputSink && session.takesOutput;
  }

  #accessOf(session: Session, target: Pid | string, process: NodeProcess): Access {
    if (typeof target === "string") return "by-name";
    const { capabilities, clock } = this.#core;
    if (capabilities.size === 0) return "by-pid";
    return capabilities.isGranted(process, session.facts, clock.now()) ? "by-granted-pid" : "by-pid";
  }

  #capability(session: Session, process: NodeProcess, verb: CapabilityVerb): Capability<NodeProcess> | undefined {
    const { capabilities, clock } = this.#core;
    return capabilities.size === 0 ? undefined : capabilities.find(process, session.facts, verb, clock.now());
  }
}

/** Why something is refused: what the rules say, or, where they say yes, what else was in the way. */
function refusedBy(verdict: Verdict, otherwise: Why): Why {
  return verdict.outcome === "allow" ? otherwise : verdict;
}

/** A capability grants what no rule does; what a rule denies it does not give. */
function withCapability(verdict: Verdict, capability: Capability<NodeProcess> | undefined): Verdict {
  return verdict.outcome === "deny-default" && capability !== undefined ? BY_CAPABILITY : verdict;
}
