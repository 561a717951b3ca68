import { isIP } from "node:net";
import { fileURLToPath } from "node:url";
import { addMs, type Clock, type MonotonicMs, type Timer } from "../../base/clock.ts";
import type { SallyportError } from "../../base/errors.ts";
import type { ChannelledSink } from "../channels.ts";
import { formatAddress } from "../socket-address.ts";
import {
  bareFrame,
  type ClosedFacts,
  channelNumberOf,
  channelOf,
  type DialOrder,
  type EngineConfig,
  FROM_ENGINE,
  FrameError,
  jsonFrame,
  TO_ENGINE,
} from "./engine-frames.ts";
import { type EngineEar, EngineProcess } from "./engine-process.ts";
import { JsonBody } from "./json-body.ts";
import { QuicCarrier } from "./quic-carrier.ts";
import { bindingMissing, closedCause, type EngineLoss, engineClosed, engineLost } from "./quic-errors.ts";
import { openedInfo } from "./quic-info.ts";
import {
  DEFAULT_ENGINE_DEADLINE_MS,
  DEFAULT_INITIALS_BURST,
  DEFAULT_INITIALS_PER_SECOND,
  DEFAULT_MAX_BACKLOG_BYTES,
  DEFAULT_MAX_HALF_OPEN,
  DEFAULT_MAX_SESSIONS,
  DEFAULT_NODE_DEADLINE_MS,
  DEFAULT_RESTART_BACKOFF_MS,
  END_LINGER_MS,
  HANDSHAKE_BACKSTOP_MS,
  IDLE_TIMEOUT_MS,
  KEEP_ALIVE_MS,
  MAX_RESTART_BACKOFF_MS,
  type QuicEngineLimits,
  type QuicLimits,
} from "./quic-limits.ts";

/** What the operator should know: a stable word and a sentence. */
export type QuicWarn = (reason: string, message: string) => void;

export interface QuicEngineParts {
  readonly clock: Clock;
  readonly warn: QuicWarn;
}

export interface QuicEngineOptions extends QuicEngineLimits {
  /** The engine's program; default the one of this package. For tests. */
  readonly script?: string;
  /** Times of connections; default those of barrel. For tests. */
  readonly idleTimeoutMs?: number;
  readonly keepAliveMs?: number;
}

/** What a listener is for the engine. */
export interface EngineListener {
  /** The order as JSON fields, asked for anew at each start of the engine. */
  readonly order: () => object;
  /** It is bound. */
  bound(host: string, port: number): void;
  /** It cannot be bound; `system` is the system's code. */
  failed(system: string): void;
  /** A connection begins: makes its carrier, or refuses. */
  accepted(session: number, host: string, port: number): QuicCarrier | undefined;
  /** The engine cannot run here, or is closed. */
  ended(cause: SallyportError): void;
}

/** A connection of the engine. */
interface Entry {
  readonly carrier: QuicCarrier;
  readonly side: "dial" | "accept";
  readonly address: string;
  readonly ownCert: Buffer | undefined;
  opened: boolean;
}

/** A start that lasted so long was a good one, milliseconds. */
const STABLE_MS = 60_000;
/** Sessions of one life of the engine; numbers are 32 bits, every second one dialled. */
const MAX_SESSION = 0xffff_fffe;

/**
 * The one QUIC engine of a node: a child process with all UDP sockets and all of the native code, started when it is first
 * needed and started anew when it is lost. A lost engine costs the QUIC connections and nothing else.
 */
export class QuicEngine {
  readonly #clock: Clock;
  readonly #warn: QuicWarn;
  readonly #options: QuicEngineOptions;
  readonly #entries: Map<number, Entry> = new Map<number, Entry>();
  readonly #listeners: Map<number, EngineListener> = new Map<number, EngineListener>();
  #process: EngineProcess | undefined;
  #startedAt: MonotonicMs | undefined;
  #backoffMs: number;
  #restart: Timer | undefined;
  #nextDialled = 2;
  #nextListener = 1;
  #closed = false;
  #starts = 0;

  constructor(parts: QuicEngineParts, options: QuicEngineOptions = {}) {
    this.#clock = parts.clock;
    this.#warn = parts.warn;
    this.#options = options;
    this.#backoffMs = options.restartBackoffMs ?? DEFAULT_RESTART_BACKOFF_MS;
  }

  get clock(): Clock {
    return this.#clock;
  }

  /** Tells the operator something. */
  get warn(): QuicWarn {
    return this.#warn;
  }

  /** Process id of the running engine; undefined when none runs. For status and tests. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** How often it was started. */
  get starts(): number {
    return this.#starts;
  }

  /** Connections and connections being made. */
  get sessions(): number {
    return this.#entries.size;
  }

