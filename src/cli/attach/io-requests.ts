import { Atom, atomName, ImproperList, isAtom, Pid, Reference, type Term, Tuple } from "../../term/types.ts";
import { costOf, type Encoding, encodingOf, textOf } from "./io-text.ts";

/** Most requests in one `{requests, List}`. */
const MAX_REQUESTS = 64;

/** Most characters that may be asked for at once. */
const MAX_CHARS = 65_536;

/** Longest prompt that is read, in bytes. */
const MAX_PROMPT_BYTES = 4_096;

/** Functions of `io_lib` whose text may be put. */
const FORMATS: Readonly<Record<string, number>> = { format: 2, fwrite: 2, write: 1 };

/** Why a request is not carried out, as its sender is told. */
export type Refusal = "enotsup" | "eagain" | "put_chars";

/** One thing that is asked of the group leader. */
export type IoStep =
  | { readonly kind: "put"; readonly bytes: Buffer; readonly isCut: boolean; readonly cost: number }
  /** The worker's own `io_lib` makes the text. */
  | {
      readonly kind: "format";
      readonly fn: string;
      readonly args: readonly Term[];
      readonly encoding: Encoding;
      readonly cost: number;
    }
  | { readonly kind: "line"; readonly prompt: Buffer; readonly encoding: Encoding; readonly cost: number }
  | {
      readonly kind: "chars";
      readonly prompt: Buffer;
      readonly count: number;
      readonly encoding: Encoding;
      readonly cost: number;
    }
  /** `erl_scan:tokens(Continuation, Text, ...args)`. */
  | { readonly kind: "tokens"; readonly prompt: Buffer; readonly args: readonly Term[]; readonly cost: number }
  | { readonly kind: "geometry"; readonly what: "columns" | "rows" }
  | { readonly kind: "getopts" }
  | { readonly kind: "setopts"; readonly options: readonly Term[] }
  | { readonly kind: "refused"; readonly why: Refusal };

/** `{io_request, From, ReplyAs, Request}`, its request taken apart into steps. */
export interface IoRequest {
  readonly from: Pid;
  readonly replyAs: Reference | Pid;
  readonly steps: readonly IoStep[];
}

/** Whose requests are read. */
export interface IoPeer {
  readonly node: string;
  readonly creation: number;
}

const ENOTSUP: IoStep = { kind: "refused", why: "enotsup" };
const EAGAIN: IoStep = { kind: "refused", why: "eagain" };

/**
 * Reads a message to a group leader; undefined when it is no io request of a process of that peer which could be answered. What is not among the allowed
 * requests becomes a step that is refused. `maxBytes` bounds one step.
 */
export function readIoRequest(message: Term, peer: IoPeer, maxBytes: number): IoRequest | undefined {
  if (!(message instanceof Tuple) || message.length !== 4) return undefined;
  const [head, from, replyAs, request] = message.elements;
  if (!isAtom(head, "io_request") || !(from instanceof Pid)) return undefined;
  if (from.node !== peer.node || from.creation !== peer.creation) return undefined;
  if (!(replyAs instanceof Reference || replyAs instanceof Pid)) return undefined;
  return { from, replyAs, steps: stepsOf(request, maxBytes) };
}

function stepsOf(request: Term, maxBytes: number): readonly IoStep[] {
  const [name, list, ...more] = request instanceof Tuple ? request.elements : [];
  if (!isAtom(name, "requests") || more.length > 0) return [stepOf(request, maxBytes)];
  if (!Array.isArray(list) || list.length > MAX_REQUESTS) return [ENOTSUP];
  // One within another would be `requests` again, which is no step.
  return list.map((inner: Term) => stepOf(inner, maxBytes));
}

function stepOf(request: Term, maxBytes: number): IoStep {
  if (isAtom(request, "getopts")) return { kind: "getopts" };
  if (!(request instanceof Tuple)) return ENOTSUP;
  const [head, ...rest] = request.elements;
  const name = atomName(head);
  switch (name) {
    case "put_chars":
      return putStep(rest, maxBytes);
    case "get_geometry": {
      const what = rest.length === 1 ? atomName(rest[0]) : undefined;
      return what === "columns" || what === "rows" ? { kind: "geometry", what } : ENOTSUP;
    }
    case "setopts": {
      const [options] = rest;
      return rest.length === 1 && Array.isArray(options) ? { kind: "setopts", options } : ENOTSUP;
    }
    case "get_line":
    case "get_chars":
    case "get_until":
      return readStep(name, rest, maxBytes);
    default:
      return ENOTSUP;
  }
}

/** Older forms leave the encoding out: it is latin1. */
function withEncoding(rest: readonly Term[], lengthWithout: number): readonly [Encoding | undefined, readonly Term[]] {
  return rest.length === lengthWithout ? ["latin1", rest] : [encodingOf(rest[0]), rest.slice(1)];
}

function putStep(given: readonly Term[], maxBytes: number): IoStep {
  const isFormat = given.length === 3 || given.length === 4;
  const [encoding, rest] = withEncoding(given, isFormat ? 3 : 1);
  if (encoding === undefined || rest.length !== (isFormat ? 3 : 1)) return ENOTSUP;
  if (!isFormat) {
    const text = textOf(rest[0], encoding, maxBytes);
    return text === undefined
      ? { kind: "refused", why: "put_chars" }
      : { kind: "put", ...text, cost: text.bytes.length };
  }
  const [module, fn, args] = rest;
  const name = atomName(fn) ?? "";
  const arity = isAtom(module, "io_lib") ? FORMATS[name] : undefined;
  if (arity === undefined || !Array.isArray(args) || args.length !== arity) return ENOTSUP;
  const cost = costOf(args, maxBytes);
  return cost > maxBytes ? EAGAIN : { kind: "format", fn: name, args, encoding, cost };
}

function readStep(name: "get_line" | "get_chars" | "get_until", given: readonly Term[], maxBytes: number): IoStep {
  const lengthWithout = { get_line: 1, get_chars: 2, get_until: 4 }[name];
  const [encoding, rest] = withEncoding(given, lengthWithout);
  if (encoding === undefined || rest.length !== lengthWithout) return ENOTSUP;
  const prompt = promptOf(rest[0], encoding);
  const cost = prompt.length;
  if (name === "get_line") return { kind: "line", prompt, encoding, cost };
  if (name === "get_chars") {
    const [, count] = rest;
    const isCount = typeof count === "number" && Number.isInteger(count) && count >= 1 && count <= MAX_CHARS;
    return isCount ? { kind: "chars", prompt, count, encoding, cost } : ENOTSUP;
  }
  const [, module, fn, args] = rest;
  if (!isAtom(module, "erl_scan") || !isAtom(fn, "tokens")) return ENOTSUP;
  if (!Array.isArray(args) || args.length > 2) return ENOTSUP;
  const whole = cost + costOf(args, maxBytes);
  return whole > maxBytes ? EAGAIN : { kind: "tokens", prompt, args, cost: whole };
}

/** An atom or text; a prompt in any other form is left out. */
function promptOf(prompt: Term, encoding: Encoding): Buffer {
  const name = prompt instanceof Atom ? prompt.name : undefined;
  if (name !== undefined) return Buffer.from(name, "utf8").subarray(0, MAX_PROMPT_BYTES);
  const isText = prompt instanceof Uint8Array || Array.isArray(prompt) || prompt instanceof ImproperList;
  return (isText ? textOf(prompt, encoding, MAX_PROMPT_BYTES)?.bytes : undefined) ?? Buffer.alloc(0);
}
