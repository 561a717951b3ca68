import type { NodeName } from "../base/node-name.ts";
import type { GatewayPairOption } from "../gateway/options.ts";
import type { PairWorld } from "./gateway-world.ts";
import { insideListen } from "./pair-addresses.ts";
import { pairInvalid } from "./pair-invalid.ts";
import { checkQuic } from "./quic-side.ts";

/** What a pair option must have, before its files are read. @throws {SallyportError} ERR_CONFIG */
export function checkPair(
  option: GatewayPairOption,
  target: NodeName,
  nodes: readonly NodeName[],
  { mappers }: Pick<PairWorld, "mappers">,
): void {
  const { inside, outside } = option;
  if (nodes.length === 0) throw pairInvalid(`the pair of ${target} has no outside nodes`, "name them in outside.nodes");
  if (outside.listen === undefined && outside.addresses === undefined)
    throw pairInvalid(`neither side of the pair of ${target} may dial`, "set outside.listen or outside.addresses");
  if (inside.address === undefined && !mappers.has("inside"))
    throw pairInvalid(`nothing says where ${target} listens`, "set inside.address, or epmd.inside");
  if (outside.cookie === undefined && outside.identity === undefined)
    throw pairInvalid(`nothing proves the outside nodes of ${target}`, "set outside.identity, or outside.cookie");
  if (inside.cookie === undefined) checkKeysInside(option, target);
  if (typeof inside.listen === "object") {
    const unknown = Object.keys(inside.listen).find((name) => !Object.hasOwn(outside.addresses ?? {}, name));
    if (unknown !== undefined)
      throw pairInvalid(`inside.listen has ${unknown}, which has no address`, "add it to outside.addresses");
  }
  checkQuic("outside", option, [target]);
  checkQuic("inside", option, nodes);
}

/** Without a cookie the inside node must prove a key, which it cannot over plain TCP. */
function checkKeysInside({ inside, outside }: GatewayPairOption, target: NodeName): void {
  if (inside.identity === undefined)
    throw pairInvalid(`nothing proves the inside node ${target}`, "set inside.identity, or inside.cookie");
  const dialled = outside.listen === undefined ? [] : [inside.address ?? "tcp:"];
  const dials = Object.keys(outside.addresses ?? {}).map((name) => insideListen(inside, name as NodeName));
  if (![...dialled, ...dials].some((text) => !/^(tls|quic):/.test(text))) return;
  throw pairInvalid(
    `over plain TCP nothing but a cookie proves ${target}, and the inside has none`,
    "write tls:// in inside.address and inside.listen, or set inside.cookie",
  );
}
