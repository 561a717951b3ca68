import { Argument, type Command, InvalidArgumentError, Option } from "commander";
import { parseAddressRange } from "../base/address-range.ts";
import { addCommand, addGroup } from "./add-command.ts";
import { collect, configOptions, jsonOption, keyDirOption, wholeNumber } from "./common-options.ts";
import type { ControlFlags } from "./control-path.ts";
import { durationArgument } from "./duration.ts";

/** Kinds of records that `audit tail` may be asked for. */
const KINDS = ["attempt", "end", "decision", "summary", "log", "refused", "command"] as const;

/** Most records that `audit tail` prints of what is there when it begins. */
export const MAX_TAIL_RECORDS = 10_000;

export interface AuditTailFlags extends Pick<ControlFlags, "config" | "keyDir"> {
  readonly follow?: boolean;
  readonly lines?: number;
  readonly kind?: readonly string[];
  readonly peer?: readonly string[];
  readonly address?: readonly string[];
  readonly outcome?: readonly string[];
  readonly reason?: readonly string[];
  readonly id?: readonly string[];
  /** Unix milliseconds, or how long ago. */
  readonly since?: { readonly atMs: number } | { readonly agoMs: number };
  readonly json?: boolean;
}

export interface AuditVerifyFlags extends Pick<ControlFlags, "config" | "keyDir"> {
  /** `SEQ:HASH` */
  readonly head?: { readonly seq: number; readonly hash: string };
  readonly whole?: boolean;
  readonly strict?: boolean;
  readonly json?: boolean;
}

/** What the commands about the audit log do, once their arguments are read. */
export interface AuditActions {
  auditTail(flags: AuditTailFlags, path: string | undefined): Promise<void>;
  auditVerify(flags: AuditVerifyFlags, path: string | undefined): Promise<void>;
}

const PATH: Argument = new Argument(
  "[DIR]",
  "directory of the audit log, or one .jsonl file (default: that of the configuration, data/audit)",
);

/** Adds `audit` with its commands. */
export function addAuditCommands(program: Command, actions: AuditActions): void {
  const audit = addGroup(
    program,
    "audit",
    "read and check the audit log of a node or gateway",
    "The log holds every connection attempt in both directions, every end of a session and every refused operation, as " +
      "hash-chained lines of JSON. Both commands read files: no node need run. See docs/audit.md.",
  );
  addCommand(audit, "tail", "print the last records, and with --follow those that come", {
    long:
      "Prints the last records that pass all filters, oldest first. A filter that is given several times takes any of its values. With " +
      "--follow it goes on with what is written, over rotations, until it is stopped; with --json each record is then a line of its own.",
    arguments: [PATH],
    options: [
      new Option("-f, --follow", "go on with what is written"),
      new Option("-n, --lines <count>", "records of what is there (default: 20; with --since all)").argParser(
        wholeNumber(0, MAX_TAIL_RECORDS),
      ),
      new Option("--kind <kind>", `of this kind: ${KINDS.join(", ")}; may be repeated`).argParser(kindArgument),
      new Option("--peer <name>", "of this node, or alias of a policy; may be repeated").argParser(collect),
      new Option("--address <range>", "from or to these addresses, as 203.0.113.0/24; may be repeated").argParser(
        rangeArgument,
      ),
      new Option("--outcome <outcome>", "accepted, refused, failed, allow, deny, deny-...; may be repeated").argParser(
        collect,
      ),
      new Option("--reason <reason>", "with this reason, as KEY_UNTRUSTED; may be repeated").argParser(collect),
      new Option("--id <id>", "of this attempt or decision; may be repeated").argParser(collect),
      new Option("--since <time>", "from this moment on, ISO, or of so long: 30m, 2h, 7d").argParser(sinceArgument),
      ...configOptions(),
      keyDirOption(),
      jsonOption('print {"ok":true,"result":{records, unreadable}} on one line; with --follow one record a line'),
    ],
    examples: [
      "sallyport audit tail",
      "sallyport audit tail --follow --outcome refused --outcome failed",
      "sallyport audit tail data/gateway-audit --since 2h --peer shop@db1.example --json",
    ],
  }).action((path: string | undefined, flags: AuditTailFlags) => actions.auditTail(flags, path));
  addCommand(audit, "verify", "check that no record was changed, removed or reordered", {
    long:
      "Reads all files of the log in their order and checks each record against its hash and the one before it. Names file, line and " +
      "number of the first fault, and its kind: changed, removed, reordered, torn, and with --strict gap. Exit 1 when there is one. " +
      "Prints the head, number and hash of the last record: kept on another machine and given with --head later, it also finds " +
      "records that were cut off the end, and a log that was written anew.",
    arguments: [PATH],
    options: [
      new Option("--head <seq:hash>", "a record that must be there, as an earlier check printed it").argParser(
        headArgument,
      ),
      new Option("--whole", "the log must begin with record 1: none of its files was removed"),
      new Option("--strict", "records that the log says it could not write are a fault, too"),
      ...configOptions(),
      keyDirOption(),
      jsonOption('print {"ok":true,"result":...} or {"ok":false,"error":...,"result":...} on one line'),
    ],
    examples: ["sallyport audit verify", "sallyport audit verify data/audit --head 4711:9f86d0...15b0f00a08 --json"],
  }).action((path: string | undefined, flags: AuditVerifyFlags) => actions.auditVerify(flags, path));
}

function kindArgument(text: string, previous: readonly string[] | undefined): readonly string[] {
  if (KINDS.some((kind) => kind === text)) return collect(text, previous);
  throw new InvalidArgumentError(`It must be one of ${KINDS.join(", ")}.`);
}

function rangeArgument(text: string, previous: readonly string[] | undefined): readonly string[] {
  if (parseAddressRange(text) !== undefined) return collect(text, previous);
  throw new InvalidArgumentError("It must be an IP address or range, such as 203.0.113.7 or 2001:db8::/32.");
}

function sinceArgument(text: string): NonNullable<AuditTailFlags["since"]> {
  const atMs = Date.parse(text);
  return /^\s*\d+[smhd]$/.test(text) || Number.isNaN(atMs) ? { agoMs: durationArgument(text) } : { atMs };
}

function headArgument(text: string): NonNullable<AuditVerifyFlags["head"]> {
  const match = /^\s*(\d{1,15}):([0-9a-f]{64})$/.exec(text);
  if (match === null) throw new InvalidArgumentError("It must be a number and 64 hex digits, as 4711:9f86d0...");
  return { seq: Number(match[1]), hash: match[2] ?? "" };
}
