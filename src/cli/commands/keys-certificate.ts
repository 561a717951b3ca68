import { SallyportError } from "../../base/errors.ts";
import { pairPath } from "../../node/certificate-files.ts";
import { type CertificateFacts, readPair } from "../../node/certificate-pair.ts";
import {
  type CertificateRotation,
  rollbackOwnCertificate,
  rotateOwnCertificate,
} from "../../node/certificate-rotation.ts";
import type { CommandWorld } from "../command-world.ts";
import { KeyDirectory, type KeyFlags } from "../key-directory.ts";
import { reportResult } from "../report.ts";
import { type Told, tellRunningNode } from "../running-node.ts";
import { fields, moment } from "../table.ts";

/** What may be shown of a certificate: the SHA-256 of its DER, and when it ends. */
export interface ShownCertificate {
  readonly fingerprint: string;
  /** Unix milliseconds. */
  readonly notAfterMs: number;
}

/** The certificate that the node has made for itself; undefined when there is none, or the configuration names one. */
export function shownCertificate(directory: KeyDirectory): ShownCertificate | undefined {
  if (directory.certFile !== undefined) return undefined;
  const options = directory.certificateOptions();
  const found = readPair(options, pairPath(options));
  return found.kind === "pair" ? shown(found.pair) : undefined;
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
  const directory = selfMade(world, flags);
  await report(world, flags, await rotateOwnCertificate(directory.certificateOptions()));
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
  const directory = selfMade(world, flags);
  await report(world, flags, rollbackOwnCertificate(directory.certificateOptions(), stamp));
}

/** The key directory of a node that makes its certificate itself. */
function selfMade(world: CommandWorld, flags: KeyFlags): KeyDirectory {
  const directory = new KeyDirectory(world, flags);
  if (directory.certFile !== undefined) {
    throw new SallyportError(
      "ERR_CONFIG",
      "CERTIFICATE_CONFIGURED",
      "the configuration names a certificate, and --certificate is about the one that a node makes for itself",
      { stage: "tls", advice: "renew the certificate where it was issued, and put it in the place of the old one" },
    );
  }
  directory.mustHaveName();
  directory.load().key.destroy();
  return directory;
}

async function report(world: CommandWorld, flags: KeyFlags, rotation: CertificateRotation): Promise<void> {
  const { backup, files } = rotation;
  const old = rotation.old === undefined ? undefined : shown(rotation.old);
  const certificate = shown(rotation.current);
  const node = await tellRunningNode(world, flags);
  const human = fields(
    [
      ["old certificate", certificateLine(old)],
      ["new certificate", certificateLine(certificate)],
      ["backup", backup ?? "none"],
      ["node", SAYS[node]],
    ],
    world.terminal.colours.dim,
  );
  const result = { oldCertificate: old ?? null, certificate, backup: backup ?? null, files, node };
  reportResult(world.terminal, result, human);
}

function shown({ fingerprint, notAfterMs }: CertificateFacts): ShownCertificate {
  return { fingerprint, notAfterMs };
}

const SAYS: Readonly<Record<Told, string>> = {
  told: "running, shows the new certificate from its next handshake",
  none: "not running here; a node that runs without control socket must be restarted",
  "without-identity": "running without identity by key",
};
