import { SallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";
import { type AuthorityOptions, createAuthority, issueNodeCertificate } from "../x509/issue.ts";
import type { KeyKind } from "../x509/signing.ts";
import type { Plan } from "./change-folder.ts";
import type { CertsWorld, FolderTexts } from "./folder-view.ts";
import { CA_CERT, CA_KEY, certFileOf, isStem, keyFileOf, stemOf } from "./layout.ts";
import { readIssuer } from "./read-folder.ts";

/**
 * Makes a CA where there is none.
 * @throws {SallyportError} ERR_CONFIG CA_EXISTS, DAYS_INVALID
 */
export async function planAuthority(
  world: Pick<CertsWorld, "clock" | "random">,
  texts: FolderTexts,
  options: AuthorityOptions,
): Promise<Plan<{ readonly notAfterMs: number }>> {
  const there = [CA_CERT, CA_KEY].find((file) => texts.read(file) !== undefined);
  if (there !== undefined) {
    throw new SallyportError("ERR_CONFIG", "CA_EXISTS", `${there} exists already, and no CA is ever overwritten`, {
      stage: "tls",
      advice:
        "issue from it (sallyport certs issue NAME), replace it step by step (certs rotate-ca), or choose another --dir",
    });
  }
  const { certPem, keyPem, notAfterMs } = await createAuthority(world, options);
  return {
    changes: [
      { file: CA_KEY, text: keyPem },
      { file: CA_CERT, text: certPem },
    ],
    result: { notAfterMs },
  };
}

export interface IssueOptions {
  readonly name: NodeName;
  /** File name without suffix; default the name of the node. */
  readonly as?: string | undefined;
  readonly days?: number;
  readonly key?: KeyKind;
}

export interface IssuedFiles {
  readonly stem: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/**
 * Issues the certificate of a node that has none here.
 * @throws {SallyportError} ERR_CONFIG CERT_EXISTS, NAME_INVALID, CA_MISSING, and as `issueNodeCertificate`
 */
export async function planIssue(
  world: Pick<CertsWorld, "clock" | "random">,
  texts: FolderTexts,
  options: IssueOptions,
): Promise<Plan<IssuedFiles>> {
  const { name, days, key } = options;
  const stem = options.as ?? stemOf(name);
  if (stem === undefined || !isStem(stem)) {
    throw new SallyportError("ERR_CONFIG", "NAME_INVALID", "this cannot be the name of the certificate's files", {
      stage: "name",
      advice: "choose one with --as: letters, digits, and . _ - inside, for example --as node",
    });
  }
  const there = [certFileOf(stem), keyFileOf(stem)].find((file) => texts.read(file) !== undefined);
  if (there !== undefined) {
    throw new SallyportError("ERR_CONFIG", "CERT_EXISTS", `${there} exists already`, {
      stage: "tls",
      advice: "renew it with sallyport certs renew, or choose other file names with --as",
    });
  }
  const issued = await issueNodeCertificate(world, readIssuer(texts), {
    name,
    ...(days === undefined ? {} : { days }),
    ...(key === undefined ? {} : { key }),
  });
  const { certPem, keyPem, notBeforeMs, notAfterMs } = issued;
  return {
    changes: [
      { file: keyFileOf(stem), text: keyPem },
      { file: certFileOf(stem), text: certPem },
    ],
    result: { stem, notBeforeMs, notAfterMs },
  };
}
