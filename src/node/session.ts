import { isSallyportError } from "../base/errors.ts";
import type { CarrierInfo, DialAddress } from "../carrier/carrier.ts";
import type { DistConnection } from "../dist/connection.ts";
import { connectionBug } from "../dist/connection-failures.ts";
import type { ProvenPeer } from "../dist/sink.ts";
import type { AllowRule } from "../guard/allow.ts";
import type { Incarnation } from "../guard/ownership.ts";
import type { SessionGuard } from "../guard/session-guard.ts";
import type { Fingerprint } from "../identity/public-key.ts";
import type { PeerFacts } from "../policy/decision.ts";
import { PeerTables } from "../process/peer-tables.ts";
import type { RemoteEnd } from "../process/ports.ts";
import type { TermDecoder } from "../term/decode.ts";
import { PayloadWatch } from "../term/payload-watch.ts";
import type { Pid, Reference, Term } from "../term/types.ts";
import { type Control, hasPayload } from "../wire/control-types.ts";
import { ALIAS, SPAWN } from "../wire/flags.ts";
import type { AdmittedPeer } from "./admitted-peer.ts";
import type { Peer } from "./api.ts";
import { Inflight } from "./inflight.ts";
import { type Lifetime, type MessageContext, OwnedLifetime } from "./message-context.ts";
import type { NodeProcess, NodeProcesses } from "./node-process.ts";
import { OpenWorks } from "./open-work.ts";
import type { PeerStreams } from "./peer-stream.ts";
import type { SessionMove } from "./session-move.ts";

function tlsOf({ tlsVersion: version, tlsCipher: cipher, resumption }: CarrierInfo): Peer["tls"] {
  if (version === undefined || cipher === undefined) return null;
  return { version, cipher, resumed: resumption === "resumed" };
}

/** Control messages kept ready for names this node sends to, per session. */
const MAX_KEPT_CONTROLS = 1024;

/** The target of the message before this one, when some messages may reach it without asking again. */
export interface WarmTarget {
  readonly control: Extract<Control, { kind: "send" | "reg-send" | "alias-send" }>;
  /** Of the registered names. */
  readonly generation: number;
  readonly process: NodeProcess;
  readonly ctx: MessageContext;
  /** Kinds of messages that may, whatever they hold. */
  readonly send: boolean;
  readonly call: boolean;
  readonly cast: boolean;
}

/** What a session is made of. */
export interface SessionParts {
  readonly connection: DistConnection;
  readonly proven: ProvenPeer;
  readonly guard: SessionGuard;
  readonly processes: NodeProcesses;
  readonly mainPid: Pid;
  /** Of the proven key; undefined where there is none. */
  readonly fingerprint: Fingerprint | undefined;
  readonly holdsName: boolean;
}

/** One authenticated session with a peer, from up to down. */
export class Session implements RemoteEnd, Incarnation {
  readonly peer: Peer;
  /** What the peer may do here. */
  readonly guard: SessionGuard;
  readonly node: string;
  readonly creation: number;
  readonly tables: PeerTables<MessageContext, AllowRule | undefined>;
  /** Of the proven key; undefined where there is none. */
  readonly fingerprint: Fingerprint | undefined;
  /** The peer's life, by the native handshake; undefined after the OTP handshake, which has no order of lives. */
  readonly incarnation: bigint | undefined;
  /** Both sides know aliases. */
  readonly hasAlias: boolean;
  /** Both sides know SPAWN_REQUEST. */
  readonly hasSpawn: boolean;
  /** Ends with the session. */
  readonly lifetime: Lifetime;
  /**
   * False for a stranger that dialled in on first use. It may ask for what its assurance allows; what this node sends to
   * the name by itself goes only to one that holds it.
   */
  holdsName: boolean;
  /** See `WarmTarget`; the inbound path owns it. */
  warm: WarmTarget | undefined;
  /** Reference of the monitor that was refused last: the call that may follow it needs no second answer. */
  refusedMonitor: Reference | undefined;
  /** Remote processes were started with our output sink as group leader: their output may come. */
  takesOutput = false;
  /** Requests of this node that wait for their answers; the call table counts. */
  openCalls = 0;
  /** This node has asked whether the session may end as idle: what it sends meanwhile waits as behind a dial. */
  isAsking = false;
  /** When it came up, Unix milliseconds. */
  sinceMs = 0;
  /** Where this node dialled it; undefined for one that came in. */
  dialledAt: DialAddress | undefined;
  /** Another connection is to take the place of this one's, or does just now. */
  move: SessionMove | undefined;
  /** It has ended. */
  isOver = false;
  /** Calls and functions of the peer that go on here. */
  readonly work: OpenWorks = new OpenWorks();
  /** Calls of the peer that services have not answered. */
  readonly inflight: Inflight;
  /** Tagged streams with the peer; undefined where the protocol has none. */
  streams: PeerStreams | undefined;
  /** What the payload decoded last holds besides data. */
  readonly watch: PayloadWatch;
  readonly #ownedLifetime = new OwnedLifetime();
  readonly #peer: { -readonly [K in keyof Peer]: Peer[K] };
  #connection: DistConnection;
  #source: DistConnection;
  readonly #names = new Map<string, Control>();
  readonly #mainPid: Pid;
  #lastPid: Pid | undefined;
  #lastPidControl: Control | undefined;

