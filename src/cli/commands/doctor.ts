import { SallyportError } from "../../base/errors.ts";
import { tryNodeName } from "../../base/node-name.ts";
import { createSockets } from "../../carrier/plain-socket.ts";
import { createDatagrams } from "../../carrier/udp-port.ts";
import type { ConfigWarning } from "../../config/erlang-text.ts";
import type { Fields } from "../../control/control-protocol.ts";
import { checkSocketDirectory } from "../../control/socket-place.ts";
import { bad, type Check, fine } from "../../doctor/check.ts";
import { doctorMachine } from "../../doctor/machine.ts";
import type { RunningPorts } from "../../doctor/machine-ports.ts";
import type { NodeOptions } from "../../node/options.ts";
import { EPMD_PORT } from "../../wire/epmd.ts";
import { auditOf } from "../audit-directory.ts";
import { setupsOf } from "../certs-subjects.ts";
import type { CommandWorld } from "../command-world.ts";
import type { CommonFlags } from "../common-options.ts";
import { controlPathOf } from "../control-path.ts";
import type { ExitCode } from "../exit-codes.ts";
import { reportVerdict } from "../report.ts";
import { clientFor } from "../running-node.ts";
import { findConfig, settingsOfNode } from "../settings.ts";
import { table } from "../table.ts";
import type { Colours } from "../terminal.ts";

/** Longest wait for the running node, milliseconds. */
const LOCAL_MS = 10_000;

/** `doctor`: looks at this machine as a node with this configuration would find it. */
export async function doctor(world: CommandWorld, flags: CommonFlags): Promise<ExitCode> {
  const warnings: ConfigWarning[] = [];
  const options = { ...settingsOfNode(flags, world, warnings), ...auditOf(flags, world) };
  const control = controlPathOf(flags, world);
  const { running, found } = await lookAtRunning(world, flags, control);
  const machine = {
    clock: world.clock,
    files: world.files,
    random: world.random,
    crypto: world.identityCrypto,
    sockets: createSockets(),
    datagrams: createDatagrams(),
    epmdPort: options.epmdPort ?? EPMD_PORT,
  };
  const checks: readonly Check[] = [
    fine("config", whereFrom(flags, world)),
    ...warnings.map(({ reason, message }): Check => warningOf(reason, message)),
    ...(await doctorMachine({ options, setups: setupsIn(options, world), running, control }, machine)),
    ...found,
  ];
  const faults = checks.filter(({ state }) => state === "fault");
  const result = { name: options.name, faults: faults.length, checks };
  return reportVerdict(world.terminal, {
    result,
    human: human(checks, world.terminal.colours),
    failure: failureOf(faults),
  });
}

function whereFrom(flags: CommonFlags, world: CommandWorld): string {
  const config = findConfig(flags, world);
  return config === undefined ? "no configuration file; the command line alone" : `${config.file} loads`;
}

function warningOf(reason: string, message: string): Check {
  return {
    check: "config",
    state: "warning",
    code: reason,
    says: message,
    advice: "see docs/errors.md for the reason",
  };
}

function setupsIn({ tls, name }: NodeOptions, { files }: CommandWorld): ReturnType<typeof setupsOf> {
  return tls === undefined ? [] : setupsOf(tls, "tls of the configuration", tryNodeName(name), files);
}

/** The node or gateway behind the control socket, and what it says of itself that needs a look. */
async function lookAtRunning(
  world: CommandWorld,
  flags: CommonFlags,
  control: string | undefined,
): Promise<{ readonly running: RunningPorts | undefined; readonly found: readonly Check[] }> {
  try {
    if (control !== undefined && world.files.exists(control)) checkSocketDirectory(world.files, control);
    const client = await clientFor(world, flags);
    if (client === undefined) return { running: undefined, found: [] };
    try {
      const status = await client.request("status", {}, LOCAL_MS);
      return { running: { endpoints: texts(status, "endpoints"), away: texts(status, "away") }, found: [] };
    } catch (error) {
      if (!(error instanceof SallyportError) || error.reason !== "CONTROL_OTHER_KIND") throw error;
      return {
        running: { endpoints: [], away: [] },
        found: dutyIn(await client.request("gateway.status", {}, LOCAL_MS)),
      };
    } finally {
      client.close();
    }
  } catch (error) {
    if (!(error instanceof SallyportError)) throw error;
    const says = error.message.replace(/^\[ERR_[A-Z_]+\] /, "");
    return {
      running: undefined,
      found: [bad("control", error.reason, says, error.advice ?? "see whether the node hangs")],
    };
  }
}

/** Ways to the nodes behind a gateway that do not lead through it. */
function dutyIn(status: Fields): readonly Check[] {
  const pairs: readonly unknown[] = Array.isArray(status["pairs"]) ? status["pairs"] : [];
  const findings = pairs.flatMap((pair) => (isFields(pair) && Array.isArray(pair["duty"]) ? pair["duty"] : []));
  const checks = findings
    .filter(isFields)
    .map(({ message, advice }) => bad("gateway", "DUTY_OPEN", String(message), String(advice)));
  return checks.length > 0 ? checks : [fine("gateway", "no way to the nodes behind it but through it")];
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null;
}

function texts(fields: Fields, name: string): readonly string[] {
  const value = fields[name];
  return Array.isArray(value) ? value.map(String) : [];
}

function human(checks: readonly Check[], colours: Colours): string {
  const paint = { ok: colours.green, warning: colours.yellow, fault: colours.red, skipped: colours.dim };
  const rows = checks.map(({ check, state, code, says, advice }) => [
    { text: state, colour: paint[state] },
    check,
    [code === null ? says : `${code}: ${says}`, ...(advice === "" ? [] : [advice])].join("; "),
  ]);
  return table(["STATE", "CHECK", "FOUND"], rows, colours.dim);
}

function failureOf([first, ...more]: readonly Check[]): SallyportError | undefined {
  if (first === undefined) return undefined;
  const rest = more.length === 0 ? "" : ` (and ${more.length} more)`;
  return new SallyportError("ERR_CONFIG", "MACHINE_FAULTY", `${first.code ?? first.check}: ${first.says}${rest}`, {
    advice: first.advice,
  });
}
