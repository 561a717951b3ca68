import { addMs, type Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import {
  type AcceptedFacts,
  bareFrame,
  channelNumberOf,
  channelOf,
  type DialOrder,
  type EngineConfig,
  FROM_ENGINE,
  jsonFrame,
  type ListenOrder,
  type MaterialOrder,
  numberFrame,
  numberOf,
  TO_ENGINE,
} from "../carrier/quic/engine-frames.ts";
import { parseIpAddress } from "../x509/ip-address.ts";
import type { HostPort, NativeBinding } from "./binding.ts";
import { makeConfig } from "./configs.ts";
import type { Asking } from "./dial-candidate.ts";
import { resolveHost } from "./dial-host.ts";
import { type Answered, DialRace, wordOf } from "./dial-race.ts";
import { type Answer, type Beginning, ListenSocket } from "./listen-socket.ts";
import { LOOK_AFTER_BYTES, MemoryGuard, type MemoryGuardParts } from "./memory-guard.ts";
import { OWN_ID_BYTES } from "./packet-head.ts";
import { largestDatagram } from "./packet-size.ts";
import type { Pipe } from "./pipe.ts";
import { Session, type SessionParts } from "./session.ts";
import { systemEnd } from "./session-facts.ts";
import { type DatagramHandler, UdpSocket } from "./udp.ts";
import { knock } from "./udp-knock.ts";
import type { WithheldTotal } from "./withheld.ts";

export interface EngineParts {
  readonly binding: NativeBinding;
  readonly clock: Clock;
  readonly random: Random;
  readonly pipe: Pipe;
  readonly memory: Omit<MemoryGuardParts, "holders" | "later">;
  /** Called once a second while the process does its work. */
  readonly beat: () => void;
  /** The node has said nothing for too long, and every peer has been told. */
  readonly nodeSilent: () => void;
}

/** Milliseconds between two looks at all sessions for keep-alive and deadlines. */
const TEND_MS = 1000;

/** Time for the last datagrams to leave, milliseconds. */
const LAST_DATAGRAMS_MS = 20;

/** All sessions and listeners of this process, as the node orders them. */
export class Engine {
  readonly #parts: EngineParts;
  #sessionParts: SessionParts | undefined;
  readonly #sessions: Map<number, Session> = new Map<number, Session>();
  /** Dials that nobody has answered yet. */
  readonly #dials: Map<number, DialRace> = new Map<number, DialRace>();
  /** Connections about which the node was asked. */
  readonly #asking: Map<number, (admitted: boolean) => void> = new Map<number, (admitted: boolean) => void>();
  readonly #listeners: Map<number, ListenSocket> = new Map<number, ListenSocket>();
  readonly #homes: Map<Session, ListenSocket | undefined> = new Map<Session, ListenSocket | undefined>();
  #due: Set<Session> = new Set<Session>();
  readonly #guard: MemoryGuard;
  readonly #withheld: WithheldTotal = { octets: 0 };
  #withheldAtLook = 0;
  #halfOpen = 0;
  #nextAccepted = 1;
  #isOrdering = false;
  /** Looks at all sessions since the node last asked for a sign of life: whoever was frozen with the node counts no time. */
  #silentTends = 0;
  readonly #runDue: () => void = () => this.#passes();

  constructor(parts: EngineParts) {
    this.#parts = parts;
    this.#guard = new MemoryGuard({
      ...parts.memory,
      holders: () => this.#sessions.values(),
      // The binding's objects are freed before that.
      later: (run) => parts.clock.later(run),
    });
  }

  /** Orders follow, of one read of the pipe; what they cause waits for `ordersEnd`. */
  ordersBegin(): void {
    this.#isOrdering = true;
  }

  /** @param areFew what they cause is done now, and not after the datagrams that are there */
  ordersEnd(areFew: boolean): void {
    this.#isOrdering = false;
    if (this.#due.size === 0) return;
    if (areFew) this.#passes();
    else this.#parts.clock.later(this.#runDue);
  }

  /** One frame of the node. The node is trusted: what is malformed throws and ends the process. */
  order(type: number, id: number, body: Buffer): void {
    switch (type) {
      case TO_ENGINE.config:
        this.#configure(parse<EngineConfig>(body));
        return;
      case TO_ENGINE.listen:
        void this.#listen(id, parse<ListenOrder>(body));
        return;
      case TO_ENGINE.unlisten:
        this.#listeners.get(id)?.close();
        this.#listeners.delete(id);
        return;
      case TO_ENGINE.material:
        this.#listeners.get(id)?.replaceMaterial(parse<MaterialOrder>(body));
        return;
      case TO_ENGINE.dial:
        this.#dial(id, parse<DialOrder>(body));
        return;
      case TO_ENGINE.credit:
        this.#parts.pipe.credit(numberOf(body));
        return;
      case TO_ENGINE.ping:
        this.#silentTends = 0;
        this.#parts.pipe.send(numberFrame(FROM_ENGINE.pong, 0, numberOf(body)));
        return;
      case TO_ENGINE.proceed:
        this.#asking.get(id)?.(true);
        return;
      case TO_ENGINE.destroy:
        this.#asking.get(id)?.(false);
        this.#dials.get(id)?.destroy();
        this.#sessions.get(id)?.destroy();
        return;
      default: {
        // The session may have ended while the order was under way.
        const session = this.#sessions.get(id);
        if (session !== undefined) this.#orderSession(type, session, body);
        else if (type === TO_ENGINE.pause || type === TO_ENGINE.resume)
          this.#dials.get(id)?.pause(type === TO_ENGINE.pause);
      }
    }
  }

  /** Bytes of the node for a channel. @param flush with them ends what leaves in packets of its own */
  write(id: number, channel: number, bytes: Buffer, flush: boolean): void {
    this.#sessions.get(id)?.write(channel, bytes, flush);
  }

  /** The node is gone, or lets go: every peer is told at once, and `done` called when that has left. */
  leave(done: () => void): void {
    const { clock } = this.#parts;
    for (const dial of this.#dials.values()) dial.destroy();
    for (const session of this.#sessions.values()) session.destroy();
    this.#passes();
    clock.at(addMs(clock.now(), LAST_DATAGRAMS_MS), done);
  }

  #orderSession(type: number, session: Session, body: Buffer): void {
    switch (type) {
      case TO_ENGINE.finish:
        session.finish(channelOf(body));
        return;
      case TO_ENGINE.reset:
        session.reset(channelOf(body), channelNumberOf(body, 6));
        return;
      case TO_ENGINE.end:
        session.end();
        return;
      case TO_ENGINE.pause:
        session.pause();
        return;
      case TO_ENGINE.resume:
        session.resume();
        return;
      case TO_ENGINE.rebind:
        void this.#rebind(session);
        return;
      case TO_ENGINE.admitted:
        this.#admitted(session);
        return;
      default:
        throw new Error(`unknown order ${type}`);
    }
  }

  #configure(config: EngineConfig): void {
    const { binding, clock, pipe } = this.#parts;
    this.#sessionParts = {
      binding,
      clock,
      pipe,
      config,
      withheld: this.#withheld,
      wake: (session) => this.#wake(session),
      gone: (session) => this.#gone(session),
    };
    this.#tendLater();
    pipe.send(bareFrame(FROM_ENGINE.ready, 0));
  }

  #needed(): SessionParts {
    if (this.#sessionParts === undefined) throw new Error("no configuration yet");
    return this.#sessionParts;
  }

  async #listen(id: number, order: ListenOrder): Promise<void> {
    const { binding, clock, random, pipe } = this.#parts;
    const { config } = this.#needed();
    const ask = (remote: HostPort, answer: Answer): void => this.#ask(id, listener, remote, order.alpn, answer);
    const hasRoom = (): boolean => this.#halfOpen < config.maxHalfOpen && this.#sessions.size < config.maxSessions;
    let listener: ListenSocket;
    try {
      listener = new ListenSocket({ binding, clock, random, config, hasRoom, ask }, order);
      const bound = await listener.bind();
      this.#listeners.set(id, listener);
      pipe.send(jsonFrame(FROM_ENGINE.listening, id, bound));
    } catch (error) {
      pipe.send(jsonFrame(FROM_ENGINE.listenFailed, id, { code: error instanceof Error ? error.message : "" }));
    }
  }

  #ask(listenerId: number, listener: ListenSocket, remote: HostPort, alpn: readonly string[], answer: Answer): void {
    const id = this.#nextAccepted;
    this.#nextAccepted += 2;
    this.#halfOpen++;
    this.#asking.set(id, (admitted) => {
      this.#asking.delete(id);
      if (!admitted) this.#halfOpen--;
      try {
        answer(admitted ? (beginning) => this.#accept(id, listener, beginning, alpn) : undefined);
      } catch (error) {
        // QUIC could not begin: that costs this connection alone.
        this.#halfOpen--;
        this.#parts.pipe.send(jsonFrame(FROM_ENGINE.closed, id, systemEnd(wordOf(error))));
      }
    });
    const facts: AcceptedFacts = { listener: listenerId, remoteHost: remote.host, remotePort: remote.port };
    this.#parts.pipe.send(jsonFrame(FROM_ENGINE.accepted, id, facts));
  }

  #accept(id: number, listener: ListenSocket, beginning: Beginning, alpn: readonly string[]): Session {
    const { connection, keys, socket, remote } = beginning;
    const facts = { id, side: "accept" as const, keys };
    const session = new Session(this.#needed(), facts, connection, alpn, socket, remote);
    this.#sessions.set(session.id, session);
    this.#homes.set(session, listener);
    return session;
  }

  #dial(id: number, order: DialOrder): void {
    const { clock, pipe } = this.#parts;
    const { handshakeMs } = this.#needed().config;
    const race = new DialRace({
      clock,
      knock,
      answerMs: handshakeMs,
      find: () => resolveHost(order.host, order.allowPublic),
      ask: (host, handler) => this.#askAt(host, order, handler),
      won: (answered) => {
        this.#dials.delete(id);
        this.#answered(id, order, answered);
      },
      failed: (facts) => {
        this.#dials.delete(id);
        pipe.send(jsonFrame(FROM_ENGINE.closed, id, facts));
      },
    });
    this.#dials.set(id, race);
  }

  async #askAt(host: string, order: DialOrder, handler: DatagramHandler): Promise<Asking> {
    const { binding, random } = this.#parts;
    const socket = await UdpSocket.bind(parseIpAddress(host)?.length === 16 ? "::" : "0.0.0.0", 0, handler);
    try {
      const config = makeConfig(binding, { alpn: order.alpn, idleTimeoutMs: this.#needed().config.idleTimeoutMs });
      config.setMaxSendUdpPayloadSize(largestDatagram(host));
      const remote = { host, port: order.port };
      const local = { host: socket.host, port: socket.port };
      const name = order.serverName === "" ? null : order.serverName;
      const connection = binding.Connection.connect(name, random.bytes(OWN_ID_BYTES), local, remote, config);
      return { connection, socket, remote };
    } catch (error) {
      socket.close();
      throw error;
    }
  }

  #answered(id: number, { alpn }: DialOrder, answered: Answered): void {
    const { connection, socket, remote } = answered;
    const session = new Session(this.#needed(), { id, side: "dial", keys: [] }, connection, alpn, socket, remote);
    session.halfOpen = false;
    if (answered.isPaused) session.pause();
    this.#sessions.set(id, session);
    this.#homes.set(session, undefined);
    answered.hear((datagram, { address, port }) => session.datagram(datagram, address, port));
    session.answered(answered.octets);
  }

  async #rebind(session: Session): Promise<void> {
    if (session.side !== "dial") return;
    const handler = {
      datagram: (bytes: Buffer, from: { address: string; port: number }): void =>
        session.datagram(bytes, from.address, from.port),
    };
    const old = session.socket;
    try {
      const socket = await UdpSocket.bind(old.host, 0, handler);
      if (this.#sessions.get(session.id) !== session) {
        socket.close();
        return;
      }
      session.socket = socket;
      old.close();
      // The peer learns the new address from a packet.
      session.poke();
    } catch {
      // The old socket stays.
    }
  }

  #admitted(session: Session): void {
    if (!session.halfOpen) return;
    session.halfOpen = false;
    this.#halfOpen--;
  }

  #wake(session: Session): void {
    if (this.#due.size === 0 && !this.#isOrdering) this.#parts.clock.later(this.#runDue);
    this.#due.add(session);
  }

  #passes(): void {
    const due = this.#due;
    if (due.size === 0) return;
    this.#due = new Set<Session>();
    const { pipe } = this.#parts;
    pipe.hold();
    for (const session of due) {
      if (this.#sessions.get(session.id) !== session) continue;
      try {
        session.pass();
      } catch (error) {
        session.abandon(wordOf(error));
      }
    }
    pipe.release();
    const { octets } = this.#withheld;
    this.#withheldAtLook = Math.min(this.#withheldAtLook, octets);
    if (octets > this.#withheldAtLook + LOOK_AFTER_BYTES) this.#lookAtMemory();
  }

  #lookAtMemory(): void {
    this.#withheldAtLook = this.#withheld.octets;
    this.#guard.look(this.#sessions.size + this.#dials.size - this.#halfOpen, this.#halfOpen);
  }

  #gone(session: Session): void {
    if (!this.#sessions.delete(session.id)) return;
    this.#admitted(session);
    const listener = this.#homes.get(session);
    this.#homes.delete(session);
    if (listener === undefined) session.socket.close();
    else listener.forget(session);
  }

  #tendLater(): void {
    const { clock } = this.#parts;
    clock.at(addMs(clock.now(), TEND_MS), () => {
      this.#parts.beat();
      const now = clock.now();
      for (const session of this.#sessions.values()) session.tend(now);
      this.#lookAtMemory();
      this.#silentTends++;
      // QUIC answers for a node that hangs, and its peers would never know.
      if (this.#silentTends * TEND_MS > this.#needed().config.nodeDeadlineMs) this.leave(this.#parts.nodeSilent);
      else this.#tendLater();
    });
  }
}

function parse<T>(body: Buffer): T {
  return JSON.parse(body.toString()) as T;
}
