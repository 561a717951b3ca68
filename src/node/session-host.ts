import type { SallyportError } from "../base/errors.ts";
import { type DialTarget, hostPart, type NodeName, sameNode } from "../base/node-name.ts";
import type { AcceptHandler, DialAddress } from "../carrier/carrier.ts";
import { DistConnection } from "../dist/connection.ts";
import type { ProvenPeer } from "../dist/sink.ts";
import { Budgets } from "../guard/budgets.ts";
import { SessionGuard } from "../guard/session-guard.ts";
import type { Fingerprint } from "../identity/public-key.ts";
import type { TrustChange } from "../identity/trust-change.ts";
import type { PeerFacts } from "../policy/decision.ts";
import type { Control } from "../wire/control-types.ts";
import type { CallOptions, Peer } from "./api.ts";
import type { Attempts } from "./attempts.ts";
import { checkedTimeout } from "./call-table.ts";
import { CertificateEnds } from "./certificate-ends.ts";
import type { ConnectionParts } from "./connection-parts.ts";
import { type AdmittedPeer, type ConnectionHost, ConnectionSink, type KnownConnection } from "./connection-sink.ts";
import type { Deadlines } from "./deadlines.ts";
import { Dial } from "./dial.ts";
import { schemeRefused, selfConnect } from "./dial-refused.ts";
import { type IdentityKeeper, isCut, isNamed, trustWithdrawn } from "./identity-keeper.ts";
import type { Inbound } from "./inbound.ts";
import { KnownAddresses } from "./known-addresses.ts";
import type { MessageContext } from "./message-context.ts";
import type { NodeCore } from "./node-core.ts";
import { peerFacts } from "./peer-facts.ts";
import { connectWithdrawn, type PolicyKeeper, type Standing } from "./policy-keeper.ts";
import { PolicyTimer } from "./policy-timer.ts";
import type { CertificateJudge } from "./ports.ts";
import { connectionLost, connectTimeout } from "./remote-failure.ts";
import type { RemoteSpawns } from "./remote-spawns.ts";
import { Session } from "./session.ts";
import { Sessions } from "./sessions.ts";

/** Changes of trust that are remembered for messages that wait. */
const MAX_REMEMBERED_CHANGES = 1_024;

