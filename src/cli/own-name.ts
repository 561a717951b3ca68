import type { Files } from "../base/files.ts";
import { type NodeName, tryNodeName } from "../base/node-name.ts";
import { readCertificateNames } from "../x509/certificate-names.ts";
import { readPemCertificates } from "../x509/check-key.ts";

/** What a certificate file says of the node that may use it. */
export interface CertificateOwner {
  /** The name in a `dist://name@host` URI. */
  readonly name: NodeName | undefined;
  /** The host of a certificate that names no node: any name on it may be taken. */
  readonly host: string | undefined;
}

const NOBODY: CertificateOwner = { name: undefined, host: undefined };

/** Reads for whom a certificate was issued; both undefined when it cannot be read or says nothing. */
export function ownerOfCertificate(files: Files, certFile: string): CertificateOwner {
  let pem: string;
  try {
    pem = files.readText(certFile);
  } catch {
    // The node itself reads the file next, and says what is wrong with it.
    return NOBODY;
  }
  const [leaf] = readPemCertificates(pem, certFile);
  if (leaf === undefined) return NOBODY;
  const names = readCertificateNames(leaf);
  for (const uri of names.uris) {
    const match = /^dist:\/\/([^@/]+)@(?:\[([0-9A-Fa-f:.]+)\]|([^/]+))$/i.exec(uri);
    const name = match === null ? undefined : tryNodeName(`${match[1]}@${match[2] ?? match[3]}`);
    if (name !== undefined) return { name, host: undefined };
  }
  return { name: undefined, host: names.dnsNames.find((host) => tryNodeName(`cli@${host}`) !== undefined) };
}

/** A name for a node that nobody will call back: `cli-<8 hex>@<hostname>`. */
export function throwawayName(randomHex: string, hostname: string): string {
  const name = `cli-${randomHex}@${hostname}`;
  return tryNodeName(name) ?? `cli-${randomHex}@localhost`;
}
