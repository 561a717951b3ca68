import { resolve } from "node:path";
import { SallyportError, systemCode } from "../base/errors.ts";
import type { Files } from "../base/files.ts";
import { type ParsedPolicy, parsePolicyFile } from "../config/parse-policy.ts";
import { quotePath } from "../identity/key-layout.ts";
import { type ConfigFlags, findConfig, POLICY_FILE, type SettingsWorld } from "./settings.ts";

/** A policy file as it was read. */
export interface ReadPolicy {
  /** As the command line or the configuration names it, for messages. */
  readonly file: string;
  readonly text: string;
}

/**
 * The policy file that a command goes by: the named one, else `policy` of the configuration, else `policy.jsonc` here.
 * @throws {SallyportError} ERR_CONFIG POLICY_NEEDED, and what `findConfig` throws
 */
export function policyFileOf(flags: ConfigFlags, named: string | undefined, world: SettingsWorld): string {
  const file = named ?? policyFileIfAny(flags, world);
  if (file !== undefined) return file;
  throw new SallyportError("ERR_CONFIG", "POLICY_NEEDED", "nothing says which policy file is meant", {
    stage: "policy",
    advice: `name a policy file, or the configuration that has one with --config; ${POLICY_FILE} here would do too`,
  });
}

/** The same without a named one; undefined when there is none. @throws what `findConfig` throws */
export function policyFileIfAny(flags: ConfigFlags, world: SettingsWorld): string | undefined {
  const configured = findConfig(flags, world)?.options.policy;
  if (configured !== undefined) return configured;
  return world.files.exists(resolve(world.directory, POLICY_FILE)) ? POLICY_FILE : undefined;
}

/** The files that a command names, or the one it goes by without. @throws as `policyFileOf` */
export function policyFilesOf(flags: ConfigFlags, named: readonly string[], world: SettingsWorld): readonly string[] {
  return named.length === 0 ? [policyFileOf(flags, undefined, world)] : named;
}

/** The policy in a file that was read. @throws what `parsePolicyFile` throws */
export function parsedPolicy({ file, text }: ReadPolicy, { environment }: SettingsWorld): ParsedPolicy {
  return parsePolicyFile(text, { file, environment });
}

/** Reads a policy file. @throws {SallyportError} ERR_CONFIG POLICY_UNREADABLE */
export function readPolicy(file: string, world: { readonly files: Files; readonly directory: string }): ReadPolicy {
  try {
    return { file, text: world.files.readText(resolve(world.directory, file)) };
  } catch (cause) {
    throw new SallyportError(
      "ERR_CONFIG",
      "POLICY_UNREADABLE",
      `cannot read ${quotePath(file)} (${systemCode(cause)})`,
      {
        stage: "policy",
        advice: "name an existing policy file; `sallyport init` writes one to start with",
        cause,
      },
    );
  }
}
