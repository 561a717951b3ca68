import type { AuditTrail } from "../audit/audit-trail.ts";
import { type NodeName, parseDialTarget } from "../base/node-name.ts";
import type { AcceptHandler } from "../carrier/carrier.ts";
import type { ChannelledAcceptHandler } from "../carrier/channels.ts";
import { AllowRule } from "../guard/allow.ts";
import type { PemFiles } from "../health/watched-certificates.ts";
import type { Decision } from "../policy/decision.ts";
import { NORMAL } from "../process/exit-reason.ts";
import type { Behaviour } from "../process/ports.ts";
import type { Pid, Reference, Term } from "../term/types.ts";
import type { NodeAdmission } from "./admission-api.ts";
import type {
  CallOptions,
  Down,
  FunctionName,
  GrantOptions,
  Health,
  LocalProcessHandle,
  Metric,
  Node,
  NodeEvents,
  NodeIdentity,
  NodePolicy,
  Peer,
  PeerStream,
  ProcessGrant,
  ProcessHandler,
  RegisteredFunction,
  RegisterOptions,
  RpcOptions,
  RuleInCode,
  ServiceHandlers,
  SpawnOptions,
  SpawnRemoteOptions,
  StreamHandler,
  Target,
  Vitals,
} from "./api.ts";
import { auditMetrics } from "./attempt-metrics.ts";
import { Attempts } from "./attempts.ts";
import { channelOf } from "./channel.ts";
import { closeNode } from "./close-node.ts";
import type { ConfiguredCertificate } from "./configured-certificate.ts";
import { Deadlines } from "./deadlines.ts";
import { PEERS_PROCESS } from "./exchange-words.ts";
import { Functions } from "./functions.ts";
import { genCast } from "./gen.ts";
import { ownHandle, ownPid, spawnHandle } from "./handles.ts";
import { Inbound } from "./inbound.ts";
import { Joining } from "./joining.ts";
import { makeCore } from "./make-core.ts";
import { MessageContext, OwnedLifetime } from "./message-context.ts";
import { nodeClosed } from "./node-closed.ts";
import type { NodeCore } from "./node-core.ts";
import { NodeHealth } from "./node-health.ts";
import type { Attachment, NodeParts } from "./node-parts.ts";
import { keepProbe } from "./node-probe.ts";
import type { NodeProcess, NodeProcesses } from "./node-process.ts";
import { Outbound } from "./outbound.ts";
import { noAdmission } from "./own-admission.ts";
import { OwnGrants } from "./own-grants.ts";
import { OwnIdentity } from "./own-identity.ts";
import { OwnPolicy } from "./own-policy.ts";
import { NetKernel, OutputSink, Rex } from "./own-services.ts";
import { PolicyKeeper } from "./policy-keeper.ts";
import { RemoteSpawns } from "./remote-spawns.ts";
import { rulesInCode } from "./rules-in-code.ts";
import { checkHandlers } from "./service.ts";
import { SessionHost } from "./session-host.ts";
import { SpawnedBehaviour } from "./spawned.ts";
import { type ServicePlan, startService } from "./start-service.ts";
import { openStream } from "./streams.ts";
import { WaitingMessages } from "./waiting-messages.ts";

const OWN_NAMES: ReadonlySet<string> = new Set(["net_kernel", "rex", PEERS_PROCESS]);

/** A node: the composition of processes, sessions and the ways between them. Public methods are documented in `api.ts`. */
export class SallyportNode implements Node {
  readonly name: NodeName;
  readonly creation: number;
  readonly #core: NodeCore;
  readonly #processes: NodeProcesses;
  readonly #deadlines: Deadlines;
  readonly #functions: Functions;
  readonly #spawns: RemoteSpawns;
  readonly #host: SessionHost;
  readonly #attempts: Attempts;
  readonly #audit: AuditTrail | undefined;
  readonly #outbound: Outbound;
  readonly #policy: PolicyKeeper;
  readonly #grants: OwnGrants;
  readonly #waiting: WaitingMessages;
  readonly #joining: Joining;
  readonly #health: NodeHealth;
  readonly #lifetime = new OwnedLifetime();
  readonly #attachments: Attachment[] = [];
  #closing: Promise<void> | undefined;

