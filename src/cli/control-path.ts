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
 * Where a command looks for the running node, as an absolute path; undefined when nothing names a place.
 *
 * `--control` and `control` of the configuration name it. A `--key-dir` that is not the configuration's has it inside. Else
 * it is `data/control.sock` beside the configuration.
 * @throws what `findConfig` throws
 */
export function controlPathOf(flags: ControlFlags, world: SettingsWorld): string | undefined {
  return place(flags, world, () => true);
}

/**
 * Where `start` opens the control socket: in the same place, but beside a configuration that merely lies in the working
 * directory only when it gives the node an identity, which commands of this machine must not take for themselves.
 * @throws what `findConfig` throws
 */
export function ownControlPathOf(flags: ControlFlags, world: SettingsWorld): string | undefined {
  return place(
    flags,
    world,
    ({ named, options }) => named || options.identity !== undefined || flags.keyDir !== undefined,
  );
}

function place(
  flags: ControlFlags,
  world: SettingsWorld,
  beside: (config: FoundConfig) => boolean,
): string | undefined {
  if (flags.control === false) return undefined;
  if (typeof flags.control === "string") return resolve(world.directory, flags.control);
  const config = findConfig(flags, world);
  const keyDirectory = otherKeyDirectory(flags, config, world);
  if (keyDirectory !== undefined) return join(keyDirectory, SOCKET_IN_KEY_DIRECTORY);
  const control = config?.options.control;
  if (config === undefined || control === false) return undefined;
  if (control !== undefined) return control.path;
  return beside(config) ? join(dirname(config.file), DEFAULT_CONTROL_SOCKET) : undefined;
}

/** The key directory of a configuration, absolute. */
export function keyDirectoryOf({ file, options }: FoundConfig): string {
  return resolve(options.identity?.dir ?? join(dirname(file), DEFAULT_KEY_DIRECTORY));
}

/** The directory of `--key-dir`, absolute, when it is not the configuration's: another node keeps its things inside. */
export function otherKeyDirectory(
  { keyDir }: Pick<CommonFlags, "keyDir">,
  config: FoundConfig | undefined,
  world: SettingsWorld,
): string | undefined {
  if (keyDir === undefined) return undefined;
  const directory = resolve(world.directory, keyDir);
  return config !== undefined && directory === keyDirectoryOf(config) ? undefined : directory;
}
