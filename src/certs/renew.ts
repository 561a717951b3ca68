import { isSallyportError, SallyportError } from "../base/errors.ts";
import type { IssuedCertificate } from "../x509/issue.ts";
import { keyWeakness } from "../x509/key-strength.ts";
import { renewNodeCertificate } from "../x509/renew.ts";
import type { Plan } from "./change-folder.ts";
import type { CertsWorld, FolderTexts } from "./folder-view.ts";
import { certFileOf, keyFileOf } from "./layout.ts";
import type { FileChange } from "./pending.ts";
import { type Leaf, readIssuer, readLeaf, readOld, readRoots } from "./read-folder.ts";

/** A certificate with less than this part of its life left is to be renewed. */
export const LIFE_LEFT: number = 1 / 3;

const DAY_MS = 86_400_000;

export interface RenewFolderOptions {
  /** Stems, or names of nodes; empty: every certificate of the folder. */
  readonly only: readonly string[];
  /** Also those that are not due. */
  readonly force: boolean;
  /** Also those that end within so many days. */
  readonly within?: number;
  readonly days?: number;
  readonly newKey: boolean;
}

/** What becomes of one certificate. Those that are `unfit` or `ca-ends` need somebody. */
export interface Renewal {
  readonly stem: string;
  readonly outcome: "renewed" | "not-due" | "other-ca" | "ca-ends" | "unfit";
  /** In words; undefined where the outcome says all. */
  readonly why?: string;
  /** Of what lies in the folder afterwards. NaN where it cannot be read. */
  readonly notAfterMs: number;
}

/**
 * Renews certificates of the folder's CA that have less than a third of their life left.
 * @throws {SallyportError} ERR_CONFIG CERT_UNKNOWN, CA_MISSING, DAYS_INVALID, and as `renewNodeCertificate` says of the CA
 */
export async function planRenewal(
  world: Pick<CertsWorld, "clock" | "random">,
  texts: FolderTexts,
  options: RenewFolderOptions,
): Promise<Plan<readonly Renewal[]>> {
  const issuer = readIssuer(texts);
  const roots = readRoots(texts);
  const own = [issuer.certificate, readOld(texts)].filter((certificate) => certificate !== undefined);
  const nowMs = world.clock.wallMs();
  const changes: FileChange[] = [];
  const renewals: Renewal[] = [];
  for (const stem of chosen(texts, options.only)) {
    const leaf = tryLeaf(texts, stem, roots);
    if ("why" in leaf) {
      renewals.push({ stem, outcome: "unfit", why: leaf.why, notAfterMs: Number.NaN });
      continue;
    }
    const { chain, notAfterMs } = leaf;
    if (leaf.certificate.ca) continue;
    if (chain?.ok !== true || !own.some((certificate) => certificate.raw.equals(chain.root.raw))) {
      renewals.push({ stem, outcome: "other-ca", notAfterMs });
    } else if (!options.force && !isDue(leaf, nowMs, options.within)) {
      renewals.push({ stem, outcome: "not-due", notAfterMs });
    } else {
      const renewal = await renewLeaf(world, issuer, leaf, options);
      changes.push(...renewal.changes);
      renewals.push(renewal.result);
    }
  }
  return { changes, result: renewals };
}

/** Whether less than a third of its life is left, or less than `within` days. */
export function isDue(
  { notBeforeMs, notAfterMs }: Pick<Leaf, "notBeforeMs" | "notAfterMs">,
  nowMs: number,
  within: number = 0,
): boolean {
  const leftMs = notAfterMs - nowMs;
  return leftMs < (notAfterMs - notBeforeMs) * LIFE_LEFT || leftMs < within * DAY_MS;
}

/** Issues one certificate anew. @throws {SallyportError} ERR_CONFIG what is wrong with the CA */
export async function renewLeaf(
  world: Pick<CertsWorld, "clock" | "random">,
  issuer: Pick<IssuedCertificate, "certPem" | "keyPem">,
  leaf: Leaf,
  options: Pick<RenewFolderOptions, "force" | "days" | "newKey">,
): Promise<Plan<Renewal>> {
  const { stem, notAfterMs } = leaf;
  const stays = (outcome: Renewal["outcome"], why: string): Plan<Renewal> => ({
    changes: [],
    result: { stem, outcome, why, notAfterMs },
  });
  const { newKey, force, days } = options;
  if (!newKey && leaf.key === "differs") return stays("unfit", `${keyFileOf(stem)} is not its key; use --new-key`);
  const weakness = newKey ? undefined : keyWeakness(leaf.certificate.publicKey);
  if (weakness !== undefined) return stays("unfit", `${weakness}; use --new-key`);
  try {
    const renewed = await renewNodeCertificate(world, issuer, leaf.pem, {
      newKey,
      ...(days === undefined ? {} : { days }),
    });
    if (!force && renewed.notAfterMs <= notAfterMs) {
      return stays("ca-ends", "the CA ends no later than the certificate; see: sallyport certs rotate-ca");
    }
    const key = renewed.keyPem === undefined ? [] : [{ file: keyFileOf(stem), text: renewed.keyPem }];
    return {
      changes: [...key, { file: certFileOf(stem), text: renewed.certPem }],
      result: { stem, outcome: "renewed", notAfterMs: renewed.notAfterMs },
    };
  } catch (error) {
    if (isSallyportError(error) && error.reason === "CERT_NAMELESS") return stays("unfit", textOf(error));
    throw error;
  }
}

function tryLeaf(texts: FolderTexts, stem: string, roots: Parameters<typeof readLeaf>[2]): Leaf | { why: string } {
  try {
    const leaf = readLeaf(texts, stem, roots);
    return leaf ?? { why: "it is gone" };
  } catch (error) {
    if (!isSallyportError(error)) throw error;
    return { why: textOf(error) };
  }
}

/** @throws {SallyportError} ERR_CONFIG CERT_UNKNOWN */
function chosen({ stems }: FolderTexts, only: readonly string[]): readonly string[] {
  if (only.length === 0) return stems;
  for (const name of only) {
    if (stems.includes(name)) continue;
    throw new SallyportError("ERR_CONFIG", "CERT_UNKNOWN", `there is no ${certFileOf(name)} in the folder`, {
      stage: "tls",
      advice: "sallyport certs show lists what there is",
    });
  }
  return stems.filter((stem) => only.includes(stem));
}

function textOf(error: SallyportError): string {
  return error.message.replace(/^\[ERR_[A-Z_]+\] /, "");
}
