import { readdirSync, readFileSync } from "node:fs";

/** QUIC engines that this process has started and that run. */
export function engines(): readonly number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const parent = / \(.*\) \S (\d+) /.exec(readFileSync(`/proc/${pid}/stat`, "latin1"))?.[1];
        return parent === String(process.pid) && readFileSync(`/proc/${pid}/cmdline`, "latin1").includes("quic-engine");
      } catch {
        return false;
      }
    })
    .map(Number);
}
