import { type ChainCrypto, type ChainHead, MAX_LINE_BYTES, unseal } from "./record.ts";

/** How a file of the log ends. */
export interface LogEnd {
  /** The last whole record; undefined when the file has none. */
  readonly head: ChainHead | undefined;
  /** Lines that follow it and are no record, without the last line break; undefined when there is none. */
  readonly piece: Buffer | undefined;
  /** The file does not end with a line break. */
  readonly unterminated: boolean;
}

const LINE_BREAK = 0x0a;

/** Finds the last record of a file, and what a crash or a full disk left behind it. */
export function findEnd(bytes: Buffer, crypto: ChainCrypto): LogEnd {
  const unterminated = bytes.length > 0 && bytes.at(-1) !== LINE_BREAK;
  const textEnd = unterminated || bytes.length === 0 ? bytes.length : bytes.length - 1;
  let end = textEnd;
  while (end > 0) {
    const start = bytes.lastIndexOf(LINE_BREAK, end - 1) + 1;
    // A longer line is no record, and need not be turned into text.
    const record = end - start > MAX_LINE_BYTES ? undefined : unseal(bytes.toString("latin1", start, end), crypto);
    if (record !== undefined) {
      const head = { seq: record.seq, hash: record.hash };
      return { head, piece: end < textEnd ? bytes.subarray(end + 1, textEnd) : undefined, unterminated };
    }
    end = start - 1;
  }
  return { head: undefined, piece: bytes.length > 0 ? bytes.subarray(0, textEnd) : undefined, unterminated };
}
