import { SallyportError } from "../../base/errors.ts";
import { quotePeerText } from "../../base/escape.ts";
import { connectControl } from "../../control/control-client.ts";
import type { ControlOp, Fields } from "../../control/control-protocol.ts";
import type { CommandWorld } from "../command-world.ts";
import { decisionJson, decisionLines } from "../decision-lines.ts";
import type { GatewayDrainFlags } from "../gateway-commands.ts";
import { type GatewayFlags, gatewaySocketOf } from "../gateway-file.ts";
import { reloadText, sessionsText } from "../gateway-lines.ts";
import { reportResult } from "../report.ts";
import { moment } from "../table.ts";
import { printable } from "../terminal.ts";
import { toldDecision } from "../told-decision.ts";

/** Longest wait for answers that wait for nothing themselves, milliseconds. */
const LOCAL_MS = 10_000;

/** Default of `gateway drain --timeout`, milliseconds. */
const DRAIN_MS = 30_000;

/** What a drain may take beyond its time, milliseconds. */
const DRAIN_GRACE_MS = 5_000;

/**
 * Asks the running gateway.
 * @throws {SallyportError} ERR_UNREACHABLE GATEWAY_NOT_RUNNING, and as `gatewaySocketOf` and `ControlClient.request`
 */
export async function askGateway(
  world: CommandWorld,
  flags: GatewayFlags,
  op: ControlOp,
  args: Fields = {},
  timeoutMs: number = LOCAL_MS,
): Promise<Fields> {
  const path = gatewaySocketOf(flags, world);
  const client = await connectControl(world, path);
  if (client === undefined) throw notRunning(path);
  try {
    return await client.request(op, args, timeoutMs);
  } finally {
    client.close();
  }
}

/** `gateway reload`: the running gateway reads its configuration anew, or says why not and goes on as it was. */
export async function gatewayReload(world: CommandWorld, flags: GatewayFlags): Promise<void> {
  const result = await askGateway(world, flags, "gateway.reload");
  reportResult(world.terminal, result, printable(`reloaded: ${reloadText(result)}`));
}

/** `gateway drain`: sessions may end, then the running gateway stops. With `--hand-over` it is not waited for. */
export async function gatewayDrain(world: CommandWorld, flags: GatewayDrainFlags): Promise<void> {
  const { timeout: drainMs = DRAIN_MS, handOver = false } = flags;
  const waitMs = handOver ? LOCAL_MS : drainMs + DRAIN_GRACE_MS;
  const args = { drainMs, handOver, timeoutMs: waitMs };
  const result = await askGateway(world, flags, "gateway.drain", args, waitMs + LOCAL_MS);
  const { sessions, ended, cut } = result;
  const human = handOver
    ? `ports and files are free; ${sessionsText(Number(sessions))} may go on for ${drainMs / 1_000} s`
    : `drained: ${sessionsText(Number(ended))} ended by themselves, ${String(cut)} cut`;
  reportResult(world.terminal, result, human);
}

/** `gateway why ID`: explains a refusal. @throws {SallyportError} ERR_CONFIG DECISION_UNKNOWN */
export async function gatewayWhy(world: CommandWorld, flags: GatewayFlags, id: string): Promise<void> {
  const { decision: told } = await askGateway(world, flags, "gateway.why", { id });
  const decision = toldDecision(told);
  if (decision === undefined) throw unknownId(id);
  const { terminal } = world;
  const when = decision.atMs === null ? "" : `${terminal.colours.dim(moment(decision.atMs))}  `;
  reportResult(terminal, decisionJson(decision), `${when}${decisionLines(decision, terminal.colours)}`);
}

function notRunning(path: string): SallyportError {
  return new SallyportError("ERR_UNREACHABLE", "GATEWAY_NOT_RUNNING", `no gateway runs at ${quotePeerText(path)}`, {
    advice: "start it with --config or --control, and use the same here",
  });
}

function unknownId(id: string): SallyportError {
  return new SallyportError("ERR_CONFIG", "DECISION_UNKNOWN", `no decision of late has the id "${quotePeerText(id)}"`, {
    stage: "policy",
    advice: "check the id; older decisions are in the audit log of the gateway",
  });
}