  /** Dials; the result reports through the sink. */
  dial(order: DialOrder, limits: QuicLimits, sink: ChannelledSink): QuicCarrier {
    const session = this.#nextDialled;
    this.#nextDialled = session + 2 > MAX_SESSION ? 2 : session + 2;
    const address = formatAddress(order.host, order.port);
    const carrier = this.makeCarrier("dial", session, address, limits, undefined);
    carrier.listen(sink);
    if (this.#closed) {
      carrier.closed(engineClosed());
      this.#forget(session);
      return carrier;
    }
    this.#need().send(jsonFrame(TO_ENGINE.dial, session, order));
    return carrier;
  }

  /** Makes the carrier of a session that begins. */
  makeCarrier(
    side: "dial" | "accept",
    session: number,
    address: string,
    limits: QuicLimits,
    ownCert: Buffer | undefined,
  ): QuicCarrier {
    const life = side === "accept" ? this.#process : undefined;
    const send = (bytes: Uint8Array): void => (life ?? this.#process)?.send(bytes);
    const carrier = new QuicCarrier({ clock: this.#clock, limits, side, session, remoteAddress: address, send });
    this.#entries.set(session, { carrier, side, address, ownCert, opened: false });
    // Before anything that the carrier's owner may order.
    if (side === "accept") send(bareFrame(TO_ENGINE.proceed, session));
    this.#hold();
    return carrier;
  }

  /** Adds a listener; it is bound again whenever the engine starts anew. */
  listen(listener: EngineListener): number {
    const id = this.#nextListener++;
    if (this.#closed) {
      listener.ended(engineClosed());
      return id;
    }
    this.#listeners.set(id, listener);
    // A new process is given all listeners when it starts.
    if (this.#process === undefined) this.#need();
    else this.#process.send(jsonFrame(TO_ENGINE.listen, id, listener.order()));
    this.#hold();
    return id;
  }

  unlisten(id: number): void {
    if (!this.#listeners.delete(id)) return;
    this.order(TO_ENGINE.unlisten, id, {});
    this.#hold();
  }

  /** The owner of a connection knows its peer: it counts as half open no more. */
  admitted(session: number, carrier: QuicCarrier): void {
    if (this.#entries.get(session)?.carrier === carrier) this.#process?.send(bareFrame(TO_ENGINE.admitted, session));
  }

  /** A frame with a JSON body for the running engine. */
  order(type: number, id: number, value: object): void {
    this.#process?.send(jsonFrame(type, id, value));
  }

  /** Ends the engine and every QUIC connection. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#restart?.cancel();
    this.#process?.leave();
    const listeners = [...this.#listeners.values()];
    this.#listeners.clear();
    for (const listener of listeners) listener.ended(engineClosed());
  }

  #need(): EngineProcess {
    if (this.#process !== undefined) return this.#process;
    this.#restart?.cancel();
    this.#restart = undefined;
    const ear: EngineEar = {
      frame: (type, id, body) => this.#frame(type, id, body),
      bytes: (id, channel, bytes) => {
        if (this.#entries.get(id)?.carrier.received(channel, bytes) === false) throw new FrameError("out of place");
      },
      lost: (loss) => this.#lost(started, loss),
    };
    const { engineDeadlineMs: deadlineMs = DEFAULT_ENGINE_DEADLINE_MS, script = engineScript() } = this.#options;
    const started = new EngineProcess(this.#clock, { script, config: this.#config(), deadlineMs }, ear);
    this.#process = started;
    this.#startedAt = this.#clock.now();
    this.#starts++;
    for (const [id, listener] of this.#listeners) started.send(jsonFrame(TO_ENGINE.listen, id, listener.order()));
    this.#hold();
    return started;
  }

  #config(): EngineConfig {
    const options = this.#options;
    return {
      idleTimeoutMs: options.idleTimeoutMs ?? IDLE_TIMEOUT_MS,
      keepAliveMs: options.keepAliveMs ?? KEEP_ALIVE_MS,
      maxHalfOpen: options.maxHalfOpen ?? DEFAULT_MAX_HALF_OPEN,
      maxSessions: options.maxSessions ?? DEFAULT_MAX_SESSIONS,
      maxBacklogBytes: options.maxBacklogBytes ?? DEFAULT_MAX_BACKLOG_BYTES,
      initialsPerSecond: options.initialsPerSecond ?? DEFAULT_INITIALS_PER_SECOND,
      initialsBurst: options.initialsBurst ?? DEFAULT_INITIALS_BURST,
      lingerMs: END_LINGER_MS,
      handshakeMs: HANDSHAKE_BACKSTOP_MS,
      nodeDeadlineMs: options.nodeDeadlineMs ?? DEFAULT_NODE_DEADLINE_MS,
    };
  }

  #frame(type: number, id: number, body: Buffer): void {
    switch (type) {
      case FROM_ENGINE.ready:
        return;
      case FROM_ENGINE.listening: {
        const fields = new JsonBody(body);
        this.#listeners.get(id)?.bound(hostField(fields, "host"), fields.port("port"));
        return;
      }
      case FROM_ENGINE.listenFailed:
        this.#listeners.get(id)?.failed(new JsonBody(body).text("code"));
        return;
      case FROM_ENGINE.accepted:
        this.#accepted(id, new JsonBody(body));
        return;
      default: {
        // A connection that this side has cut may still be spoken of.
        const entry = this.#entries.get(id);
        if (entry !== undefined && !this.#sessionFrame(type, id, entry, body)) throw new FrameError("out of place");
      }
    }
  }

  #accepted(session: number, fields: JsonBody): void {
    if ((session & 1) === 0 || this.#entries.has(session)) throw new FrameError("a session number twice");
    const listener = this.#listeners.get(fields.count("listener"));
    const carrier = listener?.accepted(session, hostField(fields, "remoteHost"), fields.port("remotePort"));
    if (carrier === undefined) this.#process?.send(jsonFrame(TO_ENGINE.destroy, session, {}));
  }

  /** False for what the engine cannot mean. */
  #sessionFrame(type: number, session: number, entry: Entry, body: Buffer): boolean {
    const { carrier } = entry;
    switch (type) {
      case FROM_ENGINE.written:
        return carrier.taken(channelOf(body), channelNumberOf(body, 4));
      case FROM_ENGINE.finished:
        return carrier.finished(channelOf(body));
      case FROM_ENGINE.reset:
        return carrier.resetByPeer(channelOf(body), channelNumberOf(body, 6));
      case FROM_ENGINE.dropped:
        carrier.dropped(channelOf(body));
        return true;
      case FROM_ENGINE.heard:
        carrier.heard();
        return true;
      case FROM_ENGINE.opened:
        entry.opened = true;
        return carrier.opened(openedInfo(new JsonBody(body), entry.ownCert));
      case FROM_ENGINE.moved: {
        const fields = new JsonBody(body);
        carrier.moved(hostField(fields, "host"), fields.port("port"));
        return true;
      }
      case FROM_ENGINE.closed: {
        const cause = closedCause(closedFacts(new JsonBody(body)), entry.address, entry.opened, entry.side);
        this.#forget(session);
        carrier.closed(cause);
        return true;
      }
      default:
        return false;
    }
  }

  #lost(process: EngineProcess, loss: EngineLoss | "no-binding"): void {
    if (this.#process !== process) return;
    this.#process = undefined;
    const causeAt = (stage: "port" | "session"): SallyportError =>
      this.#closed ? engineClosed() : loss === "no-binding" ? bindingMissing() : engineLost(loss, stage);
    const cause = causeAt("session");
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    for (const { carrier, opened } of entries) carrier.closed(opened ? cause : causeAt("port"));
    if (this.#closed) return;
    if (loss === "no-binding") {
      const listeners = [...this.#listeners.values()];
      this.#listeners.clear();
      for (const listener of listeners) listener.ended(cause);
      return;
    }
    this.#restartLater(cause);
  }

  #restartLater(cause: SallyportError): void {
    const now = this.#clock.now();
    const first = this.#options.restartBackoffMs ?? DEFAULT_RESTART_BACKOFF_MS;
    if (this.#startedAt !== undefined && now - this.#startedAt > STABLE_MS) this.#backoffMs = first;
    const wait = this.#backoffMs;
    this.#backoffMs = Math.min(wait * 2, MAX_RESTART_BACKOFF_MS);
    const next = this.#listeners.size === 0 ? "at the next dial" : `in ${wait} ms`;
    this.#warn("QUIC_ENGINE_RESTART", `${cause.message}; it is started anew ${next}`);
    if (this.#listeners.size === 0) return;
    this.#restart = this.#clock.at(addMs(now, wait), () => {
      if (!this.#closed && this.#listeners.size > 0) this.#need();
    });
  }

  #forget(session: number): void {
    this.#entries.delete(session);
    this.#hold();
  }

  #hold(): void {
    this.#process?.hold(this.#entries.size > 0 || this.#listeners.size > 0);
  }
}

/** The engine's program beside this file; while this file is still TypeScript, the built one. */
function engineScript(): string {
  const built = import.meta.url.endsWith(".ts") ? "../../../lib/quic-engine/main.js" : "../../quic-engine/main.js";
  return fileURLToPath(new URL(built, import.meta.url));
}

function closedFacts(fields: JsonBody): ClosedFacts {
  const by = fields.text("by");
  if (by !== "peer" && by !== "local" && by !== "timeout" && by !== "reset" && by !== "system")
    throw new FrameError("ended by nobody");
  return { by, app: fields.flag("app"), code: fields.count("code"), system: fields.text("system") };
}

/** An IP literal. @throws {FrameError} */
function hostField(fields: JsonBody, name: string): string {
  const host = fields.text(name);
  if (isIP(host) === 0) throw new FrameError(`no address ${name}`);
  return host;
}
