// One certificate authority per run and a certificate for each node (ECDSA P-256), used by all subjects alike.
import { join } from "node:path";
import { fromLibrary } from "./library.mjs";

/** Names of the nodes that hold idle connections in the memory measure. */
export function idleName(index) {
  return `idle${index}@localhost`;
}

/**
 * Makes certificates for `names` (all on `localhost`). Returns the directory; a node's files are `NAME.crt` and
 * `NAME.key` in it, the authority is `ca.crt`, and `NAME.crt.conf` is the option file for an Erlang node.
 */
export async function makeCertificates(parent, names, erlangNames) {
  const [{ createTestAuthority }, { RealClock }, { RealRandom }, { RealFiles }] = await Promise.all([
    fromLibrary("testkit/certificates.js"),
    fromLibrary("system/real-clock.js"),
    fromLibrary("system/real-random.js"),
    fromLibrary("system/real-files.js"),
  ]);
  const parts = { clock: new RealClock(), random: new RealRandom(), files: new RealFiles() };
  const directory = join(parent, "certificates");
  const authority = await createTestAuthority(parts, directory);
  for (const name of names) {
    const paths = await authority.issue(name);
    if (erlangNames.includes(name)) authority.writeErlangOptions(paths, { versions: ["tlsv1.3"] });
  }
  return directory;
}

/** The three files a node needs. */
export function filesOf(directory, name) {
  return {
    certFile: join(directory, `${name}.crt`),
    keyFile: join(directory, `${name}.key`),
    caFile: join(directory, "ca.crt"),
  };
}
