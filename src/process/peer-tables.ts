import type { Pid, Reference, Term } from "../term/types.ts";
import type { Control } from "../wire/control-types.ts";
import { NOCONNECTION, NOPROC, SYSTEM_LIMIT, scrubReason } from "./exit-reason.ts";
import type { DeathObserver, LocalProcess } from "./local-process.ts";
import { newPeerCounting, type PeerCounters, type PeerCounting } from "./peer-counters.ts";
import { PeerLinks } from "./peer-links.ts";
import { type MonitorOut, MonitorsIn, MonitorsOut } from "./peer-monitors.ts";
import type { Down, RemoteEnd } from "./ports.ts";
import type { ExitSignalKind, ProcessTable } from "./process-table.ts";

export interface PeerTablesOptions<Meta, Tag> {
  /** Link records of the session, whoever made them. Default 100,000. */
  readonly maxLinks?: number;
  /** Of these, made by the peer. Default 4,096. */
  readonly maxLinksIn?: number;
  /** Monitors the peer may hold on processes here. Default 4,096. */
  readonly maxMonitorsIn?: number;
  /** Monitors this node may hold on processes there. Default 100,000. */
  readonly maxMonitorsOut?: number;
  /**
   * True: the end of the linked process `remotePid`, and the loss of the session, come to `process` as a message even when
   * it does not trap exits, so that the peer cannot end it (rulings C6). Default: never, as in Erlang.
   */
  readonly exitAsMessage?: (process: LocalProcess<Meta, Tag>, remotePid: Pid) => boolean;
}

/** What an inbound request came to. `ignored`: no answer was due; the other two failures were answered on the wire. */
export type LinkOutcome = "linked" | "noproc" | "over-limit" | "ignored";
export type MonitorOutcome = "monitored" | "noproc" | "over-limit" | "ignored";

/**
 * Links and monitors between this node and one peer, for one session (otp-distribution sections 4.1, 4.3, 6.3). The node
 * calls the inbound half (`...Requested`, `...Received`) after policy let the signal pass and after it checked that the
 * sender's pid belongs to the peer. Ends with `disconnected`; what comes in after that is ignored.
 */
export class PeerTables<Meta, Tag> implements DeathObserver<Meta, Tag> {
  readonly remote: RemoteEnd;
  readonly #processes: ProcessTable<Meta, Tag>;
  readonly #exitAsMessage: (process: LocalProcess<Meta, Tag>, remotePid: Pid) => boolean;
  readonly #links: PeerLinks<Meta, Tag>;
  readonly #monitorsIn: MonitorsIn<Meta, Tag>;
  readonly #monitorsOut: MonitorsOut<Meta, Tag>;
  readonly #observed: Set<LocalProcess<Meta, Tag>> = new Set();
  readonly #counting: PeerCounting = newPeerCounting();
  #lost: { readonly reason: Term } | undefined;

  constructor(remote: RemoteEnd, processes: ProcessTable<Meta, Tag>, options: PeerTablesOptions<Meta, Tag> = {}) {
    this.remote = remote;
    this.#processes = processes;
    this.#exitAsMessage = options.exitAsMessage ?? (() => false);
    this.#links = new PeerLinks(options.maxLinks ?? 100_000, options.maxLinksIn ?? 4096);
    this.#monitorsIn = new MonitorsIn(options.maxMonitorsIn ?? 4096);
    this.#monitorsOut = new MonitorsOut(options.maxMonitorsOut ?? 100_000);
  }

  get counters(): PeerCounters {
    return this.#counting;
  }

