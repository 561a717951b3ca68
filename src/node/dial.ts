import { addMs, type Clock, type Timer } from "../base/clock.ts";
import { isSallyportError, SallyportError, withNote } from "../base/errors.ts";
import type { DialTarget, NodeName } from "../base/node-name.ts";
import { hostPart } from "../base/node-name.ts";
import { RingQueue } from "../base/ring-queue.ts";
import type { DialAddress } from "../carrier/carrier.ts";
import type { DistConnection } from "../dist/connection.ts";
import { mayBeResumption } from "../dist/resumption.ts";
import type { Resolver } from "./ports.ts";
import { connectTimeout } from "./remote-failure.ts";
import type { Session } from "./session.ts";
import { unresolved } from "./unresolved.ts";

/** Messages that wait for one dial at most; more are refused. */
export const MAX_WAITING_SENDS = 10_000;
/** How long a dial that gave way waits for the other connection before it tries again; doubles each time. Milliseconds. */
export const LOST_DIAL_RETRY_MS = 200;
/** The longest such wait, milliseconds. */
export const MAX_LOST_DIAL_RETRY_MS = 1_000;

/** Calls, and others who want the session itself, that wait for one dial at most; more are refused. */
export const MAX_DIAL_WAITERS = 10_000;

export interface DialParts {
  readonly resolver: Resolver;
  readonly clock: Clock;
  /** From the start to the session, whatever the number of addresses; milliseconds. */
  readonly maxDialMs: number;
  /** Encoded bytes of messages and requests that wait for it. */
  readonly maxWaitingBytes: number;
  /** Starts one connection to an address; with `isFull` no TLS session is resumed. Its end is reported to `attemptEnded`. */
  connect(target: NodeName, address: DialAddress, isFull: boolean): DistConnection;
  /** What those who wait are told of a failure. */
  explained(target: NodeName, error: SallyportError): SallyportError;
  /** The dial is over; `error` is undefined when a session stands. */
  finished(dial: Dial, error: SallyportError | undefined): void;
}

/** What is to be known of one that waits for a dial. */
export interface WaiterOptions {
  /** Of what it will send; default 0. */
  readonly bytes?: number;
  /** A failure is nothing to tell of. Default false. */
  readonly isQuiet?: boolean;
}

interface Waiter {
  readonly up: (session: Session) => void;
  readonly failed: (error: SallyportError) => void;
  readonly bytes: number;
  readonly isQuiet: boolean;
}

/** Something to be sent once the session stands. */
interface WaitingSend {
  readonly run: (session: Session) => void;
  /** Called instead when the dial fails. */
  readonly failed: (() => void) | undefined;
}

/**
 * One attempt to reach a node, shared by everybody who wants it: resolves the name, tries the addresses one after the
 * other, and ends with a session (whichever side dialled it) or with the failure of the last address. A connection that gives
 * way to the peer's own is dialled again, for that one may never arrive.
 */
export class Dial {
  readonly target: NodeName;
  readonly #port: number | undefined;
  readonly #parts: DialParts;
  readonly #abort = new AbortController();
  readonly #waiters = new Set<Waiter>();
  readonly #sends = new RingQueue<WaitingSend>();
  #waitingBytes = 0;
  /** What the resolvers said that knew nothing, when the addresses are a guess. */
  readonly #said: string[] = [];
  #addresses: readonly DialAddress[] = [];
  #next = 0;
  #connection: DistConnection | undefined;
  #over = false;
  /** No TLS session is resumed any more. */
  #isFull = false;
  /** What it is dialled in full for: all there is to tell where that one comes to nothing in time. */
  #failedBefore: SallyportError | undefined;
  #timer: Timer;
  #retry: Timer | undefined;
  #retryMs = LOST_DIAL_RETRY_MS;

  constructor(target: DialTarget, parts: DialParts) {
    this.target = target.name;
    this.#port = target.port;
    this.#parts = parts;
    this.#timer = this.#armed();
  }

