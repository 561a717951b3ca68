/** Big-endian reads without bounds checks: the caller has compared the offset with the end of what it may read. */

/** Unsigned 16 bits. */
export function u16(b: Buffer, p: number): number {
  return ((b[p] as number) << 8) | (b[p + 1] as number);
}

/** Unsigned 32 bits. */
export function u32(b: Buffer, p: number): number {
  return int32(b, p) >>> 0;
}

/** Signed 32 bits. */
export function int32(b: Buffer, p: number): number {
  return ((b[p] as number) << 24) | ((b[p + 1] as number) << 16) | ((b[p + 2] as number) << 8) | (b[p + 3] as number);
}