  /** Entries now in use; `links` with those that wait for an acknowledgement. */
  get sizes(): { readonly links: number; readonly monitorsIn: number; readonly monitorsOut: number } {
    return { links: this.#links.size, monitorsIn: this.#monitorsIn.size, monitorsOut: this.#monitorsOut.size };
  }

  /** True when an exit of one of the two would reach the other. */
  linked(process: LocalProcess<Meta, Tag>, remotePid: Pid): boolean {
    return this.#links.active(process, remotePid);
  }

  /**
   * Links a local process to one of the peer. On a lost session the process gets the exit signal in a later turn.
   * @throws {SallyportError} ERR_LIMIT LINK_LIMIT
   */
  link(process: LocalProcess<Meta, Tag>, remotePid: Pid): void {
    if (this.#adopt(process, remotePid)) this.#signal({ kind: "link", from: process.pid, to: remotePid });
  }

  /** As `link` for a link that SPAWN_REPLY reported as made (section 4.3): nothing is sent. */
  adoptLink(process: LocalProcess<Meta, Tag>, remotePid: Pid): void {
    this.#adopt(process, remotePid);
  }

  /** Takes a link back; no exit comes over it from now on. True when there was one. */
  unlink(process: LocalProcess<Meta, Tag>, remotePid: Pid): boolean {
    const id = this.#links.unlinkByUs(process, remotePid);
    if (id === undefined) return false;
    this.#signal({ kind: "unlink-id", id, from: process.pid, to: remotePid });
    return true;
  }

  /**
   * Watches a process of the peer, by pid or registered name. `onDown` is called exactly once, unless `demonitor` or the
   * end of the local process `from` comes first, and never before this returned or with a lost session in this turn.
   * @throws {SallyportError} ERR_LIMIT MONITOR_LIMIT, ERR_API_MISUSE MONITOR_EXISTS
   */
  monitor(from: Pid, target: Pid | string, ref: Reference, onDown: (down: Down) => void): void {
    this.adoptMonitor(from, target, ref, onDown);
    this.#signal({ kind: "monitor", from, target, ref });
  }

  /** As `monitor` for a monitor that SPAWN_REPLY reported as set (section 4.3): nothing is sent. */
  adoptMonitor(from: Pid, target: Pid | string, ref: Reference, onDown: (down: Down) => void): void {
    const process = this.#processes.lookup(from);
    const monitor: MonitorOut<Meta, Tag> = { ref, from, target, process, onDown };
    this.#monitorsOut.add(monitor);
    const lost = this.#lost;
    if (lost === undefined) {
      if (process !== undefined) this.#observe(process);
      return;
    }
    this.#processes.defer(() => {
      const wanted = this.#monitorsOut.remove(monitor) && (process === undefined || process.alive);
      if (wanted) this.#tellDown(monitor, lost.reason);
    });
  }

  /** Removes a monitor of ours; true when there was one, and then its `onDown` is not called any more. */
  demonitor(ref: Reference): boolean {
    const monitor = this.#monitorsOut.takeByRef(ref);
    if (monitor === undefined) return false;
    this.#signal({ kind: "demonitor", from: monitor.from, target: monitor.target, ref });
    return true;
  }

