import { FileWatch, fileStamp, type WatchWorld } from "../base/file-watch.ts";
import { quotePath } from "../identity/key-layout.ts";

/**
 * Warns when one of the files that a node was started from changes: what they say counts from the next start, and nobody should
 * believe otherwise. Files of certificates, keys and policies are not among them; those are taken while the node runs.
 */
export function watchForRestart(
  paths: readonly string[],
  world: WatchWorld,
  warn: (reason: string, message: string) => void,
): { stop: () => void } {
  const stamps = new Map(paths.map((path) => [path, fileStamp([path], world.files)]));
  const tell = (): void => {
    for (const [path, before] of stamps) {
      const now = fileStamp([path], world.files);
      if (now === before) continue;
      stamps.set(path, now);
      const kept =
        "certificates, keys and policies that it names are taken as they change, everything else it says is not";
      warn("RESTART_NEEDED", `${quotePath(path)} has changed and counts from the next start: ${kept}`);
    }
  };
  const watch = new FileWatch([...stamps.keys()], world, tell);
  return { stop: () => watch.stop() };
}
