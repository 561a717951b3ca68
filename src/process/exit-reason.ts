import { Atom, atom, atomName, type Pid, type Term, Tuple } from "../term/types.ts";
import type { Down } from "./ports.ts";

export const NORMAL: Atom = new Atom("normal");
export const KILLED: Atom = new Atom("killed");
export const NOPROC: Atom = new Atom("noproc");
export const NOCONNECTION: Atom = new Atom("noconnection");
export const SHUTDOWN: Atom = new Atom("shutdown");
/** Answer to a link or monitor above a limit; the atom OTP uses. */
export const SYSTEM_LIMIT: Atom = new Atom("system_limit");
/** What a peer sees of a reason that is none of the others. */
export const ERROR: Atom = new Atom("error");

const EXIT: Atom = new Atom("EXIT");
const DOWN: Atom = new Atom("DOWN");
const PROCESS: Atom = new Atom("process");

/** Longest id inside `{handler_error, Id}`, in bytes (rulings U9, U15). */
const MAX_ID_BYTES = 26;

/** `{'EXIT', From, Reason}`, what a process that traps exits receives. */
export function exitMessage(from: Pid, reason: Term): Tuple {
  return new Tuple([EXIT, from, reason]);
}

/** `{'DOWN', Ref, process, Pid | {Name, Node}, Reason}`. `ref` is the reference of the monitor. */
export function downMessage(ref: Term, down: Down): Tuple {
  const target = typeof down.target === "string" ? new Tuple([atom(down.target), atom(down.node)]) : down.target;
  return new Tuple([DOWN, ref, PROCESS, target, down.reason]);
}

/** `{handler_error, <<"ID">>}`, the reason of a process whose handler threw (rulings U15). */
export function handlerError(id: string): Tuple {
  return new Tuple([new Atom("handler_error"), Buffer.from(id, "latin1")]);
}

/**
 * What a peer may learn of a reason (rulings S11): `normal`, `shutdown` (also for `{shutdown, Term}`), `killed` (also for
 * `kill`), `noproc`, `noconnection` and `{handler_error, <<"ID">>}` with an id of 1 to 26 digits and capital letters;
 * everything else becomes `error`, since reasons carry state and arguments.
 */
export function scrubReason(reason: Term): Term {
  switch (atomName(reason)) {
    case "normal":
      return NORMAL;
    case "shutdown":
      return SHUTDOWN;
    case "kill":
    case "killed":
      return KILLED;
    case "noproc":
      return NOPROC;
    case "noconnection":
      return NOCONNECTION;
    default:
      break;
  }
  if (!(reason instanceof Tuple) || reason.length !== 2) return ERROR;
  const [tag, value] = reason.elements;
  if (atomName(tag) === "shutdown") return SHUTDOWN;
  if (atomName(tag) === "handler_error" && value instanceof Uint8Array && isDecisionId(value)) return reason;
  return ERROR;
}

function isDecisionId(bytes: Uint8Array): boolean {
  if (bytes.length === 0 || bytes.length > MAX_ID_BYTES) return false;
  for (const byte of bytes) {
    if (!((byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x5a))) return false;
  }
  return true;
}
