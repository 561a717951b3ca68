import type { Bounds } from "./bounds.ts";
import type { LimitsEntry } from "./document.ts";
import { parseByteRate, parseRate, parseSize } from "./parse-values.ts";

/** No bound on numbers; funs and identifiers of third nodes refused. */
export const NO_BOUNDS: Bounds = compileLimits({});

/** A checked `LimitsEntry` as numbers. `trusted`: funs and identifiers of third nodes pass unless the entry says otherwise. */
export function compileLimits(entry: LimitsEntry, trusted: boolean = false): Bounds {
  return Object.freeze({
    rate: entry.rate === undefined ? undefined : parseRate(entry.rate),
    bytes: entry.bytes === undefined ? undefined : parseByteRate(entry.bytes),
    inflight: entry.inflight,
    payloadBytes: typeof entry.payload === "string" ? parseSize(entry.payload) : entry.payload,
    depth: entry.depth,
    elements: entry.elements,
    newAtoms: entry.newAtoms,
    funs: entry.funs ?? trusted,
    foreign: entry.foreign ?? trusted,
  });
}
