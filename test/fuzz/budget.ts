/** Mutated inputs of a full run (`npm run test:fuzz`), over all targets together. */
const FULL = 1_000_000;

/**
 * How many inputs a fuzz target tries. `share` is its part of the whole, 0 to 1; the shares of all targets should add
 * up to at least 1. The whole is `SALLYPORT_FUZZ_CASES` (`npm test` sets a small one), or one million.
 */
export function fuzzCases(share: number): number {
  const wish = process.env["SALLYPORT_FUZZ_CASES"];
  const total = wish === undefined ? FULL : Number(wish);
  if (!Number.isSafeInteger(total) || total < 1)
    throw new Error(`SALLYPORT_FUZZ_CASES is not a positive integer: ${wish}`);
  return Math.max(1, Math.round(total * share));
}

/** Seed of the run: `SALLYPORT_FUZZ_SEED`, or a new one. Print it, so that a failure can be repeated. */
export function fuzzSeed(): number {
  const wish = process.env["SALLYPORT_FUZZ_SEED"];
  return wish === undefined ? Math.floor(Math.random() * 0x7fff_ffff) : Number(wish);
}
