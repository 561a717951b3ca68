import { LogTail, type TailEntry } from "../../audit/log-tail.ts";
import type { SealedRecord } from "../../audit/record.ts";
import { addMs } from "../../base/clock.ts";
import { isSallyportError, systemCode } from "../../base/errors.ts";
import { quotePath } from "../../identity/key-layout.ts";
import { type AuditTailFlags, MAX_TAIL_RECORDS } from "../audit-commands.ts";
import { type AuditFilter, auditFilter, sinceMs } from "../audit-filter.ts";
import { auditDirectoryOf, auditNeeded, demandLog, unreadable } from "../audit-lines.ts";
import { auditRecordLine } from "../audit-record-line.ts";
import type { CommandWorld } from "../command-world.ts";
import { reportResult, warn } from "../report.ts";
import { StopSignal } from "../stop-signal.ts";

/** How often a followed log is looked at, milliseconds. */
export const FOLLOW_MS = 250;

const DEFAULT_RECORDS = 20;

/**
 * `audit tail`: the last records of a log, and those that come. Reads files; no node need run.
 * @throws {SallyportError} ERR_CONFIG AUDIT_NEEDED, AUDIT_UNREADABLE, NAME_PATTERN
 */
export async function auditTail(world: CommandWorld, flags: AuditTailFlags, named: string | undefined): Promise<void> {
  const path = auditDirectoryOf(named, flags, world);
  if (path === undefined) throw auditNeeded();
  const nowMs = world.clock.wallMs();
  const filter = auditFilter(flags, nowMs);
  const max = flags.lines ?? (flags.since === undefined ? DEFAULT_RECORDS : MAX_TAIL_RECORDS);
  // Before all else, so that a signal never finds the process unprepared.
  const signal = flags.follow === true ? new StopSignal(world) : undefined;
  let tail: LogTail | undefined;
  try {
    demandLog(path, world.files);
    tail = new LogTail({ files: world.files, crypto: world.identityCrypto, path });
    const begin = tail.begin(max, filter, sinceMs(flags, nowMs));
    printBegin(world, flags, begin);
    if (signal !== undefined) await follow(world, tail, filter, signal);
  } catch (cause) {
    const code = systemCode(cause);
    throw isSallyportError(cause) || code === "UNKNOWN" ? cause : unreadable(path, code, cause);
  } finally {
    tail?.close();
    signal?.forget();
  }
}

function printBegin(
  world: CommandWorld,
  { follow: goesOn }: AuditTailFlags,
  begin: ReturnType<LogTail["begin"]>,
): void {
  const { terminal } = world;
  const { records, unreadable: bad } = begin;
  if (goesOn === true || !terminal.json) for (const record of records) print(world, record);
  else reportResult(terminal, { records: records.map(recordJson), unreadable: bad }, "");
  if (bad > 0) warn(terminal, [`${bad} lines of the log are no records, or were changed: see sallyport audit verify`]);
}

async function follow(world: CommandWorld, tail: LogTail, filter: AuditFilter, signal: StopSignal): Promise<void> {
  let stopped = false;
  void signal.came.then(() => {
    stopped = true;
  });
  while (!stopped && !world.terminal.isGone) {
    for (const entry of tail.more()) tell(world, entry, filter);
    await Promise.race([signal.came, pause(world)]);
  }
}

function pause({ clock }: CommandWorld): Promise<void> {
  return new Promise((resolve) => {
    clock.at(addMs(clock.now(), FOLLOW_MS), resolve);
  });
}

function tell(world: CommandWorld, entry: TailEntry, filter: AuditFilter): void {
  const { terminal } = world;
  switch (entry.kind) {
    case "record":
      if (filter(entry.record.fields)) print(world, entry.record);
      return;
    case "unreadable": {
      const { file, line } = entry.line;
      if (terminal.json) terminal.document({ kind: "unreadable", file, line });
      warn(terminal, [`${quotePath(file)}:${line} is no record, or was changed`]);
      return;
    }
    case "skipped":
      if (terminal.json) terminal.document({ kind: "skipped", count: entry.count });
      warn(terminal, [`${entry.count} records were removed before they could be shown`]);
      return;
    case "shortened":
      if (terminal.json) terminal.document({ kind: "shortened", file: entry.file });
      warn(terminal, [`${quotePath(entry.file)} became shorter: somebody writes over it`]);
  }
}

function print({ terminal }: CommandWorld, record: SealedRecord): void {
  if (terminal.json) terminal.document(recordJson(record));
  else terminal.line(auditRecordLine(record.seq, record.fields, terminal.colours));
}

function recordJson({ seq, prev, hash, fields }: SealedRecord): Readonly<Record<string, unknown>> {
  return { ...fields, seq, prev, hash };
}
