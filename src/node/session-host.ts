import type { BarrelAttempt } from "../auth/barrel-types.ts";
import type { SallyportError } from "../base/errors.ts";
import { type DialTarget, hostPart, type NodeName, sameNode } from "../base/node-name.ts";
import type { AcceptHandler, Carrier, CarrierSink, DialAddress, OwnTls } from "../carrier/carrier.ts";
import type { ChannelledAcceptHandler } from "../carrier/channels.ts";
import type { BarrelLink } from "../dist/barrel-link.ts";
import type { LinkNotice } from "../dist/barrel-link-owner.ts";
import { DistConnection } from "../dist/connection.ts";
import type { ProvenPeer } from "../dist/sink.ts";
import { Budgets } from "../guard/budgets.ts";
import { SessionGuard } from "../guard/session-guard.ts";
import type { Fingerprint } from "../identity/public-key.ts";
import type { PeerFacts } from "../policy/decision.ts";
import type { Control } from "../wire/control-types.ts";
import type { AdmittedPeer } from "./admitted-peer.ts";
import type { CallOptions, Peer } from "./api.ts";
import type { Attempts } from "./attempts.ts";
import { strayBytes } from "./barrel-counts.ts";
import { checkedTimeout } from "./call-table.ts";
import type { ConnectionHost, KnownConnection } from "./connection-host.ts";
import type { ConnectionParts } from "./connection-parts.ts";
import { ConnectionSink } from "./connection-sink.ts";
import type { Deadlines } from "./deadlines.ts";
import { Dial } from "./dial.ts";
import { DialOnlyPeers } from "./dial-only-peers.ts";
import { schemeRefused, selfConnect } from "./dial-refused.ts";
import { Doors } from "./doors.ts";
import { DrainWaiters } from "./drain-waiters.ts";
import { HealthBook } from "./health-book.ts";
import type { IdentityKeeper } from "./identity-keeper.ts";
import { IdleReaper } from "./idle-reaper.ts";
import type { Inbound } from "./inbound.ts";
import { judgeConnect } from "./judge-connect.ts";
import { KnownAddresses } from "./known-addresses.ts";
import { type LinkedConnection, linkedConnection } from "./linked-connection.ts";
import type { MessageContext } from "./message-context.ts";
import type { NodeCore } from "./node-core.ts";
import { DialWatches } from "./node-probe.ts";
import { factsOfConnection } from "./peer-facts.ts";
import type { PolicyKeeper, Standing } from "./policy-keeper.ts";
import type { CertificateJudge } from "./ports.ts";
import { connectionLost, connectTimeout } from "./remote-failure.ts";
import type { RemoteSpawns } from "./remote-spawns.ts";
import { Session } from "./session.ts";
import type { SessionMoves } from "./session-moves.ts";
import { SessionRenewals } from "./session-renewals.ts";
import type { SessionWatcher } from "./session-watcher.ts";
import { Sessions } from "./sessions.ts";
import { Standings } from "./standings.ts";
import { StreamServices } from "./streams.ts";

/** The connections of a node: accepts them, dials them, turns proven ones into sessions, and ends them. */
export class SessionHost implements ConnectionHost {
  readonly sessions: Sessions;
  readonly streams: StreamServices;
  readonly watches: DialWatches = new DialWatches();
  readonly self: Pick<NodeCore, "name" | "clock">;
  readonly judgeCertificate: CertificateJudge;
  readonly identity: IdentityKeeper | undefined;
  readonly isNativeOnly: boolean;
  readonly doors: Doors;
  readonly knownAddresses: KnownAddresses = new KnownAddresses();
  readonly health: HealthBook;
  /** What sessions may do as policy, grants and trust change. */
  readonly standings: Standings;
  readonly moves: SessionMoves;
  readonly #parts: ConnectionParts;
  readonly #core: NodeCore;
  readonly #deadlines: Deadlines;
  readonly #spawns: RemoteSpawns;
  readonly #inbound: Inbound;
  readonly #attempts: Attempts;
  readonly #byPeer = new Map<Peer, Session>();
  readonly #drains = new DrainWaiters();
  readonly #handshaking = new Set<DistConnection>();
  readonly #budgets: Budgets;
  readonly #policy: PolicyKeeper;
  readonly #renewals: SessionRenewals;
  readonly #dialOnly = new DialOnlyPeers();
  readonly #reaper: IdleReaper;
  /** Why nothing is dialled or accepted any more. */
  #closing: SallyportError | undefined;
  /** Whether the owner wants the connection with a peer though nothing may need it. */
  isKept: (peer: NodeName) => boolean = () => false;
  watcher: SessionWatcher | undefined;

