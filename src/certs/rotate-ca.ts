import type { X509Certificate } from "node:crypto";
import { SallyportError } from "../base/errors.ts";
import { readCertificateNames } from "../x509/certificate-names.ts";
import { createAuthority } from "../x509/issue.ts";
import { BACKDATE_MS, type KeyKind } from "../x509/signing.ts";
import type { Plan } from "./change-folder.ts";
import type { CertsWorld, FolderTexts } from "./folder-view.ts";
import { CA_CERT, CA_KEY, CA_NEXT, CA_OLD, type RotationStep } from "./layout.ts";
import type { FileChange } from "./pending.ts";
import { type Leaf, pemOf, readIssuer, readLeaf, readNext, readOld, readRoots } from "./read-folder.ts";
import { type Renewal, renewLeaf } from "./renew.ts";

/**
 * Where a rotation stands: `steady` none is under way; `trusted` the new CA is trusted and issues nothing yet; `issued` it
 * issues, and the old one is still trusted.
 */
export type RotationPhase = "steady" | "trusted" | "issued";

export interface RotationState {
  readonly phase: RotationPhase;
  /** CN of the CA that issues now. */
  readonly issuer: string;
  /** The step that comes next. */
  readonly next: RotationStep;
  /** Stems whose certificate is of the CA that goes, or is to go. */
  readonly ofOld: readonly string[];
}

export interface RotationOptions {
  /** Longest time until every node has what the step before wrote, milliseconds. */
  readonly overlapMs: number;
  /** Validity of the new CA, or of the new certificates, in days. */
  readonly days?: number;
  /** Of the new CA; default that of the old one. */
  readonly key?: KeyKind;
}

export interface RotationResult {
  readonly state: RotationState;
  /** False when the step had been done before. */
  readonly changed: boolean;
  /** Of step `issue`. */
  readonly renewals: readonly Renewal[];
}

type PlanParts = Pick<CertsWorld, "clock" | "random">;

/** Where the rotation of a folder stands. @throws {SallyportError} ERR_CONFIG as `readIssuer` */
export function rotationState(texts: FolderTexts): RotationState {
  const issuer = readIssuer(texts).certificate;
  const roots = readRoots(texts);
  const next = readNext(texts);
  const old = readOld(texts);
  const isTrusted = next !== undefined && roots.some((root) => root.raw.equals(next.certificate.raw));
  const phase = old !== undefined ? "issued" : isTrusted ? "trusted" : "steady";
  const going = old ?? (phase === "trusted" ? issuer : undefined);
  return {
    phase,
    issuer: commonNameOf(issuer),
    next: phase === "steady" ? "trust" : phase === "trusted" ? "issue" : "drop",
    ofOld: going === undefined ? [] : leavesOf(texts, roots, going).map(({ stem }) => stem),
  };
}

/**
 * One step of a rotation. A step that is done already changes nothing.
 * @throws {SallyportError} ERR_CONFIG CA_ROTATION_STEP, CA_ROTATION_EARLY, CA_STILL_IN_USE, and as `readIssuer`
 */
export async function planRotation(
  parts: PlanParts,
  texts: FolderTexts,
  step: RotationStep,
  options: RotationOptions,
): Promise<Plan<Omit<RotationResult, "state">>> {
  const { phase } = rotationState(texts);
  if (step === "trust") {
    if (phase === "issued") throw wrongStep("a rotation is under way", "finish it: sallyport certs rotate-ca drop");
    return phase === "trusted" ? nothing() : trust(parts, texts, options);
  }
  if (step === "issue") {
    if (phase === "steady") throw wrongStep("no new CA is trusted yet", "begin with: sallyport certs rotate-ca trust");
    return issue(parts, texts, options);
  }
  if (phase === "trusted") throw wrongStep("the old CA still issues", "first: sallyport certs rotate-ca issue");
  return phase === "steady" ? nothing() : drop(parts, texts, options);
}

async function trust(parts: PlanParts, texts: FolderTexts, options: RotationOptions): ReturnType<typeof planRotation> {
  const issuer = readIssuer(texts).certificate;
  const made = await createAuthority(parts, {
    commonName: nextName(commonNameOf(issuer)),
    key: options.key ?? (issuer.publicKey.asymmetricKeyType === "rsa" ? "rsa" : "ec"),
    ...(options.days === undefined ? {} : { days: options.days }),
  });
  const roots = `${(texts.read(CA_CERT) ?? "").trimEnd()}\n${made.certPem}`;
  return planned([
    { file: CA_NEXT, text: `${made.keyPem.trimEnd()}\n${made.certPem}` },
    { file: CA_CERT, text: roots },
  ]);
}

