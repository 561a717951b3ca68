import { dirname, join, resolve } from "node:path";
import type { Changed } from "../certs/change-folder.ts";
import type { CertsWorld } from "../certs/folder-view.ts";
import { quotePath } from "../identity/key-layout.ts";
import type { CertsFlags } from "./certs-commands.ts";
import type { CommandWorld } from "./command-world.ts";
import { warn } from "./report.ts";
import { findConfig } from "./settings.ts";

/** Where certificates lie when nothing else is said, relative to the configuration file (rulings U18). */
export const DEFAULT_CERTS_DIRECTORY = "data/tls";

/**
 * The folder that a command about certificates works on, absolute and without a slash at its end.
 * @throws what `findConfig` throws
 */
export function certsDirectoryOf(flags: CertsFlags, world: CommandWorld): string {
  if (flags.dir !== undefined) return resolve(world.directory, flags.dir);
  const config = findConfig(flags, world);
  if (config === undefined) return resolve(world.directory, DEFAULT_CERTS_DIRECTORY);
  const { tls } = config.options;
  return tls === undefined ? join(dirname(config.file), DEFAULT_CERTS_DIRECTORY) : dirname(tls.caFile);
}

export function certsWorldOf({ files, clock, random, identityCrypto }: CommandWorld): CertsWorld {
  return { files, clock, random, crypto: identityCrypto };
}

/** Says that a change which a killed command left was finished first. */
export function warnOfFinished({ terminal }: CommandWorld, { finished }: Changed<unknown>): void {
  if (finished.length === 0) return;
  warn(terminal, [`a change that was left in the middle is finished: ${finished.map(quotePath).join(", ")}`]);
}
