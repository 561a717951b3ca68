import type { Assurance, ProtocolName } from "../base/assurance.ts";
import type { ThroughGateway } from "./gateway-entries.ts";
import { type AuditFields, peerText } from "./record.ts";

/** What became of a connection attempt. `refused`: one of the two sides said no; `failed`: everything else. */
export type AttemptOutcome = "accepted" | "refused" | "failed";

/** Who dialled. */
export type AttemptRole = "initiator" | "acceptor";

interface Common {
  /** Of the attempt; the end of its session has the same. */
  readonly id: string;
  readonly role: AttemptRole;
  /** Null when the connection ended before that was settled. */
  readonly protocol: ProtocolName | null;
  /** `host:port`. */
  readonly address: string;
  /** Of the key that was shown. */
  readonly fingerprint: string | null;
  readonly assurance: Assurance | null;
  /** Whole milliseconds. */
  readonly durationMs: number;
  /** Of a gateway. */
  readonly through?: ThroughGateway;
}

/** One connection attempt, over. */
export interface AttemptEntry extends Common {
  readonly peer: string | null;
  readonly peerIs: "proven" | "claimed" | "dialled" | null;
  /** Of the key that is pinned for the name, where known. */
  readonly pinned: string | null;
  readonly outcome: AttemptOutcome;
  /** These three are of the error; null when accepted. */
  readonly code: string | null;
  readonly reason: string | null;
  readonly stage: string | null;
  /** What it comes down to, the same on both ends, and the side that has to change something (docs/doctor.md); absent when accepted. */
  readonly diagnosis?: string;
  readonly fault?: string;
}

/** One session, over. */
export interface EndEntry extends Common {
  readonly peer: string;
  readonly reason: string;
}

/** The record of an attempt. */
export function attemptFields({ through, ...entry }: AttemptEntry): AuditFields {
  return {
    kind: "attempt",
    ...entry,
    ...throughFields(through),
    address: peerText(entry.address),
    peer: bounded(entry.peer),
  };
}

/** The record of the end of a session. */
export function endFields({ through, ...entry }: EndEntry): AuditFields {
  return {
    kind: "end",
    ...entry,
    ...throughFields(through),
    peerIs: "proven",
    pinned: null,
    address: peerText(entry.address),
    peer: peerText(entry.peer),
  };
}

function throughFields(through: ThroughGateway | undefined): AuditFields {
  return through === undefined ? {} : { ...through, target: peerText(through.target) };
}

function bounded(text: string | null): string | null {
  return text === null ? null : peerText(text);
}
