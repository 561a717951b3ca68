import { addMs, type Clock, type Timer } from "../base/clock.ts";
import { isSallyportError, SallyportError } from "../base/errors.ts";
import { hostPart, localPart, type NodeName } from "../base/node-name.ts";
import type { PlainSocket, Sockets } from "../base/sockets.ts";
import type { DialAddress } from "../carrier/carrier.ts";
import { isLoopbackHost } from "../carrier/socket-address.ts";
import type { Resolver } from "../node/ports.ts";
import {
  type EpmdEntry,
  encodeAliveRequest,
  encodePortPleaseRequest,
  epmdEntry,
  type PortAnswer,
} from "../wire/epmd.ts";
import { AliveAnswerParser, PortAnswerParser } from "../wire/epmd-answers.ts";
import type { Registrar, Registration } from "./registrar.ts";

/** Longest wait for an EPMD answer, in milliseconds. */
const EPMD_DEADLINE_MS = 2_000;

/** Longest wait for a connection to be accepted, in milliseconds. */
const ACCEPT_DEADLINE_MS = 1_000;

/** First and longest wait before a lost registration is made again, in milliseconds. */
const REGISTER_RETRY_MS = 500;
const MAX_REGISTER_RETRY_MS = 30_000;

export interface EpmdParts {
  readonly sockets: Sockets;
  readonly clock: Clock;
  readonly port: number;
}

/** Asks the EPMD on the host part of a node name for the node's port. A silent or broken EPMD counts as no answer. */
export function epmdResolver(parts: EpmdParts, scheme: DialAddress["scheme"]): Resolver {
  return {
    label: `EPMD at port ${parts.port} of its host`,
    maxResolveMs: EPMD_DEADLINE_MS,
    async resolve(name, signal, note) {
      const host = hostPart(name);
      const parser = new PortAnswerParser();
      const request = encodePortPleaseRequest(localPart(name));
      const answer = await exchange<PortAnswer>(parts, host, request, (chunk) => parser.push(chunk), signal);
      if (typeof answer === "string") note?.(answer);
      else if (answer.found) return [{ scheme, host, port: answer.entry.port }];
      else note?.("no such node");
      return [];
    },
  };
}

/** The port that the EPMD at `host` has for a local name; undefined where there is no such name or no EPMD. */
export async function portAtEpmd(parts: EpmdParts, host: string, local: string): Promise<number | undefined> {
  const parser = new PortAnswerParser();
  const request = encodePortPleaseRequest(local);
  const { signal } = new AbortController();
  const answer = await exchange<PortAnswer>(parts, host, request, (chunk) => parser.push(chunk), signal);
  return typeof answer !== "string" && answer.found ? answer.entry.port : undefined;
}

/** Whether something accepts a connection at `host:port` within a second. Nothing is sent. */
export function acceptsConnections(
  { sockets, clock }: Pick<EpmdParts, "sockets" | "clock">,
  host: string,
  port: number,
): Promise<boolean> {
  return new Promise((resolve) => {
    const finish = (accepts: boolean): void => {
      timer.cancel();
      socket.destroy();
      resolve(accepts);
    };
    const timer: Timer = clock.at(addMs(clock.now(), ACCEPT_DEADLINE_MS), () => finish(false));
    const socket: PlainSocket = sockets.connect(host, port, {
      connected: () => finish(true),
      bytes: () => {},
      closed: () => finish(false),
    });
  });
}

/** One request, one answer. Resolves with what went wrong when there is none. */
function exchange<T>(
  parts: EpmdParts,
  host: string,
  request: Buffer,
  receive: (chunk: Buffer) => T | undefined,
  signal: AbortSignal,
): Promise<T | string> {
  return new Promise((resolve) => {
    const { clock } = parts;
    const finish = (answer: T | string): void => {
      timer.cancel();
      signal.removeEventListener("abort", aborted);
      socket.destroy();
      resolve(answer);
    };
    const aborted = (): void => finish("no answer");
    const timer: Timer = clock.at(addMs(clock.now(), EPMD_DEADLINE_MS), aborted);
    signal.addEventListener("abort", aborted, { once: true });
    const socket: PlainSocket = parts.sockets.connect(host, parts.port, {
      connected: () => socket.write(request),
      bytes: (chunk) => {
        try {
          const answer = receive(chunk);
          if (answer !== undefined) finish(answer);
        } catch {
          finish("a broken answer");
        }
      },
      closed: (error) => finish(`no answer (${error ?? "closed"})`),
    });
  });
}

export interface EpmdRegistration extends Registration {
  /** The creation EPMD gave. */
  readonly creation: number;
}