  constructor(parts: NodeParts) {
    this.name = parts.own.name;
    this.creation = parts.own.creation;
    this.#deadlines = new Deadlines(parts.clock);
    this.#core = makeCore(parts, this.#deadlines, this.#lifetime);
    this.#processes = this.#core.processes;
    const sessionOf = (ctx: MessageContext): ReturnType<SessionHost["sessionOf"]> => this.#host.sessionOf(ctx);
    this.#waiting = new WaitingMessages(this.#core, sessionOf, (guard) => this.#host.standings.rulesOfGone(guard));
    this.#functions = new Functions(this.#core);
    const outputSink = this.#ownProcess(undefined, new OutputSink(this.#core, sessionOf));
    this.#spawns = new RemoteSpawns(this.#core, outputSink.pid);
    const netKernel = this.#ownProcess("net_kernel", new NetKernel(this.#core, sessionOf));
    const rex = this.#ownProcess("rex", new Rex(this.#core, this.#functions, sessionOf));
    const inbound = new Inbound(this.#core, this.#functions, this.#spawns, { netKernel, rex, outputSink });
    this.#attempts = new Attempts(parts);
    this.#audit = parts.audit;
    this.#audit?.start(this.name);
    this.certificate = parts.configuredCertificate ?? null;
    this.admission = parts.admission ?? noAdmission();
    const { policy } = parts;
    this.#policy = new PolicyKeeper({ name: this.name, clock: parts.clock, policy: policy?.first });
    const core = this.#core;
    this.#host = new SessionHost(parts, core, this.#deadlines, this.#spawns, inbound, this.#attempts, this.#policy);
    this.policy = policy === undefined ? null : new OwnPolicy(this.#policy, policy, this.#host, this.#core);
    this.#grants = new OwnGrants(
      this.#core,
      (node) => this.#host.sessions.get(node),
      (onlyIdle) => this.#host.standings.grantRevoked(onlyIdle),
    );
    this.accept = this.#host.accept;
    this.acceptChannels = this.#host.acceptChannels;
    this.identity =
      parts.identity === undefined ? null : new OwnIdentity(parts.identity, this.#host, parts.ownCertificate);
    this.#outbound = new Outbound(
      this.#core,
      {
        session: (node, creation) => this.#host.sessions.reach(node, creation),
        connected: (node, options, waitingBytes) => this.#connected(node, options, waitingBytes),
        dial: (node) => this.#host.dial(parseDialTarget(node)),
        localContext: (self) => new MessageContext(null, this.#core.mainPid, this.name, self, this.#lifetime),
      },
      this.#spawns,
    );
    this.#joining = new Joining(parts, this.#core, this.#host, (to, request, options) =>
      this.call(to, request, options),
    );
    this.#host.watcher = this.#joining;
    keepProbe(this, parts, this.#host);
    this.#host.isKept = (peer) => this.#joining.isKept(peer);
    this.#health = new NodeHealth({
      parts,
      core: this.#core,
      host: this.#host,
      policy: this.#policy,
      joining: this.#joining,
      outbound: this.#outbound,
      attachments: this.#attachments,
      isOpen: () => this.#closing === undefined,
    });
    const { answers } = this.#joining;
    if (answers !== undefined) {
      this.#serve({ name: PEERS_PROCESS, handlers: answers, rule: parts.exchange?.rule, isOwn: true });
    }
  }

