import { dirname, join, resolve } from "node:path";
import { isSallyportError, SallyportError, systemCode, withNote } from "../base/errors.ts";
import { ExposedFiles, variableFilesIn } from "../config/variable-file.ts";
import type { GatewayOptions } from "../gateway/options.ts";
import { controlIn, parseGatewayConfig } from "../gateway-run/gateway-config.ts";
import type { SettingsWorld } from "./settings.ts";

/** Name of the configuration file that is read when none is named. */
export const GATEWAY_FILE = "gateway.jsonc";

/** Where the audit log lies when nothing else is said, relative to the configuration file. */
export const DEFAULT_GATEWAY_AUDIT = "data/gateway-audit";

/** Where the control socket lies when nothing else is said, relative to the configuration file. */
export const DEFAULT_GATEWAY_SOCKET = "data/gateway.sock";

/** The flags that say which gateway is meant. */
export interface GatewayFlags {
  readonly config?: string;
  /** Path of the control socket; false for --no-control. */
  readonly control?: string | false;
  readonly json?: boolean;
}

/** A configuration of a gateway that was read. */
export interface GatewayFile {
  /** Absolute path. */
  readonly file: string;
  readonly options: GatewayOptions;
  /** Absolute path of the control socket; undefined for none. */
  readonly control: string | undefined;
  /** `file:line:column` of each pair. */
  readonly places: readonly string[];
  /** What reading it made the operator's business. */
  readonly warnings: readonly { readonly reason: string; readonly message: string }[];
}

/**
 * Reads the configuration of a gateway. Unlike those of a node, all it does comes from there.
 * @throws {SallyportError} ERR_CONFIG CONFIG_UNREADABLE and what `parseGatewayConfig` throws
 */
export function readGatewayFile(flags: GatewayFlags, world: SettingsWorld): GatewayFile {
  const { file, text } = readText(flags, world);
  return parsed(file, text, flags, world);
}

function readText({ config }: GatewayFlags, { directory, files }: SettingsWorld): { file: string; text: string } {
  const file = resolve(directory, config ?? GATEWAY_FILE);
  try {
    return { file, text: files.readText(file) };
  } catch (cause) {
    throw new SallyportError("ERR_CONFIG", "CONFIG_UNREADABLE", `cannot read ${file} (${systemCode(cause)})`, {
      advice: "name the configuration of the gateway with --config; docs/gateway.md has one to begin with",
      cause,
    });
  }
}

function parsed(file: string, text: string, flags: GatewayFlags, world: SettingsWorld): GatewayFile {
  const exposed = new ExposedFiles();
  const warnings: { reason: string; message: string }[] = [];
  const variableFile = variableFilesIn(dirname(file), world.files, exposed);
  const config = parseGatewayConfig(text, { file, environment: world.environment, variableFile });
  exposed.settle("standard", warnings);
  const audit = config.audit ?? { dir: join(dirname(file), DEFAULT_GATEWAY_AUDIT) };
  return {
    file,
    options: { ...config.options, ...(audit === false ? {} : { audit }) },
    control: controlOf(flags, file, config.control, world),
    places: config.places.map((place) => `${file}:${place}`),
    warnings,
  };
}

/**
 * Where a command looks for the running gateway. A named socket needs no configuration, and one that is broken still says
 * where the gateway is that was started with it.
 * @throws as `readGatewayFile`
 */
export function gatewaySocketOf(flags: GatewayFlags, world: SettingsWorld): string {
  if (typeof flags.control === "string") return resolve(world.directory, flags.control);
  const { file, text } = readText(flags, world);
  let control: string | undefined;
  try {
    ({ control } = parsed(file, text, flags, world));
  } catch (failure) {
    const path = controlOf(flags, file, controlIn(text, { file, environment: world.environment }), world);
    if (path !== undefined && world.files.exists(path)) return path;
    throw failure;
  }
  if (control !== undefined) return control;
  throw new SallyportError("ERR_CONFIG", "CONTROL_NEEDED", "this gateway has no control socket", {
    advice: "set control in its configuration, and start it again",
  });
}

/** What is wrong with one pair says where that pair stands in the file. */
export function withPlace(failure: unknown, { places }: Pick<GatewayFile, "places">): unknown {
  if (!isSallyportError(failure)) return failure;
  const { index } = failure.detail;
  const place = typeof index === "number" ? places[index] : undefined;
  return place === undefined ? failure : withNote(failure, ` at ${place}`, { place });
}

function controlOf(
  { control: flag }: GatewayFlags,
  file: string,
  control: { readonly path: string } | false | undefined,
  { directory }: SettingsWorld,
): string | undefined {
  if (flag === false) return undefined;
  if (typeof flag === "string") return resolve(directory, flag);
  if (control === false) return undefined;
  return control?.path ?? join(dirname(file), DEFAULT_GATEWAY_SOCKET);
}
