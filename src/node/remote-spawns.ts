import { SallyportError } from "../base/errors.ts";
import { samePid } from "../process/term-keys.ts";
import { Atom, atomName, isAtom, type Pid, type Reference, type Term, Tuple } from "../term/types.ts";
import type { Control } from "../wire/control-types.ts";
import { misbehaved } from "../wire/misbehaved.ts";
import type { CallOptions, Down, SpawnRemoteOptions } from "./api.ts";
import type { CallTable } from "./call-table.ts";
import { SALLYPORT_FUNCTION_MODULE } from "./functions.ts";
import type { NodeCore } from "./node-core.ts";
import type { NodeProcess } from "./node-process.ts";
import { ownRefKey, sameRef } from "./refs.ts";
import { callFailure, deniedByPeer, deniedId, quoteTerm } from "./remote-failure.ts";
import type { Session } from "./session.ts";

type SpawnReply = Extract<Control, { kind: "spawn-reply" }>;

/** One spawn request of ours, until its process is known to have ended or its answer was taken. */
interface OpenSpawn {
  readonly session: Session;
  /** Who asked, and whom the reply must name. */
  readonly from: Pid;
  /** Flags the reply may carry: what we asked for. */
  readonly asked: number;
  /** The new process once the reply came. */
  child: Pid | undefined;
  readonly replied: (child: Pid) => void;
  readonly refused: (reason: string) => void;
  /** For erpc: the DOWN of the child carries the result. Undefined when the process layer has the monitor. */
  readonly ended: ((reason: Term) => void) | undefined;
}

const MONITOR = new Atom("monitor");
const LINK = new Atom("link");

/** Spawn requests this node sends: erpc, and remote processes (otp-distribution sections 4.3 and 6.5). */
export class RemoteSpawns {
  readonly #core: NodeCore;
  readonly #calls: CallTable;
  readonly #outputSink: Pid;
  readonly #open = new Map<number, OpenSpawn & { readonly ref: Reference }>();

  /** `outputSink`: the process that becomes group leader of what we start remotely, and takes its output. */
  constructor(core: NodeCore, outputSink: Pid) {
    this.#core = core;
    this.#calls = core.calls;
    this.#outputSink = outputSink;
  }

