import { isSallyportError, type SallyportError } from "../../base/errors.ts";
import { createSockets } from "../../carrier/plain-socket.ts";
import { createDatagrams } from "../../carrier/udp-port.ts";
import type { ConfigWarning } from "../../config/erlang-text.ts";
import { errorOf } from "../../control/answer-error.ts";
import { type ControlFailure, type Fields, failureOf } from "../../control/control-protocol.ts";
import type { OperationBounds } from "../../control/control-target.ts";
import { doctorConnect, unstarted } from "../../doctor/connect.ts";
import type { ConnectReport } from "../../doctor/report.ts";
import type { Node } from "../../node/api.ts";
import type { NodeOptions } from "../../node/options.ts";
import type { ThrowawayIdentity } from "../../node/throwaway-identity.ts";
import { EPMD_PORT } from "../../wire/epmd.ts";
import type { CommandWorld } from "../command-world.ts";
import type { CommonFlags } from "../common-options.ts";
import type { ExitCode } from "../exit-codes.ts";
import { byRunningNode } from "../one-shot.ts";
import { whileWaiting } from "../progress.ts";
import { reportVerdict } from "../report.ts";
import { settingsOfOneShot } from "../settings.ts";
import { table } from "../table.ts";
import { printable, type Terminal } from "../terminal.ts";
import { oneShotNode, reportedThere, throwawayOf } from "../throwaway-key.ts";

/** Longest wait for the evidence that is gathered after a failure, milliseconds: every question of it has a bound of its own. */
const EVIDENCE_MS = 60_000;

/** `doctor connect NODE`: examines one peer, stage by stage. */
export async function doctorConnectCommand(world: CommandWorld, flags: CommonFlags, target: string): Promise<ExitCode> {
  const told = await byRunningNode(
    world,
    flags,
    "doctor.connect",
    { node: target, dialMs: flags.timeout },
    EVIDENCE_MS,
  );
  const document = told ?? documentOf(await fromOneShot(world, flags, target));
  return report(world.terminal, document);
}

/** For the control socket of a node: what `doctor connect` answers. */
export function examiner(
  world: Pick<CommandWorld, "clock" | "random">,
  options: Pick<NodeOptions, "epmdPort">,
): (node: Node, target: string, bounds: OperationBounds) => Promise<Fields> {
  const network = networkOf(world, options);
  return async (node, target, bounds) => documentOf(await doctorConnect(node, target, bounds, network));
}

async function fromOneShot(world: CommandWorld, flags: CommonFlags, target: string): Promise<ConnectReport> {
  const warnings: ConfigWarning[] = [];
  let options: NodeOptions;
  let throwaway: ThrowawayIdentity | undefined;
  let node: Node;
  try {
    options = settingsOfOneShot(flags, world, warnings, target);
    throwaway = throwawayOf(world, flags, options, target);
    node = await oneShotNode(options, throwaway);
  } catch (error) {
    if (!isSallyportError(error)) throw error;
    return unstarted(target, error);
  }
  try {
    const examining = doctorConnect(node, target, { timeoutMs: flags.timeout }, networkOf(world, options));
    const found = await whileWaiting(world.terminal, "examining", examining);
    return throwaway === undefined ? found : reportedThere(found);
  } finally {
    await node.close({ timeoutMs: 0 });
  }
}

function networkOf(
  { clock, random }: Pick<CommandWorld, "clock" | "random">,
  { epmdPort }: Pick<NodeOptions, "epmdPort">,
) {
  return { clock, random, sockets: createSockets(), datagrams: createDatagrams(), epmdPort: epmdPort ?? EPMD_PORT };
}

/** A report as it goes over the control socket and into `--json`. */
function documentOf({ failure, ...rest }: ConnectReport): Fields {
  const error = failure === undefined ? null : failureOf(failure.error);
  return { ...rest, diagnosis: failure?.diagnosis ?? null, error };
}

function report(terminal: Terminal, { error, ...result }: Fields): ExitCode {
  const failure = error === null ? undefined : withFix(error as ControlFailure, result["diagnosis"]);
  return reportVerdict(terminal, { result, human: human(result as unknown as Shown, terminal), failure });
}

/** What a person is to do first is where, then what. */
function withFix(failure: ControlFailure, diagnosis: unknown): SallyportError {
  const fix =
    typeof diagnosis === "object" && diagnosis !== null && "fix" in diagnosis ? String(diagnosis.fix) : undefined;
  return errorOf(fix === undefined ? failure : { ...failure, advice: fix });
}

interface Shown extends Omit<ConnectReport, "failure"> {
  readonly diagnosis: { readonly code: string; readonly stage: string; readonly fault: string } | null;
}

function human({ stages, notes, diagnosis }: Shown, { colours }: Terminal): string {
  const { green, red, dim, yellow, bold } = colours;
  const paint = { ok: green, failed: red, "not reached": dim };
  const rows = stages.map(({ stage, state, ms, says }) => [
    stage,
    { text: state, colour: paint[state] },
    ms === null ? "" : `${ms} ms`,
    says,
  ]);
  const failed = stages.find(({ state }) => state === "failed");
  const evidence = Object.entries(failed?.evidence ?? {}).map(
    ([name, value]) =>
      `  ${dim(printable(name))}  ${printable(Array.isArray(value) ? value.join(", ") : String(value))}`,
  );
  const noted = notes.map(
    ({ code, message, advice }) => `${yellow("note:")} ${printable(`${code}: ${message}; ${advice}`)}`,
  );
  const verdict =
    diagnosis === null
      ? green("all stages are in order")
      : `${red(bold(diagnosis.code))} at stage ${diagnosis.stage}; at fault: ${AT_FAULT[diagnosis.fault] ?? diagnosis.fault}`;
  return [table(["STAGE", "STATE", "TIME", "FOUND"], rows, dim), ...evidence, ...noted, verdict].join("\n");
}

const AT_FAULT: Readonly<Record<string, string>> = {
  local: "this node",
  remote: "the other node",
  network: "the network between the two",
  either: "one of the two",
};
