import type { ChainSummary } from "../../audit/chain-checker.ts";
import { GENESIS } from "../../audit/record.ts";
import { type LogPlace, type VerifyProgress, verifyLog } from "../../audit/verify-log.ts";
import { isSallyportError, SallyportError, systemCode } from "../../base/errors.ts";
import { quotePath } from "../../identity/key-layout.ts";
import type { AuditVerifyFlags } from "../audit-commands.ts";
import { auditDirectoryOf, auditNeeded, demandLog, unreadable } from "../audit-lines.ts";
import type { CommandWorld } from "../command-world.ts";
import type { ExitCode } from "../exit-codes.ts";
import { reportVerdict, warn } from "../report.ts";

/** What is wrong with a log, as far as it goes. */
interface Fault extends LogPlace {
  readonly kind: "changed" | "removed" | "reordered" | "torn" | "gap";
  readonly seq: number | null;
  readonly found: number | null;
}

const ADVICE: Readonly<Record<Fault["kind"], string>> = {
  changed: "compare with a copy: what stands before this place is as it was written, nothing behind it is proven",
  removed: "compare with a copy: what stands before this place is as it was written",
  reordered: "compare with a copy: what stands before this place is as it was written",
  torn: "a crash or a full disk leaves this: the node says so in the log at its next start; with a node that runs, check again",
  gap: "the log could not be written then: look at the disk, and at AUDIT_NOT_WRITTEN in the node's warnings",
};

/**
 * `audit verify`: whether the log in a directory is whole. Exit 0: it is; 1: it is not.
 * @throws {SallyportError} ERR_CONFIG AUDIT_NEEDED, AUDIT_UNREADABLE
 */
export async function auditVerify(
  world: CommandWorld,
  flags: AuditVerifyFlags,
  named: string | undefined,
): Promise<ExitCode> {
  const path = auditDirectoryOf(named, flags, world);
  if (path === undefined) throw auditNeeded();
  const summary = check(world, flags, path);
  const fault = faultOf(summary, flags.strict === true);
  const { records, first, begins, head, torn, lost } = summary;
  if (fault === undefined) warn(world.terminal, warningsOf(summary));
  return reportVerdict(world.terminal, {
    result: { path, records, first, begins, head: `${head.seq}:${head.hash}`, torn, lost, fault: fault ?? null },
    human: humanOf(summary, fault),
    failure: fault === undefined ? undefined : faulty(fault),
  });
}

function check(world: CommandWorld, { head, whole }: AuditVerifyFlags, path: string): ChainSummary<LogPlace> {
  const { files, identityCrypto: crypto, clock } = world;
  const anchors = { ...(whole === true ? { from: GENESIS } : {}), ...(head === undefined ? {} : { head }) };
  try {
    demandLog(path, files);
    return verifyLog(path, anchors, { files, crypto, clock }, (progress) => tell(world, progress));
  } catch (cause) {
    const code = systemCode(cause);
    throw isSallyportError(cause) || code === "UNKNOWN" ? cause : unreadable(path, code, cause);
  }
}

function tell({ terminal }: CommandWorld, { bytes, records }: VerifyProgress): void {
  if (!terminal.watched) return;
  const mebibytes = (bytes / (1024 * 1024)).toFixed(0);
  terminal.note(terminal.errorColours.dim(`${records} records, ${mebibytes} MiB ...`));
}

function faultOf({ fault, firstGap }: ChainSummary<LogPlace>, strict: boolean): Fault | undefined {
  if (fault !== undefined) return { kind: fault.kind, ...fault.at, seq: fault.seq, found: fault.found };
  if (!strict || firstGap === undefined) return undefined;
  return { kind: "gap", ...firstGap.at, seq: firstGap.seq, found: firstGap.seq };
}

function faulty({ kind, file, line, seq, found }: Fault): SallyportError {
  const number = seq === null ? "" : `record ${seq}`;
  const place = `${quotePath(file)}:${line}`;
  const what: Readonly<Record<Fault["kind"], string>> = {
    changed: `${number || "a record"} was changed`,
    removed: `${number || "a record"} is not there${found === null ? "" : `: record ${found} stands in its place`}`,
    reordered: `record ${found} stands where ${number || "another"} should`,
    torn: `${number || "the last record"} is only there in part`,
    gap: `${number} says that others could not be written`,
  };
  return new SallyportError("ERR_CONFIG", "AUDIT_FAULTY", `${place}: ${what[kind]} (${kind})`, {
    detail: { kind, file, line, ...(seq === null ? {} : { seq }), ...(found === null ? {} : { found }) },
    advice: ADVICE[kind],
  });
}

function humanOf({ records, first, head, begins }: ChainSummary<LogPlace>, fault: Fault | undefined): string {
  const span = first === null ? "" : ` (${first} to ${head.seq})`;
  if (fault !== undefined && fault.kind !== "gap")
    return `${records} records${span} before it are as they were written.`;
  const before = begins === "rotated" ? " Older files were removed by the log itself." : "";
  return `${records} records${span} are as they were written.${before}\nhead ${head.seq}:${head.hash}`;
}

function warningsOf({ begins, torn, lost, first }: ChainSummary<LogPlace>): readonly string[] {
  return [
    ...(begins === "cut"
      ? [`the log begins with record ${first}, and does not say that it removed what was before`]
      : []),
    ...(torn > 0 ? [`${torn} times a crash or a full disk left a part of a record, as the log says`] : []),
    ...(lost > 0 ? [`${lost} records could not be written, as the log says (--strict makes that a fault)`] : []),
  ];
}
