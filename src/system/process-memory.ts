import { readFileSync, writeFileSync } from "node:fs";

/** A system that runs out of memory ends this process before others that take as much; -1000 to 1000, 0 is usual. */
const OOM_SCORE = "500";

/** Octets of this process, in memory and swapped out, that are neither V8's heap nor buffers that V8 knows. */
export function nativeBytes(): number {
  const { rss, heapTotal, external } = process.memoryUsage();
  return Math.max(0, rss + swappedBytes() - heapTotal - external);
}

/** Makes this process the first that a system short of memory ends. Linux only. */
export function volunteerForMemory(): void {
  try {
    writeFileSync("/proc/self/oom_score_adj", OOM_SCORE);
  } catch {
    // The guard over its own memory is what counts.
  }
}

function swappedBytes(): number {
  try {
    const kib = /^VmSwap:\s*(\d+) kB$/m.exec(readFileSync("/proc/self/status", "latin1"))?.[1];
    return kib === undefined ? 0 : Number(kib) * 1024;
  } catch {
    return 0;
  }
}
