import type { MessageVerb } from "../guard/classify.ts";
import { encodeTerm } from "../term/encode.ts";
import { Atom, ImproperList, isAtom, Pid, Reference, type Term, Tuple } from "../term/types.ts";

const GEN_CALL = new Atom("$gen_call");
const GEN_CAST = new Atom("$gen_cast");
const ALIAS = new Atom("alias");

/** Where the answer to a call goes (otp-distribution section 6.2). */
export interface ReplyTo {
  readonly pid: Pid;
  /** The tag exactly as the caller sent it: it comes back in front of the reply. */
  readonly tag: Term;
  /** The reference inside the tag when the caller asked for an answer by alias. */
  readonly alias: Reference | undefined;
  /** The reference that the caller monitors with, where it can be told. */
  readonly monitor: Reference | undefined;
}

export interface GenCall {
  readonly replyTo: ReplyTo;
  readonly request: Term;
}

/** `{'$gen_call', {Pid, [alias|Ref]}, Request}`. */
export function genCall(pid: Pid, ref: Reference, withAlias: boolean, request: Term): Tuple {
  return new Tuple([GEN_CALL, new Tuple([pid, callTag(ref, withAlias)]), request]);
}

/** As `genCall`, around a request that is encoded already; without version byte. */
export function genCallAround(pid: Pid, ref: Reference, withAlias: boolean, request: Uint8Array): Buffer {
  // Encoded with 0 in its place, which is the last element and has two bytes.
  const head = encodeTerm(genCall(pid, ref, withAlias, 0));
  return Buffer.concat([head.subarray(1, head.length - 2), request]);
}

/** `[alias|Ref]`, or `Ref` towards a peer that knows no aliases. */
export function callTag(ref: Reference, withAlias: boolean): Term {
  return withAlias ? new ImproperList([ALIAS], ref) : ref;
}

/** `{'$gen_cast', Message}`. */
export function genCast(message: Term): Tuple {
  return new Tuple([GEN_CAST, message]);
}

/** Reads `{'$gen_call', {Pid, Tag}, Request}`; undefined when the term is something else. */
export function readGenCall(term: Term): GenCall | undefined {
  if (!(term instanceof Tuple) || term.length !== 3) return undefined;
  const [head, from, request] = term.elements;
  if (!(head instanceof Atom) || head.name !== "$gen_call") return undefined;
  const replyTo = readReplyTo(from);
  return replyTo === undefined ? undefined : { replyTo, request };
}

/** Reads `{Pid, Tag}`, where an answer is to go; undefined when the term is something else. */
export function readReplyTo(from: Term): ReplyTo | undefined {
  if (!(from instanceof Tuple) || from.length !== 2) return undefined;
  const [pid, tag] = from.elements;
  if (!(pid instanceof Pid)) return undefined;
  const alias = aliasOf(tag);
  return { pid, tag, alias, monitor: alias ?? (tag instanceof Reference ? tag : undefined) };
}

/** True when an answer goes to the node `node` in its life `creation`, and nowhere else. */
export function goesTo({ pid, alias }: ReplyTo, node: string, creation: number): boolean {
  if (pid.node !== node || pid.creation !== creation) return false;
  return alias === undefined || (alias.node === node && alias.creation === creation);
}

/** `{'$gen_cast', Message}`: the message, wrapped so that any message can be told from none. */
export function readGenCast(term: Term): { readonly message: Term } | undefined {
  if (!(term instanceof Tuple) || term.length !== 2) return undefined;
  const [head, message] = term.elements;
  return head instanceof Atom && head.name === "$gen_cast" ? { message } : undefined;
}

/** The alias inside a tag: `[alias|Ref]`, or `[[alias|Ref]|_]` as multi_call sends it. */
function aliasOf(tag: Term): Reference | undefined {
  if (tag instanceof ImproperList) {
    if (tag.tail instanceof Reference && tag.elements.length === 1 && isAtom(tag.elements[0], "alias")) return tag.tail;
    return aliasOf(tag.elements[0]);
  }
  return undefined;
}

/** The own reference inside a reply's tag, which must have the form in which it was sent: `[alias|Ref]`, or `Ref`. */
export function replyRef(tag: Term, withAlias: boolean): Reference | undefined {
  if (!withAlias) return tag instanceof Reference ? tag : undefined;
  return tag instanceof ImproperList &&
    tag.elements.length === 1 &&
    isAtom(tag.elements[0], "alias") &&
    tag.tail instanceof Reference
    ? tag.tail
    : undefined;
}

/** The verb of a message that was decoded: what `classifyMessage` says of its bytes. */
export function verbOf(term: Term): MessageVerb {
  if (!(term instanceof Tuple)) return "send";
  const [head] = term.elements;
  if (!(head instanceof Atom)) return "send";
  switch (head.name) {
    case "$gen_call":
      return "call";
    case "$gen_cast":
      return "cast";
    case "io_request":
      return "io";
    case "system":
    case "EXIT":
    case "DOWN":
    case "io_reply":
      return "system";
    default:
      return "send";
  }
}
