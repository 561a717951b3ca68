import { addMs } from "../base/clock.ts";
import { type Diagnosis, diagnose } from "../base/diagnosis.ts";
import { isSallyportError, type SallyportError } from "../base/errors.ts";
import { quotePeerText } from "../base/escape.ts";
import { type DialTarget, hostPart, type NodeName, parseDialTarget, sameNode } from "../base/node-name.ts";
import type { CarrierInfo, DialAddress } from "../carrier/carrier.ts";
import { formatAddress } from "../carrier/socket-address.ts";
import type { Node, Peer } from "../node/api.ts";
import { selfConnect } from "../node/dial-refused.ts";
import { type NodeProbe, probeOf } from "../node/node-probe.ts";
import { unresolved } from "../node/unresolved.ts";
import { passConnection, passProven, passSession } from "./evidence.ts";
import { MAX_PORT_PROBE_MS, type NetworkWorld, namesAtEpmd } from "./network-probes.ts";
import { certificateNotes, nameNotes } from "./notes.ts";
import { closedPort, knockAt, openText, textOf, triedText } from "./port-stage.ts";
import { notAQuicPeer, refineQuic } from "./refine-quic.ts";
import { refineTls } from "./refine-tls.ts";
import type { ConnectReport, Evidence, Note } from "./report.ts";
import { StageBook } from "./stage-book.ts";
import { probeUdp, type UdpAnswer } from "./udp-probe.ts";

/** A dial without TLS session after this long is doubted: the ports are tried beside it. Milliseconds. */
export const DOUBT_MS = 1_000;

/** Ends of a dial over QUIC that something of the other side brought about, beside its alerts. */
const ANSWERED: readonly string[] = ["CLOSED_WHILE_OPENING", "QUIC_VERSION_MISMATCH", "NOT_A_QUIC_PEER"];

export interface ConnectOptions {
  /** For the whole examination up to its failure or session; what is asked afterwards as evidence has bounds of its own. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/**
 * Examines one peer stage by stage (docs/doctor.md): looks the name up, then lets the node dial as it always dials, so that what
 * is found is what happens. Where its failure leaves open what is wrong, the other side is asked again in other ways. Never rejects for what is wrong with the peer.
 * @throws {SallyportError} ERR_LIMIT WATCHED_DIALS, and the reason of an aborted signal
 */
export async function doctorConnect(
  node: Node,
  target: string,
  options: ConnectOptions,
  world: NetworkWorld,
): Promise<ConnectReport> {
  return new Examination(node, target, options, world).run();
}

/** The report where this side could not even be made: its own configuration is at fault. */
export function unstarted(target: string, error: SallyportError): ConnectReport {
  const book = new StageBook();
  const own: Diagnosis = { ...diagnose(error), fault: "local", fix: `on this node: ${error.advice ?? "correct it"}` };
  book.failed(own.stage, sentence(error), plainValues(error));
  const failure = { error, diagnosis: own };
  return { node: "?", target: quotePeerText(target), stages: book.all(), notes: [], failure };
}

class Examination {
  readonly #node: Node;
  readonly #text: string;
  readonly #options: ConnectOptions;
  readonly #world: NetworkWorld;
  readonly #probe: NodeProbe;
  readonly #book = new StageBook();
  readonly #notes: Note[] = [];
  readonly #deadline: number;
  #heard: CarrierInfo | undefined;
  #securedMs: number | null = null;
  /** What a UDP port said when it was asked. */
  #udp: UdpAnswer | undefined;

  constructor(node: Node, text: string, options: ConnectOptions, world: NetworkWorld) {
    this.#node = node;
    this.#text = text;
    this.#options = options;
    this.#world = world;
    this.#probe = probeOf(node);
    this.#deadline = world.clock.now() + options.timeoutMs;
  }