  /** erpc: runs `module:fn(args)` on the peer and resolves with its value. */
  rpc(
    session: Session,
    module: string,
    fn: string,
    args: readonly Term[],
    options: CallOptions,
    groupLeader?: Pid,
  ): Promise<Term> {
    const peer = session.peer.name;
    const what = `${module}:${fn}/${args.length}`;
    const resultRef = this.#core.refs.next();
    return this.#calls.open({
      session,
      target: what,
      peer,
      what,
      options,
      isSpawn: true,
      abandon: (ref) => this.#abandon(ref),
      start: (ref) => {
        this.#request(
          session,
          ref,
          "erpc",
          "execute_call",
          [MONITOR],
          [resultRef, new Atom(module), new Atom(fn), args],
          {
            session,
            from: this.#core.mainPid,
            asked: 2,
            child: undefined,
            replied: () => {},
            refused: (reason) => this.#fail(ref, session, spawnRefused(peer, what, reason)),
            ended: (reason) => this.#rpcEnded(ref, session, resultRef, what, reason),
          },
          groupLeader,
        );
      },
    });
  }

  /** Starts a process on the peer and resolves with its pid. */
  spawn(
    session: Session,
    fn: string,
    args: readonly Term[],
    options: SpawnRemoteOptions,
    linkTo: NodeProcess | undefined,
    groupLeader?: Pid,
  ): Promise<Term> {
    const peer = session.peer.name;
    // A peer that did not offer it may drop the connection over it.
    if (!session.hasSpawn) return Promise.reject(spawnRefused(peer, fn, "notsup"));
    const colon = fn.indexOf(":");
    const module = colon < 0 ? SALLYPORT_FUNCTION_MODULE : fn.slice(0, colon);
    const name = colon < 0 ? fn : fn.slice(colon + 1);
    const onDown = options.onDown;
    const asked = (linkTo === undefined ? 0 : 1) | (onDown === undefined ? 0 : 2);
    const wanted = [...(onDown === undefined ? [] : [MONITOR]), ...(linkTo === undefined ? [] : [LINK])];
    const from = linkTo?.pid ?? this.#core.mainPid;
    return this.#calls.open({
      session,
      target: fn,
      peer,
      what: `spawn of ${fn}/${args.length}`,
      options,
      isSpawn: true,
      abandon: (ref) => this.#abandon(ref),
      start: (ref) => {
        const replied = (child: Pid): void => {
          this.#open.delete(ownRefKey(ref));
          if (linkTo !== undefined) session.tables.adoptLink(linkTo, child);
          if (onDown !== undefined) {
            session.tables.adoptMonitor(from, child, ref, (down) => onDown(publicDown(ref, child, down.reason)));
          }
          const call = this.#calls.find(ref, session);
          if (call !== undefined) this.#calls.answer(call, child);
        };
        const refused = (reason: string): void => this.#fail(ref, session, spawnRefused(peer, fn, reason));
        this.#request(
          session,
          ref,
          module,
          name,
          wanted,
          args,
          { session, from, asked, child: undefined, replied, refused, ended: undefined },
          groupLeader,
          from,
        );
      },
    });
  }

  /** @throws {SallyportError} ERR_PEER_MISBEHAVED SPAWN_REPLY_FORGED */
  replyReceived(session: Session, reply: SpawnReply): boolean {
    const open = this.#find(session, reply.ref);
    if (open === undefined || open.child !== undefined || !samePid(reply.to, open.from)) return false;
    if (typeof reply.result === "string") {
      this.#open.delete(ownRefKey(reply.ref));
      open.refused(reply.result);
      return true;
    }
    if ((reply.flags & ~open.asked) !== 0) {
      throw misbehaved("SPAWN_REPLY_FORGED", "a spawn reply reports a link or monitor that was not asked for");
    }
    open.child = reply.result;
    open.replied(reply.result);
    return true;
  }

  /** True when a DOWN with these would end one of our spawns, by reference and process. */
  awaitsDown(session: Session, target: Pid | string, ref: Reference): boolean {
    const open = this.#find(session, ref);
    return (
      open?.ended !== undefined && open.child !== undefined && typeof target !== "string" && samePid(target, open.child)
    );
  }

  /** The DOWN that `awaitsDown` said yes to. */
  downReceived(session: Session, ref: Reference, reason: Term): void {
    const open = this.#find(session, ref);
    this.#open.delete(ownRefKey(ref));
    open?.ended?.(reason);
  }

  /** Forgets what was open over a lost session; the calls themselves are failed by their table. */
  sessionLost(session: Session): void {
    for (const [key, open] of this.#open) if (open.session === session) this.#open.delete(key);
  }

  #find(session: Session, ref: Reference): (OpenSpawn & { readonly ref: Reference }) | undefined {
    const open = this.#open.get(ownRefKey(ref));
    return open !== undefined && open.session === session && sameRef(open.ref, ref) ? open : undefined;
  }

  #request(
    session: Session,
    ref: Reference,
    module: string,
    fn: string,
    options: readonly Term[],
    args: readonly Term[],
    open: OpenSpawn,
    groupLeader: Pid | undefined,
    from: Pid = this.#core.mainPid,
  ): void {
    const control: Control = {
      kind: "spawn-request",
      ref,
      from,
      groupLeader: groupLeader ?? this.#outputSink,
      module,
      function: fn,
      arity: args.length,
      options,
    };
    if (groupLeader === undefined) session.takesOutput = true;
    session.connection.message(control, args);
    this.#open.set(ownRefKey(ref), { ...open, ref });
  }

  #abandon(ref: Reference): void {
    const open = this.#open.get(ownRefKey(ref));
    this.#open.delete(ownRefKey(ref));
    if (open?.child === undefined) return;
    open.session.signal({ kind: "demonitor", from: this.#core.mainPid, target: open.child, ref });
  }

  #fail(ref: Reference, session: Session, error: SallyportError): void {
    const call = this.#calls.find(ref, session);
    if (call !== undefined) this.#calls.fail(call, error);
  }

  #rpcEnded(ref: Reference, session: Session, resultRef: Reference, what: string, reason: Term): void {
    const call = this.#calls.find(ref, session);
    if (call === undefined) return;
    const peer = session.peer.name;
    if (!(reason instanceof Tuple) || !isResult(reason, resultRef)) {
      this.#calls.fail(call, callFailure(peer, what, reason));
      return;
    }
    const [, outcome, value] = reason.elements;
    if (isAtom(outcome, "return")) this.#calls.answer(call, value);
    else this.#calls.fail(call, remoteException(peer, what, atomName(outcome) ?? "exit", value));
  }
}

function isResult(reason: Tuple, resultRef: Reference): boolean {
  const head = reason.elements[0];
  return reason.length >= 3 && head !== null && typeof head === "object" && "words" in head && sameRef(head, resultRef);
}

/** An `erpc` or `rex` call ended in an exception. */
export function remoteException(peer: string, what: string, kind: string, reason: Term): SallyportError {
  const decision = deniedId(reason);
  if (decision !== undefined) return deniedByPeer(peer, what, decision);
  return new SallyportError(
    "ERR_REMOTE",
    "REMOTE_EXCEPTION",
    `${what} on ${peer} raised ${kind}: ${quoteTerm(reason)}`,
    {
      stage: "call",
      peer,
      detail: { kind, remoteReason: quoteTerm(reason) },
      advice: "check the function, its arguments and the log of the other side",
    },
  );
}

function spawnRefused(peer: string, what: string, reason: string): SallyportError {
  if (reason === "eperm") return deniedByPeer(peer, what, undefined);
  if (reason === "notsup") {
    return new SallyportError("ERR_PEER_INCOMPATIBLE", "SPAWN_UNSUPPORTED", `${peer} does not take spawn requests`, {
      stage: "call",
      peer,
      advice: "register the work as a service there and call that",
    });
  }
  return new SallyportError(
    "ERR_REMOTE",
    "SPAWN_FAILED",
    `${peer} could not start ${what}: ${quoteTerm(new Atom(reason))}`,
    {
      stage: "call",
      peer,
      detail: { remoteReason: quoteTerm(new Atom(reason)) },
      advice: "see the reason given by the other side",
    },
  );
}

/** A DOWN as the API shows it. */
export function publicDown(ref: Reference, target: Down["target"], reason: Term): Down {
  return { ref, target, reason };
}
