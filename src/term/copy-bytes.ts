/** Up to here a loop beats `set`, which first needs a view of the source (measured on Node 20: 1 ns a byte against 50). */
const LOOP_BYTES = 56;

/** Smaller binaries are copied; from here on they may be views, at a sixth of the cost, which pin the chunk they came in. */
const VIEW_FROM_BYTES = 1024;
/**
 * A binary in memory more than this many times its size is copied: who keeps it is charged for its own bytes, and must not
 * hold the rest of a chunk, or of a frame that is mostly something else, as long.
 */
const MAX_PINNED_RATIO = 4;

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

/** The bytes of a binary at `source[start, end)`: a view of them, or a copy where a view would pin too much. */
export function viewOrCopy(source: Buffer, start: number, end: number): Buffer {
  const size = end - start;
  return size < VIEW_FROM_BYTES || source.buffer.byteLength > size * MAX_PINNED_RATIO
    ? copyBytes(source, start, end)
    : source.subarray(start, end);
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
