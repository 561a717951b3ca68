import { isSallyportError, SallyportError } from "../base/errors.ts";
import { parseDialTarget, sameNode } from "../base/node-name.ts";
import { NOCONNECTION } from "../process/exit-reason.ts";
import { refKey } from "../process/term-keys.ts";
import { encodeTerm } from "../term/encode.ts";
import { Atom, isAtom, Pid, type Reference, type Term, Tuple } from "../term/types.ts";
import type { Control } from "../wire/control-types.ts";
import type { CallOptions, Down, Target } from "./api.ts";
import type { CallRequest } from "./call-table.ts";
import type { Dial } from "./dial.ts";
import { genCall, genCallAround } from "./gen.ts";
import { type Place, placeOf } from "./handles.ts";
import type { MessageContext } from "./message-context.ts";
import type { NodeCore } from "./node-core.ts";
import type { NodeProcess } from "./node-process.ts";
import { callFailure, quoteTerm } from "./remote-failure.ts";
import type { RemoteSpawns } from "./remote-spawns.ts";
import { remoteException } from "./remote-spawns.ts";
import type { Session } from "./session.ts";

/** What a link or monitor that waits for a dial counts for: about its size on the wire. */
const SIGNAL_BYTES = 128;

/** Ways to a session, given by the node. */
export interface Routes {
  /** A live session; `creation` of the pid that is meant, for names it is undefined. */
  session(node: string, creation?: number): Session | undefined;
  /** A session, dialled when there is none; `waitingBytes` of what the caller holds for it count meanwhile. */
  connected(node: string, options: CallOptions, waitingBytes?: number): Promise<Session>;
  /** The dial under way to a node, started when there is none. @throws like `connect` */
  dial(node: string): Dial;
  /** What goes beside messages of this node to its own processes. */
  localContext(self: Pid): MessageContext;
}

/** What this node's owner sends: to its own processes, over a session, or over one that is being dialled. */
export class Outbound {
  readonly #core: NodeCore;
  readonly #routes: Routes;
  readonly #spawns: RemoteSpawns;
  /** Monitors that wait for a session, or hang on one, by reference. */
  readonly #monitors = new Map<string, { session: Session | undefined }>();

  constructor(core: NodeCore, routes: Routes, spawns: RemoteSpawns) {
    this.#core = core;
    this.#routes = routes;
    this.#spawns = spawns;
  }

  /** See Node.send. */
  send(target: Target, message: Term): boolean {
    if (typeof target === "object" && "node" in target && !(target instanceof Pid)) {
      const session = this.#routes.session(target.node);
      if (session !== undefined) return session.connection.message(session.toName(target.name), message);
    }
    const place = placeOf(target);
    const process = this.#localProcess(place);
    if (process !== undefined) {
      if (process === "missing") this.#core.counters.add("dropped_no_target");
      else if (!process.deliver(message, this.#routes.localContext(process.pid)))
        this.#core.counters.add("dropped_mailbox_full");
      return true;
    }
    return this.#sendRemote(place, message);
  }

  /** What has to wait is encoded now: it goes out as it was when it was sent. */
  #sendRemote(place: Place, message: Term): boolean {
    const session = this.#routes.session(nodeOf(place), creationOf(place));
    if (session !== undefined) return this.#sendOver(session, place, message);
    const dial = this.#routes.dial(nodeOf(place));
    const bytes = encodeTerm(message);
    dial.queue((up) => this.#sendEncoded(up, place, bytes), bytes.length);
    return true;
  }

  #sendEncoded(session: Session, place: Place, bytes: Uint8Array): void {
    if (place.kind === "name") session.connection.encoded(session.toName(place.name), bytes, 1, bytes.length);
    else if (place.pid.creation !== session.creation) this.#core.counters.add("dropped_no_target");
    else session.connection.encoded(session.toPid(place.pid), bytes, 1, bytes.length);
  }

  #sendOver(session: Session, place: Place, message: Term): boolean {
    if (place.kind === "name") return session.connection.message(session.toName(place.name), message);
    if (place.pid.creation !== session.creation) {
      this.#core.counters.add("dropped_no_target");
      return !session.connection.congested;
    }
    return session.connection.message(session.toPid(place.pid), message);
  }

  /** See Node.call. */
  call(target: Target, request: Term, options: CallOptions): Promise<Term> {
    if (typeof target === "object" && "node" in target && !(target instanceof Pid)) {
      const session = this.#routes.session(target.node);
      if (session !== undefined) return this.#callOver(session, target.name, request, options);
    }
    const place = placeOf(target);
    const process = this.#localProcess(place);
    if (process !== undefined) return this.#localCall(place, process, request, options);
    return this.#callRemote(place, request, options);
  }

