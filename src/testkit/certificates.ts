import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import type { Files } from "../base/files.ts";
import { parseNodeName } from "../base/node-name.ts";
import type { Random } from "../base/random.ts";
import {
  type AuthorityOptions,
  createAuthority,
  type IssuedCertificate,
  issueNodeCertificate,
  issueSelfSigned,
  type NodeCertificateOptions,
} from "../x509/issue.ts";

/** Files of one node certificate. */
export interface CertificatePaths {
  readonly certFile: string;
  readonly keyFile: string;
}

/** A certificate authority for tests and demonstrations, with its files in one directory. */
export interface TestAuthority {
  readonly caFile: string;
  readonly caPem: string;
  /** Issues a certificate for `name@host` and writes `<name@host>.crt` and `.key`. */
  issue(name: string, options?: Omit<NodeCertificateOptions, "name">): Promise<CertificatePaths & IssuedCertificate>;
  /** The same, self-signed, as `<name@host>.self.crt` and `.self.key`. */
  selfSigned(name: string): Promise<CertificatePaths & IssuedCertificate>;
  /** Writes an `-ssl_dist_optfile` for an Erlang node (mutual certificates) and returns its path. */
  writeErlangOptions(paths: CertificatePaths, options?: { readonly versions?: readonly string[] }): string;
}

/** Parts that a test authority draws on; dates come from the clock's wall time. */
export interface TestAuthorityParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly files: Files;
}

/** Makes an authority in `directory` (made when absent): `ca.crt` and `ca.key`, keys with mode 0600. */
export async function createTestAuthority(
  parts: TestAuthorityParts,
  directory: string,
  options: AuthorityOptions = {},
): Promise<TestAuthority> {
  const { files } = parts;
  files.makeDirectory(directory, 0o700);
  const authority = await createAuthority(parts, options);
  const caFile = join(directory, "ca.crt");
  files.writeAtomic(caFile, authority.certPem, 0o644);
  files.writeAtomic(join(directory, "ca.key"), authority.keyPem, 0o600);

  const store = (base: string, issued: IssuedCertificate): CertificatePaths & IssuedCertificate => {
    const certFile = join(directory, `${base}.crt`);
    const keyFile = join(directory, `${base}.key`);
    files.writeAtomic(certFile, issued.certPem, 0o644);
    files.writeAtomic(keyFile, issued.keyPem, 0o600);
    return { ...issued, certFile, keyFile };
  };

  return {
    caFile,
    caPem: authority.certPem,
    async issue(name, issueOptions = {}) {
      return store(name, await issueNodeCertificate(parts, authority, { ...issueOptions, name: parseNodeName(name) }));
    },
    async selfSigned(name) {
      return store(`${name}.self`, await issueSelfSigned(parts, { name: parseNodeName(name) }));
    },
    writeErlangOptions(paths, erlangOptions = {}) {
      const path = `${paths.certFile}.conf`;
      files.writeAtomic(path, erlangTerm(paths, caFile, erlangOptions.versions ?? ["tlsv1.2", "tlsv1.3"]), 0o600);
      return path;
    },
  };
}

/** One expression for `ssl_dist_optfile`; strings as JSON, whose escapes Erlang reads alike for paths. */
function erlangTerm(paths: CertificatePaths, caFile: string, versions: readonly string[]): string {
  const common =
    `{certfile, ${JSON.stringify(paths.certFile)}}, {keyfile, ${JSON.stringify(paths.keyFile)}}, ` +
    `{cacertfile, ${JSON.stringify(caFile)}}, {verify, verify_peer}, ` +
    `{versions, [${versions.map((version) => `'${version}'`).join(", ")}]}`;
  return `[{server, [${common}, {fail_if_no_peer_cert, true}]},\n {client, [${common}]}].\n`;
}