  async run(): Promise<ConnectReport> {
    let target: DialTarget | undefined;
    try {
      target = this.#takeName();
      const standing = this.#node.peers().find(({ name }) => target !== undefined && sameNode(name, target.name));
      if (standing !== undefined) return await this.#examined(target.name, standing, "a session stands already");
      return await this.#dialled(target);
    } catch (error) {
      this.#options.signal?.throwIfAborted();
      if (!isSallyportError(error) || error.reason === "WATCHED_DIALS") throw error;
      return this.#failed(target?.name, error);
    }
  }

  #takeName(): DialTarget {
    const target = parseDialTarget(this.#text);
    if (sameNode(target.name, this.#node.name)) throw selfConnect(this.#node.name);
    const { name, port } = target;
    this.#notes.push(...nameNotes([this.#node.name, name]));
    this.#book.passed("name", `${name} is a node name`, { node: name, ...(port === undefined ? {} : { port }) });
    return target;
  }

  async #dialled(target: DialTarget): Promise<ConnectReport> {
    const addresses = await this.#resolve(target);
    const { clock } = this.#world;
    const startedAt = clock.now();
    const unwatch = this.#probe.watch(target.name, (info) => {
      this.#heard = info;
      // Over QUIC told twice: when TLS stands, and when the key is proven.
      if (info.proven === undefined) this.#securedMs = Math.round(clock.now() - startedAt);
    });
    const stop = new AbortController();
    const { signal } = this.#options;
    const both = signal === undefined ? stop.signal : AbortSignal.any([stop.signal, signal]);
    const text = target.port === undefined ? target.name : withPort(target.name, target.port);
    const dialling = this.#node.connect(text, { timeoutMs: this.#leftMs(), signal: both });
    const doubt = clock.at(addMs(startedAt, DOUBT_MS), () => {
      // Nothing at all after a while: a port that swallows packets would take the whole time of the dial.
      if (this.#heard === undefined) this.#doubted(target.name, addresses).catch((error: unknown) => stop.abort(error));
    });
    try {
      const peer = await dialling;
      doubt.cancel();
      return await this.#examined(target.name, peer, "the session came up");
    } catch (error) {
      doubt.cancel();
      signal?.throwIfAborted();
      if (!isSallyportError(error)) throw error;
      return await this.#refused(target.name, addresses, error);
    } finally {
      unwatch();
    }
  }

  /** Ends a dial that will come to nothing. @throws {SallyportError} why */
  async #doubted(target: NodeName, addresses: readonly DialAddress[]): Promise<void> {
    await this.#knock(addresses);
    const isQuic = addresses.every(({ scheme }) => scheme === "quic");
    if (isQuic && this.#udp?.state === "other" && this.#heard === undefined) {
      throw notAQuicPeer(target, this.#udp.firstBytes);
    }
  }

  async #resolve({ name, port }: DialTarget): Promise<readonly DialAddress[]> {
    const { clock, resolver } = this.#probe;
    const startedAt = clock.now();
    const signal = this.#options.signal ?? new AbortController().signal;
    const said: string[] = [];
    let found: readonly DialAddress[] = [];
    try {
      found = await resolver.resolve(name, signal, (text) => said.push(text));
    } catch (error) {
      const failure = isSallyportError(error) ? error : unresolved(name, [resolver.label], error);
      if (port === undefined || failure.reason !== "NAME_UNRESOLVED") throw failure;
    }
    if (port !== undefined) {
      const hosts = new Set(found.length === 0 ? [hostPart(name)] : found.map(({ host }) => host));
      const scheme = found[0]?.scheme ?? "tls";
      found = [...hosts].map((host) => ({ scheme, host, port }));
    }
    if (found.length === 0) throw unresolved(name, [resolver.label]);
    const shown = found.map(textOf);
    const evidence = { addresses: shown, ...(said.length === 0 ? {} : { guessedAfter: said }) };
    const guess = said.length === 0 ? "" : ", a guess: nobody knows it";
    this.#book.passed("resolve", `${shown.join(", ")}${guess}`, evidence, Math.round(clock.now() - startedAt));
    return found;
  }

