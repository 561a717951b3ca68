import type { ByteWriter } from "../base/byte-writer.ts";
import { assertNever, SallyportError } from "../base/errors.ts";
import { encodeAtomInto, encodeInto, encodePidInto, encodeReferenceInto } from "../term/encode.ts";
import { NIL_EXT, SMALL_INTEGER_EXT, SMALL_TUPLE_EXT } from "../term/tags.ts";
import { Pid, Reference } from "../term/types.ts";
import * as op from "./control-ops.ts";
import type { Control, ReasonSource } from "./control-types.ts";
import type { FrameStyle } from "./flags.ts";
import { DIST_HEADER, PASS_THROUGH, VERSION_MAGIC } from "./packet.ts";

/** Entries kept of encoded sends. */
const KEPT_SENDS = 8;

export interface ControlEncoding {
  /** Style of the frames on this connection. */
  readonly style: FrameStyle;
  /** True when EXIT_PAYLOAD is in the working set. */
  readonly exitPayload: boolean;
}

/**
 * Writes the beginning of a frame body, `70 83` or `83 44 00`, and the control term. The payload term goes after it, with
 * the version byte 131 in style `pass-through` and without it in style `header`.
 * On an error the writer is left as it was.
 * @throws {SallyportError} ERR_API_MISUSE CONTROL_NEEDS_EXIT_PAYLOAD, and what the term encoder throws
 */
export function encodeControlInto(writer: ByteWriter, control: Control, encoding: ControlEncoding): void {
  const start = writer.length;
  if (encoding.style === "pass-through") {
    writer.u8(PASS_THROUGH);
    writer.u8(VERSION_MAGIC);
  } else {
    writer.u8(VERSION_MAGIC);
    writer.u8(DIST_HEADER);
    writer.u8(0);
  }
  writeTerm(writer, start, control, encoding.exitPayload);
}

/** Writes the control term alone, without a version byte: what a `FragmentPlan` wants. Errors as `encodeControlInto`. */
export function encodeControlTermInto(writer: ByteWriter, control: Control, exitPayload: boolean): void {
  writeTerm(writer, writer.length, control, exitPayload);
}

/** Writes the term; when that fails, everything from `start` on is taken back. */
function writeTerm(writer: ByteWriter, start: number, control: Control, exitPayload: boolean): void {
  let written = false;
  try {
    writeElements(writer, control, exitPayload);
    written = true;
  } finally {
    if (!written) writer.length = start;
  }
}

function writeElements(writer: ByteWriter, control: Control, exitPayload: boolean): void {
  switch (control.kind) {
    case "send":
      if (control.from === undefined) {
        head(writer, 3, op.SEND);
        encodeAtomInto(writer, "");
      } else {
        head(writer, 3, op.SEND_SENDER);
        encodePidInto(writer, control.from);
      }
      encodePidInto(writer, control.to);
      return;
    case "reg-send":
      head(writer, 4, op.REG_SEND);
      encodePidInto(writer, control.from);
      encodeAtomInto(writer, "");
      encodeAtomInto(writer, control.name);
      return;
    case "alias-send":
      head(writer, 3, op.ALIAS_SEND);
      encodePidInto(writer, control.from);
      encodeReferenceInto(writer, control.alias);
      return;
    case "link":
    case "unlink":
      pair(writer, control.kind === "link" ? op.LINK : op.UNLINK, control.from, control.to);
      return;
    case "unlink-id":
    case "unlink-id-ack":
      head(writer, 4, control.kind === "unlink-id" ? op.UNLINK_ID : op.UNLINK_ID_ACK);
      encodeInto(writer, control.id);
      encodePidInto(writer, control.from);
      encodePidInto(writer, control.to);
      return;
    case "group-leader":
      pair(writer, op.GROUP_LEADER, control.leader, control.to);
      return;
    case "exit":
      exit(writer, op.EXIT, op.PAYLOAD_EXIT, control.from, control.to, control.reason, exitPayload);
      return;
    case "exit2":
      exit(writer, op.EXIT2, op.PAYLOAD_EXIT2, control.from, control.to, control.reason, exitPayload);
      return;
    case "monitor":
    case "demonitor":
      head(writer, 4, control.kind === "monitor" ? op.MONITOR_P : op.DEMONITOR_P);
      encodePidInto(writer, control.from);
      pidOrName(writer, control.target);
      encodeReferenceInto(writer, control.ref);
      return;
    case "monitor-exit": {
      const reason = control.reason;
      if (reason === "payload") {
        checkExitPayload(control.kind, exitPayload);
        head(writer, 4, op.PAYLOAD_MONITOR_P_EXIT);
      } else {
        head(writer, 5, op.MONITOR_P_EXIT);
      }
      pidOrName(writer, control.target);
      encodePidInto(writer, control.to);
      encodeReferenceInto(writer, control.ref);
      if (reason !== "payload") encodeInto(writer, reason.term);
      return;
    }
    case "spawn-request":
      head(writer, 6, op.SPAWN_REQUEST);
      encodeReferenceInto(writer, control.ref);
      encodePidInto(writer, control.from);
      encodePidInto(writer, control.groupLeader);
      writer.u8(SMALL_TUPLE_EXT);
      writer.u8(3);
      encodeAtomInto(writer, control.module);
      encodeAtomInto(writer, control.function);
      smallInteger(writer, control.arity);
      if (Array.isArray(control.options) && control.options.length === 0) writer.u8(NIL_EXT);
      else encodeInto(writer, control.options);
      return;
    case "spawn-reply":
      head(writer, 5, op.SPAWN_REPLY);
      encodeReferenceInto(writer, control.ref);
      encodePidInto(writer, control.to);
      smallInteger(writer, control.flags);
      pidOrName(writer, control.result);
      return;
    default:
      assertNever(control);
  }
}

