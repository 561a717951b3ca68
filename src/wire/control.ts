// Longer than most files here: one case for each operation of the protocol, all over the same cursor.
import { SallyportError } from "../base/errors.ts";
import { AtomTable } from "../term/atom-table.ts";
import { PidTable } from "../term/pid-table.ts";
import { skipTerm } from "../term/skip.ts";
import { SMALL_INTEGER_EXT, SMALL_TUPLE_EXT, VERSION_MAGIC } from "../term/tags.ts";
import { TermDecoder } from "../term/term-decoder.ts";
import { atomName, Pid, Reference, type Term, Tuple } from "../term/types.ts";
import * as op from "./control-ops.ts";
import type { Control } from "./control-types.ts";
import type { FrameStyle } from "./flags.ts";
import { misbehaved } from "./misbehaved.ts";
import { RecentControls } from "./recent-controls.ts";

/** Greatest id of an unlink. */
const MAX_UNLINK_ID = 0xffff_ffff_ffff_ffffn;
/** Greatest arity of an Erlang function. */
const MAX_ARITY = 255;
/**
 * Largest sequential-trace token, in bytes. It is dropped unread and charged to nobody, so it must not carry much; a BEAM's has
 * some 100 bytes, unless whoever traces has chosen a huge label.
 */
const MAX_TRACE_TOKEN_BYTES = 4096;
/** Bits of SPAWN_REPLY: link established, monitor established. */
const SPAWN_REPLY_FLAGS = 3;

/** Number of elements of each operation's tuple; 0 for what does not exist. ALTACT_SIG_SEND has one more with a token. */
const ARITY: Uint8Array = new Uint8Array(op.MAX_OP + 1);
/** 1 for the variants that end with a sequential-trace token. */
const TRACED: Uint8Array = new Uint8Array(op.MAX_OP + 1);
for (const [number, arity] of [
  [op.LINK, 3],
  [op.SEND, 3],
  [op.EXIT, 4],
  [op.UNLINK, 3],
  [op.REG_SEND, 4],
  [op.GROUP_LEADER, 3],
  [op.EXIT2, 4],
  [op.SEND_TT, 4],
  [op.EXIT_TT, 5],
  [op.REG_SEND_TT, 5],
  [op.EXIT2_TT, 5],
  [op.MONITOR_P, 4],
  [op.DEMONITOR_P, 4],
  [op.MONITOR_P_EXIT, 5],
  [op.SEND_SENDER, 3],
  [op.SEND_SENDER_TT, 4],
  [op.PAYLOAD_EXIT, 3],
  [op.PAYLOAD_EXIT_TT, 4],
  [op.PAYLOAD_EXIT2, 3],
  [op.PAYLOAD_EXIT2_TT, 4],
  [op.PAYLOAD_MONITOR_P_EXIT, 4],
  [op.SPAWN_REQUEST, 6],
  [op.SPAWN_REQUEST_TT, 7],
  [op.SPAWN_REPLY, 5],
  [op.SPAWN_REPLY_TT, 6],
  [op.ALIAS_SEND, 3],
  [op.ALIAS_SEND_TT, 4],
  [op.UNLINK_ID, 4],
  [op.UNLINK_ID_ACK, 4],
  [op.ALTACT_SIG_SEND, 4],
] as const) {
  ARITY[number] = arity;
}
for (const number of [
  op.SEND_TT,
  op.REG_SEND_TT,
  op.SEND_SENDER_TT,
  op.PAYLOAD_EXIT_TT,
  op.PAYLOAD_EXIT2_TT,
  op.SPAWN_REQUEST_TT,
  op.SPAWN_REPLY_TT,
  op.ALIAS_SEND_TT,
]) {
  TRACED[number] = 1;
}

export interface ControlDecoderOptions {
  /** In `pass-through` frames the control term begins with 131, in `header` frames it does not. */
  readonly style: FrameStyle;
  /** Accept ALTACT_SIG_SEND (op 37). Only when ALTACT_SIG was negotiated; default false. */
  readonly altact?: boolean;
  /** The connection's term decoder; one with caches of its own by default. */
  readonly terms?: TermDecoder;
}