  /** LINK. A process that is not there answers EXIT `noproc`, a link above the limit EXIT `system_limit`. */
  linkRequested(from: Pid, to: Pid): LinkOutcome {
    if (this.#lost !== undefined) return "ignored";
    const process = this.#processes.lookup(to);
    if (process === undefined) {
      // Above the limit both cases answer alike, or the limit would tell who exists.
      const full = this.#links.full;
      if (full) this.#counting.refusedLinks++;
      this.#sendExit(to, from, full ? SYSTEM_LIMIT : NOPROC);
      return full ? "over-limit" : "noproc";
    }
    const outcome = this.#links.linkByPeer(process, from);
    if (outcome === "linked") this.#observe(process);
    if (outcome === "ignored") this.#counting.ignoredLinks++;
    if (outcome === "over-limit") {
      this.#counting.refusedLinks++;
      this.#sendExit(to, from, SYSTEM_LIMIT);
    }
    return outcome;
  }

  /** UNLINK_ID: acknowledged before anything else is sent, whether or not there is a link. */
  unlinkRequested(id: bigint, from: Pid, to: Pid): void {
    if (this.#lost !== undefined) return;
    this.#signal({ kind: "unlink-id-ack", id, from: to, to: from });
    const process = this.#processes.lookup(to);
    if (process !== undefined) this.#links.removeActive(process, from);
  }

  /** UNLINK_ID_ACK. */
  unlinkAcked(id: bigint, from: Pid, to: Pid): void {
    if (this.#lost !== undefined) return;
    const process = this.#processes.lookup(to);
    if (process === undefined || !this.#links.acknowledged(id, process, from)) this.#counting.ignoredUnlinkAcks++;
  }

  /** True when a DOWN with these would be ours: so that its reason is looked at only then. */
  awaitsDown(target: Pid | string, to: Pid, ref: Reference): boolean {
    return this.#lost === undefined && this.#monitorsOut.hasExact(target, to, ref);
  }

  /** True when an EXIT would come over an active link. */
  awaitsExit(from: Pid, to: Pid): boolean {
    const process = this.#lost === undefined ? this.#processes.lookup(to) : undefined;
    return process !== undefined && this.#links.active(process, from);
  }

  /** A DOWN or EXIT that came to nothing that is open. */
  countUnsolicited(kind: "down" | "exit"): void {
    if (kind === "down") this.#counting.ignoredDowns++;
    else this.#counting.ignoredExits++;
  }

  /**
   * Takes back the monitors and links of the peer to which `refusal` gives a reason: each is answered with a DOWN or EXIT of
   * it. Our own process hears nothing of it.
   */
  withdraw(
    refusal: (process: LocalProcess<Meta, Tag>, kind: "monitor" | "link", target: Pid | string) => Term | undefined,
  ): void {
    if (this.#lost !== undefined) return;
    for (const monitor of this.#monitorsIn.all()) {
      const { process, target, from, ref } = monitor;
      const reason = refusal(process, "monitor", target);
      if (reason !== undefined && this.#monitorsIn.removeBy(from, ref)) this.#sendDown(target, from, ref, reason);
    }
    for (const { process, remotePid, byPeer } of this.#links.all()) {
      const reason = byPeer ? refusal(process, "link", process.pid) : undefined;
      if (reason !== undefined && this.#links.removeActive(process, remotePid)) {
        this.#sendExit(process.pid, remotePid, reason);
      }
    }
  }

  /** EXIT: counts only over an active link, which it removes. True when it was one. */
  exitReceived(from: Pid, to: Pid, reason: Term): boolean {
    if (this.#lost !== undefined) return false;
    const process = this.#processes.lookup(to);
    if (process === undefined || !this.#links.removeActive(process, from)) {
      this.#counting.ignoredExits++;
      return false;
    }
    this.#exitSignal(process, from, reason);
    return true;
  }

  /** MONITOR_P. The monitor sticks to the process that has the name now (section 6.3). */
  monitorRequested(from: Pid, target: Pid | string, ref: Reference): MonitorOutcome {
    if (this.#lost !== undefined) return "ignored";
    if (this.#monitorsIn.has(ref)) {
      this.#counting.duplicateMonitors++;
      return "ignored";
    }
    if (this.#monitorsIn.full) {
      this.#counting.refusedMonitors++;
      this.#sendDown(target, from, ref, SYSTEM_LIMIT);
      return "over-limit";
    }
    const process = typeof target === "string" ? this.#processes.names.whereis(target) : this.#processes.lookup(target);
    if (process === undefined) {
      this.#sendDown(target, from, ref, NOPROC);
      return "noproc";
    }
    this.#monitorsIn.add({ ref, from, target, process });
    this.#observe(process);
    return "monitored";
  }

  /** DEMONITOR_P: only the watcher itself may. No answer. `target` does not matter, as in a BEAM. */
  demonitorRequested(from: Pid, _target: Pid | string, ref: Reference): boolean {
    if (this.#lost !== undefined) return false;
    const removed = this.#monitorsIn.removeBy(from, ref);
    if (!removed) this.#counting.ignoredDemonitors++;
    return removed;
  }

  /** MONITOR_P_EXIT: reference, target and watcher must be those of one monitor of this session (CM-23). */
  monitorExitReceived(target: Pid | string, to: Pid, ref: Reference, reason: Term): boolean {
    if (this.#lost !== undefined) return false;
    const monitor = this.#monitorsOut.takeExact(target, to, ref);
    if (monitor === undefined) {
      this.#counting.ignoredDowns++;
      return false;
    }
    this.#tellDown(monitor, reason);
    return true;
  }

  /**
   * The session is gone: each active link and each monitor of ours ends with `reason`, once. What a callback adds meanwhile
   * is told in a later turn; what it removes before its turn is not told.
   */
  disconnected(reason: Term = NOCONNECTION): void {
    if (this.#lost !== undefined) return;
    this.#lost = { reason };
    this.#monitorsIn.clear();
    // From a list, since callbacks may change the tables; and each entry leaves its table before it is told.
    for (const { process, remotePid } of this.#links.all()) {
      if (!this.#links.removeActive(process, remotePid)) continue;
      this.#processes.guarded(() => this.#exitSignal(process, remotePid, reason));
    }
    for (const monitor of this.#monitorsOut.all()) {
      if (this.#monitorsOut.remove(monitor)) this.#tellDown(monitor, reason);
    }
    this.#links.clear();
    for (const process of this.#observed) process.unobserve(this);
    this.#observed.clear();
  }

  /** A local process ended: its links, then its watchers are told; its own monitors go. */
  processDied(process: LocalProcess<Meta, Tag>, reason: Term): void {
    this.#observed.delete(process);
    const ends = this.#links.take(process);
    const watchers = this.#monitorsIn.take(process);
    const own = this.#monitorsOut.take(process);
    if (this.#lost !== undefined) return;
    const told = process.exposeReasons ? reason : scrubReason(reason);
    for (const end of ends) this.#sendExit(process.pid, end, told);
    for (const monitor of watchers) this.#sendDown(monitor.target, monitor.from, monitor.ref, told);
    for (const { from, target, ref } of own) this.#signal({ kind: "demonitor", from, target, ref });
  }

  /** True when the record is new or active again. */
  #adopt(process: LocalProcess<Meta, Tag>, remotePid: Pid): boolean {
    if (!process.alive) return false;
    const lost = this.#lost;
    if (lost !== undefined) {
      this.#processes.defer(() => this.#exitSignal(process, remotePid, lost.reason));
      return false;
    }
    const changed = this.#links.linkByUs(process, remotePid);
    if (changed) this.#observe(process);
    return changed;
  }

  /** Once per process and session, and kept: taking it back after each call would cost more than it frees. */
  #observe(process: LocalProcess<Meta, Tag>): void {
    if (this.#observed.has(process)) return;
    this.#observed.add(process);
    process.observe(this);
  }

  #exitSignal(process: LocalProcess<Meta, Tag>, from: Pid, reason: Term): void {
    const kind: ExitSignalKind = this.#exitAsMessage(process, from) ? "link-as-message" : "link";
    if (this.#processes.exitSignal(process, from, reason, kind) === "dropped") this.#counting.droppedExitMessages++;
  }

  #tellDown(monitor: MonitorOut<Meta, Tag>, reason: Term): void {
    const { target, onDown } = monitor;
    const node = typeof target === "string" ? this.remote.node : target.node;
    this.#processes.guarded(() => onDown({ target, node, reason }));
  }

  #sendExit(from: Pid, to: Pid, reason: Term): void {
    this.#signal({ kind: "exit", from, to, reason: "payload" }, reason);
  }

  #sendDown(target: Pid | string, to: Pid, ref: Reference, reason: Term): void {
    this.#signal({ kind: "monitor-exit", target, to, ref, reason: "payload" }, reason);
  }

  #signal(control: Control, payload?: Term): void {
    if (this.#lost === undefined) this.remote.signal(control, payload);
  }
}