/** The connections of a node: accepts them, dials them, turns proven ones into sessions, and ends them. */
export class SessionHost implements ConnectionHost {
  readonly sessions: Sessions;
  readonly judgeCertificate: CertificateJudge;
  readonly identity: IdentityKeeper | undefined;
  readonly knownAddresses: KnownAddresses = new KnownAddresses();
  readonly #parts: ConnectionParts;
  readonly #core: NodeCore;
  readonly #deadlines: Deadlines;
  readonly #spawns: RemoteSpawns;
  readonly #inbound: Inbound;
  readonly #attempts: Attempts;
  readonly #byPeer = new Map<Peer, Session>();
  readonly #drainWaiters = new Map<Session, (() => void)[]>();
  readonly #handshaking = new Set<DistConnection>();
  readonly #budgets: Budgets;
  /** The latest changes of trust, for what was sent by those who are gone. */
  #withdrawn: readonly TrustChange[] = [];
  readonly #policy: PolicyKeeper;
  readonly #certificates: CertificateEnds;
  readonly #policyTimer: PolicyTimer;

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
    this.#policyTimer = new PolicyTimer({
      clock: core.clock,
      nextChangeMs: (nowMs) => policy.nextChangeMs(nowMs),
      changed: () => this.#judgeAll(),
    });
    this.#policyTimer.arm();
    this.#budgets = new Budgets(core.guardLimits.maxBudgets);
    this.#parts = parts;
    this.#certificates = new CertificateEnds(core.clock, parts.readCertificate);
    this.#attempts = attempts;
    this.#core = core;
    this.#deadlines = deadlines;
    this.#spawns = spawns;
    this.#inbound = inbound;
    this.judgeCertificate = parts.judgeCertificate;
    this.identity = parts.identity;
    for (const address of this.identity?.addressesOfTrusted() ?? []) this.knownAddresses.add(address);
    this.identity?.watch({
      changed: (changes) => this.cutUntrusted(changes),
      warned: (warning) => core.events.emit("warning", warning),
    });
    this.sessions = new Sessions(parts.own.name, parts.maxSessions);
  }

  /** For listeners: takes an accepted carrier. */
  readonly accept: AcceptHandler = (carrier, admission) =>
    this.#newConnection(
      undefined,
      () => admission.release(),
      () => carrier,
    );

  /** The session a message came over; undefined for messages of this node. */
  sessionOf(ctx: MessageContext): Session | undefined {
    return ctx.peer === null ? undefined : this.#byPeer.get(ctx.peer);
  }

  /** The session of a node, dialled when there is none. */
  async connected(target: DialTarget, options: CallOptions): Promise<Session> {
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
      const takeBack = dial.wait((session) => {
        done();
        resolve(session);
      }, fail);
      const aborted = (): void => fail(options.signal?.reason);
      const deadline = this.#deadlines.set(timeoutMs, () => fail(connectTimeout(target.name, timeoutMs)));
      options.signal?.addEventListener("abort", aborted, { once: true });
    });
  }

  /** The dial under way to a node, started when there is none. @throws {SallyportError} ERR_DENIED SELF_CONNECT */
  dial(target: DialTarget): Dial {
    if (sameNode(target.name, this.#core.name)) throw selfConnect(this.#core.name);
    const running = this.sessions.dial(target.name);
    if (running !== undefined) return running;
    const dial = new Dial(target, {
      resolver: this.#parts.resolver,
      clock: this.#parts.clock,
      maxDialMs: this.#parts.limits.maxHandshakeMs,
      connect: (name, address) => this.#connectTo(name, address),
      finished: (ended, error) => {
        this.sessions.removeDial(ended);
        if (error !== undefined) this.#core.counters.add("dials_failed");
      },
    });
    this.sessions.addDial(dial);
    void dial.run();
    return dial;
  }

  /** Resolves when a session is not congested any more, or ended. */
  drained(node: string): Promise<void> {
    const session = this.sessions.get(node);
    if (session === undefined || !session.connection.congested) return Promise.resolve();
    return new Promise((resolve) => {
      const waiters = this.#drainWaiters.get(session) ?? [];
      waiters.push(resolve);
      this.#drainWaiters.set(session, waiters);
    });
  }

  /** True while bytes of any session have not left this process. */
  get isWaiting(): boolean {
    for (const session of this.sessions.all()) if (session.connection.waitingBytes > 0) return true;
    return false;
  }

  /** Ends everything: dials, handshakes, sessions. */
  endAll(error: SallyportError): void {
    this.identity?.stop();
    this.#policyTimer.stop();
    for (const dial of [...this.sessions.dials()]) dial.fail(error);
    for (const session of [...this.sessions.all()]) session.connection.end("stopping");
    for (const connection of [...this.#handshaking]) connection.destroy(error);
  }

  // ConnectionHost

  judge(facts: PeerFacts, role: "acceptor" | "dialler"): Standing {
    const standing = this.#policy.judge(facts, role);
    if (standing.kind === "refused") {
      const { outcome, rule } = standing;
      this.#core.decisions.record({
        outcome,
        rule,
        nearestMiss: null,
        alias: null,
        peer: facts.name,
        key: facts.fingerprints[0] ?? null,
        verb: "connect",
        target: this.#core.name,
        generation: this.#policy.generation,
        mode: "enforce",
      });
    }
    return standing;
  }

  factsOf(peer: KnownConnection): PeerFacts {
    const { name, assurance, protocol, publicKey, info } = peer;
    const fingerprints = publicKey === undefined ? [] : (this.identity?.fingerprintsOf(name, publicKey) ?? []);
    const certificate = info.chainTrusted ? info.peerCertDer : undefined;
    const spki = certificate === undefined ? undefined : this.#parts.readCertificate?.(certificate)?.spki;
    return peerFacts({ name, assurance, protocol, fingerprints, publicKey, spki, address: info.remoteAddress });
  }

  sessionUp(connection: DistConnection, peer: ProvenPeer, admitted: AdmittedPeer): Session {
    this.#handshaking.delete(connection);
    const { facts, rules, holdsName } = admitted;
    const { processes, mainPid, clock, guardLimits, name } = this.#core;
    const { assurance } = facts;
    const budget = this.#budgets.of(facts.fingerprints.at(-1) ?? `@${facts.name}`, clock.now());
    const nodes: [string, string] = [name, peer.name];
    const guard = new SessionGuard({ facts, rules, nodes, budget, limits: guardLimits, clock });
    const fingerprint = facts.fingerprints[0] as Fingerprint | undefined;
    const session = new Session({ connection, proven: peer, guard, processes, mainPid, fingerprint, holdsName });
    this.#certificates.watch(session, peer.info.peerCertDer);
    this.sessions.add(session);
    this.#byPeer.set(session.peer, session);
    this.#core.counters.add("sessions_up");
    this.knownAddresses.sessionUp(session.peer.address, assurance);
    return session;
  }

  announce(session: Session): void {
    this.#core.events.emit("nodeup", session.peer);
    if (session.holdsName) this.sessions.dial(session.peer.name)?.succeeded(session);
  }

  nameProven(session: Session): void {
    session.holdsName = true;
    this.sessions.dial(session.peer.name)?.succeeded(session);
  }

  sessionDown(session: Session, cause: SallyportError | undefined): void {
    this.sessions.remove(session);
    this.#core.counters.add("sessions_down");
    this.#core.calls.sessionLost(session, () => connectionLost(session.peer.name, "the request"));
    this.#spawns.sessionLost(session);
    session.ended();
    this.#certificates.forget(session);
    this.#byPeer.delete(session.peer);
    this.relieved(session);
    this.#core.events.emit("nodedown", session.peer, cause?.reason ?? "CLOSED");
  }

  failed(connection: DistConnection, address: string, error: SallyportError): void {
    this.#handshaking.delete(connection);
    this.#core.counters.add("connections_refused");
    this.#core.events.emit("refused", { address, role: connection.role, error });
    for (const dial of this.sessions.dials()) dial.attemptEnded(connection, error);
  }

  wanted(session: Session, control: Control): boolean {
    return this.#inbound.wanted(session, control);
  }

  refused(session: Session, control: Control, buffer: Buffer, start: number, end: number): void {
    this.#inbound.refused(session, control, buffer, start, end);
  }

  message(session: Session, control: Control, buffer: Buffer, start: number, end: number): void {
    this.#inbound.message(session, control, buffer, start, end);
  }

  relieved(session: Session): void {
    const waiters = this.#drainWaiters.get(session);
    this.#drainWaiters.delete(session);
    for (const wake of waiters ?? []) wake();
  }

  strayPong(): void {
    this.#core.counters.add("pongs_stray");
  }

  turnStarted(): void {
    this.#core.processes.queue.hold();
  }

  turnEnded(): void {
    this.#core.processes.queue.run();
  }

  /** Another policy is in force: sessions that it does not allow end, the others are judged by it; says how many ended. */
  policyChanged(): number {
    this.#budgets.forgetRates();
    return this.#judgeAll();
  }

  /** Judges every session by the policy in force and the time of now; says how many ended. */
  #judgeAll(): number {
    this.#core.epoch.value++;
    this.#policyTimer.arm();
    let ended = 0;
    for (const session of [...this.sessions.all()]) {
      const role = session.connection.role === "acceptor" ? "acceptor" : "dialler";
      const standing = this.#policy.judge(session.facts, role);
      if (standing.kind === "refused") {
        this.#core.outcasts.add(session.peer);
        session.connection.destroy(connectWithdrawn(session.peer.name));
        ended++;
        continue;
      }
      session.guard.rejudge(standing.rules);
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
    for (const session of this.sessions.all()) {
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
    for (const session of [...this.sessions.all()]) {
      session.warm = undefined;
      if (!isCut(changes, session.peer.name, session.fingerprint)) {
        if (isNamed(changes, session.facts.name, session.fingerprint)) this.nameProven(session);
        continue;
      }
      this.#core.outcasts.add(session.peer);
      session.connection.destroy(trustWithdrawn(session.peer.name));
      ended++;
    }
    return ended;
  }

  #connectTo(target: NodeName, address: DialAddress): DistConnection {
    const dialer = this.#parts.dialers[address.scheme];
    if (dialer === undefined) throw schemeRefused(target, address.scheme);
    return this.#newConnection(
      target,
      () => {},
      (sink) => dialer.dial(address, hostPart(target), sink),
    );
  }

  #newConnection(
    target: NodeName | undefined,
    settled: () => void,
    makeCarrier: ConstructorParameters<typeof DistConnection>[2],
  ): DistConnection {
    const sink = new ConnectionSink(this, target, settled, this.#attempts.begin(target));
    const { own, clock, handshake, limits, ticks, heartbeat } = this.#parts;
    const connection = new DistConnection(
      { own, target, tools: handshake, native: this.identity?.native, clock, limits, ticks, heartbeat },
      sink,
      makeCarrier,
    );
    sink.attach(connection);
    this.#handshaking.add(connection);
    return connection;
  }
}