async function issue(parts: PlanParts, texts: FolderTexts, options: RotationOptions): ReturnType<typeof planRotation> {
  const next = readNext(texts);
  const before = readIssuer(texts);
  const old = readOld(texts) ?? before.certificate;
  const issuer = next ?? before;
  if (next !== undefined) {
    const since = readCertificateNames(next.certificate.raw).notBeforeMs + BACKDATE_MS;
    const what = "some node may not have the new ca.crt yet, and would refuse the others";
    checkOverlap(parts, since, options, what);
  }
  const changes: FileChange[] = [];
  const renewals: Renewal[] = [];
  for (const leaf of leavesOf(texts, readRoots(texts), old)) {
    // Whatever is left of its life: it is the issuer that changes.
    const { days } = options;
    const how = { force: true, newKey: false, ...(days === undefined ? {} : { days }) };
    const renewal = await renewLeaf(parts, issuer, leaf, how);
    changes.push(...renewal.changes);
    renewals.push(renewal.result);
  }
  if (next !== undefined) {
    changes.unshift({ file: CA_OLD, text: pemOf(old) }, { file: CA_KEY, text: next.keyPem });
    changes.push({ file: CA_NEXT, text: undefined });
  }
  return planned(changes, renewals);
}

async function drop(parts: PlanParts, texts: FolderTexts, options: RotationOptions): ReturnType<typeof planRotation> {
  const old = readOld(texts);
  if (old === undefined) return nothing();
  const roots = readRoots(texts);
  const nowMs = parts.clock.wallMs();
  const alive = leavesOf(texts, roots, old).filter((leaf) => leaf.notAfterMs > nowMs);
  if (alive.length > 0) {
    const stems = alive.map(({ stem }) => stem);
    throw new SallyportError("ERR_CONFIG", "CA_STILL_IN_USE", `of the old CA are still: ${listed(stems)}`, {
      stage: "tls",
      advice: "issue them anew with sallyport certs rotate-ca issue, or move those of nodes that are gone away",
    });
  }
  const { certificate } = readIssuer(texts);
  const since = Math.max(0, ...leavesOf(texts, roots, certificate).map(({ notBeforeMs }) => notBeforeMs + BACKDATE_MS));
  checkOverlap(parts, since, options, "some node may not show its new certificate yet, and would be refused");
  const left = roots.filter((root) => !root.raw.equals(old.raw)).map(pemOf);
  return planned([
    { file: CA_CERT, text: left.join("") },
    { file: CA_OLD, text: undefined },
  ]);
}

/** @throws {SallyportError} ERR_CONFIG CA_ROTATION_EARLY */
function checkOverlap({ clock }: PlanParts, sinceMs: number, { overlapMs }: RotationOptions, what: string): void {
  const untilMs = sinceMs + overlapMs;
  if (clock.wallMs() >= untilMs) return;
  const until = new Date(untilMs).toISOString();
  throw new SallyportError("ERR_CONFIG", "CA_ROTATION_EARLY", `${what}; wait until ${until}`, {
    stage: "tls",
    detail: { until },
    advice: "give every node the files, and say so with --overlap 0s",
  });
}

function leavesOf(texts: FolderTexts, roots: readonly X509Certificate[], ca: X509Certificate): readonly Leaf[] {
  return texts.stems.flatMap((stem) => {
    const leaf = readLeaf(texts, stem, roots);
    if (leaf === undefined || leaf.certificate.ca || leaf.chain?.ok !== true) return [];
    return leaf.chain.root.raw.equals(ca.raw) ? [leaf] : [];
  });
}

/** `NAME` is followed by `NAME G2`, that by `NAME G3`. */
function nextName(name: string): string {
  const [, base = name, generation = "1"] = /^(.*) G(\d{1,6})$/.exec(name) ?? [];
  const suffix = ` G${Number(generation) + 1}`;
  return `${base.slice(0, 64 - suffix.length)}${suffix}`;
}

function commonNameOf(certificate: X509Certificate): string {
  return readCertificateNames(certificate.raw).commonNames[0] ?? "CA";
}

function planned(
  changes: readonly FileChange[],
  renewals: readonly Renewal[] = [],
): Awaited<ReturnType<typeof planRotation>> {
  return { changes, result: { changed: changes.length > 0, renewals } };
}

function nothing(): Awaited<ReturnType<typeof planRotation>> {
  return planned([]);
}

function wrongStep(what: string, advice: string): SallyportError {
  return new SallyportError("ERR_CONFIG", "CA_ROTATION_STEP", `this step is not the next: ${what}`, {
    stage: "tls",
    advice,
  });
}

function listed(stems: readonly string[]): string {
  const shown = stems.slice(0, 5).join(", ");
  return stems.length > 5 ? `${shown} and ${stems.length - 5} more` : shown;
}