  /** Listeners are bound: seeds are dialled, and ends of certificates told, from now on. */
  startJoining(): void {
    if (this.#closing !== undefined) return;
    this.#host.health.expiry.start();
    this.#joining.start();
  }

  get endpoints(): readonly string[] {
    return this.#attachments.flatMap((attachment) => attachment.endpoint ?? []);
  }

  get healthEndpoint(): string | null {
    return this.#attachments.find(({ healthEndpoint }) => healthEndpoint !== undefined)?.healthEndpoint ?? null;
  }

  /** The certificates that it shows, and the CAs that it trusts, are these from now on. */
  ownCertificates(files: readonly PemFiles[]): void {
    this.#host.health.ownCertificates(files);
  }

  /** Adds a listener or registration that is closed with the node. */
  attach(attachment: Attachment): void {
    this.#attachments.push(attachment);
  }

  /** For listeners: take an accepted carrier. */
  readonly accept: AcceptHandler;
  readonly acceptChannels: ChannelledAcceptHandler;
  readonly identity: NodeIdentity | null;
  readonly policy: NodePolicy | null;
  readonly certificate: ConfiguredCertificate | null;
  readonly channel: Node["channel"] = (node) => channelOf((name) => this.#host.sessions.get(name), node);
  readonly admission: NodeAdmission;

  /** For listeners: whether a peer that is surely who it says came from this host before. */
  isKnownHost(host: string): boolean {
    return this.#host.knownAddresses.has(host);
  }

  register(name: string, handlers: ServiceHandlers, options: RegisterOptions = {}): LocalProcessHandle {
    this.#checkOpen();
    checkHandlers(name, handlers);
    return this.#serve({ name, handlers, rule: AllowRule.compile(options.allow), isOwn: false });
  }

  unregister(name: string): boolean {
    const process = this.#processes.names.whereis(name);
    if (process === undefined || OWN_NAMES.has(name)) return false;
    this.#processes.exit(process, NORMAL);
    return true;
  }

  registerFunction(name: FunctionName, fn: RegisteredFunction, options: RegisterOptions = {}): void {
    this.#checkOpen();
    this.#functions.register(name, fn, options);
  }

  async connect(node: string, options: CallOptions = {}): Promise<Peer> {
    const target = parseDialTarget(node);
    const connected = this.#connected(node, options);
    this.#joining.wanted(target);
    return (await connected).peer;
  }

  disconnect(node: string): boolean {
    const target = parseDialTarget(node);
    this.#joining.disconnected(target);
    this.#host.health.lost.forget(target.name);
    const session = this.#host.sessions.get(target.name);
    session?.connection.end();
    return session !== undefined;
  }

  async ping(node: string, options: CallOptions = {}): Promise<{ readonly peer: Peer; readonly rttMs: number }> {
    const session = await this.#connected(node, options);
    return { peer: session.peer, rttMs: await this.#outbound.ping(session, options) };
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

  readonly drained: Node["drained"] = (node) => this.#host.drained(node);

  async rpc(node: string, module: string, fn: string, args: readonly Term[], options: RpcOptions = {}): Promise<Term> {
    this.#checkOpen();
    return this.#outbound.rpc(node, module, fn, args, options, ownPid(this.name, options.groupLeader));
  }

  spawn(handler: ProcessHandler, options: SpawnOptions = {}): LocalProcessHandle {
    this.#checkOpen();
    const { trapExit = false, exposeReasons = false } = options;
    const behaviour = new SpawnedBehaviour(handler, (reason) => this.#processes.exit(handle.process, reason));
    const its = { tag: AllowRule.compile(options.allow), trapExit, exposeReasons };
    const handle = spawnHandle(this.#processes, behaviour, its, this.#waiting.stillAllowed);
    return handle;
  }

  async spawnRemote(node: string, fn: string, args: readonly Term[], options: SpawnRemoteOptions = {}): Promise<Pid> {
    this.#checkOpen();
    const session = await this.#connected(node, options);
    const linkTo = options.link === undefined ? undefined : ownHandle(this.name, options.link).process;
    const leader = ownPid(this.name, options.groupLeader);
    return (await this.#spawns.spawn(session, fn, args, options, linkTo, leader)) as Pid;
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
    this.#outbound.link(ownHandle(this.name, process).process, remote);
  }

  unlink(process: LocalProcessHandle, remote: Target): void {
    this.#outbound.unlink(ownHandle(this.name, process).process, remote);
  }

  onStream(tag: string, handler: StreamHandler, options: RegisterOptions = {}): () => void {
    this.#checkOpen();
    return this.#host.streams.serve(tag, handler, options);
  }

  async openStream(node: string, tag: string, options: CallOptions = {}): Promise<PeerStream> {
    return openStream(await this.#connected(node, options), tag);
  }

  exit(target: Target, reason: Term): void {
    this.#checkOpen();
    this.#outbound.exit(target, reason);
  }

  why(decision: string): Decision | undefined {
    return this.#core.decisions.why(decision);
  }

  grant(target: Pid | LocalProcessHandle, options: GrantOptions): ProcessGrant {
    this.#checkOpen();
    return this.#grants.grant(target, options);
  }

  grants(): readonly ProcessGrant[] {
    return this.#grants.list();
  }

  rulesInCode(): readonly RuleInCode[] {
    return rulesInCode(this.#processes, this.#functions);
  }

  registeredFunctions(): readonly string[] {
    return [...this.#functions.labels()];
  }

  makeRef(): Reference {
    return this.#core.refs.next();
  }

  peers(): readonly Peer[] {
    return [...this.#host.sessions.all()].map((session) => session.peer);
  }

  vitals(): Vitals {
    return this.#health.vitals();
  }

  health(): Promise<Health> {
    return this.#health.health();
  }

  metrics(): readonly Metric[] {
    const attempts = this.#attempts.snapshot(this.#core.counters.get("streams_dropped"));
    return [...attempts, ...this.#health.metrics(), ...auditMetrics(this.#audit)];
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
    this.#closing ??= closeNode(
      {
        core: this.#core,
        host: this.#host,
        joining: this.#joining,
        grants: this.#grants,
        lifetime: this.#lifetime,
        deadlines: this.#deadlines,
        audit: this.#audit,
        attachments: this.#attachments,
      },
      options.timeoutMs,
    );
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  emit<E extends keyof NodeEvents>(event: E, ...args: NodeEvents[E]): void {
    this.#core.events.emit(event, ...args);
  }

  /** Tells the operator something. */
  warn(reason: string, message: string): void {
    this.#core.events.emit("warning", { reason, message });
  }

  async #connected(node: string, options: CallOptions, waitingBytes = 0): ReturnType<SessionHost["connected"]> {
    this.#checkOpen();
    return this.#host.connected(parseDialTarget(node), options, waitingBytes);
  }

  #serve(plan: ServicePlan): LocalProcessHandle {
    return startService(this.#core, plan, (ctx) => this.#host.sessionOf(ctx), this.#waiting.stillAllowed);
  }

  #ownProcess(name: string | undefined, behaviour: Behaviour<MessageContext>): NodeProcess {
    const process = this.#processes.spawn(behaviour, { tag: undefined });
    if (name !== undefined) this.#processes.names.registerReserved(name, process);
    return process;
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw nodeClosed();
  }
}
