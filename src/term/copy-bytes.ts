/** Up to here a loop beats `set`, which first needs a view of the source (measured on Node 20: 1 ns a byte against 50). */
const LOOP_BYTES = 56;

/**
 * A copy of `source[start, end)` that belongs to the caller; the bounds are the caller's to check. Small copies share
 * 8 KiB slabs of Node's own pool, so a kept one pins no more than that.
 */
export function copyBytes(source: Buffer, start: number, end: number): Buffer {
  const size = end - start;
  const copy = Buffer.allocUnsafe(size);
  if (size <= LOOP_BYTES) for (let i = 0; i < size; i++) copy[i] = source[start + i] as number;
  else copy.set(source.subarray(start, end));
  return copy;
}
