import type { OtpHandshakeTools, OtpIdentity } from "../auth/otp-types.ts";
import type { Assurance } from "../base/assurance.ts";
import { addMs, type Clock } from "../base/clock.ts";
import { SallyportError } from "../base/errors.ts";
import { type DialTarget, type NodeName, parseDialTarget, sameNode } from "../base/node-name.ts";
import type { Random } from "../base/random.ts";
import type { AcceptHandler, DialAddress } from "../carrier/carrier.ts";
import { DistConnection } from "../dist/connection.ts";
import type { DistLimits } from "../dist/limits.ts";
import type { ProvenPeer } from "../dist/sink.ts";
import type { TickOptions } from "../dist/tick.ts";
import { AllowRule } from "../guard/allow.ts";
import { handlerError, NORMAL, SHUTDOWN } from "../process/exit-reason.ts";
import type { Behaviour } from "../process/ports.ts";
import { type ProcessLimits, ProcessTable } from "../process/process-table.ts";
import { Atom, type Pid, type Reference, type Term, Tuple } from "../term/types.ts";
import type {
  CallOptions,
  Down,
  FunctionName,
  Health,
  LocalProcessHandle,
  Node,
  NodeEvents,
  Peer,
  ProcessHandler,
  RegisteredFunction,
  RegisterOptions,
  ServiceHandlers,
  SpawnOptions,
  SpawnRemoteOptions,
  Target,
} from "./api.ts";
import { CallTable, checkedTimeout } from "./call-table.ts";
import { type ConnectionHost, ConnectionSink } from "./connection-sink.ts";
import { Counters } from "./counters.ts";
import { Deadlines } from "./deadlines.ts";
import { Dial } from "./dial.ts";
import { EventHub } from "./event-hub.ts";
import { Functions } from "./functions.ts";
import { genCast } from "./gen.ts";
import { ProcessHandle } from "./handles.ts";
import { Inbound } from "./inbound.ts";
import { MessageContext, OwnedLifetime } from "./message-context.ts";
import { type NodeCore, reportHandlerError } from "./node-core.ts";
import { Outbound } from "./outbound.ts";
import { NetKernel, OutputSink, Rex } from "./own-services.ts";
import type { CertificateJudge, Dialers, Resolver } from "./ports.ts";
import { RefMaker } from "./refs.ts";
import { connectionLost, timedOut } from "./remote-failure.ts";
import { RemoteSpawns } from "./remote-spawns.ts";
import { checkHandlers, ServiceBehaviour } from "./service.ts";
import { type NodeProcess, type NodeProcesses, Session } from "./session.ts";
import { Sessions } from "./sessions.ts";
import { SpawnedBehaviour } from "./spawned.ts";

/** Everything a node is made of; put together by `createNode`. */
export interface NodeParts {
  readonly own: OtpIdentity;
  readonly clock: Clock;
  readonly random: Random;
  readonly handshake: OtpHandshakeTools;
  readonly dialers: Dialers;
  readonly resolver: Resolver;
  readonly judgeCertificate: CertificateJudge;
  readonly limits: DistLimits;
  readonly ticks: TickOptions;
  readonly processLimits?: ProcessLimits;
  readonly maxOpenCalls?: number;
  /** A listener of the user threw. */
  readonly onListenerError: (error: unknown) => void;
}

/** Something to close with the node: a listener, a registration. */
export interface Attachment {
  /** Shown in `node.endpoints`; undefined for what is not an endpoint. */
  readonly endpoint?: string;
  close(): Promise<void>;
}

/** Default time `close` waits for queued bytes to leave, in milliseconds. */
const DEFAULT_CLOSE_MS = 5_000;

/** How often `close` looks whether everything has left, in milliseconds. */
const CLOSE_POLL_MS = 5;

