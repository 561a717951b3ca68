import { ByteWriter } from "../base/byte-writer.ts";
import type { MonotonicMs } from "../base/clock.ts";
import { encodeInto } from "../term/encode.ts";
import { Atom, ImproperList, Pid, Reference, type Term, tuple } from "../term/types.ts";
import type { Control } from "../wire/control-types.ts";

export const COMMANDER = { node: "c@h", creation: 7 } as const;
export const WORKER = { node: "w@h", creation: 9 } as const;

/** A pid of the commander. */
export function cPid(id: number): Pid {
  return new Pid(COMMANDER.node, id, 0, COMMANDER.creation);
}

/** A pid of the worker. */
export function wPid(id: number): Pid {
  return new Pid(WORKER.node, id, 0, WORKER.creation);
}

/** A reference of the commander. */
export function cRef(n: number): Reference {
  return new Reference(COMMANDER.node, COMMANDER.creation, [n, 2, 3]);
}

/** A reference of the worker. */
export function wRef(n: number): Reference {
  return new Reference(WORKER.node, WORKER.creation, [n, 2, 3]);
}

export function a(name: string): Atom {
  return new Atom(name);
}

/** `[alias | Ref]`, the tag of a call. */
export function aliasTag(ref: Reference): ImproperList {
  return new ImproperList([a("alias")], ref);
}

/** `{'$gen_call', {From, Tag}, Request}` */
export function genCall(from: Pid, tag: Term, request: Term): Term {
  return tuple(a("$gen_call"), tuple(from, tag), request);
}

/** `term` without a version byte. */
export function bytesOf(term: Term): Buffer {
  const writer = new ByteWriter(64);
  encodeInto(writer, term);
  return writer.takeCopy();
}

/** What of a filter is used here. */
interface Filter<V> {
  fromCommander(control: Control, buffer: Buffer, start: number, end: number, now: MonotonicMs): V;
  fromWorker(control: Control, buffer: Buffer, start: number, end: number, now: MonotonicMs): V;
}

/** Sends messages through a filter, payloads as terms or bytes, each in the midst of other bytes. */
export class GatewayTraffic<V> {
  now: MonotonicMs = 1_000 as MonotonicMs;
  readonly #filter: Filter<V>;

  constructor(filter: Filter<V>) {
    this.#filter = filter;
  }

  /** From the commander. */
  c(control: Control, payload?: Term): V {
    const { buffer, start, end } = framed(payload);
    return this.#filter.fromCommander(control, buffer, start, end, this.now);
  }

  /** From the worker. */
  w(control: Control, payload?: Term): V {
    const { buffer, start, end } = framed(payload);
    return this.#filter.fromWorker(control, buffer, start, end, this.now);
  }

  /** From the worker, with these bytes as payload. */
  raw(control: Control, payload: Buffer): V {
    return this.#filter.fromWorker(control, payload, 0, payload.length, this.now);
  }
}

function framed(payload: Term): { buffer: Buffer; start: number; end: number } {
  if (payload === undefined) return { buffer: Buffer.alloc(0), start: 0, end: 0 };
  const bytes = bytesOf(payload);
  return { buffer: Buffer.concat([Buffer.from("<<<"), bytes, Buffer.from(">>")]), start: 3, end: 3 + bytes.length };
}
