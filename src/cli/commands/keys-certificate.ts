import { SallyportError } from "../../base/errors.ts";
import { pairPath } from "../../node/certificate-files.ts";
import { type CertificateFacts, readPair } from "../../node/certificate-pair.ts";
import {
  type CertificateRotation,
  rollbackOwnCertificate,
  rotateOwnCertificate,
} from "../../node/certificate-rotation.ts";
import { readPemCertificates } from "../../x509/check-key.ts";
import { describeCertificate } from "../../x509/describe.ts";
import type { CommandWorld } from "../command-world.ts";
import { isOverQuic, KeyDirectory, type KeyFlags } from "../key-directory.ts";
import { reportResult } from "../report.ts";
import { endpointsOfRunning, type Told, tellRunningNode } from "../running-node.ts";
import { fields, moment } from "../table.ts";

/** What may be shown of a certificate: the SHA-256 of its DER, and when it ends. */
export interface ShownCertificate {
  readonly fingerprint: string;
  /** Unix milliseconds. */
  readonly notAfterMs: number;
}

/** What a node shows to those who connect over TLS and over QUIC. */
export interface ShownCertificates {
  /** The one that the node has made for itself; undefined when there is none, or nothing uses it. */
  readonly own: ShownCertificate | undefined;
  /** The file that the configuration names for TLS, and what it holds where it can be read. */
  readonly configured: { readonly file: string; readonly shown: ShownCertificate | undefined } | undefined;
  readonly uses: OwnUse;
}

/** What shows the certificate that a node makes for itself. */
export interface OwnUse {
  readonly tls: boolean;
  readonly quic: boolean;
}

/** The certificates of the node that owns the directory. */
export async function shownCertificates(
  world: CommandWorld,
  flags: KeyFlags,
  directory: KeyDirectory,
): Promise<ShownCertificates> {
  const uses = await usesOf(world, flags, directory);
  const options = directory.certificateOptions();
  const found = uses.tls || uses.quic ? readPair(options, pairPath(options)) : undefined;
  const own = found?.kind === "pair" ? shown(found.pair) : undefined;
  const { certFile: file } = directory;
  return { own, configured: file === undefined ? undefined : { file, shown: readConfigured(world, file) }, uses };
}

/** The rows of `keys show` about certificates: one, or one for each of TLS and QUIC. */
export function certificateRows({ own, configured, uses }: ShownCertificates): readonly (readonly [string, string])[] {
  if (configured === undefined) return [["certificate", certificateLine(own)]];
  const { file, shown: its } = configured;
  const tls = its === undefined ? file : `${file}, ${certificateLine(its)}`;
  if (!uses.quic) return [["certificate", tls]];
  return [
    ["TLS certificate", tls],
    ["QUIC certificate", own === undefined ? "none yet: the node makes one when it starts" : certificateLine(own)],
  ];
}

/** A certificate on one line, for people. */
export function certificateLine(certificate: ShownCertificate | undefined): string {
  if (certificate === undefined) return "none";
  return `${certificate.fingerprint}, until ${moment(certificate.notAfterMs)}`;
}

/**
 * `keys rotate --certificate`: a new certificate of the node's own; the old one goes to a backup, the identity stays.
 * @throws {SallyportError} ERR_CONFIG CERTIFICATE_CONFIGURED, KEY_MISSING, and what `rotateOwnCertificate` throws
 */
export async function rotateCertificate(world: CommandWorld, flags: KeyFlags): Promise<void> {
  const { directory, uses } = await selfMade(world, flags);
  await report(world, flags, await rotateOwnCertificate(directory.certificateOptions()), uses);
}

/**
 * `keys rollback --certificate [STAMP]`: back to the certificate of a backup.
 * @throws {SallyportError} ERR_CONFIG CERTIFICATE_CONFIGURED, KEY_MISSING, and what `rollbackOwnCertificate` throws
 */
export async function rollbackCertificate(
  world: CommandWorld,
  flags: KeyFlags,
  stamp: string | undefined,
): Promise<void> {
  const { directory, uses } = await selfMade(world, flags);
  await report(world, flags, rollbackOwnCertificate(directory.certificateOptions(), stamp), uses);
}

interface SelfMade {
  readonly directory: KeyDirectory;
  readonly uses: OwnUse;
}

/** The key directory of a node that uses the certificate which it makes for itself. */
async function selfMade(world: CommandWorld, flags: KeyFlags): Promise<SelfMade> {
  const directory = new KeyDirectory(world, flags);
  const uses = await usesOf(world, flags, directory);
  if (!uses.tls && !uses.quic) {
    throw new SallyportError(
      "ERR_CONFIG",
      "CERTIFICATE_CONFIGURED",
      "the configuration names a certificate and no listener of QUIC, so that nothing shows the one that a node makes for itself, " +
        "which --certificate is about",
      { stage: "tls", advice: "renew the certificate where it was issued, and put it in the place of the old one" },
    );
  }
  directory.mustHaveName();
  directory.load().key.destroy();
  return { directory, uses };
}

/** Over QUIC a node shows the one that it makes for itself, also where its TLS has another. A node that runs says what it listens on. */
async function usesOf(world: CommandWorld, flags: KeyFlags, directory: KeyDirectory): Promise<OwnUse> {
  const quic = directory.listensOverQuic || isOverQuic(await endpointsOfRunning(world, flags));
  return { tls: directory.certFile === undefined, quic };
}

function readConfigured({ files }: CommandWorld, file: string): ShownCertificate | undefined {
  try {
    const [der] = readPemCertificates(files.readText(file), file);
    if (der === undefined) return undefined;
    const { fingerprint, notAfterMs } = describeCertificate(der);
    return { fingerprint, notAfterMs };
  } catch {
    // The node itself says what is wrong with it, and so does `certs check`.
    return undefined;
  }
}

async function report(
  world: CommandWorld,
  flags: KeyFlags,
  rotation: CertificateRotation,
  uses: OwnUse,
): Promise<void> {
  const { backup, files } = rotation;
  const old = rotation.old === undefined ? undefined : shown(rotation.old);
  const certificate = shown(rotation.current);
  const node = await tellRunningNode(world, flags);
  const human = fields(
    [
      ["old certificate", certificateLine(old)],
      ["new certificate", certificateLine(certificate)],
      ["shown over", usesText(uses)],
      ["backup", backup ?? "none"],
      ["node", SAYS[node]],
    ],
    world.terminal.colours.dim,
  );
  const result = { oldCertificate: old ?? null, certificate, uses, backup: backup ?? null, files, node };
  reportResult(world.terminal, result, human);
}

function usesText({ tls, quic }: OwnUse): string {
  if (!quic) return "TLS";
  return tls ? "TLS and QUIC" : "QUIC; over TLS the one of the configuration stays";
}

function shown({ fingerprint, notAfterMs }: CertificateFacts): ShownCertificate {
  return { fingerprint, notAfterMs };
}

const SAYS: Readonly<Record<Told, string>> = {
  told: "running, shows the new certificate from its next handshake",
  none: "not running here; a node that runs without control socket must be restarted",
  "without-identity": "running without identity by key",
};
