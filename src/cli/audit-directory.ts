import { dirname, join, resolve } from "node:path";
import type { AuditOption } from "../node/options.ts";
import type { CommonFlags } from "./common-options.ts";
import { otherKeyDirectory } from "./control-path.ts";
import { findConfig, type SettingsWorld } from "./settings.ts";

/** Where the audit log lies when nothing else is said, relative to the configuration file (rulings U18). */
export const DEFAULT_AUDIT_DIRECTORY = "data/audit";

/** Name of its directory in a key directory, for nodes that run without a configuration file. */
const AUDIT_IN_KEY_DIRECTORY = "audit";

/** The flags that say where the audit log is. */
export type AuditFlags = Pick<CommonFlags, "config" | "keyDir"> & {
  readonly auditDir?: string;
  /** False for --no-audit. */
  readonly audit?: boolean;
};

/**
 * The `audit` option of a node that `start` runs. `--audit-dir` and `audit` of the configuration name the directory. A
 * `--key-dir` that is not the configuration's has it inside, since another node keeps the other. Else it is `data/audit`
 * beside the configuration. Without any of these there is no log.
 * @throws what `findConfig` throws
 */
export function auditOf(flags: AuditFlags, world: SettingsWorld): { readonly audit?: AuditOption } {
  if (flags.audit === false) return {};
  const config = findConfig(flags, world);
  if (flags.auditDir !== undefined) {
    const said = config?.options.audit;
    return { audit: { ...(said === false ? {} : said), dir: resolve(world.directory, flags.auditDir) } };
  }
  const keyDirectory = otherKeyDirectory(flags, config, world);
  if (keyDirectory !== undefined) return { audit: { dir: join(keyDirectory, AUDIT_IN_KEY_DIRECTORY) } };
  if (config === undefined || config.options.audit === false) return {};
  return { audit: config.options.audit ?? { dir: join(dirname(config.file), DEFAULT_AUDIT_DIRECTORY) } };
}
