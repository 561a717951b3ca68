import { type AuditFields, peerText } from "./record.ts";

/** Of an attempt or session that went through a gateway: both nodes count. */
export interface ThroughGateway {
  /** Name of the pair. */
  readonly pair: string;
  /** The node that was dialled. */
  readonly target: string;
  /** The side that dialled. */
  readonly dialledBy: "outside" | "inside";
  /** The side whose connection ended first; null when the attempt came up. */
  readonly endedBy: "outside" | "inside" | null;
}

interface Message {
  readonly pair: string;
  /** Who sent it. */
  readonly peer: string;
  /** Who it was for. */
  readonly node: string;
}

/** A message that no decision was asked about, and that did not pass. */
export interface RefusedEntry extends Message {
  readonly id: string;
  readonly why: string;
  /** Kind of control message. */
  readonly operation: string;
  /** Escaped. */
  readonly target: string;
  /** How it begins, escaped. */
  readonly head: string;
  /** It passed all the same: the pair is observed. */
  readonly observed: boolean;
}

/** An operation that was let through. */
export interface CommandEntry extends Message {
  readonly verb: string;
  /** Escaped: a name, `M:F/A`, `process` or `node`. */
  readonly target: string;
}

/** The record of a refused message. */
export function refusedFields(entry: RefusedEntry): AuditFields {
  return { kind: "refused", ...entry, ...namesOf(entry), head: peerText(entry.head) };
}

/** The record of an operation. */
export function commandFields(entry: CommandEntry): AuditFields {
  return { kind: "command", ...entry, ...namesOf(entry) };
}

/** What refused messages of one sender are counted together by. */
export function refusedReason({ why, operation, head }: RefusedEntry): string {
  return `${why} ${operation} ${head === "" ? "-" : head.replaceAll(" ", "_")}`;
}

/** What operations of one sender are counted together by: each function and each name apart. */
export function commandReason({ verb, target }: CommandEntry): string {
  return `${verb} ${target.replaceAll(" ", "_")}`;
}

function namesOf({ peer, node, target }: Message & { readonly target: string }): AuditFields {
  return { peer: peerText(peer), node: peerText(node), target: peerText(target) };
}
