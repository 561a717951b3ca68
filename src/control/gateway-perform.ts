import type { Gateway, GatewayDrained, GatewayReload } from "../gateway/api.ts";
import { type ControlRequest, type Fields, MAX_OPERATION_MS, malformed, notMine } from "./control-protocol.ts";
import { text } from "./perform.ts";

/** The gateway behind a control socket, and what the program around it does with it. */
export interface GatewayTarget {
  readonly gateway: Gateway;
  /** Reads the configuration anew. @throws {SallyportError} ERR_CONFIG; what ran goes on */
  reload(): Promise<GatewayReload>;
  /**
   * Lets sessions end, then the program. With `handOver` it lets go of all that another one needs, this socket included, and
   * answers before sessions have ended.
   */
  drain(options: {
    readonly timeoutMs: number | undefined;
    readonly handOver: boolean;
  }): Promise<GatewayDrained | undefined>;
}

/**
 * Does what a request asks of a gateway, and answers the fields of its result.
 * @throws {SallyportError} ERR_API_MISUSE CONTROL_OTHER_KIND, CONTROL_REQUEST, and what the target throws
 */
export async function performGateway(target: GatewayTarget, { op, args }: ControlRequest): Promise<Fields> {
  switch (op) {
    case "gateway.status":
      return { ...target.gateway.status() };
    case "health":
      return { ...target.gateway.health() };
    case "gateway.why":
      return { decision: target.gateway.why(text(args, "id")) ?? null };
    case "gateway.reload":
      return { ...(await target.reload()) };
    case "gateway.drain": {
      const drained = await target.drain({ timeoutMs: drainTime(args), handOver: args["handOver"] === true });
      return drained === undefined ? { sessions: sessionsOf(target.gateway) } : { ...drained };
    }
    default:
      throw notMine("gateway", op);
  }
}

/** Sessions that are up; handshakes are none yet. */
export function sessionsOf(gateway: Gateway): number {
  return gateway.status().pairs.reduce((sum, { sessions }) => sum + sessions.length, 0);
}

/** The field has a name of its own: `timeoutMs` bounds the operation, which may be over long before the drain is. */
function drainTime(args: Fields): number | undefined {
  const value = args["drainMs"];
  if (value === undefined) return undefined;
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= MAX_DRAIN_MS) return value;
  throw malformed(`drainMs is no whole number from 0 to ${MAX_DRAIN_MS}`);
}

/** Longest time that a drain may be given, milliseconds: so that a client can wait for its end. */
export const MAX_DRAIN_MS: number = MAX_OPERATION_MS;