  async #callRemote(place: Place, request: Term, options: CallOptions): Promise<Term> {
    const node = nodeOf(place);
    const target = place.kind === "name" ? place.name : place.pid;
    const standing = this.#routes.session(node, creationOf(place));
    if (standing !== undefined) return this.#callOver(standing, target, request, options);
    const bytes = encodeTerm(request);
    const session = await this.#routes.connected(node, options, bytes.length);
    const { calls, mainPid } = this.#core;
    return calls.open(new RemoteCall(session, target, request, options, mainPid, bytes.subarray(1)));
  }

  /** Asks the node process of a peer, as `net_adm:ping` does; resolves with milliseconds. */
  async ping(session: Session, options: CallOptions): Promise<number> {
    const { clock, name } = this.#core;
    const startedAt = clock.now();
    const request = new Tuple([new Atom("is_auth"), new Atom(name)]);
    await this.#core.calls.open(new Ping(session, "net_kernel", request, options, this.#core.mainPid));
    return clock.now() - startedAt;
  }

  #callOver(session: Session, target: Pid | string, request: Term, options: CallOptions): Promise<Term> {
    return this.#core.calls.open(new RemoteCall(session, target, request, options, this.#core.mainPid));
  }

  #localCall(place: Place, process: NodeProcess | "missing", request: Term, options: CallOptions): Promise<Term> {
    const { calls, processes, mainPid, name } = this.#core;
    const target = place.kind === "name" ? place.name : place.pid;
    const label = typeof target === "string" ? quoteTerm(new Atom(target)) : quoteTerm(target);
    return calls.open({
      session: undefined,
      target,
      peer: name,
      what: `a call to ${label}`,
      options,
      start: (ref) => {
        const onDown = (down: { readonly reason: Term }): void => {
          const call = calls.find(ref, undefined);
          if (call !== undefined) calls.fail(call, callFailure(name, label, down.reason));
        };
        processes.monitors.monitor({ ref, target: process === "missing" ? target : process, onDown });
        if (process === "missing") return;
        if (process.deliver(genCall(mainPid, ref, true, request), this.#routes.localContext(process.pid))) return;
        processes.monitors.demonitor(ref);
        throw new SallyportError("ERR_LIMIT", "MAILBOX_FULL", `the mailbox of ${label} is full`, {
          stage: "call",
          peer: name,
          advice: "wait for answers before calling again, or raise maxMailboxMessages",
        });
      },
      abandon: (ref) => void processes.monitors.demonitor(ref),
    });
  }

  /** See Node.rpc. */
  async rpc(
    node: string,
    module: string,
    fn: string,
    args: readonly Term[],
    options: CallOptions,
    groupLeader: Pid | undefined,
  ): Promise<Term> {
    const session = this.#routes.session(node) ?? (await this.#routes.connected(node, options));
    if (session.hasSpawn) return this.#spawns.rpc(session, module, fn, args, options, groupLeader);
    const request = new Tuple([
      new Atom("call"),
      new Atom(module),
      new Atom(fn),
      args,
      groupLeader ?? new Atom("user"),
    ]);
    const result = await this.#callOver(session, "rex", request, options);
    if (!(result instanceof Tuple) || !isAtom(result.elements[0], "badrpc")) return result;
    throw remoteException(session.peer.name, `${module}:${fn}/${args.length}`, "badrpc", result.elements[1]);
  }

  /** See Node.monitor. */
  monitor(target: Target, onDown: (down: Down) => void): Reference {
    const ref = this.#core.refs.next();
    const place = placeOf(target);
    const process = this.#localProcess(place);
    const told = place.kind === "pid" ? place.pid : { name: place.name, node: place.node ?? this.#core.name };
    if (process !== undefined) {
      const on = process === "missing" ? (place.kind === "pid" ? place.pid : place.name) : process;
      this.#core.processes.monitors.monitor({
        ref,
        target: on,
        onDown: ({ reason }) => onDown({ ref, target: told, reason }),
      });
      return ref;
    }
    const key = refKey(ref);
    const entry: { session: Session | undefined } = { session: undefined };
    this.#monitors.set(key, entry);
    const down = (reason: Term): void => {
      if (this.#monitors.delete(key)) onDown({ ref, target: told, reason });
    };
    const set = (session: Session): void => {
      if (!this.#monitors.has(key)) return;
      entry.session = session;
      const on = place.kind === "pid" ? place.pid : place.name;
      session.tables.monitor(this.#core.mainPid, on, ref, ({ reason }) => down(reason));
    };
    this.#remote(place, set, () => this.#core.processes.defer(() => down(NOCONNECTION)));
    return ref;
  }

  /** See Node.demonitor. */
  demonitor(ref: Reference): boolean {
    if (this.#core.processes.monitors.demonitor(ref)) return true;
    const key = refKey(ref);
    const entry = this.#monitors.get(key);
    if (entry === undefined) return false;
    this.#monitors.delete(key);
    entry.session?.tables.demonitor(ref);
    return true;
  }

  /** See Node.link. @throws {SallyportError} ERR_API_MISUSE LINK_NEEDS_PID */
  link(process: NodeProcess, remote: Target): void {
    const pid = this.#pidFor(remote);
    if (pid.node === this.#core.name) {
      this.#core.processes.link(process, pid);
      return;
    }
    const lost = (): void => {
      this.#core.processes.defer(() => this.#core.processes.exitSignal(process, pid, NOCONNECTION, "link-as-message"));
    };
    this.#remote({ kind: "pid", pid }, (session) => session.tables.link(process, pid), lost);
  }

  /** See Node.unlink. */
  unlink(process: NodeProcess, remote: Target): void {
    const pid = this.#pidFor(remote);
    if (pid.node === this.#core.name) this.#core.processes.unlink(process, pid);
    else this.#routes.session(pid.node, pid.creation)?.tables.unlink(process, pid);
  }

  /** See Node.exit. */
  exit(target: Target, reason: Term): void {
    const { processes, mainPid } = this.#core;
    const place = placeOf(target);
    const process = this.#localProcess(place);
    if (process === "missing") return;
    if (process !== undefined) {
      processes.exitSignal(process, mainPid, reason, "exit");
      return;
    }
    const pid = this.#pidFor(target);
    const control: Control = { kind: "exit2", from: mainPid, to: pid, reason: "payload" };
    const session = this.#routes.session(pid.node, pid.creation);
    if (session !== undefined) session.signal(control, reason);
    else {
      const bytes = encodeTerm(reason);
      this.#routes.dial(pid.node).queue((up) => up.connection.encoded(control, bytes, 1, bytes.length), bytes.length);
    }
  }

  #pidFor(target: Target): Pid {
    const place = placeOf(target);
    if (place.kind === "pid") return place.pid;
    const process = this.#localProcess(place);
    if (process !== undefined && process !== "missing") return process.pid;
    throw new SallyportError(
      "ERR_API_MISUSE",
      "PID_NEEDED",
      "links and exit signals go to a pid, not to a registered name",
      {
        advice: "ask the other side for the pid first",
      },
    );
  }

  /** The process of this node that is meant; undefined when the place is on another node. */
  #localProcess(place: Place): NodeProcess | "missing" | undefined {
    const { processes, name } = this.#core;
    if (place.kind === "pid") {
      if (place.pid.node !== name) return undefined;
      return processes.lookup(place.pid) ?? "missing";
    }
    if (place.node !== undefined && place.node !== name && !isOwnName(place.node, name)) return undefined;
    return processes.names.whereis(place.name) ?? "missing";
  }

  /** Does it over the live session, or queues it behind the dial: a signal of few bytes. */
  #remote(place: Place, run: (session: Session) => void, failed: () => void): void {
    const node = nodeOf(place);
    const session = this.#routes.session(node, creationOf(place));
    if (session !== undefined) {
      run(session);
      return;
    }
    try {
      this.#routes.dial(node).queue(run, SIGNAL_BYTES, failed);
    } catch (error) {
      if (!isSallyportError(error)) throw error;
      failed();
    }
  }
}

function creationOf(place: Place): number | undefined {
  return place.kind === "pid" ? place.pid.creation : undefined;
}

function nodeOf(place: Place): string {
  return place.kind === "pid" ? place.pid.node : (place.node ?? "");
}

function isOwnName(text: string, own: Parameters<typeof sameNode>[0]): boolean {
  if (text.length < own.length) return false;
  try {
    return sameNode(parseDialTarget(text).name, own);
  } catch {
    return false;
  }
}

/** A gen_server call to a process of a peer: monitor first, then the request, both under one reference. */
class RemoteCall implements CallRequest {
  readonly session: Session;
  readonly target: Pid | string;
  readonly options: CallOptions;
  readonly #request: Term;
  readonly #from: Pid;
  readonly #encoded: Uint8Array | undefined;

  /** `encoded`: the request as it was before it had to wait for the session, without version byte. */
  constructor(
    session: Session,
    target: Pid | string,
    request: Term,
    options: CallOptions,
    from: Pid,
    encoded?: Uint8Array,
  ) {
    this.session = session;
    this.target = target;
    this.options = options;
    this.#request = request;
    this.#from = from;
    this.#encoded = encoded;
  }

  get peer(): string {
    return this.session.peer.name;
  }

  get what(): string {
    return `a call to ${quoteTerm(typeof this.target === "string" ? new Atom(this.target) : this.target)}`;
  }

  start(ref: Reference): void {
    const { session, target } = this;
    const { connection } = session;
    connection.signal({ kind: "monitor", from: this.#from, target, ref });
    try {
      const control = typeof target === "string" ? session.toName(target) : session.toPid(target);
      if (this.#encoded === undefined) {
        connection.message(control, genCall(this.#from, ref, session.hasAlias, this.#request));
      } else {
        const bytes = genCallAround(this.#from, ref, session.hasAlias, this.#encoded);
        connection.encoded(control, bytes, 0, bytes.length);
      }
    } catch (error) {
      this.abandon(ref);
      throw error;
    }
  }

  abandon(ref: Reference): void {
    this.session.signal({ kind: "demonitor", from: this.#from, target: this.target, ref });
  }
}

/** A call that no caller of `ping` knows as one. */
class Ping extends RemoteCall {
  override get what(): string {
    return "ping";
  }
}
