import type { OtpSession } from "../auth/otp-types.ts";
import type { NodeName } from "../base/node-name.ts";
import type { PeerClaim } from "../dist/sink.ts";
import type { Endable } from "./connection-book.ts";
import type { Meeting } from "./meeting.ts";

/** What either leg of a pair tells of its handshake, whatever the protocol. */
export interface PairHandshake extends Endable {
  /** What is asked of the book of connections. */
  readonly meeting: Meeting<PairHandshake>;
  /** The accepting leg hears a name that a key has proven. @throws {SallyportError} to refuse it */
  named(name: NodeName): void;
  /** The accepting leg knows who dials, so far as its protocol can say before the challenge: the far node is dialled. */
  claimed(claim: PeerClaim): void;
  /** The same, and the far node is dialled later. False: the claim was refused. */
  welcome(claim: PeerClaim): boolean;
  /** Dials the far node for a claim that was welcome. */
  dialFar(claim: PeerClaim): void;
  /** The node that dialled has given its old connection up. */
  confirmed(): void;
  status(status: "ok" | "ok_simultaneous" | "alive"): void;
  /** The dialled node has shown itself. `peerFlags`: all its flags. */
  challenged(session: OtpSession, peerFlags: bigint): void;
  nearProven(): void;
  farProven(): void;
}
