import { compareKeys, type KeySteps, spendKeySteps } from "./compare.ts";
import { Atom, type Term } from "./types.ts";

/** Up to here every key is compared with every other. */
const PAIRWISE_KEYS = 8;
/** Longer texts are compared by sorting: engines hash very long strings by their length alone. */
const MAX_HASHED_BYTES = 4096;

/**
 * True when two of a decoded map's keys are the same term. Numbers and the atoms that are JavaScript values are not
 * looked at: a Map tells those apart itself. Costs near-linear time for every input: short texts go through strings,
 * whose hash is seeded, everything else is sorted, and the sorting is paid from `steps`.
 * @throws {SallyportError} ERR_LIMIT TERM_KEY_STEPS
 */
export function hasEqualKeys(keys: readonly Term[], steps: KeySteps): boolean {
  const count = keys.length;
  if (count < 2) return false;
  if (count > PAIRWISE_KEYS) return hasEqualAmongMany(keys, steps);
  for (let i = 1; i < count; i++) {
    const key = keys[i];
    if (typeof key !== "object" || key === null) continue;
    for (let j = 0; j < i; j++) {
      const other = keys[j];
      if (typeof other !== "object" || other === null) continue;
      if (key instanceof Atom) {
        if (other instanceof Atom && (other === key || other.name === key.name)) return true;
      } else if (!(other instanceof Atom) && compareKeys(key, other, steps) === 0) return true;
    }
  }
  return false;
}

function hasEqualAmongMany(keys: readonly Term[], steps: KeySteps): boolean {
  const texts = new Set<string>();
  const sorted: Term[] = [];
  for (const key of keys) {
    let text: string;
    // The first letter keeps the kinds apart, and digits from being hashed as an array index, without a seed.
    if (key instanceof Atom) text = `a${key.name}`;
    else if (Buffer.isBuffer(key) && key.length <= MAX_HASHED_BYTES) text = `b${key.toString("latin1")}`;
    else {
      if (typeof key === "object" && key !== null) sorted.push(key);
      continue;
    }
    if (texts.size === texts.add(text).size) return true;
  }
  sorted.sort((a, b) => compareKeys(a, b, steps));
  for (let i = 1; i < sorted.length; i++) if (compareKeys(sorted[i - 1], sorted[i], steps) === 0) return true;
  return false;
}

/**
 * Pays for one more bigint key in a map of `count` number keys. A Map may have to compare it with each of them in full,
 * which only matters for integers of hundreds of bytes.
 */
export function chargeBigKey(steps: KeySteps, key: bigint, count: number): void {
  if (BigInt.asIntN(1024, key) !== key) spendKeySteps(steps, count * 4096);
}
