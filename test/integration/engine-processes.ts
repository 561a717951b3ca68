import { readdirSync, readFileSync } from "node:fs";

/** QUIC engines that a process has started and that run; default this process. */
export function engines(of: number | undefined = process.pid): readonly number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const parent = / \(.*\) \S (\d+) /.exec(readFileSync(`/proc/${pid}/stat`, "latin1"))?.[1];
        return parent === String(of) && readFileSync(`/proc/${pid}/cmdline`, "latin1").includes("quic-engine");
      } catch {
        return false;
      }
    })
    .map(Number);
}