/**
 * Decodes control messages (otp-distribution section 4). One per connection; not reentrant. Every element is checked for
 * its type, lists of targets and NODE_LINK are refused, trace tokens are stepped over, up to a size. A repeated send costs no
 * allocation: its control bytes are looked up among the last few, and the same immutable object comes back.
 */
export class ControlDecoder {
  /** Offset after the control term decoded last. */
  position = 0;
  readonly #terms: TermDecoder;
  readonly #versioned: boolean;
  readonly #altact: boolean;
  readonly #recent: RecentControls = new RecentControls();

  constructor(options: ControlDecoderOptions) {
    this.#terms = options.terms ?? new TermDecoder({ atoms: new AtomTable(), pids: new PidTable() });
    this.#versioned = options.style === "pass-through";
    this.#altact = options.altact ?? false;
  }

  /**
   * Decodes the control term at `start` and sets `position`. Begins a new budget of the term decoder and leaves
   * `atomRefs` set there, for the payload. An exit reason or spawn options may share memory with `buffer`, as
   * `TermDecoder` says; nothing else does.
   * @throws {SallyportError} ERR_PEER_MISBEHAVED CONTROL_* and TERM_*; ERR_LIMIT TERM_*, TRACE_TOKEN_TOO_LARGE
   */
  decode(buffer: Buffer, start: number, end: number, atomRefs?: readonly Term[]): Control {
    const plain = atomRefs === undefined || atomRefs.length === 0;
    this.#terms.resetBudget();
    this.#terms.atomRefs = plain ? undefined : atomRefs;
    if (plain) {
      const known = this.#recent.find(buffer, start, end);
      if (known !== undefined) {
        this.position = start + this.#recent.matchedBytes;
        return known;
      }
    }
    const control = this.#decode(buffer, start, end);
    // Sends repeat; the rest does not, and would only push the sends out. An alias is new for each call.
    if (plain && (control.kind === "send" || control.kind === "reg-send")) {
      this.#recent.add(buffer, start, this.position, control);
    }
    return control;
  }

  #decode(buffer: Buffer, start: number, end: number): Control {
    let at = start;
    if (this.#versioned) {
      if (at >= end || buffer[at] !== VERSION_MAGIC) {
        throw misbehaved("CONTROL_MALFORMED", "a control message does not begin with the version byte 131");
      }
      at++;
    }
    if (end - at < 4 || buffer[at] !== SMALL_TUPLE_EXT || buffer[at + 2] !== SMALL_INTEGER_EXT) {
      throw misbehaved("CONTROL_MALFORMED", "a control message is not a tuple that begins with an operation number");
    }
    const arity = buffer[at + 1] as number;
    const number = buffer[at + 3] as number;
    this.position = at + 4;
    const expected = number <= op.MAX_OP ? (ARITY[number] as number) : 0;
    if (expected === 0 || (number === op.ALTACT_SIG_SEND && !this.#altact)) {
      throw misbehaved("CONTROL_UNKNOWN_OP", `a control message with operation ${number}, which is not accepted here`, {
        op: number,
      });
    }
    if (arity !== expected && !(number === op.ALTACT_SIG_SEND && arity === expected + 1)) throw badArity(number, arity);
    const control = this.#fields(number, arity, buffer, end);
    if (TRACED[number] === 1) this.#skipToken(buffer, end);
    return control;
  }

