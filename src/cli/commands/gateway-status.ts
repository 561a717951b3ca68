import type { CommandWorld } from "../command-world.ts";
import type { GatewayFlags } from "../gateway-file.ts";
import { statusText } from "../gateway-status-text.ts";
import { reportResult } from "../report.ts";
import { askGateway } from "./gateway-control.ts";

/** `gateway status`: what the running gateway does, and has done. */
export async function gatewayStatus(world: CommandWorld, flags: GatewayFlags): Promise<void> {
  const { terminal } = world;
  const result = await askGateway(world, flags, "gateway.status");
  reportResult(terminal, result, terminal.json ? "" : statusText(result, terminal.colours));
}
