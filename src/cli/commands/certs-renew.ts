import { SallyportError } from "../../base/errors.ts";
import { changeFolder } from "../../certs/change-folder.ts";
import { FolderView } from "../../certs/folder-view.ts";
import { certFileOf, type RotationStep } from "../../certs/layout.ts";
import { planRenewal, type Renewal } from "../../certs/renew.ts";
import { planRotation, type RotationState, rotationState } from "../../certs/rotate-ca.ts";
import type { CertsRenewFlags, CertsRotateFlags } from "../certs-commands.ts";
import { certsDirectoryOf, certsWorldOf, warnOfFinished } from "../certs-directory.ts";
import type { CommandWorld } from "../command-world.ts";
import type { ExitCode } from "../exit-codes.ts";
import { reportResult, reportVerdict } from "../report.ts";
import { fields, moment, table } from "../table.ts";
import type { Colours } from "../terminal.ts";
import { filesOf } from "./certs.ts";

/** Longest time until every node has the files of a step, milliseconds. */
const DEFAULT_OVERLAP_MS = 24 * 3_600_000;

/**
 * `certs renew [NAME...]`: issues anew what has less than a third of its life left.
 * @throws {SallyportError} ERR_CONFIG CERT_UNKNOWN, CA_MISSING, CA_EXPIRED, and as `changeFolder`
 */
export async function certsRenew(
  world: CommandWorld,
  flags: CertsRenewFlags,
  names: readonly string[],
): Promise<ExitCode> {
  const directory = certsDirectoryOf(flags, world);
  const parts = certsWorldOf(world);
  const { days, force = false, newKey = false, within } = flags;
  const only = names.map((name) => name.replace(/\.crt$/, ""));
  const changed = await changeFolder(parts, directory, "renew", (texts) =>
    planRenewal(parts, texts, {
      only,
      force,
      newKey,
      ...(days === undefined ? {} : { days }),
      ...(within === undefined ? {} : { within }),
    }),
  );
  warnOfFinished(world, changed);
  const certificates = changed.result;
  return reportVerdict(world.terminal, {
    result: { directory, certificates: certificates.map(renewalJson), ...filesOf(changed) },
    human: certificates.length === 0 ? "no certificates" : renewalTable(certificates, world.terminal.colours),
    failure: failureOf(certificates),
  });
}

/**
 * `certs rotate-ca [STEP]`: one step of replacing the CA, or where that stands.
 * @throws {SallyportError} ERR_CONFIG CA_ROTATION_STEP, CA_ROTATION_EARLY, CA_STILL_IN_USE, and as `changeFolder`
 */
export async function certsRotateCa(
  world: CommandWorld,
  flags: CertsRotateFlags,
  step: RotationStep | undefined,
): Promise<ExitCode> {
  const directory = certsDirectoryOf(flags, world);
  const parts = certsWorldOf(world);
  const { colours } = world.terminal;
  if (step === undefined) {
    const state = rotationState(new FolderView(world.files, directory));
    reportResult(world.terminal, { directory, ...state }, stateText(state, colours));
    return 0;
  }
  const { key, days, overlap = DEFAULT_OVERLAP_MS } = flags;
  const changed = await changeFolder(parts, directory, `rotate-ca ${step}`, (texts) =>
    planRotation(parts, texts, step, {
      overlapMs: overlap,
      ...(key === undefined ? {} : { key }),
      ...(days === undefined ? {} : { days }),
    }),
  );
  warnOfFinished(world, changed);
  const state = rotationState(new FolderView(world.files, directory));
  const { renewals } = changed.result;
  return reportVerdict(world.terminal, {
    result: {
      directory,
      step,
      changed: changed.result.changed,
      ...state,
      certificates: renewals.map(renewalJson),
      ...filesOf(changed),
    },
    human: [
      changed.result.changed ? SAYS[step] : "done before; nothing was changed",
      ...(renewals.length === 0 ? [] : [renewalTable(renewals, colours)]),
      stateText(state, colours),
    ].join("\n"),
    failure: failureOf(renewals),
  });
}

const SAYS: Readonly<Record<RotationStep, string>> = {
  trust: "the new CA is trusted: give every node the new ca.crt",
  issue: "the new CA issues: give every node its new certificate",
  drop: "the old CA is gone: give every node the new ca.crt",
};

const PHASES: Readonly<Record<RotationState["phase"], string>> = {
  steady: "none is under way",
  trusted: "both CAs are trusted, the old one issues",
  issued: "both CAs are trusted, the new one issues",
};

function stateText({ phase, issuer, next, ofOld }: RotationState, colours: Colours): string {
  return fields(
    [
      ["rotation", PHASES[phase]],
      ["issuer", issuer],
      ...(phase === "steady" ? [] : [["of the old CA", ofOld.length === 0 ? "none" : ofOld.join(", ")] as const]),
      ["next step", next],
    ],
    colours.dim,
  );
}

function renewalJson({ stem, outcome, why, notAfterMs }: Renewal): Readonly<Record<string, unknown>> {
  return {
    file: certFileOf(stem),
    outcome,
    why: why ?? null,
    notAfterMs: Number.isNaN(notAfterMs) ? null : notAfterMs,
  };
}

function renewalTable(renewals: readonly Renewal[], colours: Colours): string {
  const colour = (outcome: Renewal["outcome"]): ((text: string) => string) =>
    isFault(outcome) ? colours.red : outcome === "renewed" ? colours.green : colours.dim;
  const rows = renewals.map(({ stem, outcome, why, notAfterMs }) => [
    certFileOf(stem),
    { text: outcome, colour: colour(outcome) },
    moment(notAfterMs),
    why ?? "",
  ]);
  return table(["file", "outcome", "until", "why"], rows, colours.dim);
}

function isFault(outcome: Renewal["outcome"]): boolean {
  return outcome === "unfit" || outcome === "ca-ends";
}

function failureOf(renewals: readonly Renewal[]): SallyportError | undefined {
  const faults = renewals.filter(({ outcome }) => isFault(outcome));
  const [first] = faults;
  if (first === undefined) return undefined;
  const more = faults.length === 1 ? "" : ` (and ${faults.length - 1} more)`;
  const message = `${certFileOf(first.stem)} was not renewed: ${first.why ?? first.outcome}${more}`;
  return new SallyportError("ERR_CONFIG", "CERT_NOT_RENEWED", message, {
    stage: "tls",
    advice: "do what the message says; what could be renewed is renewed",
  });
}
