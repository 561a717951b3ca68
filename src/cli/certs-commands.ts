import { Argument, type Command, InvalidArgumentError, Option } from "commander";
import { ROTATION_STEPS, type RotationStep } from "../certs/layout.ts";
import type { KeyKind } from "../x509/signing.ts";
import { addCommand, addGroup } from "./add-command.ts";
import { configOptions, jsonOption } from "./common-options.ts";
import { durationArgument } from "./duration.ts";
import type { ConfigFlags } from "./settings.ts";

/** Which folder of certificates. */
export interface CertsFlags extends ConfigFlags {
  readonly dir?: string;
  readonly json?: boolean;
}

export interface CertsMakeFlags extends CertsFlags {
  readonly key?: KeyKind;
  readonly days?: number;
}

export interface CertsCaFlags extends CertsMakeFlags {
  readonly commonName?: string;
}

export interface CertsIssueFlags extends CertsMakeFlags {
  readonly as?: string;
}

export interface CertsRenewFlags extends CertsFlags {
  readonly force?: boolean;
  readonly newKey?: boolean;
  readonly days?: number;
  readonly within?: number;
}

export interface CertsCheckFlags extends CertsFlags {
  readonly strict?: boolean;
}

export interface CertsRotateFlags extends CertsMakeFlags {
  /** Milliseconds. */
  readonly overlap?: number;
}

/** What the commands about certificates do, once their arguments are read. */
export interface CertsActions {
  certsCa(flags: CertsCaFlags): Promise<void>;
  certsIssue(flags: CertsIssueFlags, name: string): Promise<void>;
  certsRenew(flags: CertsRenewFlags, names: readonly string[]): Promise<void>;
  certsShow(flags: CertsFlags, files: readonly string[]): Promise<void>;
  certsCheck(flags: CertsCheckFlags, paths: readonly string[]): Promise<void>;
  certsRotateCa(flags: CertsRotateFlags, step: RotationStep | undefined): Promise<void>;
  certsRollback(flags: CertsFlags, stamp: string | undefined): Promise<void>;
}

const JSON_RESULT = 'print {"ok":true,"result":...} or {"ok":false,"error":...} on one line';

const KEY: Option = new Option("--key <kind>", "kind of the new key: EC P-256 or RSA").choices(["ec", "rsa"]);
const DAYS: Option = new Option("--days <days>", "validity in days (default: 365)").argParser(days);

function folderOptions(...more: readonly Option[]): readonly Option[] {
  const dir = new Option("--dir <dir>", "folder of certificates (default: that of the configuration, else data/tls)");
  return [...more, dir, ...configOptions(), jsonOption(JSON_RESULT)];
}

