import { RealIdentityCrypto } from "../system/real-identity-crypto.ts";
import { FaultyFiles } from "./faulty-files.ts";
import { SeededRandom } from "./seeded-random.ts";
import { VirtualClock } from "./virtual-clock.ts";

/** Unix time at which the tests of certificates begin, milliseconds. */
export const CERTS_START: number = Date.UTC(2026, 0, 1);
export const CERTS_DAY_MS = 86_400_000;

/** What works on a folder of certificates takes, on a disk in memory and at a time that the test sets. */
export interface CertsTestWorld {
  readonly files: FaultyFiles;
  readonly clock: VirtualClock;
  readonly random: SeededRandom;
  readonly crypto: RealIdentityCrypto;
}

/** A world `afterDays` days after the beginning, with the disk given or an empty one. */
export function certsWorld(files: FaultyFiles = new FaultyFiles(), afterDays = 0): CertsTestWorld {
  const nowMs = CERTS_START + afterDays * CERTS_DAY_MS;
  files.wallMs = nowMs;
  return {
    files,
    clock: new VirtualClock(nowMs),
    random: new SeededRandom(11 + afterDays),
    crypto: new RealIdentityCrypto(),
  };
}

/** Texts of the certificate files of a directory, without backups, locks and unfinished writes. */
export function certFilesIn(files: FaultyFiles, directory: string): Readonly<Record<string, string>> {
  const names = files.list(directory).filter((name) => /\.(?:crt|key)$/.test(name));
  return Object.fromEntries(names.map((name) => [name, files.readText(`${directory}/${name}`)]));
}