  #fields(number: number, arity: number, b: Buffer, end: number): Control {
    switch (number) {
      case op.SEND:
      case op.SEND_TT:
        this.#unused(number, b, end);
        return { kind: "send", from: undefined, to: this.#pid(number, b, end) };
      case op.SEND_SENDER:
      case op.SEND_SENDER_TT:
        return { kind: "send", from: this.#pid(number, b, end), to: this.#pid(number, b, end) };
      case op.REG_SEND:
      case op.REG_SEND_TT: {
        const from = this.#pid(number, b, end);
        this.#unused(number, b, end);
        return { kind: "reg-send", from, name: this.#atom(number, b, end) };
      }
      case op.ALIAS_SEND:
      case op.ALIAS_SEND_TT:
        return { kind: "alias-send", from: this.#pid(number, b, end), alias: this.#reference(number, b, end) };
      case op.LINK:
        return { kind: "link", from: this.#pid(number, b, end), to: this.#pid(number, b, end) };
      case op.UNLINK:
        return { kind: "unlink", from: this.#pid(number, b, end), to: this.#pid(number, b, end) };
      case op.UNLINK_ID:
      case op.UNLINK_ID_ACK: {
        const id = this.#unlinkId(number, b, end);
        const from = this.#pid(number, b, end);
        const to = this.#pid(number, b, end);
        return number === op.UNLINK_ID ? { kind: "unlink-id", id, from, to } : { kind: "unlink-id-ack", id, from, to };
      }
      case op.GROUP_LEADER:
        return { kind: "group-leader", leader: this.#pid(number, b, end), to: this.#pid(number, b, end) };
      case op.EXIT:
      case op.EXIT_TT:
      case op.EXIT2:
      case op.EXIT2_TT: {
        const from = this.#pid(number, b, end);
        const to = this.#pid(number, b, end);
        if (number === op.EXIT_TT || number === op.EXIT2_TT) this.#skipToken(b, end);
        const reason = { term: this.#term(b, end) };
        return { kind: number === op.EXIT || number === op.EXIT_TT ? "exit" : "exit2", from, to, reason };
      }
      case op.PAYLOAD_EXIT:
      case op.PAYLOAD_EXIT_TT:
        return { kind: "exit", from: this.#pid(number, b, end), to: this.#pid(number, b, end), reason: "payload" };
      case op.PAYLOAD_EXIT2:
      case op.PAYLOAD_EXIT2_TT:
        return { kind: "exit2", from: this.#pid(number, b, end), to: this.#pid(number, b, end), reason: "payload" };
      case op.MONITOR_P:
      case op.DEMONITOR_P: {
        const from = this.#pid(number, b, end);
        const target = this.#pidOrName(number, b, end);
        const ref = this.#reference(number, b, end);
        return { kind: number === op.MONITOR_P ? "monitor" : "demonitor", from, target, ref };
      }
      case op.MONITOR_P_EXIT:
      case op.PAYLOAD_MONITOR_P_EXIT: {
        const target = this.#pidOrName(number, b, end);
        const to = this.#pid(number, b, end);
        const ref = this.#reference(number, b, end);
        const reason = number === op.MONITOR_P_EXIT ? { term: this.#term(b, end) } : "payload";
        return { kind: "monitor-exit", target, to, ref, reason };
      }
      case op.SPAWN_REQUEST:
      case op.SPAWN_REQUEST_TT:
        return this.#spawnRequest(number, b, end);
      case op.SPAWN_REPLY:
      case op.SPAWN_REPLY_TT: {
        const ref = this.#reference(number, b, end);
        const to = this.#pid(number, b, end);
        const flags = this.#integer(number, SPAWN_REPLY_FLAGS, b, end);
        return { kind: "spawn-reply", ref, to, flags, result: this.#pidOrName(number, b, end) };
      }
      case op.ALTACT_SIG_SEND:
        return this.#altactSignal(arity, b, end);
      default:
        throw badArity(number, arity);
    }
  }

  /** `{29, ReqId, From, GroupLeader, {Module, Function, Arity}, Options}` */
  #spawnRequest(number: number, b: Buffer, end: number): Control {
    const ref = this.#reference(number, b, end);
    const from = this.#pid(number, b, end);
    const groupLeader = this.#pid(number, b, end);
    const mfa = this.#term(b, end);
    if (!(mfa instanceof Tuple) || mfa.length !== 3) throw badField(number, "a tuple of module, function and arity");
    const module = atomName(mfa.elements[0]);
    const name = atomName(mfa.elements[1]);
    const arity = mfa.elements[2];
    // Array.length tells nothing of the elements: an atom may be the JavaScript value `undefined`.
    if (module === undefined || name === undefined) throw badField(number, "atoms for module and function");
    if (typeof arity !== "number" || !Number.isInteger(arity) || arity < 0 || arity > MAX_ARITY) {
      throw badField(number, `an arity of 0 to ${MAX_ARITY}`);
    }
    const options = this.#term(b, end);
    if (!Array.isArray(options)) throw badField(number, "a list of options");
    return { kind: "spawn-request", ref, from, groupLeader, module, function: name, arity, options };
  }

  /** `{37, Flags, From, To}` or `{37, Flags, From, To, Token}` */
  #altactSignal(arity: number, b: Buffer, end: number): Control {
    const number = op.ALTACT_SIG_SEND;
    const flags = this.#integer(number, 31, b, end);
    const token = (flags & op.ALTACT_SIG_FLAG_TOKEN) !== 0;
    if (token !== (arity === 5)) throw badArity(number, arity);
    const from = this.#pid(number, b, end);
    let control: Control;
    switch (flags & ~(op.ALTACT_SIG_FLAG_PRIO | op.ALTACT_SIG_FLAG_TOKEN)) {
      case 0:
        control = { kind: "send", from, to: this.#pid(number, b, end) };
        break;
      case op.ALTACT_SIG_FLAG_ALIAS:
        control = { kind: "alias-send", from, alias: this.#reference(number, b, end) };
        break;
      case op.ALTACT_SIG_FLAG_NAME:
        control = { kind: "reg-send", from, name: this.#atom(number, b, end) };
        break;
      case op.ALTACT_SIG_FLAG_EXIT:
        control = { kind: "exit2", from, to: this.#pid(number, b, end), reason: "payload" };
        break;
      default:
        throw badField(number, "flags that name one kind of target");
    }
    if (token) this.#skipToken(b, end);
    return control;
  }

  #skipToken(b: Buffer, end: number): void {
    const start = this.position;
    this.position = skipTerm(b, start, end);
    const value = this.position - start;
    if (value <= MAX_TRACE_TOKEN_BYTES) return;
    throw new SallyportError(
      "ERR_LIMIT",
      "TRACE_TOKEN_TOO_LARGE",
      `a trace token of ${value} bytes exceeds ${MAX_TRACE_TOKEN_BYTES}`,
      {
        detail: { value, limit: MAX_TRACE_TOKEN_BYTES },
        advice: "let the peer use a shorter label for sequential tracing; no BEAM makes a long token by itself",
      },
    );
  }

  #term(b: Buffer, end: number): Term {
    const term = this.#terms.decodeAt(b, this.position, end);
    this.position = this.#terms.position;
    return term;
  }

  #pid(number: number, b: Buffer, end: number): Pid {
    const term = this.#term(b, end);
    if (term instanceof Pid) return term;
    throw badField(number, "a pid");
  }

  #reference(number: number, b: Buffer, end: number): Reference {
    const term = this.#term(b, end);
    if (term instanceof Reference) return term;
    throw badField(number, "a reference");
  }

  #atom(number: number, b: Buffer, end: number): string {
    const name = atomName(this.#term(b, end));
    if (name !== undefined) return name;
    throw badField(number, "an atom");
  }

  #pidOrName(number: number, b: Buffer, end: number): Pid | string {
    const term = this.#term(b, end);
    if (term instanceof Pid) return term;
    const name = atomName(term);
    if (name !== undefined) return name;
    throw badField(number, "a pid or an atom");
  }

  /** The element that once held a cookie: an atom, by now always the empty one. Its value means nothing. */
  #unused(number: number, b: Buffer, end: number): void {
    this.#atom(number, b, end);
  }

  #integer(number: number, max: number, b: Buffer, end: number): number {
    const term = this.#term(b, end);
    if (typeof term === "number" && Number.isInteger(term) && term >= 0 && term <= max) return term;
    throw badField(number, `an integer from 0 to ${max}`);
  }

  #unlinkId(number: number, b: Buffer, end: number): bigint {
    const term = this.#term(b, end);
    const id = typeof term === "number" && Number.isSafeInteger(term) ? BigInt(term) : term;
    if (typeof id === "bigint" && id >= 1n && id <= MAX_UNLINK_ID) return id;
    throw badField(number, "an id from 1 to 2^64-1");
  }
}

function badArity(number: number, arity: number): Error {
  return misbehaved("CONTROL_BAD_ARITY", `control operation ${number} with ${arity} elements`, { op: number, arity });
}

function badField(number: number, expected: string): Error {
  return misbehaved("CONTROL_BAD_FIELD", `control operation ${number} lacks ${expected} where one must stand`, {
    op: number,
  });
}