/** Adds `certs` with its commands. */
export function addCertsCommands(program: Command, actions: CertsActions): void {
  const certs = addGroup(
    program,
    "certs",
    "make, renew, check and rotate certificates of a CA of your own",
    "Works on a folder with ca.crt, ca.key, NAME.crt and NAME.key: --dir, else that of `tls.caFile` in the configuration, else " +
      "data/tls. What is replaced goes to backups/. Nodes that run take changed files by themselves.",
  );
  addCommand(certs, "ca", "make a CA where there is none; never overwrites one", {
    options: folderOptions(KEY, DAYS, new Option("--common-name <text>", "CN of the CA (default: Sallyport CA)")),
    examples: ["sallyport certs ca --dir /srv/ca", "sallyport certs ca --key rsa --days 3650"],
  }).action((flags: CertsCaFlags) => actions.certsCa(flags));
  addCommand(certs, "issue", "issue the certificate of a node", {
    long:
      "Issues a certificate that names the node as dist://NAME, and its host, for both sides of TLS. Sallyport and Erlang nodes " +
      "dial and accept with it.",
    arguments: [new Argument("<NAME>", "name of the node, local@host")],
    options: folderOptions(KEY, DAYS, new Option("--as <file>", "file name without .crt (default: the node's name)")),
    examples: ["sallyport certs issue shop@db1.example", "sallyport certs issue shop@db1.example --as node --key rsa"],
  }).action((name: string, flags: CertsIssueFlags) => actions.certsIssue(flags, name));
  addCommand(certs, "renew", "renew the certificates that have less than a third of their life left", {
    long:
      "Issues each anew with the same names and the same key, so that only its .crt changes. Exits with 1 when one that is due " +
      "cannot be renewed.",
    arguments: [new Argument("[NAME...]", "file names without .crt (default: all of the folder)")],
    options: folderOptions(
      new Option("--force", "also those that are not due"),
      new Option("--within <days>", "also those that end within so many days").argParser(days),
      new Option("--new-key", "make a new key, too"),
      DAYS,
    ),
    examples: ["sallyport certs renew", "sallyport certs renew node --force --days 90"],
  }).action((names: readonly string[], flags: CertsRenewFlags) => actions.certsRenew(flags, names));
  addCommand(certs, "show", "show certificates: names, dates, days left, key, fingerprint, issuer, chain", {
    arguments: [new Argument("[FILE...]", "PEM files (default: all of the folder)")],
    options: folderOptions(),
    examples: ["sallyport certs show", "sallyport certs show node.crt --json"],
  }).action((files: readonly string[], flags: CertsFlags) => actions.certsShow(flags, files));
  addCommand(certs, "check", "find what is wrong or unwise in certificates and TLS settings", {
    long:
      "Reads folders and configuration files, and compares them with each other when there are several. Exits with 0 when " +
      "there is no error, with 1 when there is one. Warnings are errors in profile strict.",
    arguments: [
      new Argument("[PATH...]", "folders, sallyport.jsonc, ssl_dist.conf, vm.args (default: configuration and folder)"),
    ],
    options: folderOptions(new Option("--strict", "as profile strict: warnings are errors")),
    examples: ["sallyport certs check", "sallyport certs check a/sallyport.jsonc b/sallyport.jsonc --strict"],
  }).action((paths: readonly string[], flags: CertsCheckFlags) => actions.certsCheck(flags, paths));
  addCommand(certs, "rotate-ca", "replace the CA in three steps, with both trusted in between", {
    long:
      "trust: makes a new CA and adds it to ca.crt. issue: the new CA issues every certificate anew. drop: the old CA leaves " +
      "ca.crt. After each step give the nodes their files. Refuses a step that would cut somebody off. Without STEP shows " +
      "where the rotation stands.",
    arguments: [new Argument("[STEP]", "trust, issue or drop").choices(ROTATION_STEPS)],
    options: folderOptions(
      new Option(
        "--overlap <time>",
        "how long nodes may take to get the files of the step before; 0s says that all have them (default: 24h)",
      ).argParser(overlap),
      KEY,
      DAYS,
    ),
    examples: [
      "sallyport certs rotate-ca",
      "sallyport certs rotate-ca trust",
      "sallyport certs rotate-ca issue --overlap 0s",
    ],
  }).action((step: RotationStep | undefined, flags: CertsRotateFlags) => actions.certsRotateCa(flags, step));
  addCommand(certs, "rollback", "go back to the files of a backup", {
    arguments: [new Argument("[STAMP]", "directory in backups/, YYYYMMDDTHHMMSSZ (default: the newest that differs)")],
    options: folderOptions(),
    examples: ["sallyport certs rollback", "sallyport certs rollback 20260102T030405Z"],
  }).action((stamp: string | undefined, flags: CertsFlags) => actions.certsRollback(flags, stamp));
}

function days(text: string): number {
  const value = Number(text);
  if (/^\d{1,5}$/.test(text) && value >= 1 && value <= 36_500) return value;
  throw new InvalidArgumentError("It must be a whole number from 1 to 36500.");
}

function overlap(text: string): number {
  return text === "0" || text === "0s" ? 0 : durationArgument(text);
}
