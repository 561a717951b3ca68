import type { NodeName } from "../base/node-name.ts";
import type { Side } from "../gateway/message-filter.ts";
import type { GatewayPairOption, InsideOption } from "../gateway/options.ts";

/** Where the inside node dials when nothing is said. */
const ANY_LOOPBACK_PORT = "tcp://127.0.0.1:0";

/** Where the inside node dials this outside one. */
export function insideListen({ listen = ANY_LOOPBACK_PORT }: InsideOption, outside: NodeName): string {
  if (typeof listen === "string") return listen;
  return listen[outside] ?? ANY_LOOPBACK_PORT;
}

/** All that one side of a pair says of where it listens and where it is dialled. */
export function addressesOf(
  side: Side,
  { inside, outside }: GatewayPairOption,
): {
  readonly listens: readonly string[];
  /** By name, as it is written. */
  readonly dials: readonly (readonly [string, string])[];
} {
  if (side === "outside") {
    const listens = outside.listen === undefined ? [] : [outside.listen];
    return { listens, dials: Object.entries(outside.addresses ?? {}) };
  }
  const { listen, address, node } = inside;
  const listens = listen === undefined ? [] : typeof listen === "string" ? [listen] : Object.values(listen);
  return { listens, dials: address === undefined ? [] : [[node, address]] };
}
