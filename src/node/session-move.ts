import { addMs, type Clock, type Timer } from "../base/clock.ts";
import { SallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";
import type { DistConnection } from "../dist/connection.ts";
import { movedUnasked } from "../dist/connection-failures.ts";
import type { ProvenPeer } from "../dist/sink.ts";
import type { AdmittedPeer } from "./admitted-peer.ts";

/** From the moment when the new connection stands to the other side's MOVED, milliseconds; then the session ends. */
export const MAX_MOVE_MS = 30_000;

/** A session as it goes over to another connection. */
export interface MovingSession {
  readonly peer: { readonly name: NodeName };
  /** What is sent over. */
  readonly connection: DistConnection;
  /** What the peer's messages come over. */
  readonly source: DistConnection;
  sendOver(connection: DistConnection, proven: ProvenPeer, admitted: AdmittedPeer): void;
  readFrom(connection: DistConnection): void;
}

/** The connection that takes over, and who showed itself there. */
export interface Successor {
  readonly connection: DistConnection;
  readonly peer: ProvenPeer;
  readonly admitted: AdmittedPeer;
}

/**
 * How a native session goes over to a fresh connection that its dialler has made (docs/lifecycle.md, moving). No message is
 * lost, doubled or overtaken: each side ends what it sends on the old connection with MOVED, and reads nothing on the new one
 * before the other's MOVED has come. The acceptor goes first, as soon as its side stands; the dialler follows on its MOVED, so
 * nothing of the dialler can arrive while the acceptor does not know yet that the connection stands.
 */
export class SessionMove {
  /** The connection that the session had when it began. */
  readonly from: DistConnection;
  readonly #session: MovingSession;
  readonly #clock: Clock;
  #next: DistConnection | undefined;
  #successor: Successor | undefined;
  #timer: Timer | undefined;
  #isDone = false;

  constructor(session: MovingSession, clock: Clock) {
    this.from = session.connection;
    this.#session = session;
    this.#clock = clock;
  }

  /** The connection that is made for it, or has taken over. */
  get next(): DistConnection | undefined {
    return this.#next;
  }

  /** The dialler's new connection is on its way. */
  dialled(connection: DistConnection): void {
    this.#next = connection;
  }

  /** The new connection stands on this side. */
  stands(successor: Successor): void {
    const { connection, peer } = successor;
    this.#next = connection;
    this.#successor = successor;
    connection.holdReading();
    const giveUp = (): void => this.#session.connection.destroy(moveUnfinished(this.#session.peer.name));
    this.#timer = this.#clock.at(addMs(this.#clock.now(), MAX_MOVE_MS), giveUp, true);
    if (peer.role === "initiator") return;
    this.from.moveAway(false);
    this.#sendOver(successor);
  }

  /** The peer's MOVED came on `connection`. @throws {SallyportError} ERR_PEER_MISBEHAVED MOVED_UNASKED */
  moved(connection: DistConnection): void {
    const successor = this.#successor;
    if (successor === undefined || connection !== this.from) throw movedUnasked();
    this.#timer?.cancel();
    this.#isDone = true;
    const { connection: next, peer } = successor;
    this.#session.readFrom(next);
    if (peer.role === "initiator") {
      this.#sendOver(successor);
      this.from.moveAway(true);
    } else this.from.end("moved");
    next.releaseReading();
  }

  /**
   * A connection has ended. `moved`: the old one, with all that it had to carry; `stays`: the new one, before anything went
   * over to it; `lost`: without it the session is no whole any more.
   */
  ended(connection: DistConnection, cause: SallyportError | undefined): "moved" | "stays" | "lost" {
    const { connection: sending, source } = this.#session;
    if (connection === this.from) return this.#isDone && cause === undefined ? "moved" : "lost";
    return connection === sending || connection === source ? "lost" : "stays";
  }

  /** No more of it: the session is over, or stays where it was. */
  stop(): void {
    this.#timer?.cancel();
  }

  /** The session is over, with one of the two. */
  destroy(cause: SallyportError): void {
    this.stop();
    this.from.destroy(cause);
    this.#next?.destroy(cause);
  }

  #sendOver({ connection, peer, admitted }: Successor): void {
    this.#session.sendOver(connection, peer, admitted);
  }
}

/** The peer lets both connections stand and does not finish. */
function moveUnfinished(peer: NodeName): SallyportError {
  return new SallyportError(
    "ERR_DEADLINE",
    "MOVE_UNFINISHED",
    `${peer} did not go over to the new connection within ${MAX_MOVE_MS} ms`,
    {
      peer,
      stage: "session",
      detail: { ms: MAX_MOVE_MS, limit: "MAX_MOVE_MS" },
      advice: "connect again; look whether the other node or the network between is overloaded",
    },
  );
}

/** The fresh connection shows nothing that lasts longer than what the session has. */
export function nothingNewer(peer: NodeName): SallyportError {
  return new SallyportError(
    "ERR_CLOSED",
    "NOTHING_NEWER",
    `the session with ${peer} stays where it is: its certificates would end no later on a new connection`,
    {
      peer,
      stage: "tls",
      advice:
        "renew the certificate that ends first and put it in place on its node: running nodes take it by themselves",
    },
  );
}
