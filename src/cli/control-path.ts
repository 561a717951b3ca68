import { dirname, join, resolve } from "node:path";
import type { CommonFlags } from "./common-options.ts";
import { type FoundConfig, findConfig, type SettingsWorld } from "./settings.ts";

/** Where keys lie when nothing else is said, relative to the configuration file (rulings U18). */
export const DEFAULT_KEY_DIRECTORY = "data/keys";

/** Where the control socket lies when nothing else is said, relative to the configuration file (rulings U18). */
export const DEFAULT_CONTROL_SOCKET = "data/control.sock";

/** Name of the control socket in a key directory, for nodes that run without a configuration file. */
const SOCKET_IN_KEY_DIRECTORY = "control.sock";

/** The flags that say where the control socket is. */
export type ControlFlags = Pick<CommonFlags, "config" | "control" | "keyDir">;

/**
 * The control socket of the node that a command line is about, as an absolute path; undefined when it has none. `start`
 * and the commands that look for a running node come to the same answer from the same flags.
 *
 * `--control` and `control` of the configuration name it. `--key-dir` of another directory than the configuration's has it
 * inside. A configuration that was named by `--config`, or that has an `identity`, has it at `data/control.sock`.
 * @throws what `findConfig` throws
 */
export function controlPathOf(flags: ControlFlags, world: SettingsWorld): string | undefined {
  if (flags.control === false) return undefined;
  if (typeof flags.control === "string") return resolve(world.directory, flags.control);
  const config = findConfig(flags, world);
  const keyDirectory = flags.keyDir === undefined ? undefined : resolve(world.directory, flags.keyDir);
  if (keyDirectory !== undefined && (config === undefined || keyDirectory !== keyDirectoryOf(config))) {
    return join(keyDirectory, SOCKET_IN_KEY_DIRECTORY);
  }
  const control = config?.options.control;
  if (config === undefined || control === false) return undefined;
  if (control !== undefined) return control.path;
  const inUse = config.named || config.options.identity !== undefined || keyDirectory !== undefined;
  return inUse ? join(dirname(config.file), DEFAULT_CONTROL_SOCKET) : undefined;
}

/** The key directory of a configuration, absolute. */
export function keyDirectoryOf({ file, options }: FoundConfig): string {
  return resolve(options.identity?.dir ?? join(dirname(file), DEFAULT_KEY_DIRECTORY));
}
