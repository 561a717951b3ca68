import type { MonotonicMs } from "../base/clock.ts";
import type { Pid } from "../term/types.ts";
import { atomIs, ownPidKey, tupleAt } from "./encoded-terms.ts";
import type { FilterParts } from "./filter-parts.ts";
import { findTokens, referencesIn } from "./payload.ts";
import type { Leave } from "./return-paths.ts";

/** A request that waits for one answer: `{'$gen_call' | system, {From, Tag}, Request}`. */
export interface CallHead {
  /** Key of the caller's pid. */
  readonly from: string;
  /** Offsets of the tag. */
  readonly tagStart: number;
  readonly tagEnd: number;
  /** Keys of the references in the tag, all of the commander. */
  readonly refs: readonly string[];
  /** Offsets of the request. */
  readonly start: number;
  readonly end: number;
}

/** Reads a call of the commander; undefined when it is none, or is not its own to be answered. */
export function readCall(parts: FilterParts, b: Buffer, start: number): CallHead | undefined {
  const places = tupleAt(b, start, 3);
  if (places === undefined) return undefined;
  const [name = 0, pair = 0, request = 0, end = 0] = places;
  if (!atomIs(b, name, "$gen_call") && !atomIs(b, name, "system")) return undefined;
  const [fromAt, tagStart, tagEnd] = tupleAt(b, pair, 2) ?? [];
  if (fromAt === undefined || tagStart === undefined || tagEnd === undefined) return undefined;
  const { commander } = parts.options;
  const from = ownPidKey(b, fromAt, commander.node, commander.creation);
  const refs = referencesIn(b, tagStart, tagEnd, commander);
  if (from === undefined || refs === undefined || refs.length === 0) return undefined;
  return { from, tagStart, tagEnd, refs, start: request, end };
}

/**
 * L1: the caller's answer, and what else its request gives to answer with. False when there are too many calls.
 * @param identifiers how many the whole message holds
 * @param leave called when the answer has come or will not; not when this gives false
 */
export function learnCall(
  parts: FilterParts,
  b: Buffer,
  call: CallHead,
  identifiers: number,
  now: MonotonicMs,
  leave?: Leave,
): boolean {
  const { paths, limits } = parts;
  if (call.tagEnd - call.tagStart > limits.maxTagBytes) return false;
  const tag = b.toString("latin1", call.tagStart, call.tagEnd);
  const from = [call.from];
  if (!paths.expect("tag", tag, from, call.refs, true, now, leave)) return false;
  paths.reveal(from, now);
  // Caller and tag alone: nothing more to answer with.
  if (identifiers > 1 + call.refs.length) learnTokens(parts, b, call.start, call.end, from, now);
  return true;
}

/** L2: what the receiver of a term may answer with; `known` are pids that may be answered besides those in it. */
export function learnTokens(
  parts: FilterParts,
  b: Buffer,
  start: number,
  end: number,
  known: readonly string[],
  now: MonotonicMs,
): void {
  const { paths, limits, options } = parts;
  const { pids, candidates } = findTokens(b, start, end, options.commander, limits.maxScannedTerms);
  paths.reveal(pids, now);
  if (candidates.length === 0) return;
  const receivers = [...new Set([...known, ...pids])];
  for (const { start: from, end: to, refs } of candidates) {
    if (to - from > limits.maxTagBytes) continue;
    paths.expect("tag", b.toString("latin1", from, to), receivers, refs, false, now);
  }
}

/** L3: `{io_request | file_request, From, ReplyAs, Request}` to the worker. False when there are too many; undefined when it is none. */
export function learnIoRequest(parts: FilterParts, b: Buffer, start: number, now: MonotonicMs): boolean | undefined {
  const places = tupleAt(b, start, 4);
  if (places === undefined) return undefined;
  const [name = 0, fromAt = 0, asStart = 0, asEnd = 0] = places;
  if (!atomIs(b, name, "io_request") && !atomIs(b, name, "file_request")) return undefined;
  const { commander } = parts.options;
  const from = ownPidKey(b, fromAt, commander.node, commander.creation);
  if (from === undefined) return undefined;
  if (asEnd - asStart > parts.limits.maxTagBytes) return false;
  const refs = referencesIn(b, asStart, asEnd, commander) ?? [];
  parts.paths.reveal([from], now);
  return parts.paths.expect("io", b.toString("latin1", asStart, asEnd), [from], refs, true, now);
}

/** L8: `{Pid, features_request}` to `rex`; true when it was one. */
export function learnFeatures(parts: FilterParts, b: Buffer, start: number, now: MonotonicMs): boolean {
  const [pidAt, wordAt] = tupleAt(b, start, 2) ?? [];
  if (pidAt === undefined || wordAt === undefined || !atomIs(b, wordAt, "features_request")) return false;
  const { commander } = parts.options;
  const from = ownPidKey(b, pidAt, commander.node, commander.creation);
  if (from === undefined) return false;
  parts.paths.expect("features", from, [from], [], false, now);
  return true;
}

/** L6, L7: a pid of the commander that the worker's processes will print to. */
export function learnLeader(parts: FilterParts, leader: Pid, now: MonotonicMs): void {
  const { commander } = parts.options;
  if (leader.node === commander.node && leader.creation === commander.creation) parts.paths.addLeader(leader, now);
}