  constructor(
    parts: ConnectionParts,
    core: NodeCore,
    deadlines: Deadlines,
    spawns: RemoteSpawns,
    inbound: Inbound,
    attempts: Attempts,
    policy: PolicyKeeper,
  ) {
    this.#policy = policy;
    this.streams = new StreamServices(core);
    this.#budgets = new Budgets(core.guardLimits.maxBudgets);
    this.#parts = parts;
    this.#renewals = new SessionRenewals(parts, core, {
      isShut: () => this.#closing !== undefined || this.doors.isClosed,
      connect: (session, address) => this.#connectTo(session.peer.name, address, { moving: session }),
      stands: (connection) => void this.#handshaking.delete(connection),
      moved: (session) => {
        this.knownAddresses.sessionUp(session.peer.address, session.peer.assurance);
        // Who waits for room waits for that of the old connection.
        this.relieved(session);
      },
      dial: (target) => void this.dial(target),
      kept: (session) => void this.sessions.dial(session.peer.name)?.succeeded(session),
    });
    this.moves = this.#renewals.moves;
    this.#attempts = attempts;
    this.#core = core;
    this.self = core;
    this.health = new HealthBook(core);
    this.#deadlines = deadlines;
    this.#spawns = spawns;
    this.#inbound = inbound;
    this.judgeCertificate = parts.judgeCertificate;
    this.identity = parts.identity;
    this.isNativeOnly = parts.isNativeOnly ?? false;
    this.doors = parts.doors ?? new Doors();
    for (const address of this.identity?.addressesOfTrusted() ?? []) this.knownAddresses.add(address);
    this.identity?.watch({
      changed: (changes) => this.standings.cutUntrusted(changes),
      warned: (warning) => core.events.emit("warning", warning),
    });
    this.sessions = new Sessions(parts.own.name, parts.maxSessions);
    this.standings = new Standings(core, policy, this.#budgets, inbound, this.sessions, (session) =>
      this.nameProven(session),
    );
    this.#reaper = new IdleReaper({
      clock: core.clock,
      option: parts.idle ?? false,
      sessions: () => this.sessions.all(),
      isKept: (peer) => this.isKept(peer),
      isDialled: (peer) => this.sessions.dial(peer) !== undefined,
    });
  }

  /** For listeners: takes an accepted carrier. */
  readonly accept: AcceptHandler = (carrier, admission) => {
    const connection = this.#newConnection(
      undefined,
      () => admission.release(),
      () => carrier,
      { ownTls: carrier.info().own },
    );
    if (this.#closing !== undefined) connection.destroy(this.#closing);
    return connection;
  };

  /** For listeners on QUIC: takes an accepted carrier. */
  readonly acceptChannels: ChannelledAcceptHandler = (carrier, admission) => {
    const linked = linkedConnection(this.#parts, this.streams, undefined, () => carrier);
    const connection = this.#newConnection(undefined, () => admission.release(), linked.make, linked.parts);
    if (this.#closing !== undefined) connection.destroy(this.#closing);
    return linked.link as BarrelLink;
  };

  /** The session a message came over; undefined for messages of this node. */
  sessionOf(ctx: MessageContext): Session | undefined {
    return ctx.peer === null ? undefined : this.#byPeer.get(ctx.peer);
  }

  /** The session of a node, dialled when there is none; `waitingBytes` of the caller's count while it waits. */
  async connected(target: DialTarget, options: CallOptions, waitingBytes = 0): Promise<Session> {
    const existing = this.sessions.reach(target.name);
    if (existing !== undefined) return existing;
    const timeoutMs = checkedTimeout(options.timeoutMs);
    options.signal?.throwIfAborted();
    const dial = this.dial(target);
    return new Promise<Session>((resolve, reject) => {
      const done = (): void => {
        this.#deadlines.clear(deadline);
        options.signal?.removeEventListener("abort", aborted);
      };
      const fail = (error: unknown): void => {
        done();
        takeBack();
        reject(error);
      };
      const up = (session: Session): void => {
        done();
        resolve(session);
      };
      const takeBack = dial.wait(up, fail, { bytes: waitingBytes });
      const aborted = (): void => fail(options.signal?.reason);
      const late = (): void => fail(this.#dialOnly.explained(target.name, connectTimeout(target.name, timeoutMs)));
      const deadline = this.#deadlines.set(timeoutMs, late);
      options.signal?.addEventListener("abort", aborted, { once: true });
    });
  }

  /**
   * The dial under way to a node, started when there is none. While a session is asked whether it may end, the dial waits for
   * the answer first.
   * @throws {SallyportError} ERR_DENIED SELF_CONNECT, ERR_CLOSED NODE_CLOSED
   */
  dial(target: DialTarget): Dial {
    if (this.#closing !== undefined) throw this.#closing;
    if (sameNode(target.name, this.#core.name)) throw selfConnect(this.#core.name);
    const running = this.sessions.dial(target.name);
    if (running !== undefined) return running;
    const dial = new Dial(target, {
      resolver: this.#parts.resolver,
      clock: this.#parts.clock,
      maxDialMs: this.#parts.limits.maxHandshakeMs,
      maxWaitingBytes: this.#parts.limits.maxWaitingBytes,
      connect: (name, address, isFull) => this.#connectTo(name, address, { isFull }),
      explained: (name, error) => this.#dialOnly.explained(name, error),
      finished: (ended, error) => {
        this.sessions.removeDial(ended);
        if (error !== undefined) this.#core.counters.add("dials_failed");
      },
    });
    this.sessions.addDial(dial);
    if (this.sessions.get(target.name)?.isAsking !== true) void dial.run();
    return dial;
  }

  /** Resolves when a session is not congested any more, or ended. */
  drained(node: string): Promise<void> {
    return this.#drains.wait(this.sessions.get(node));
  }

  /** True while a session has bytes that have not left this process, or a peer waits for an answer. */
  get hasOpenWork(): boolean {
    for (const { waitingBytes, work, inflight } of this.sessions.all()) {
      if (waitingBytes > 0 || work.size > 0 || !inflight.isEmpty) return true;
    }
    return false;
  }

  /** From now on nothing is dialled or accepted; sessions go on. */
  admitNothing(error: SallyportError): void {
    this.#closing = error;
    this.#reaper.stop();
    for (const dial of [...this.sessions.dials()]) dial.fail(error);
    for (const connection of [...this.#handshaking]) connection.destroy(error);
  }

  /** Ends everything in good order; returns the connections that said goodbye. */
  endAll(error: SallyportError): readonly DistConnection[] {
    this.admitNothing(error);
    this.identity?.stop();
    this.health.stop();
    this.standings.stop();
    const leaving = [...this.sessions.all()].map((session) => session.connection);
    for (const connection of leaving) connection.end("stopping");
    return leaving;
  }

  // ConnectionHost

  judge(facts: PeerFacts, role: "acceptor" | "dialler"): Standing {
    return judgeConnect(this.#core, this.#policy, facts, role);
  }

  factsOf(peer: KnownConnection): PeerFacts {
    return factsOfConnection(peer, this.#parts);
  }

  sessionUp(connection: DistConnection, peer: ProvenPeer, admitted: AdmittedPeer): Session {
    this.#handshaking.delete(connection);
    const { facts, rules, holdsName } = admitted;
    const { processes, mainPid, clock, guardLimits, name } = this.#core;
    const { assurance } = facts;
    const budget = this.#budgets.of(facts.fingerprints.at(-1) ?? `@${facts.name}`, clock.now());
    const nodes: [string, string] = [name, peer.name];
    const guard = new SessionGuard({ facts, rules, nodes, budget, limits: guardLimits, clock });
    const shown = peer.info.proven?.publicKey;
    const named = shown === undefined ? facts.fingerprints[0] : this.identity?.fingerprintOf(shown);
    const fingerprint = named as Fingerprint | undefined;
    const session = new Session({ connection, proven: peer, guard, processes, mainPid, fingerprint, holdsName });
    this.health.sessionUp(session, peer.info.peerCertDer, peer.info.chainTrusted);
    session.sinceMs = clock.wallMs();
    this.#renewals.ends.watch(session, peer.info);
    this.sessions.add(session);
    this.#byPeer.set(session.peer, session);
    this.#core.counters.add("sessions_up");
    if (peer.info.resumption === "resumed") this.#core.counters.add("sessions_resumed");
    this.knownAddresses.sessionUp(session.peer.address, assurance);
    if (holdsName) this.#dialOnly.sessionUp(peer.name, peer.role === "initiator");
    return session;
  }

  announce(session: Session): void {
    const address = this.sessions.dial(session.peer.name)?.addressOf(session.connection);
    session.dialledAt = address;
    this.watcher?.up(session, address);
    this.#core.events.emit("nodeup", session.peer);
    if (session.holdsName) this.sessions.dial(session.peer.name)?.succeeded(session);
  }

  nameProven(session: Session): void {
    session.holdsName = true;
    this.watcher?.up(session, undefined);
    this.sessions.dial(session.peer.name)?.succeeded(session);
  }

  connectionDown(session: Session, connection: DistConnection, cause: SallyportError | undefined): void {
    if (!session.isOver && this.moves.isLost(session, connection, cause)) this.#sessionDown(session, cause);
  }

  #sessionDown(session: Session, cause: SallyportError | undefined): void {
    session.isOver = true;
    this.moves.sessionOver(session, cause);
    this.sessions.remove(session);
    this.#core.counters.add("sessions_down");
    this.#core.calls.sessionLost(session, () => connectionLost(session.peer.name, "the request"));
    this.#spawns.sessionLost(session);
    session.ended();
    this.health.sessionDown(session, cause);
    this.#renewals.ends.forget(session);
    this.#byPeer.delete(session.peer);
    this.#reaper.forget(session);
    this.relieved(session);
    this.#core.events.emit("nodedown", session.peer, cause?.reason ?? "CLOSED");
    // It waited for the answer whether the session may end.
    if (session.isAsking) void this.sessions.dial(session.peer.name)?.run();
    this.watcher?.down(session, cause);
  }

  idleAsked(session: Session): boolean {
    return this.#closing === undefined && session.move === undefined && this.#reaper.agrees(session);
  }

  idleKept(session: Session): void {
    if (!session.isAsking) return;
    session.isAsking = false;
    this.#reaper.kept(session);
    this.sessions.dial(session.peer.name)?.succeeded(session);
  }

  failed(connection: DistConnection, address: string, error: SallyportError): void {
    this.#handshaking.delete(connection);
    const dial = [...this.sessions.dials()].find((each) => each.addressOf(connection) !== undefined);
    if (dial?.triesInFull(connection, error) === true) {
      this.#core.counters.add("resumptions_failed");
      dial.attemptEnded(connection, error);
      return;
    }
    this.#core.counters.add("connections_refused");
    this.health.failed(connection.role, address, error);
    if (dial?.isQuiet !== true) this.#core.events.emit("refused", { address, role: connection.role, error });
    dial?.attemptEnded(connection, error);
  }

  readonly wanted: ConnectionHost["wanted"] = (session, control) => this.#inbound.wanted(session, control);

  refused(session: Session, control: Control, buffer: Buffer, start: number, end: number): void {
    this.#inbound.refused(session, control, buffer, start, end);
  }

  message(session: Session, control: Control, buffer: Buffer, start: number, end: number): void {
    this.#inbound.message(session, control, buffer, start, end);
  }

  relieved(session: Session): void {
    this.#drains.wake(session);
  }

  barrelAttempted(attempt: BarrelAttempt): void {
    this.#attempts.barrel(attempt);
  }

  barrelNoticed(notice: LinkNotice): void {
    this.#attempts.noticed(notice);
    if (notice.kind === "stray" && notice.isFirst) this.#core.events.emit("warning", strayBytes(notice.peer));
  }

  readonly strayPong = (): void => this.#core.counters.add("pongs_stray");
  readonly turnStarted = (): void => this.#core.processes.queue.hold();
  /** Runs what became ready. */
  readonly turnEnded = (): void => void this.#core.processes.queue.run();

  /** A session moves to certificates as they are now: nothing is resumed for it. */
  #connectTo(
    target: NodeName,
    address: DialAddress,
    { moving, isFull = moving !== undefined }: { readonly moving?: Session; readonly isFull?: boolean },
  ): DistConnection {
    const { closed } = this.doors;
    if (closed !== undefined) throw closed;
    if (address.scheme === "quic") {
      const linked = linkedConnection(this.#parts, this.streams, target, (barrel, sink) => {
        barrel.checkDial(target, address);
        return barrel.dialer.dial(address, hostPart(target), sink);
      });
      return this.#newConnection(target, () => {}, linked.make, linked.parts);
    }
    const dialer = this.#parts.dialers[address.scheme];
    if (dialer === undefined) throw schemeRefused(target, address.scheme);
    return this.#newConnection(
      target,
      () => {},
      (sink) => dialer.dial(address, hostPart(target), sink, { name: target, isFull }),
      { ownTls: dialer.own, moving },
    );
  }

  #newConnection(
    target: NodeName | undefined,
    settled: () => void,
    makeCarrier: (sink: CarrierSink, owner: ConnectionSink) => Carrier,
    { ownTls, moving, ...differing }: Differing = {},
  ): DistConnection {
    const sink = new ConnectionSink(this, target, settled, this.#attempts.begin(target), moving);
    const { own, clock, handshake, limits, ticks, heartbeat } = { ...this.#parts, ...differing };
    const { ownFor } = differing;
    const connection = new DistConnection(
      { own, ownFor, target, tools: handshake, native: this.identity?.native, clock, limits, ticks, heartbeat },
      sink,
      (carrierSink) => makeCarrier(carrierSink, sink),
    );
    sink.attach(connection, ownTls);
    this.#handshaking.add(connection);
    return connection;
  }
}

/** How a connection differs from what all of the node have. */
interface Differing extends Partial<LinkedConnection["parts"]> {
  /** What this side of TLS is. */
  readonly ownTls?: OwnTls | undefined;
  /** The session that is to go over to it. */
  readonly moving?: Session | undefined;
}
