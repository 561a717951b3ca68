import { dirname, resolve } from "node:path";
import { isSallyportError } from "../../base/errors.ts";
import { type CertsWorld, FolderView, readFile } from "../../certs/folder-view.ts";
import { CA_CERT, certFileOf } from "../../certs/layout.ts";
import { missing } from "../../certs/lint/lint-setup.ts";
import { buildChain } from "../../x509/chain.ts";
import { readPemCertificates } from "../../x509/check-key.ts";
import { type CertificateDescription, describeCertificate } from "../../x509/describe.ts";
import type { CertsFlags } from "../certs-commands.ts";
import { certsDirectoryOf, certsWorldOf } from "../certs-directory.ts";
import type { CommandWorld } from "../command-world.ts";
import { reportResult, warn } from "../report.ts";
import { fields, moment } from "../table.ts";
import type { Colours } from "../terminal.ts";

const DAY_MS = 86_400_000;

interface Shown extends CertificateDescription {
  readonly file: string;
  /** Place in the file; the first is 1. */
  readonly position: number;
  /** Whole days; negative when it has ended. */
  readonly daysLeft: number;
  /** Subjects from its issuer to the root; null when none in `ca.crt` beside it has issued it. */
  readonly chain: readonly string[] | null;
}

/**
 * `certs show [FILE...]`: what stands in certificates. Reads no key.
 * @throws {SallyportError} ERR_CONFIG CERT_FILE_MISSING, CERT_FILE_UNREADABLE, CERT_PARSE for a named file
 */
export async function certsShow(world: CommandWorld, flags: CertsFlags, named: readonly string[]): Promise<void> {
  const parts = certsWorldOf(world);
  const certificates: Shown[] = [];
  const warnings: string[] = [];
  const directory = certsDirectoryOf(flags, world);
  const paths = named.length > 0 ? named.map((file) => resolve(world.directory, file)) : filesIn(parts, directory);
  for (const path of paths) {
    try {
      certificates.push(...show(path, parts));
    } catch (error) {
      // One broken file of a folder hides none of the others.
      if (named.length > 0 || !isSallyportError(error)) throw error;
      warnings.push(error.message.replace(/^\[ERR_[A-Z_]+\] /, ""));
    }
  }
  warn(world.terminal, warnings);
  const human =
    certificates.length === 0
      ? `no certificates in ${directory}`
      : certificates.map((one) => textOf(one, world.terminal.colours)).join("\n\n");
  reportResult(world.terminal, { directory, certificates, warnings }, human);
}

function filesIn({ files }: CertsWorld, directory: string): readonly string[] {
  const { stems } = new FolderView(files, directory);
  return [...(files.exists(`${directory}/${CA_CERT}`) ? [CA_CERT] : []), ...stems.map(certFileOf)].map(
    (file) => `${directory}/${file}`,
  );
}

function show(path: string, { files, clock }: CertsWorld): readonly Shown[] {
  const text = readFile(files, path);
  if (text === undefined) throw missing(path);
  const ders = readPemCertificates(text, path);
  const roots = rootsBeside(path, files);
  return ders.map((der, i) => {
    const description = describeCertificate(der);
    const chain = buildChain([der, ...ders.filter((other) => other !== der)], roots);
    const above = chain?.ok === true ? [...chain.intermediates, chain.root] : undefined;
    return {
      file: path,
      position: i + 1,
      ...description,
      daysLeft: Math.floor((description.notAfterMs - clock.wallMs()) / DAY_MS),
      chain: above?.map(({ subject }) => subject.split("\n").join(", ")) ?? null,
    };
  });
}

function rootsBeside(path: string, files: CertsWorld["files"]): readonly Buffer[] {
  try {
    const pem = readFile(files, `${dirname(path)}/${CA_CERT}`);
    return pem === undefined ? [] : readPemCertificates(pem, CA_CERT);
  } catch {
    // Then there is no chain to show; `certs check` says what is wrong with the file.
    return [];
  }
}

function textOf(one: Shown, { dim, red, yellow, bold }: Colours): string {
  const life = one.notAfterMs - one.notBeforeMs;
  const colour = one.daysLeft < 0 ? red : one.daysLeft * DAY_MS < life / 3 ? yellow : (text: string) => text;
  const head = bold(one.position === 1 ? one.file : `${one.file}, certificate ${one.position}`);
  const days = one.daysLeft < 0 ? `ended ${-one.daysLeft} days ago` : `${one.daysLeft} days left`;
  return [
    head,
    fields(
      [
        ["subject", one.subject],
        ["names", one.names.length === 0 ? "none" : one.names.join(", ")],
        ["valid", `${moment(one.notBeforeMs)} to ${moment(one.notAfterMs)}`],
        ["key", `${one.key}, signed by ${one.signature}`],
        ["serial", one.serial],
        ["fingerprint", one.fingerprint],
        ["issuer", one.issuer],
        ["chain", one.chain?.join(" <- ") ?? "not of a CA in the ca.crt beside it"],
      ],
      dim,
    ),
    `${dim("left       ")}  ${colour(days)}`,
  ].join("\n");
}
