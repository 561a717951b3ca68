import { addMs, type Clock, type Timer } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { PlainSocketSink, ServedSocket } from "../base/sockets.ts";
import { isLoopbackHost } from "../carrier/socket-address.ts";
import { Deframer } from "../wire/deframer.ts";
import {
  decodeEpmdRequest,
  type EpmdEntry,
  encodeAliveAnswer,
  encodeNamesAnswer,
  encodePortAnswer,
  epmdEntry,
  MAX_EPMD_REQUEST_BYTES,
} from "../wire/epmd.ts";

/** Connections of one address at once, those of registered nodes included. */
export const MAX_EPMD_CONNECTIONS_PER_ADDRESS = 64;

/** Connections in all. */
export const MAX_EPMD_CONNECTIONS = 512;

/** Longest time from a connection's first byte to its request and from that to its end, milliseconds. A registration stays. */
export const EPMD_SERVER_DEADLINE_MS = 2_000;

/** What EPMD says where a name is unknown or taken. */
const UNKNOWN_NAME = 1;
const REFUSED = 1;
/** Stands in a refusal where a creation would. */
const NO_CREATION = 99;
/** Creations below are reserved. */
const FIRST_CREATION = 4;
const MAX_CREATION = 0xffff_ffff;

export interface EpmdServerParts {
  readonly clock: Clock;
  readonly random: Random;
  /** Names that are found here, the part before the `@`, and the ports they are found at. */
  readonly names: ReadonlyMap<string, number>;
  /** Names that may register, from this machine only. */
  readonly registrants: ReadonlySet<string>;
}

interface Registered {
  readonly host: string;
  readonly port: number;
  readonly creation: number;
  readonly connection: EpmdConnection;
}

/**
 * A port mapper that finds configured names only and lists nothing else (threat model EP-01 to EP-05). What is registered
 * with it is never found through it: the gateway alone learns where the node listens.
 */
export class EpmdServer {
  readonly #parts: EpmdServerParts;
  readonly #connections = new Set<EpmdConnection>();
  readonly #perAddress = new Map<string, number>();
  readonly #registered = new Map<string, Registered>();
  readonly #creations = new Map<string, number>();
  /** The port it listens on, which its lists begin with. */
  port = 0;

  constructor(parts: EpmdServerParts) {
    this.#parts = parts;
  }

  /** Connections now. */
  get size(): number {
    return this.#connections.size;
  }

  /** Takes a connection; undefined when there are too many. */
  accept(socket: ServedSocket, host: string): PlainSocketSink | undefined {
    const held = this.#perAddress.get(host) ?? 0;
    if (held >= MAX_EPMD_CONNECTIONS_PER_ADDRESS || this.#connections.size >= MAX_EPMD_CONNECTIONS) {
      socket.destroy();
      return undefined;
    }
    this.#perAddress.set(host, held + 1);
    const connection = new EpmdConnection(this, socket, host, this.#parts.clock);
    this.#connections.add(connection);
    return connection;
  }

  /** Where a registered node listens, and the creation that it was given. */
  registeredAt(name: string): { readonly host: string; readonly port: number; readonly creation: number } | undefined {
    return this.#registered.get(name);
  }

  /** Ends all connections. */
  close(): void {
    for (const connection of [...this.#connections]) connection.drop();
  }

  /** The answer to a lookup. */
  lookup(name: string): Buffer {
    const port = this.#parts.names.get(name);
    if (port === undefined) return encodePortAnswer({ found: false, result: UNKNOWN_NAME });
    return encodePortAnswer({ found: true, entry: epmdEntry(name, port, true) });
  }

  list(): Buffer {
    const entries = [...this.#parts.names].map(([name, port]) => epmdEntry(name, port, true));
    return encodeNamesAnswer(this.port, entries);
  }

  /** Registers a name, which stays while its connection does: the answer, and whether it was done. */
  register(connection: EpmdConnection, entry: EpmdEntry): { readonly answer: Buffer; readonly isRegistered: boolean } {
    const { name, port, highVersion } = entry;
    const { host } = connection;
    if (!this.#parts.registrants.has(name) || !isLoopbackHost(host) || this.#registered.has(name)) {
      return {
        answer: encodeAliveAnswer({ result: REFUSED, creation: NO_CREATION }, highVersion),
        isRegistered: false,
      };
    }
    const creation = this.#nextCreation(name);
    this.#registered.set(name, { host, port, creation, connection });
    return { answer: encodeAliveAnswer({ result: 0, creation }, highVersion), isRegistered: true };
  }

  /** The connection is gone, and its name with it. */
  forget(connection: EpmdConnection): void {
    if (!this.#connections.delete(connection)) return;
    const held = (this.#perAddress.get(connection.host) ?? 1) - 1;
    if (held === 0) this.#perAddress.delete(connection.host);
    else this.#perAddress.set(connection.host, held);
    for (const [name, registered] of this.#registered) {
      if (registered.connection === connection) this.#registered.delete(name);
    }
  }

  /** Each registration of a name has its own, so that what is left of an earlier life is known as such. */
  #nextCreation(name: string): number {
    let next = this.#creations.get(name);
    if (next === undefined) {
      do next = this.#parts.random.uint32();
      while (next < FIRST_CREATION);
    } else next = next === MAX_CREATION ? FIRST_CREATION : next + 1;
    this.#creations.set(name, next);
    return next;
  }
}

/** One request and its answer, or one registration. Whatever is not a request ends it without an answer. */
class EpmdConnection implements PlainSocketSink {
  readonly host: string;
  readonly #server: EpmdServer;
  readonly #socket: ServedSocket;
  readonly #deadline: Timer;
  readonly #deframer: Deframer = new Deframer({ prefix: 2, maxFrameBytes: MAX_EPMD_REQUEST_BYTES });
  #isAsked = false;

  constructor(server: EpmdServer, socket: ServedSocket, host: string, clock: Clock) {
    this.#server = server;
    this.#socket = socket;
    this.host = host;
    this.#deadline = clock.at(addMs(clock.now(), EPMD_SERVER_DEADLINE_MS), () => this.drop(), true);
  }

  connected(): void {}

  bytes(chunk: Buffer): void {
    // One question each; who has asked is only waited for.
    if (this.#isAsked) {
      this.drop();
      return;
    }
    try {
      this.#deframer.receive(chunk, this);
    } catch {
      this.drop();
    }
  }

  closed(): void {
    this.drop();
  }

  /** Ends it at once. Idempotent. */
  drop(): void {
    this.#isAsked = true;
    this.#deadline.cancel();
    this.#deframer.stop();
    this.#server.forget(this);
    this.#socket.destroy();
  }

  // FrameSink

  frame(buffer: Buffer, start: number, end: number): void {
    if (this.#isAsked) {
      this.drop();
      return;
    }
    this.#isAsked = true;
    const request = decodeEpmdRequest(buffer, start, end);
    switch (request.kind) {
      case "port-please":
        this.#answer(this.#server.lookup(request.name));
        return;
      case "names":
        this.#answer(this.#server.list());
        return;
      case "alive": {
        const { answer, isRegistered } = this.#server.register(this, request.entry);
        if (!isRegistered) {
          this.#answer(answer);
          return;
        }
        this.#deadline.cancel();
        this.#socket.write(answer);
        return;
      }
      case "dump":
      case "kill":
      case "stop":
        this.drop();
    }
  }

  spanned(): boolean {
    return false;
  }

  tick(): void {
    this.drop();
  }

  /** The place is kept, and the deadline runs, until the other end is gone. */
  #answer(bytes: Buffer): void {
    this.#socket.write(bytes);
    this.#socket.end();
  }
}