  constructor(parts: SessionParts) {
    const { connection, proven, guard, processes, mainPid, fingerprint } = parts;
    this.holdsName = parts.holdsName;
    this.#connection = connection;
    this.#source = connection;
    this.guard = guard;
    this.node = proven.name;
    this.creation = proven.creation;
    this.#mainPid = mainPid;
    this.#peer = {
      name: proven.name,
      fingerprint: fingerprint ?? null,
      publicKey: proven.native?.publicKey ?? proven.info.proven?.publicKey ?? null,
      assurance: guard.facts.assurance,
      protocol: guard.facts.protocol,
      certificate: proven.info.peerCertDer ?? null,
      tls: tlsOf(proven.info),
      incarnation: proven.creation,
      address: proven.info.remoteAddress,
      role: proven.role,
    };
    this.peer = this.#peer;
    this.fingerprint = fingerprint;
    this.incarnation = proven.native?.peerIncarnation;
    this.hasAlias = (proven.flags & ALIAS) !== 0n;
    this.hasSpawn = (proven.flags & SPAWN) !== 0n;
    this.lifetime = this.#ownedLifetime;
    this.inflight = new Inflight(guard);
    this.watch = new PayloadWatch(processes.node, proven.name);
    connection.terms.watch = this.watch;
    this.tables = new PeerTables(this, processes, {
      // Without an exit grant a peer cannot end one of our processes over a link (rulings C6).
      exitAsMessage: (process) => !guard.mayEnd(process, processes.names.generation),
    });
  }

  get facts(): PeerFacts {
    return this.guard.facts;
  }

  /** What this node sends over. */
  get connection(): DistConnection {
    return this.#connection;
  }

  /** What the peer's messages come over: the same, but for a moment while the session moves. */
  get source(): DistConnection {
    return this.#source;
  }

  /** Decoder of the message that is being handled. */
  get terms(): TermDecoder {
    return this.#source.terms;
  }

  /** Bytes accepted from us that have not left this process. */
  get waitingBytes(): number {
    const { connection, move } = this;
    const leaving = move?.from === connection ? 0 : (move?.from.waitingBytes ?? 0);
    return connection.waitingBytes + leaving;
  }

  /** From now on it is sent over `connection`, on which the peer has shown itself anew. */
  sendOver(connection: DistConnection, { info, role }: ProvenPeer, { facts, rules }: AdmittedPeer): void {
    this.#connection = connection;
    connection.terms.watch = this.watch;
    this.#peer.certificate = info.peerCertDer ?? null;
    this.#peer.tls = tlsOf(info);
    this.#peer.address = info.remoteAddress;
    this.#peer.role = role;
    this.warm = undefined;
    this.guard.moved(facts, rules);
  }

  /** From now on the peer's messages come over `connection`. */
  readFrom(connection: DistConnection): void {
    this.#source = connection;
  }

  /**
   * RemoteEnd: never throws. Signals sent while the session goes down are dropped; when there is no room for one, the
   * session ends, for without it the two sides would no longer agree on their links and monitors.
   */
  signal(control: Control, payload?: Term): void {
    if (!this.connection.isUp) return;
    try {
      if (hasPayload(control)) this.connection.message(control, payload);
      else this.connection.signal(control);
    } catch (error) {
      this.connection.destroy(isSallyportError(error) ? error : connectionBug(error));
    }
  }

  /** The control message for a send to a registered name, from this node's main process. */
  toName(name: string): Control {
    let control = this.#names.get(name);
    if (control === undefined) {
      control = { kind: "reg-send", from: this.#mainPid, name };
      if (this.#names.size >= MAX_KEPT_CONTROLS) this.#names.clear();
      this.#names.set(name, control);
    }
    return control;
  }

  /** The control message for a send to a pid, from this node's main process. */
  toPid(pid: Pid): Control {
    if (this.#lastPid === pid && this.#lastPidControl !== undefined) return this.#lastPidControl;
    this.#lastPid = pid;
    this.#lastPidControl = { kind: "send", from: this.#mainPid, to: pid };
    return this.#lastPidControl;
  }

  /** The session is over: links and monitors fire, work for the peer is aborted. */
  ended(): void {
    this.warm = undefined;
    this.#ownedLifetime.end();
    this.work.end();
    this.inflight.sessionEnded();
    this.tables.disconnected();
  }
}