interface KeptSend {
  readonly from: Pid;
  readonly target: Pid | string;
  readonly bytes: Buffer;
}

/**
 * Writes control messages of one connection and keeps the bytes of its last few sends, so that a send between the same
 * two objects again is one copy. Pids and references are compared by identity: keep them, do not make them anew.
 */
export class ControlEncoder {
  readonly encoding: ControlEncoding;
  readonly #kept: KeptSend[] = [];
  /** The entry that gives way next. */
  #turn = 0;

  constructor(encoding: ControlEncoding) {
    this.encoding = encoding;
  }

  /** Writes frame start and control term of any control message, as `encodeControlInto`. */
  encodeInto(writer: ByteWriter, control: Control): void {
    switch (control.kind) {
      case "send":
        if (control.from === undefined) break;
        this.sendInto(writer, control.from, control.to);
        return;
      case "reg-send":
        this.sendInto(writer, control.from, control.name);
        return;
      default:
    }
    encodeControlInto(writer, control, this.encoding);
  }

  /** Writes frame start and control term of a send to a pid (op 22), a registered name (6) or an alias (33). */
  sendInto(writer: ByteWriter, from: Pid, target: Pid | Reference | string): void {
    const kept = this.#kept;
    for (let i = 0; i < kept.length; i++) {
      const entry = kept[i] as KeptSend;
      if (entry.from === from && entry.target === target) {
        writer.bytes(entry.bytes);
        return;
      }
    }
    const start = writer.length;
    encodeControlInto(writer, sendTo(from, target), this.encoding);
    // An alias is new for each call: keeping it would cost memory for each answer and push out what repeats.
    if (target instanceof Reference) return;
    const bytes = Buffer.allocUnsafeSlow(writer.length - start);
    writer.buffer.copy(bytes, 0, start, writer.length);
    kept[this.#turn] = { from, target, bytes };
    this.#turn = (this.#turn + 1) % KEPT_SENDS;
  }
}

function sendTo(from: Pid, target: Pid | Reference | string): Control {
  if (typeof target === "string") return { kind: "reg-send", from, name: target };
  return target instanceof Pid ? { kind: "send", from, to: target } : { kind: "alias-send", from, alias: target };
}

function head(writer: ByteWriter, arity: number, number: number): void {
  writer.ensure(4);
  writer.u8(SMALL_TUPLE_EXT);
  writer.u8(arity);
  smallInteger(writer, number);
}

function smallInteger(writer: ByteWriter, value: number): void {
  writer.u8(SMALL_INTEGER_EXT);
  writer.u8(value);
}

function pair(writer: ByteWriter, number: number, first: Pid, second: Pid): void {
  head(writer, 3, number);
  encodePidInto(writer, first);
  encodePidInto(writer, second);
}

function pidOrName(writer: ByteWriter, value: Pid | string): void {
  if (typeof value === "string") encodeAtomInto(writer, value);
  else encodePidInto(writer, value);
}

function exit(
  writer: ByteWriter,
  plainOp: number,
  payloadOp: number,
  from: Pid,
  to: Pid,
  reason: ReasonSource,
  exitPayload: boolean,
): void {
  if (reason === "payload") {
    checkExitPayload(payloadOp === op.PAYLOAD_EXIT ? "exit" : "exit2", exitPayload);
    pair(writer, payloadOp, from, to);
    return;
  }
  head(writer, 4, plainOp);
  encodePidInto(writer, from);
  encodePidInto(writer, to);
  encodeInto(writer, reason.term);
}

function checkExitPayload(kind: string, exitPayload: boolean): void {
  if (exitPayload) return;
  throw new SallyportError(
    "ERR_API_MISUSE",
    "CONTROL_NEEDS_EXIT_PAYLOAD",
    `${kind} with its reason as payload, on a connection without EXIT_PAYLOAD; give the reason as a term`,
    { advice: "put the reason into the control message when EXIT_PAYLOAD is not in the working flags" },
  );
}
