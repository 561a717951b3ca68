import { isSallyportError, type SallyportError } from "../base/errors.ts";
import type { CarrierInfo, DialAddress } from "../carrier/carrier.ts";
import type { DistConnection } from "../dist/connection.ts";
import { movedUnasked } from "../dist/connection-failures.ts";
import type { ProvenPeer } from "../dist/sink.ts";
import type { CertificateEnds } from "./certificate-ends.ts";
import type { ConnectionMoves } from "./connection-host.ts";
import type { NodeCore } from "./node-core.ts";
import { connectionLost } from "./remote-failure.ts";
import type { Session } from "./session.ts";
import { SessionMove, type Successor } from "./session-move.ts";

export interface SessionMovesParts {
  readonly core: Pick<NodeCore, "clock" | "counters">;
  readonly certificates: Pick<CertificateEnds, "isLater" | "watch">;
  /** Whether nothing may be dialled or taken now: the node closes, or its audit log cannot be written. */
  readonly isShut: () => boolean;
  /** Dials an address for a session that is to go over to it. @throws {SallyportError} */
  connect(session: Session, address: DialAddress): DistConnection;
  /** A connection is no handshake any more. */
  stands(connection: DistConnection): void;
  /** A session is on its new connection. */
  moved(session: Session): void;
}

/** Native sessions of a node that go over to fresh connections, one move each at a time; see `SessionMove`. */
export class SessionMoves implements ConnectionMoves {
  readonly #parts: SessionMovesParts;

  constructor(parts: SessionMovesParts) {
    this.#parts = parts;
  }

  /**
   * Opens a fresh connection to take the place of that of a session which this node has dialled. Nothing is done where it
   * cannot be now, and the session stays as it is where it fails.
   */
  begin(session: Session): void {
    const { core, connect, isShut } = this.#parts;
    const { dialledAt: address, connection, move } = session;
    if (address === undefined || move !== undefined || session.isAsking || !session.holdsName) return;
    if (isShut() || connection.congested) return;
    const begun = new SessionMove(session, core.clock);
    session.move = begun;
    try {
      begun.dialled(connect(session, address));
    } catch (error) {
      session.move = undefined;
      if (!isSallyportError(error)) throw error;
    }
  }

  /** Whether a fresh connection with these certificates is worth it. */
  pays(session: Session, info: CarrierInfo): boolean {
    return this.#parts.certificates.isLater(session, info);
  }

  /** A connection stands to which a session is to go over; false: the session stays where it is. */
  take(session: Session, successor: Successor): boolean {
    const { core, isShut, stands } = this.#parts;
    if (isShut() || !mayMove(session, successor)) return false;
    stands(successor.connection);
    const move = session.move ?? new SessionMove(session, core.clock);
    session.move = move;
    move.stands(successor);
    return true;
  }

  /** The peer's MOVED came on `connection`. @throws {SallyportError} ERR_PEER_MISBEHAVED MOVED_UNASKED */
  moved(session: Session, connection: DistConnection): void {
    const { core, certificates, moved } = this.#parts;
    if (session.move === undefined) throw movedUnasked();
    session.move.moved(connection);
    core.counters.add("sessions_moved");
    const info = session.connection.peer?.info;
    if (info !== undefined) certificates.watch(session, info);
    moved(session);
  }

  /** A connection that was made for a session ended before it stood. */
  failed(session: Session, connection: DistConnection): void {
    this.#parts.stands(connection);
    if (session.move?.next === connection) session.move = undefined;
  }

  /** One that carries, or carried, a session has ended: whether the session is over with it. */
  isLost(session: Session, connection: DistConnection, cause: SallyportError | undefined): boolean {
    const { move } = session;
    const fate = move === undefined ? undefined : move.ended(connection, cause);
    if (fate === "lost" || (fate === undefined && connection === session.connection)) return true;
    move?.stop();
    session.move = undefined;
    return false;
  }

  /** A session is over, with all its connections. */
  sessionOver(session: Session, cause: SallyportError | undefined): void {
    session.move?.destroy(cause ?? connectionLost(session.peer.name, "the session"));
    session.move = undefined;
  }
}

/** Whether it is the same peer, in the same life, known as surely as before, and nothing else goes on. */
function mayMove(session: Session, { connection, peer, admitted }: Successor): boolean {
  const { move, facts } = session;
  const isExpected = peer.role === "initiator" ? move?.next === connection : move === undefined;
  return (
    isExpected &&
    session.connection.isUp &&
    !session.isAsking &&
    isSameLife(session, peer) &&
    admitted.holdsName === session.holdsName &&
    admitted.facts.name === facts.name &&
    admitted.facts.assurance === facts.assurance &&
    admitted.facts.fingerprints[0] === facts.fingerprints[0]
  );
}

function isSameLife({ incarnation, creation, connection }: Session, peer: ProvenPeer): boolean {
  return (
    peer.native?.peerIncarnation === incarnation && peer.creation === creation && connection.peer?.flags === peer.flags
  );
}