/**
 * Registers a name at the local EPMD and keeps it registered: a lost connection is made again, with growing waits. The
 * creation of the first answer is the node's for its whole life.
 * @throws {SallyportError} ERR_UNREACHABLE EPMD_UNREACHABLE; ERR_CONFIG EPMD_NAME_TAKEN
 */
export async function registerAtEpmd(parts: EpmdParts, host: string, entry: EpmdEntry): Promise<EpmdRegistration> {
  const registration = new KeptRegistration(parts, host, entry);
  const creation = await registration.first();
  return { creation, close: async () => registration.close() };
}

/** Registers the first endpoint at the EPMD of this machine, so that BEAM nodes find this node by name: EPMD takes nobody else. */
export function epmdRegistrar(parts: EpmdParts, isHidden: boolean): Registrar {
  return {
    async register({ name, endpoints }) {
      const first = endpoints[0];
      if (first === undefined) throw onlyDials(name);
      const host = isLoopbackHost(hostPart(name)) ? hostPart(name) : "127.0.0.1";
      return await registerAtEpmd(parts, host, epmdEntry(localPart(name), first.port, isHidden));
    },
  };
}

class KeptRegistration {
  readonly #parts: EpmdParts;
  readonly #host: string;
  readonly #entry: EpmdEntry;
  #socket: PlainSocket | undefined;
  #retry: Timer | undefined;
  #retryMs = REGISTER_RETRY_MS;
  #closed = false;

  constructor(parts: EpmdParts, host: string, entry: EpmdEntry) {
    this.#parts = parts;
    this.#host = host;
    this.#entry = entry;
  }

  first(): Promise<number> {
    return new Promise((resolve, reject) => this.#attempt(resolve, reject));
  }

  close(): void {
    this.#closed = true;
    this.#retry?.cancel();
    this.#socket?.destroy();
  }

  #attempt(registered: (creation: number) => void, failed: (error: SallyportError) => void): void {
    const { clock, sockets, port } = this.#parts;
    const parser = new AliveAnswerParser();
    let isRegistered = false;
    let isOver = false;
    const over = (error: SallyportError): void => {
      if (isOver) return;
      isOver = true;
      timer.cancel();
      socket.destroy();
      if (!isRegistered) failed(error);
      else if (!this.#closed) this.#again();
    };
    const timer = clock.at(addMs(clock.now(), EPMD_DEADLINE_MS), () =>
      over(unreachable(this.#host, port, "no answer")),
    );
    const socket: PlainSocket = sockets.connect(this.#host, port, {
      connected: () => socket.write(encodeAliveRequest(this.#entry)),
      bytes: (chunk) => {
        if (isRegistered || isOver) return;
        try {
          const answer = parser.push(chunk);
          if (answer === undefined) return;
          if (answer.result !== 0) {
            over(nameTaken(this.#entry.name, this.#host, port));
            return;
          }
          isRegistered = true;
          timer.cancel();
          socket.keepAlive(false);
          this.#retryMs = REGISTER_RETRY_MS;
          registered(answer.creation);
        } catch (error) {
          over(isSallyportError(error) ? error : unreachable(this.#host, port, "a broken answer"));
        }
      },
      closed: (error) => over(unreachable(this.#host, port, error ?? "closed")),
    });
    this.#socket = socket;
  }

  #again(): void {
    const { clock } = this.#parts;
    this.#retry = clock.at(
      addMs(clock.now(), this.#retryMs),
      () => {
        if (!this.#closed)
          this.#attempt(
            () => {},
            () => this.#again(),
          );
      },
      true,
    );
    this.#retryMs = Math.min(this.#retryMs * 2, MAX_REGISTER_RETRY_MS);
  }
}

function unreachable(host: string, port: number, what: string): SallyportError {
  return new SallyportError("ERR_UNREACHABLE", "EPMD_UNREACHABLE", `cannot register at EPMD ${host}:${port}: ${what}`, {
    stage: "resolve",
    detail: { host, port },
    advice: "start epmd (erl or epmd -daemon starts it), or set epmd to lookup",
  });
}

function onlyDials(name: NodeName): SallyportError {
  return new SallyportError(
    "ERR_CONFIG",
    "LISTEN_INVALID",
    `epmd "register" needs a listener, and ${name} only dials`,
    { stage: "port", advice: "set listen, or epmd to lookup" },
  );
}

function nameTaken(name: string, host: string, port: number): SallyportError {
  return new SallyportError("ERR_CONFIG", "EPMD_NAME_TAKEN", `EPMD ${host}:${port} has a node named ${name} already`, {
    stage: "name",
    advice: "choose another name, or stop the other node",
  });
}