/** A node: the composition of processes, sessions and the ways between them. Public methods are documented in `api.ts`. */
export class SallyportNode implements Node, ConnectionHost {
  readonly name: NodeName;
  readonly creation: number;
  readonly sessions: Sessions;
  readonly judgeCertificate: CertificateJudge;
  readonly #parts: NodeParts;
  readonly #core: NodeCore;
  readonly #processes: NodeProcesses;
  readonly #deadlines: Deadlines;
  readonly #functions: Functions;
  readonly #spawns: RemoteSpawns;
  readonly #inbound: Inbound;
  readonly #outbound: Outbound;
  readonly #lifetime = new OwnedLifetime();
  readonly #attachments: Attachment[] = [];
  readonly #bySession = new Map<Peer, Session>();
  readonly #drainWaiters = new Map<Session, (() => void)[]>();
  readonly #handshaking = new Set<DistConnection>();
  #closing: Promise<void> | undefined;

  constructor(parts: NodeParts) {
    this.#parts = parts;
    this.name = parts.own.name;
    this.creation = parts.own.creation;
    this.judgeCertificate = parts.judgeCertificate;
    this.sessions = new Sessions(this.name);
    const { clock, random } = parts;
    const refs = new RefMaker(this.name, this.creation, random);
    this.#deadlines = new Deadlines(clock);
    const events = new EventHub(parts.onListenerError);
    const counters = new Counters();
    this.#processes = new ProcessTable<MessageContext, AllowRule | undefined>({
      node: this.name,
      creation: this.creation,
      scheduler: clock,
      signalMeta: (from) => new MessageContext(null, from, this.name, this.#core.mainPid, this.#lifetime),
      onCrash: (error, process) => ({ exit: handlerError(reportHandlerError(this.#core, labelOf(process), error)) }),
      onCallbackError: (error) => void reportHandlerError(this.#core, "callback", error),
      ...(parts.processLimits === undefined ? {} : { limits: parts.processLimits }),
    });
    const main = this.#processes.spawn({ message: () => {} }, { tag: undefined, trapExit: true });
    this.#core = {
      name: this.name,
      creation: this.creation,
      clock,
      random,
      processes: this.#processes,
      calls: new CallTable(refs, this.#deadlines, parts.maxOpenCalls),
      refs,
      events,
      counters,
      mainPid: main.pid,
    };
    const sessionOf = (ctx: MessageContext): Session | undefined => (ctx.peer === null ? undefined : this.#bySession.get(ctx.peer));
    this.#functions = new Functions(this.#core);
    const outputSink = this.#ownProcess(undefined, new OutputSink(sessionOf));
    this.#spawns = new RemoteSpawns(this.#core, outputSink.pid);
    const netKernel = this.#ownProcess("net_kernel", new NetKernel(this.#core, sessionOf));
    const rex = this.#ownProcess("rex", new Rex(this.#core, this.#functions, sessionOf));
    this.#inbound = new Inbound(this.#core, this.#functions, this.#spawns, { netKernel, rex, outputSink });
    this.#outbound = new Outbound(
      this.#core,
      {
        session: (node) => this.sessions.get(node),
        connected: (node, options) => this.#connected(parseDialTarget(node), options),
        dial: (node) => this.#dial(parseDialTarget(node)),
        localContext: (self) => new MessageContext(null, this.#core.mainPid, this.name, self, this.#lifetime),
      },
      this.#spawns,
    );
    this.#sessionOf = sessionOf;
  }

  readonly #sessionOf: (ctx: MessageContext) => Session | undefined;

  get endpoints(): readonly string[] {
    return this.#attachments.flatMap((attachment) => attachment.endpoint ?? []);
  }

  /** Adds a listener or registration that is closed with the node. */
  attach(attachment: Attachment): void {
    this.#attachments.push(attachment);
  }

  /** For listeners: takes an accepted carrier. */
  readonly accept: AcceptHandler = (carrier, admission) => this.#newConnection(undefined, () => admission.release(), () => carrier);

  register(name: string, handlers: ServiceHandlers, options: RegisterOptions = {}): LocalProcessHandle {
    this.#checkOpen();
    checkHandlers(name, handlers);
    const rule = AllowRule.compile(options.allow);
    const service = new ServiceBehaviour(this.#core, name, handlers, this.#sessionOf);
    const handle = this.#spawnHandle(service, { tag: rule });
    try {
      this.#processes.names.register(name, handle.process);
    } catch (error) {
      this.#processes.exit(handle.process, NORMAL);
      throw error;
    }
    return handle;
  }

  unregister(name: string): boolean {
    const process = this.#processes.names.whereis(name);
    if (process === undefined || this.#isOwn(name)) return false;
    this.#processes.exit(process, NORMAL);
    return true;
  }

  registerFunction(name: FunctionName, fn: RegisteredFunction, options: RegisterOptions = {}): void {
    this.#checkOpen();
    this.#functions.register(name, fn, options);
  }

  async connect(node: string, options: CallOptions = {}): Promise<Peer> {
    return (await this.#connected(parseDialTarget(node), options)).peer;
  }

  disconnect(node: string): boolean {
    const session = this.sessions.get(parseDialTarget(node).name);
    session?.connection.end();
    return session !== undefined;
  }

  async ping(node: string, options: CallOptions = {}): Promise<{ readonly peer: Peer; readonly rttMs: number }> {
    const target = parseDialTarget(node);
    const session = await this.#connected(target, options);
    const startedAt = this.#parts.clock.now();
    const request = new Tuple([new Atom("is_auth"), new Atom(this.name)]);
    await this.#outbound.call({ name: "net_kernel", node: session.peer.name }, request, options);
    return { peer: session.peer, rttMs: this.#parts.clock.now() - startedAt };
  }

  call(target: Target, request: Term, options: CallOptions = {}): Promise<Term> {
    if (this.#closing !== undefined) return Promise.reject(nodeClosed());
    return this.#outbound.call(target, request, options);
  }

  cast(target: Target, message: Term): boolean {
    this.#checkOpen();
    return this.#outbound.send(target, genCast(message));
  }

  send(target: Target, message: Term): boolean {
    if (this.#closing !== undefined) throw nodeClosed();
    return this.#outbound.send(target, message);
  }

  drained(node: string): Promise<void> {
    const session = this.sessions.get(node);
    if (session === undefined || !session.connection.congested) return Promise.resolve();
    return new Promise((resolve) => {
      const waiters = this.#drainWaiters.get(session) ?? [];
      waiters.push(resolve);
      this.#drainWaiters.set(session, waiters);
    });
  }

  async rpc(node: string, module: string, fn: string, args: readonly Term[], options: CallOptions = {}): Promise<Term> {
    this.#checkOpen();
    return this.#outbound.rpc(node, module, fn, args, options);
  }

  spawn(handler: ProcessHandler, options: SpawnOptions = {}): LocalProcessHandle {
    this.#checkOpen();
    const tag = AllowRule.compile(options.allow);
    const { trapExit = false, exposeReasons = false } = options;
    const behaviour = new SpawnedBehaviour(handler, (reason) => this.#processes.exit(handle.process, reason));
    const handle = this.#spawnHandle(behaviour, { tag, trapExit, exposeReasons });
    return handle;
  }

  async spawnRemote(node: string, fn: string, args: readonly Term[], options: SpawnRemoteOptions = {}): Promise<Pid> {
    this.#checkOpen();
    const session = await this.#connected(parseDialTarget(node), options);
    const linkTo = options.link === undefined ? undefined : this.#own(options.link).process;
    return (await this.#spawns.spawn(session, fn, args, options, linkTo)) as Pid;
  }

  monitor(target: Target, onDown: (down: Down) => void): Reference {
    this.#checkOpen();
    return this.#outbound.monitor(target, onDown);
  }

  demonitor(ref: Reference): boolean {
    return this.#outbound.demonitor(ref);
  }

  link(process: LocalProcessHandle, remote: Target): void {
    this.#checkOpen();
    this.#outbound.link(this.#own(process).process, remote);
  }

  unlink(process: LocalProcessHandle, remote: Target): void {
    this.#outbound.unlink(this.#own(process).process, remote);
  }

  exit(target: Target, reason: Term): void {
    this.#checkOpen();
    this.#outbound.exit(target, reason);
  }

  makeRef(): Reference {
    return this.#core.refs.next();
  }

  peers(): readonly Peer[] {
    return [...this.sessions.all()].map((session) => session.peer);
  }

  health(): Health {
    const connectedNodes = this.peers().map((peer) => peer.name);
    return {
      selfNode: this.name,
      isDistributed: this.#closing === undefined,
      connectedNodes,
      connectedCount: connectedNodes.length,
      processes: this.#processes.size,
      openCalls: this.#core.calls.size,
      counters: this.#core.counters.snapshot(),
    };
  }

  on<E extends keyof NodeEvents>(event: E, listener: (...args: NodeEvents[E]) => void): this {
    this.#core.events.on(event, listener);
    return this;
  }

  off<E extends keyof NodeEvents>(event: E, listener: (...args: NodeEvents[E]) => void): this {
    this.#core.events.off(event, listener);
    return this;
  }

  close(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(options.timeoutMs ?? DEFAULT_CLOSE_MS);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Tells the operator something. */
  warn(reason: string, message: string): void {
    this.#core.events.emit("warning", { reason, message });
  }

  // ConnectionHost

  sessionUp(connection: DistConnection, peer: ProvenPeer, assurance: Assurance): Session {
    this.#handshaking.delete(connection);
    const session = new Session(connection, peer, assurance, this.#processes, this.#core.mainPid);
    this.sessions.add(session);
    this.#bySession.set(session.peer, session);
    this.#core.counters.add("sessions_up");
    this.#core.events.emit("nodeup", session.peer);
    this.sessions.dial(peer.name)?.succeeded(session);
    return session;
  }

  sessionDown(session: Session, cause: SallyportError | undefined): void {
    this.sessions.remove(session);
    this.#core.counters.add("sessions_down");
    const lost = connectionLost(session.peer.name, "the request");
    this.#core.calls.sessionLost(session, () => lost);
    this.#spawns.sessionLost(session);
    session.ended();
    this.#bySession.delete(session.peer);
    this.#wakeDrainWaiters(session);
    this.#core.events.emit("nodedown", session.peer, cause?.reason ?? "CLOSED");
  }

  failed(connection: DistConnection, address: string, error: SallyportError): void {
    this.#handshaking.delete(connection);
    this.#core.counters.add("connections_refused");
    this.#core.events.emit("refused", { address, role: connection.role, error });
    for (const dial of this.sessions.dials()) dial.attemptEnded(connection, error);
  }

  wanted(...args: Parameters<Inbound["wanted"]>): boolean {
    return this.#inbound.wanted(...args);
  }

  message(...args: Parameters<Inbound["message"]>): void {
    this.#inbound.message(...args);
  }

  relieved(session: Session): void {
    this.#wakeDrainWaiters(session);
  }

  turnStarted(): void {
    this.#processes.queue.hold();
  }

  turnEnded(): void {
    this.#processes.queue.run();
  }

  async #connected(target: DialTarget, options: CallOptions): Promise<Session> {
    this.#checkOpen();
    const existing = this.sessions.get(target.name);
    if (existing !== undefined) return existing;
    const timeoutMs = checkedTimeout(options.timeoutMs);
    options.signal?.throwIfAborted();
    const dial = this.#dial(target);
    return new Promise<Session>((resolve, reject) => {
      const done = (): void => {
        this.#deadlines.clear(deadline);
        options.signal?.removeEventListener("abort", aborted);
      };
      const takeBack = dial.wait(
        (session) => {
          done();
          resolve(session);
        },
        (error) => {
          done();
          reject(error);
        },
      );
      const aborted = (): void => {
        done();
        takeBack();
        reject(options.signal?.reason);
      };
      const deadline = this.#deadlines.set(timeoutMs, () => {
        done();
        takeBack();
        reject(connectTimeout(target.name, timeoutMs));
      });
      options.signal?.addEventListener("abort", aborted, { once: true });
    });
  }

  #dial(target: DialTarget): Dial {
    this.#checkOpen();
    if (sameNode(target.name, this.name)) throw selfConnect(this.name);
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

  #connectTo(target: NodeName, address: DialAddress): DistConnection {
    const dialer = this.#parts.dialers[address.scheme];
    if (dialer === undefined) throw schemeRefused(target, address.scheme);
    const host = target.slice(target.indexOf("@") + 1);
    return this.#newConnection(target, () => {}, (sink) => dialer.dial(address, host, sink));
  }

  #newConnection(
    target: NodeName | undefined,
    settled: () => void,
    makeCarrier: ConstructorParameters<typeof DistConnection>[2],
  ): DistConnection {
    const sink = new ConnectionSink(this, target, settled);
    const { own, clock, handshake, limits, ticks } = this.#parts;
    const connection = new DistConnection({ own, target, tools: handshake, clock, limits, ticks }, sink, makeCarrier);
    sink.attach(connection);
    this.#handshaking.add(connection);
    return connection;
  }

  #ownProcess(name: string | undefined, behaviour: Behaviour<MessageContext>): NodeProcess {
    const process = this.#processes.spawn(behaviour, { tag: undefined });
    if (name !== undefined) this.#processes.names.registerReserved(name, process);
    return process;
  }

  #isOwn(name: string): boolean {
    return name === "net_kernel" || name === "rex";
  }

  #spawnHandle(
    behaviour: Behaviour<MessageContext>,
    options: Parameters<NodeProcesses["spawn"]>[1],
  ): ProcessHandle {
    let terminated: (reason: Term) => void = () => {};
    const exited = new Promise<Term>((resolve) => {
      terminated = resolve;
    });
    const observed: Behaviour<MessageContext> = {
      message: (term, ctx) => behaviour.message(term, ctx),
      terminated: (reason) => terminated(reason),
    };
    return new ProcessHandle(this.#processes.spawn(observed, options), exited);
  }

  #own(handle: LocalProcessHandle): ProcessHandle {
    if (handle instanceof ProcessHandle && handle.pid.node === this.name) return handle;
    throw new SallyportError("ERR_API_MISUSE", "HANDLE_FOREIGN", "the process handle is not of this node", {
      advice: "pass what spawn or register of the same node returned",
    });
  }

  #wakeDrainWaiters(session: Session): void {
    const waiters = this.#drainWaiters.get(session);
    this.#drainWaiters.delete(session);
    for (const wake of waiters ?? []) wake();
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw nodeClosed();
  }

  async #close(timeoutMs: number): Promise<void> {
    const error = nodeClosed();
    await Promise.all(this.#attachments.map((attachment) => attachment.close()));
    for (const dial of [...this.sessions.dials()]) dial.fail(error);
    await this.#everythingLeft(timeoutMs);
    this.#processes.exitAll(SHUTDOWN);
    for (const session of [...this.sessions.all()]) session.connection.end();
    for (const connection of [...this.#handshaking]) connection.destroy(error);
    this.#lifetime.end();
    this.#deadlines.stop();
  }

  /** Resolves when no session has bytes waiting, or after `timeoutMs`. */
  #everythingLeft(timeoutMs: number): Promise<void> {
    const { clock } = this.#parts;
    const until = addMs(clock.now(), timeoutMs);
    return new Promise((resolve) => {
      const look = (): void => {
        const waiting = [...this.sessions.all()].some((session) => session.connection.waitingBytes > 0);
        if (waiting && clock.now() < until) clock.at(addMs(clock.now(), CLOSE_POLL_MS), look);
        else resolve();
      };
      look();
    });
  }
}

function labelOf(process: NodeProcess): string {
  return process.name ?? `<${process.pid.id}.${process.pid.serial}>`;
}

function nodeClosed(): SallyportError {
  return new SallyportError("ERR_CLOSED", "NODE_CLOSED", "the node is closed", { advice: "create a new node" });
}

function connectTimeout(peer: NodeName, timeoutMs: number): SallyportError {
  return timedOut(peer, "connecting", timeoutMs);
}

function selfConnect(name: NodeName): SallyportError {
  return new SallyportError("ERR_DENIED", "SELF_CONNECT", `${name} is this node itself`, {
    peer: name,
    stage: "name",
    advice: "send to the registered name or the pid without a node",
  });
}

function schemeRefused(target: NodeName, scheme: string): SallyportError {
  return new SallyportError("ERR_CONFIG", "SCHEME_NOT_ALLOWED", `${target} resolves to a ${scheme} address, which this node does not dial`, {
    peer: target,
    stage: "resolve",
    advice: scheme === "tcp" ? "set dangerous.plaintext if the network is trusted" : "configure tls with certFile, keyFile and caFile",
  });
}
