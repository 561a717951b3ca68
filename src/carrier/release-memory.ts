import { MessageChannel } from "node:worker_threads";

/** One end of a closed channel. A message to it is made, which takes the transferred memory away from us, and dropped. */
const { port1: nowhere } = new MessageChannel();
nowhere.close();

/**
 * Frees the memory of `chunks` at once; they are empty afterwards, and so is every view of the same memory. Chunks that are
 * not all of their memory are left alone. V8 counts bytes outside its heap as a reason to collect the whole heap: left to
 * the collector, the chunks of one second of large messages cost more processor time than their decryption.
 */
export function releaseMemory(chunks: readonly Buffer[]): void {
  const memory: ArrayBuffer[] = [];
  for (const { buffer, length } of chunks) {
    if (length > 0 && length === buffer.byteLength && buffer instanceof ArrayBuffer) memory.push(buffer);
  }
  if (memory.length === 0) return;
  try {
    nowhere.postMessage(null, memory);
  } catch {
    // Memory that cannot be taken away, or comes twice: the collector sees to it, as without this function.
  }
}