  /** Starts it; its time begins anew. Never rejects. */
  async run(): Promise<void> {
    if (this.#over) return;
    this.#timer.cancel();
    this.#timer = this.#armed();
    const { resolver } = this.#parts;
    try {
      this.#addresses = await resolver.resolve(this.target, this.#abort.signal, (said) => this.#said.push(said));
    } catch (error) {
      const failure = isSallyportError(error) ? error : unresolved(this.target, [resolver.label], error);
      // With a port, a name that nobody knows still has a host.
      if (this.#port === undefined || failure.reason !== "NAME_UNRESOLVED") {
        this.fail(failure);
        return;
      }
    }
    if (this.#port !== undefined) this.#addresses = withPort(this.#addresses, this.target, this.#port);
    if (this.#addresses.length === 0) this.fail(unresolved(this.target, [resolver.label]));
    else this.#tryNext();
  }

  /**
   * Calls one of the two, once. Returns a function that takes the wish back.
   * @throws {SallyportError} ERR_LIMIT WAITING_CALLS, WAITING_BYTES
   */
  wait(
    up: (session: Session) => void,
    failed: (error: SallyportError) => void,
    { bytes = 0, isQuiet = false }: WaiterOptions = {},
  ): () => void {
    if (this.#waiters.size >= MAX_DIAL_WAITERS) throw tooManyWaiters(this.target);
    this.#hold(bytes);
    const waiter: Waiter = { up, failed, bytes, isQuiet };
    this.#waiters.add(waiter);
    return () => {
      if (this.#waiters.delete(waiter)) this.#waitingBytes -= bytes;
    };
  }

  /**
   * Queues a send of that many bytes until the session stands; `failed` is called if it never does.
   * @throws {SallyportError} ERR_LIMIT WAITING_SENDS, WAITING_BYTES
   */
  queue(run: (session: Session) => void, bytes: number, failed?: () => void): void {
    if (this.#sends.length >= MAX_WAITING_SENDS) throw tooManySends(this.target);
    this.#hold(bytes);
    this.#sends.push({ run, failed });
  }

  #hold(bytes: number): void {
    const { maxWaitingBytes } = this.#parts;
    const waiting = this.#waitingBytes + bytes;
    if (waiting > maxWaitingBytes) throw tooManyBytes(this.target, waiting, maxWaitingBytes);
    this.#waitingBytes = waiting;
  }

  /** A session with the target stands: everybody gets it, in order. */
  succeeded(session: Session): void {
    if (this.#over) return;
    this.#over = true;
    this.#timer.cancel();
    this.#retry?.cancel();
    this.#abort.abort();
    this.#parts.finished(this, undefined);
    for (let send = this.#sends.shift(); send !== undefined; send = this.#sends.shift()) {
      try {
        send.run(session);
      } catch {
        // The one who sent was told that the message is on its way; a message that cannot leave is like a lost one.
      }
    }
    for (const waiter of this.#waiters) waiter.up(session);
    this.#waiters.clear();
    // A crossing connection of ours that lost: its end means nothing any more.
    if (this.#connection !== undefined && this.#connection !== session.connection) {
      this.#connection.destroy(overtaken(this.target));
    }
  }

  /** One connection of this dial ended before it became a session. */
  attemptEnded(connection: DistConnection, error: SallyportError): void {
    if (this.#over || connection !== this.#connection) return;
    if (error.reason === "OTHER_CONNECTION_WINS") this.#tryAgainLater();
    else if (this.triesInFull(connection, error)) this.#tryInFull(error);
    else if (error.code === "ERR_UNREACHABLE" && this.#next < this.#addresses.length) this.#tryNext();
    else this.fail(this.#explained(error));
  }

  /**
   * Whether this end of a connection is nobody's news: it had offered an earlier TLS session, which may be all that was wrong, so
   * the same address is dialled once more in full, within the time of this dial. What that one says counts.
   */
  triesInFull(connection: DistConnection, error: SallyportError): boolean {
    if (this.#over || this.#isFull || connection !== this.#connection || connection.resumption === undefined)
      return false;
    return mayBeResumption(error);
  }

  #tryInFull(error: SallyportError): void {
    this.#failedBefore = error;
    this.#isFull = true;
    this.#next--;
    this.#tryNext();
  }

  /** Gives up. */
  fail(cause: SallyportError): void {
    if (this.#over) return;
    this.#over = true;
    this.#timer.cancel();
    this.#retry?.cancel();
    this.#abort.abort();
    const error = this.#parts.explained(this.target, cause);
    this.#parts.finished(this, error);
    const connection = this.#connection;
    this.#connection = undefined;
    connection?.destroy(error);
    for (let send = this.#sends.shift(); send !== undefined; send = this.#sends.shift()) send.failed?.();
    for (const waiter of this.#waiters) waiter.failed(error);
    this.#waiters.clear();
  }

  /** The peer may stand on this dial's connection already; we hear of it with its acknowledgement. */
  get isAwaitingAck(): boolean {
    return this.#connection?.repliedToChallenge === true;
  }

  get waitingSends(): number {
    return this.#sends.length;
  }

  /** Bytes of all that waits. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  #armed(): Timer {
    const { clock, maxDialMs } = this.#parts;
    const giveUp = (): void => this.fail(this.#failedBefore ?? connectTimeout(this.target, maxDialMs));
    return clock.at(addMs(clock.now(), maxDialMs), giveUp, true);
  }

  /** Nobody at a guessed address: the reader should know why it came to a guess. */
  #explained(error: SallyportError): SallyportError {
    if (error.code !== "ERR_UNREACHABLE" || this.#said.length === 0 || this.#port !== undefined) return error;
    const asked = this.#said.join("; ");
    return withNote(error, `; the address is a guess (${asked})`, { asked });
  }

  /** The peer's own connection is on its way in. If it does not come, as from behind a NAT, this address gets another try. */
  #tryAgainLater(): void {
    const { clock } = this.#parts;
    this.#connection = undefined;
    this.#next--;
    this.#retry = clock.at(addMs(clock.now(), this.#retryMs), () => this.#tryNext(), true);
    this.#retryMs = Math.min(this.#retryMs * 2, MAX_LOST_DIAL_RETRY_MS);
  }

  /** Nobody waits for it any more. */
  get isUnwanted(): boolean {
    return this.#waiters.size === 0 && this.#sends.length === 0;
  }

  /** Only those wait for it who expect that it fails now and then. */
  get isQuiet(): boolean {
    for (const waiter of this.#waiters) if (!waiter.isQuiet) return false;
    return !this.isUnwanted && this.#sends.length === 0;
  }

  /** The address at which `connection` was dialled; undefined when it is not the one of this dial. */
  addressOf(connection: DistConnection): DialAddress | undefined {
    return connection === this.#connection ? this.#addresses[this.#next - 1] : undefined;
  }

  #tryNext(): void {
    const address = this.#addresses[this.#next++];
    if (this.#over || address === undefined) return;
    try {
      this.#connection = this.#parts.connect(this.target, address, this.#isFull);
    } catch (error) {
      this.fail(isSallyportError(error) ? error : unresolved(this.target, [this.#parts.resolver.label], error));
    }
  }
}

/** A port given with the name replaces what the resolver says; without any address the host part is asked. */
function withPort(addresses: readonly DialAddress[], target: NodeName, port: number): readonly DialAddress[] {
  const scheme = addresses[0]?.scheme ?? "tls";
  const hosts = new Set(addresses.map((address) => address.host));
  if (hosts.size === 0) hosts.add(hostPart(target));
  return [...hosts].map((host) => ({ scheme, host, port }));
}

const CONNECT_FIRST = "await connect(node) before sending much";

function tooManySends(peer: NodeName): SallyportError {
  return new SallyportError(
    "ERR_LIMIT",
    "WAITING_SENDS",
    `${MAX_WAITING_SENDS} messages wait for the connection to ${peer}, which is maxWaitingSends`,
    { peer, stage: "session", advice: CONNECT_FIRST },
  );
}

function tooManyWaiters(peer: NodeName): SallyportError {
  return new SallyportError(
    "ERR_LIMIT",
    "WAITING_CALLS",
    `${MAX_DIAL_WAITERS} calls wait for the connection to ${peer}, which is maxDialWaiters`,
    { peer, stage: "session", advice: "await connect(node) before calling much" },
  );
}

function tooManyBytes(peer: NodeName, value: number, limit: number): SallyportError {
  return new SallyportError(
    "ERR_LIMIT",
    "WAITING_BYTES",
    `${value} bytes would wait for the connection to ${peer}, more than maxWaitingBytes ${limit}`,
    {
      peer,
      stage: "session",
      detail: { value, limit, option: "limits.maxWaitingBytes" },
      advice: `${CONNECT_FIRST}, or raise limits.maxWaitingBytes`,
    },
  );
}

function overtaken(target: NodeName): SallyportError {
  return new SallyportError("ERR_CLOSED", "OTHER_CONNECTION_WINS", `${target} connected to us first`, {
    peer: target,
    stage: "session",
    advice: "nothing: the other connection serves both sides",
  });
}