  /** The first address where something answers. @throws {SallyportError} ERR_UNREACHABLE when none does */
  async #knock(addresses: readonly DialAddress[]): Promise<void> {
    const knocked = await Promise.all(addresses.map((address) => knockAt(this.#world, address)));
    this.#options.signal?.throwIfAborted();
    this.#udp ??= knocked.find(({ udp }) => udp !== undefined)?.udp;
    const tried = knocked.map(triedText);
    const open = knocked.find(({ system }) => system === undefined);
    if (open !== undefined) {
      this.#book.passed("port", openText(open), { tried }, open.ms);
      return;
    }
    const [first] = knocked;
    if (first === undefined) throw unresolved(this.#node.name, []);
    const { error, evidence } = await closedPort(this.#world, first);
    const known = { tried, ...evidence, ownEndpoints: this.#node.endpoints };
    this.#book.failed(diagnose(error).stage, sentence(error), known, first.ms);
    throw error;
  }

  /** A session stands: what it shows, and what it lets us ask. */
  async #examined(name: NodeName, peer: Peer, how: string): Promise<ConnectReport> {
    const session = this.#probe.session(peer.name);
    const info = session?.info ?? this.#heard;
    if (!this.#book.has("resolve")) this.#book.passed("resolve", how, { address: peer.address });
    if (!this.#book.has("port")) this.#book.passed("port", how, { address: peer.address });
    if (info !== undefined) {
      passConnection(this.#book, info, this.#probe, peer.name, this.#securedMs);
      if (peer.protocol === "otp") this.#notes.push(...certificateNotes(info, this.#node.name, peer.name));
    }
    const bounds = { timeoutMs: Math.max(this.#leftMs(), 1), signal: this.#options.signal };
    const found = await passSession(this.#book, { node: this.#node, probe: this.#probe, peer, session, ...bounds });
    this.#notes.push(...found.notes);
    return found.error === undefined ? this.#report(name, undefined) : this.#failed(name, found.error);
  }

  async #refused(target: NodeName, addresses: readonly DialAddress[], failure: SallyportError): Promise<ConnectReport> {
    const { dialers } = this.#probe;
    const address = addressOf(failure, this.#heard, addresses);
    if (address === undefined) return this.#failed(target, failure);
    const error = await this.#afterKnock(addresses, failure);
    const own = this.#node.name;
    const dialer = dialers[address.scheme];
    const isQuic = address.scheme === "quic";
    if (isQuic && this.#heard === undefined && error.reason === "CLOSED_WHILE_OPENING") {
      this.#udp ??= await probeUdp(this.#world, address, MAX_PORT_PROBE_MS);
    }
    const refined = isQuic
      ? refineQuic(error, target, this.#udp, this.#heard)
      : await refineTls({ error, target, own, address, dialer, world: this.#world });
    const diagnosis = this.#diagnose(refined.error, target);
    if (this.#heard !== undefined) {
      passConnection(this.#book, this.#heard, this.#probe, target, this.#securedMs);
      if (this.#heard.alpn === undefined) this.#notes.push(...certificateNotes(this.#heard, own, target));
    }
    const wrongNode = diagnosis.code === "PEER_NAME_MISMATCH" || diagnosis.code === "CERT_NAME_MISMATCH";
    const names = wrongNode ? await namesAtEpmd(this.#world, address.host) : undefined;
    const evidence: Evidence = {
      ...plainValues(refined.error),
      ...refined.evidence,
      ...(names === undefined ? {} : { epmd: names }),
      ...(diagnosis.stage === "cookie" ? cookieEvidence(this.#probe, target) : {}),
    };
    if (!this.#book.has("port")) this.#passPort(address, refined.error);
    if (isQuic && this.#heard === undefined && diagnosis.stage === "certificate")
      this.#book.passed("tls", "the handshake came as far as the certificate");
    this.#passBefore(diagnosis, target);
    this.#book.failed(diagnosis.stage, sentence(refined.error), evidence);
    return this.#report(target, { error: refined.error, diagnosis });
  }

  /** A dial that did not come as far as TLS: whether the port is there at all. */
  async #afterKnock(addresses: readonly DialAddress[], error: SallyportError): Promise<SallyportError> {
    const isAboutPort = error.code === "ERR_UNREACHABLE" || error.code === "ERR_DEADLINE";
    if (this.#heard !== undefined || !isAboutPort || this.#book.has("port")) return error;
    try {
      await this.#knock(addresses);
      return error;
    } catch (refusal) {
      if (isSallyportError(refusal)) return refusal;
      throw refusal;
    }
  }

  /** The dial has come past the port: over TCP whatever came of it, over QUIC only where a packet of the other side is known of. */
  #passPort(address: DialAddress, { detail, reason }: SallyportError): void {
    if (address.scheme !== "quic") this.#book.passed("port", `${textOf(address)} accepts connections`);
    else if (this.#heard !== undefined || detail["alert"] !== undefined || ANSWERED.includes(reason))
      this.#book.passed("port", `${textOf(address)} answered the dial over QUIC`);
  }

  /** Stages between the TLS session and the failure: the handshake has come past them. */
  #passBefore({ stage }: Diagnosis, target: NodeName): void {
    if (this.#heard?.transport === "quic") {
      if (this.#heard.proven !== undefined) passProven(this.#book, this.#heard.proven);
      // The policy is asked when Erlang's handshake is through, and of the step itself only its failure is known.
      if (stage !== "policy") return;
    }
    if (stage === "cookie" || stage === "flags" || stage === "policy" || stage === "session") {
      this.#book.passed("identity", `${target} answered as the node that was dialled`);
    }
    if (stage === "policy" || stage === "session") {
      this.#book.passed("cookie", "nobody objected to it");
      this.#book.passed("flags", "both sides can what the other needs");
    }
  }

  #failed(target: NodeName | undefined, error: SallyportError): ConnectReport {
    const diagnosis = this.#diagnose(error, target);
    this.#book.failed(diagnosis.stage, sentence(error));
    return this.#report(target, { error, diagnosis });
  }

  #diagnose(error: SallyportError, target: NodeName | undefined): Diagnosis {
    return diagnose(error, { local: this.#node.name, remote: target ?? "the other node" });
  }

  #report(target: NodeName | undefined, failure: ConnectReport["failure"]): ConnectReport {
    const stages = this.#book.all();
    return { node: this.#node.name, target: target ?? "?", stages, notes: this.#notes, failure };
  }

  #leftMs(): number {
    return Math.max(1, Math.ceil(this.#deadline - this.#world.clock.now()));
  }
}

/** The address that a failure speaks of; the first where it names none. */
function addressOf(
  { detail }: SallyportError,
  heard: CarrierInfo | undefined,
  addresses: readonly DialAddress[],
): DialAddress | undefined {
  const named = detail["address"] ?? heard?.remoteAddress;
  return addresses.find(({ host, port }) => formatAddress(host, port) === named) ?? addresses[0];
}

function withPort(name: NodeName, port: number): string {
  const host = hostPart(name);
  return host.includes(":") ? `${name.slice(0, name.indexOf("@"))}@[${host}]:${port}` : `${name}:${port}`;
}

function sentence(error: SallyportError): string {
  return error.message.replace(/^\[ERR_[A-Z_]+\] /, "");
}

/** Detail of an error never holds a secret; what only says who reported it stays out. */
function plainValues({ detail }: SallyportError): Evidence {
  const { diagnosis: _diagnosis, fault: _fault, role: _role, side: _side, ...rest } = detail;
  return rest;
}

function cookieEvidence(probe: NodeProbe, target: NodeName): Evidence {
  const bytes = probe.cookieBytes(target);
  return { localCookie: bytes === undefined ? "none is set" : `${bytes} bytes` };
}
