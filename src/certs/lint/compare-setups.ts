import { cipherSuite } from "../../carrier/cipher-suites.ts";
import type { TlsVersion } from "../../carrier/tls-protocol.ts";
import { type Finding, fault } from "./finding.ts";
import { type TlsSetup, versionOf } from "./lint-setup.ts";

/** Whether every side that dials can agree with every side that accepts on a version and a suite. */
export function compareSetups(setups: readonly TlsSetup[]): readonly Finding[] {
  const clients = setups.filter(({ role }) => role !== "server");
  const servers = setups.filter(({ role }) => role !== "client");
  return clients.flatMap((client) =>
    servers.filter((server) => server !== client).flatMap((server) => compare(client, server)),
  );
}

function compare(client: TlsSetup, server: TlsSetup): readonly Finding[] {
  const shared = client.versions.filter((version) => server.versions.includes(version));
  const who = `${client.where} dials ${server.where === client.where ? server.file : server.where}`;
  if (shared.length === 0) {
    const message = `${who}: ${listed(client.versions)} and ${listed(server.versions)} have no version in common`;
    return [fault("VERSIONS_DISJOINT", client.file, message, "allow one version on both sides")];
  }
  if (shared.some((version) => haveSuite(client, server, version))) return [];
  const message = `${who}: no cipher suite in common for ${listed(shared)}`;
  return [fault("CIPHERS_DISJOINT", client.file, message, "put one suite of a common version into both lists")];
}

function haveSuite({ ciphers: a }: TlsSetup, { ciphers: b }: TlsSetup, version: TlsVersion): boolean {
  const of = (list: readonly string[] | undefined): readonly string[] | undefined =>
    list?.filter((cipher) => versionOf(cipher) === version).map(oneName);
  const [left, right] = [of(a), of(b)];
  if (left === undefined || right === undefined) return (left ?? right)?.length !== 0;
  return left.some((cipher) => right.includes(cipher));
}

/** A suite has a name of OpenSSL and one of IANA. */
function oneName(cipher: string): string {
  const reading = cipherSuite(cipher);
  return reading.ok ? reading.name : cipher;
}

function listed(versions: readonly TlsVersion[]): string {
  return versions.length === 0 ? "no version" : versions.join(", ");
}
