import { parseNodeName } from "../../base/node-name.ts";
import { rollbackChanges } from "../../certs/backups.ts";
import { type Changed, changeFolder } from "../../certs/change-folder.ts";
import { CA_CERT, CA_KEY, certFileOf, keyFileOf } from "../../certs/layout.ts";
import { planAuthority, planIssue } from "../../certs/make.ts";
import type { CertsCaFlags, CertsFlags, CertsIssueFlags } from "../certs-commands.ts";
import { certsDirectoryOf, certsWorldOf, warnOfFinished } from "../certs-directory.ts";
import type { CommandWorld } from "../command-world.ts";
import { reportResult } from "../report.ts";
import { fields, moment } from "../table.ts";

/**
 * `certs ca`: makes a CA where there is none.
 * @throws {SallyportError} ERR_CONFIG CA_EXISTS, and as `changeFolder`
 */
export async function certsCa(world: CommandWorld, flags: CertsCaFlags): Promise<void> {
  const directory = certsDirectoryOf(flags, world);
  const { key, days, commonName } = flags;
  const parts = certsWorldOf(world);
  const changed = await changeFolder(parts, directory, "ca", (texts) =>
    planAuthority(parts, texts, {
      ...(key === undefined ? {} : { key }),
      ...(days === undefined ? {} : { days }),
      ...(commonName === undefined ? {} : { commonName }),
    }),
  );
  warnOfFinished(world, changed);
  const { notAfterMs } = changed.result;
  const files = { certificate: `${directory}/${CA_CERT}`, key: `${directory}/${CA_KEY}` };
  const human = fields(
    [
      ["certificate", `${files.certificate}: give it to every node as caFile`],
      ["key", `${files.key}: keep it, give it to nobody`],
      ["until", moment(notAfterMs)],
    ],
    world.terminal.colours.dim,
  );
  reportResult(world.terminal, { directory, files, notAfterMs }, human);
}

/**
 * `certs issue NAME`: issues the certificate of a node.
 * @throws {SallyportError} ERR_CONFIG NAME_INVALID, CERT_EXISTS, CA_MISSING, CA_EXPIRED, and as `changeFolder`
 */
export async function certsIssue(world: CommandWorld, flags: CertsIssueFlags, text: string): Promise<void> {
  const name = parseNodeName(text);
  const directory = certsDirectoryOf(flags, world);
  const { key, days, as } = flags;
  const parts = certsWorldOf(world);
  const changed = await changeFolder(parts, directory, "issue", (texts) =>
    planIssue(parts, texts, {
      name,
      ...(as === undefined ? {} : { as }),
      ...(key === undefined ? {} : { key }),
      ...(days === undefined ? {} : { days }),
    }),
  );
  warnOfFinished(world, changed);
  const { stem, notAfterMs } = changed.result;
  const files = { certificate: `${directory}/${certFileOf(stem)}`, key: `${directory}/${keyFileOf(stem)}` };
  const human = fields(
    [
      ["node", name],
      ["certificate", files.certificate],
      ["key", files.key],
      ["until", moment(notAfterMs)],
    ],
    world.terminal.colours.dim,
  );
  reportResult(world.terminal, { name, directory, files, notAfterMs }, human);
}

/**
 * `certs rollback [STAMP]`: goes back to the files of a backup.
 * @throws {SallyportError} ERR_CONFIG BACKUP_NOT_FOUND, BACKUP_UNFIT, CERTS_CUT_OFF, and as `changeFolder`
 */
export async function certsRollback(world: CommandWorld, flags: CertsFlags, stamp: string | undefined): Promise<void> {
  const directory = certsDirectoryOf(flags, world);
  const parts = certsWorldOf(world);
  const changed = await changeFolder(parts, directory, "rollback", (texts) => {
    const { backup, changes } = rollbackChanges(parts, directory, texts, stamp);
    return { changes, result: { stamp: backup.stamp, command: backup.command } };
  });
  warnOfFinished(world, changed);
  const { result, files, backup } = changed;
  const rows: readonly (readonly [string, string])[] = [
    ["back to", `${result.stamp}, before: certs ${result.command}`],
    ["files", files.length === 0 ? "none differed" : files.join(", ")],
    ["backup", backup ?? "none"],
  ];
  reportResult(
    world.terminal,
    { directory, stamp: result.stamp, undone: result.command, ...filesOf(changed) },
    fields(rows, world.terminal.colours.dim),
  );
}

/** What was written and where the old files are, for JSON. */
export function filesOf({ files, backup }: Changed<unknown>): { files: readonly string[]; backup: string | null } {
  return { files, backup: backup ?? null };
}
