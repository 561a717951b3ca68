import { addMs, type Clock, type Timer } from "./clock.ts";
import { systemCode } from "./errors.ts";
import type { StoreFiles } from "./store-files.ts";

/** How often files are compared with what was read, milliseconds; a change is taken at the second look that sees it. */
export const FILE_LOOK_MS = 250;

export interface WatchWorld {
  readonly files: Pick<StoreFiles, "facts">;
  readonly clock: Clock;
}

/**
 * Calls `changed` when one of the files has changed and all then stayed the same for one look, until it is stopped: files that
 * are being written are not read in the middle of it.
 */
export class FileWatch {
  readonly #world: WatchWorld;
  readonly #paths: readonly string[];
  readonly #changed: () => void;
  #stamp: string;
  #lookedAt: string;
  #timer: Timer | undefined;

  /** @param stamp `fileStamp` from before the files were read; default: that of now */
  constructor(
    paths: readonly string[],
    world: WatchWorld,
    changed: () => void,
    stamp: string = fileStamp(paths, world.files),
  ) {
    this.#world = world;
    this.#paths = paths;
    this.#changed = changed;
    this.#stamp = stamp;
    this.#lookedAt = stamp;
    this.#arm();
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #arm(): void {
    const { clock } = this.#world;
    this.#timer = clock.at(
      addMs(clock.now(), FILE_LOOK_MS),
      () => {
        const stamp = fileStamp(this.#paths, this.#world.files);
        const hasSettled = stamp === this.#lookedAt;
        const isChanged = hasSettled && stamp !== this.#stamp;
        this.#lookedAt = stamp;
        if (isChanged) this.#stamp = stamp;
        this.#arm();
        if (isChanged) this.#changed();
      },
      true,
    );
  }
}

/** What tells one state of files from another; taken before they are read, no change goes unnoticed. Never throws. */
export function fileStamp(paths: readonly string[], files: Pick<StoreFiles, "facts">): string {
  return paths.map((path) => stampOf(path, files)).join("\n");
}

function stampOf(path: string, files: Pick<StoreFiles, "facts">): string {
  try {
    const facts = files.facts(path);
    return facts === undefined ? "missing" : `${facts.kind} ${facts.stamp} ${facts.changedMs} ${facts.bytes}`;
  } catch (error) {
    return `unreadable ${systemCode(error)}`;
  }
}
