import { ByteWriter } from "../base/byte-writer.ts";
import type { SallyportError } from "../base/errors.ts";
import { encodeInto } from "../term/encode.ts";
import { Atom, type Pid, type Reference, type Term } from "../term/types.ts";
import type { Control } from "../wire/control-types.ts";

/** A message to send. The payload is `buffer[start..end)`, without version byte; empty when the control has none. */
export interface Outgoing {
  readonly control: Control;
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
}

/** Why a message did not pass. */
export type Refusal =
  /** The policy for the commander says no. */
  | "policy"
  /** The worker may never do this. */
  | "operation"
  /** No call, message or monitor of the commander asked for it. */
  | "unasked"
  /** An identifier of a third node, or a target that belongs to neither. */
  | "foreign"
  /** A fun where none may be. */
  | "fun"
  /** A request to a group leader that is not among the allowed ones. */
  | "io-request"
  /** A table is full. */
  | "full"
  /** More than its rate. */
  | "rate"
  /** It crossed with something that made it void. Nothing is wrong. */
  | "crossed";

/** One message that did not pass; or, while a pair is observed, one that would not. */
export interface DeniedMessage {
  readonly kind: "denied";
  readonly by: "commander" | "worker";
  readonly why: Refusal;
  readonly operation: Control["kind"];
  /** The name, pid or alias it was for, escaped. */
  readonly target: string;
  /** How the message begins: its first atom and the size of its tuple, escaped; empty when it has none. */
  readonly head: string;
  /** The policy rule that decided, or the option or inbox rule that would let it pass; undefined where nothing should. */
  readonly rule: string | undefined;
  /** What the process that waits was told; undefined where no decision was made. */
  readonly id: string | undefined;
  /** The first of its kind in this session, as far as kinds are remembered. */
  readonly isFirst: boolean;
  /** It passed all the same. */
  readonly observed: boolean;
}

/** What the operator hears of. */
export type FilterEvent =
  | DeniedMessage
  | { readonly kind: "filling"; readonly limit: string; readonly size: number; readonly most: number };

/** What to do with one message. Nothing of it: the message is dropped. */
export interface Verdict {
  /** To the other node. */
  readonly forward?: Outgoing;
  /** Back to the node that sent the message. */
  readonly answer?: Outgoing;
  /** Both legs end. */
  readonly close?: SallyportError;
}

export const DROP: Verdict = Object.freeze({});

const NONE: Buffer = Buffer.alloc(0);

/** `control` with the bytes it came with. */
export function pass(control: Control, buffer: Buffer, start: number, end: number): Verdict {
  return { forward: { control, buffer, start, end } };
}

/** A message without a payload. */
export function bare(control: Control): Outgoing {
  return { control, buffer: NONE, start: 0, end: 0 };
}

/** A message with a payload made here. */
export function withPayload(control: Control, payload: Buffer): Outgoing {
  return { control, buffer: payload, start: 0, end: payload.length };
}

/** `term` without a version byte. */
export function encoded(term: Term): Buffer {
  const writer = new ByteWriter(64);
  encodeInto(writer, term);
  return writer.takeCopy();
}

export const NOCONNECTION: Buffer = encoded(new Atom("noconnection"));

/** DOWN for the process `to`. */
export function downFor(target: Pid | string, to: Pid, ref: Reference, reason: Buffer): Outgoing {
  return withPayload({ kind: "monitor-exit", target, to, ref, reason: "payload" }, reason);
}

/** EXIT for the process `to`. */
export function exitFor(from: Pid, to: Pid, reason: Buffer): Outgoing {
  return withPayload({ kind: "exit", from, to, reason: "payload" }, reason);
}
