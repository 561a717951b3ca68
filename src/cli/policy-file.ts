import { resolve } from "node:path";
import { SallyportError, systemCode } from "../base/errors.ts";
import type { Files } from "../base/files.ts";
import { type ParsedPolicy, parsePolicyFile } from "../config/parse-policy.ts";
import { quotePath } from "../identity/key-layout.ts";
import { compilePolicy } from "../policy/compile.ts";
import type { Policy } from "../policy/policy.ts";
import { runTests } from "../policy/review/run-tests.ts";
import {
  CONFIG_FILE,
  type ConfigFlags,
  type FoundConfig,
  findConfig,
  POLICY_FILE,
  type SettingsWorld,
} from "./settings.ts";

/** A policy file as it was read. */
export interface ReadPolicy {
  /** As the command line or the configuration names it, for messages. */
  readonly file: string;
  readonly text: string;
}

/** Policy files that a command goes by, and what to say of the choice. */
export interface ChosenFiles {
  readonly files: readonly string[];
  /** Says when a file that was found by its name is in force nowhere. */
  readonly warnings: readonly string[];
  /** `listen` of the configuration that was gone by; empty when there was none. */
  readonly listen: readonly string[];
}

/**
 * The policy files that a command goes by: the named ones, else `policy` of the configuration, else `policy.jsonc` here.
 * @throws {SallyportError} ERR_CONFIG POLICY_NEEDED, and what `findConfig` throws
 */
export function policyFilesOf(flags: ConfigFlags, named: readonly string[], world: SettingsWorld): ChosenFiles {
  if (named.length > 0) return { files: named, warnings: [], listen: [] };
  const config = findConfig(flags, world);
  const file = fileIn(config, world);
  if (file === undefined) {
    throw new SallyportError("ERR_CONFIG", "POLICY_NEEDED", "nothing says which policy file is meant", {
      stage: "policy",
      advice: `name a policy file, or the configuration that has one with --config; ${POLICY_FILE} here would do too`,
    });
  }
  const isConfigured = config === undefined || config.options.policy !== undefined;
  const warning = `${file} is not in force: ${config?.file ?? CONFIG_FILE} has no \`policy\``;
  return { files: [file], warnings: isConfigured ? [] : [warning], listen: config?.options.listen ?? [] };
}

/** Whether peers that dial the node with these listeners or endpoints may, or must, come over QUIC. */
export function quicListenersOf(listen: readonly string[]): "none" | "some" | "all" {
  const isQuic = listen.map((endpoint) => endpoint.startsWith("quic:"));
  if (!isQuic.includes(true)) return "none";
  return isQuic.includes(false) ? "some" : "all";
}

/** The policy file that is meant when none is named; undefined when there is none. @throws what `findConfig` throws */
export function policyFileIfAny(flags: ConfigFlags, world: SettingsWorld): string | undefined {
  return fileIn(findConfig(flags, world), world);
}

function fileIn(config: FoundConfig | undefined, world: SettingsWorld): string | undefined {
  if (config?.options.policy !== undefined) return config.options.policy;
  return world.files.exists(resolve(world.directory, POLICY_FILE)) ? POLICY_FILE : undefined;
}

/**
 * A policy to answer questions from, and a warning when tests of its file fail: no node would load it.
 * @throws what `readPolicy` and `parsePolicyFile` throw
 */
export function policyToAsk(
  file: string,
  world: SettingsWorld,
  nowMs: number,
): { readonly policy: Policy; readonly warnings: readonly string[] } {
  const policy = compilePolicy(parsedPolicy(readPolicy(file, world), world).document);
  const failed = runTests(policy, nowMs).filter(({ passed }) => !passed).length;
  const tests = failed === 1 ? "a test" : `${failed} tests`;
  const warning = `${file} is loaded by no node: ${tests} of it ${failed === 1 ? "fails" : "fail"}, see \`sallyport policy test\``;
  return { policy, warnings: failed === 0 ? [] : [warning] };
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
