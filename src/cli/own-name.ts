import type { Files } from "../base/files.ts";
import { type NodeName, tryNodeName } from "../base/node-name.ts";
import { readCertificateNames } from "../x509/certificate-names.ts";
import { readPemCertificates } from "../x509/check-key.ts";

/** The node name that a certificate file vouches for by a `dist://name@host` URI; undefined when there is none. */
export function nameInCertificate(files: Files, certFile: string): NodeName | undefined {
  let pem: string;
  try {
    pem = files.readText(certFile);
  } catch {
    // The node itself reads the file next, and says what is wrong with it.
    return undefined;
  }
  const [leaf] = readPemCertificates(pem, certFile);
  if (leaf === undefined) return undefined;
  for (const uri of readCertificateNames(leaf).uris) {
    const match = /^dist:\/\/([^@/]+)@(?:\[([0-9A-Fa-f:.]+)\]|([^/]+))$/i.exec(uri);
    const name = match === null ? undefined : tryNodeName(`${match[1]}@${match[2] ?? match[3]}`);
    if (name !== undefined) return name;
  }
  return undefined;
}

/** A name for a node that nobody will call back: `cli-<8 hex>@<hostname>`. */
export function throwawayName(randomHex: string, hostname: string): string {
  const name = `cli-${randomHex}@${hostname}`;
  return tryNodeName(name) ?? `cli-${randomHex}@localhost`;
}
