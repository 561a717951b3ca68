import { CertificateEnds } from "./certificate-ends.ts";
import type { ConnectionParts } from "./connection-parts.ts";
import type { NodeCore } from "./node-core.ts";
import { SessionMoves, type SessionMovesParts } from "./session-moves.ts";
import { SessionRedials, type SessionRedialsParts } from "./session-redials.ts";

/** What the host of sessions does for their renewal. */
export type RenewalWork = Pick<SessionMovesParts, "isShut" | "connect" | "stands" | "moved"> &
  Pick<SessionRedialsParts, "dial" | "kept">;

/** How sessions of a node outlive the certificates that they began with: watched, moved or dialled anew. */
export class SessionRenewals {
  readonly ends: CertificateEnds;
  readonly moves: SessionMoves;

  constructor(parts: ConnectionParts, core: NodeCore, work: RenewalWork) {
    const ends = new CertificateEnds({
      clock: core.clock,
      random: core.random,
      read: parts.readCertificate,
      isOwnIssued: parts.isCertificateIssued === true,
      renew: (session, leftMs) => {
        if (session.peer.protocol === "native") moves.begin(session);
        else if (session.peer.protocol === "otp") redials.begin(session, leftMs);
      },
    });
    const { dialers, resolver } = parts;
    const moves = new SessionMoves({ ...work, core, certificates: ends });
    const redials = new SessionRedials({ ...work, core, certificates: ends, dialers, resolver });
    this.ends = ends;
    this.moves = moves;
  }
}
