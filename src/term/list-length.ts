import { emptyList } from "./faults.ts";
import { LIST_EXT, NIL_EXT, STRING_EXT } from "./tags.ts";

/**
 * The number of elements of a LIST_EXT, which stands at `p`; the caller has checked that it is there. A list of no elements
 * must go on with another list: see `emptyList`. What is cut is found by whoever reads on.
 * @throws {SallyportError} ERR_PEER_MISBEHAVED TERM_LIST_INVALID
 */
export function listLength(buffer: Buffer, p: number, end: number): number {
  const count = buffer.readUInt32BE(p);
  if (count > 0 || p + 4 >= end) return count;
  const tag = buffer[p + 4] as number;
  if (tag === NIL_EXT || tag === LIST_EXT || tag === STRING_EXT) return 0;
  throw emptyList(p + 4, tag);
}
