import { tryBarrelName } from "../auth/barrel-codec.ts";
import { nameUnusable } from "../auth/barrel-failures.ts";
import { type NodeName, parseNodeName, sameNode } from "../base/node-name.ts";
import type { DialAddress } from "../carrier/carrier.ts";
import { isOpenToStrangers } from "../carrier/quic/public-address.ts";
import { publicRefused } from "../carrier/quic/quic-errors.ts";
import { parseAddress } from "../discovery/address.ts";
import type { Side } from "../gateway/message-filter.ts";
import type { GatewayPairOption } from "../gateway/options.ts";
import { type ListenOption, parseListen } from "../node/listen-option.ts";
import type { QuicOption } from "../node/options.ts";
import { visibleNames } from "../node/quic-visible.ts";
import { checkQuicDial } from "../quic-node.ts";
import { addressesOf } from "./pair-addresses.ts";
import { pairInvalid } from "./pair-invalid.ts";

/** Whether anything of that side runs over QUIC. */
export function usesQuic(side: Side, option: GatewayPairOption): boolean {
  const { listens, dials } = addressesOf(side, option);
  return [...listens, ...dials.map(([, text]) => text)].some((text) => text.startsWith("quic:"));
}

/**
 * Over QUIC a node proves its key, then the cookie: both have to be set. The engine has known faults, so it is not shown to
 * strangers unless that was asked for (rulings S7).
 * @param standsFor the nodes whose part the gateway plays on that side
 * @throws {SallyportError} ERR_CONFIG GATEWAY_PAIR_INVALID, BARREL_NAME_UNUSABLE, QUIC_PUBLIC_ADDRESS, LISTEN_INVALID, ADDRESS_INVALID
 */
export function checkQuic(side: Side, option: GatewayPairOption, standsFor: readonly NodeName[]): void {
  const { identity, cookie, quic } = option[side];
  const { node } = option.inside;
  if (!usesQuic(side, option)) {
    if (quic === undefined) return;
    throw pairInvalid(
      `${side}.quic is set for ${node}, and nothing there runs over QUIC`,
      `write quic:// in ${side}.listen or ${side === "outside" ? "outside.addresses" : "inside.address"}, or take ${side}.quic out`,
    );
  }
  if (identity === undefined)
    throw pairInvalid(`nodes over QUIC prove keys, and the ${side} of ${node} has none`, `set ${side}.identity`);
  if (cookie === undefined)
    throw pairInvalid(`nodes over QUIC prove the cookie, and the ${side} of ${node} has none`, `set ${side}.cookie`);
  for (const name of standsFor) if (tryBarrelName(name) === undefined) throw nameUnusable(name);
  checkVisible(side, option, quic?.visible);
  const { listens, dials } = addressesOf(side, option);
  for (const listen of listens) if (listen.startsWith("quic:")) checkListen(parseListen(listen, false, true), quic);
  for (const [name, text] of dials) {
    const address = quicAddress(text);
    if (address !== undefined) checkQuicDial(quic ?? {}, parseNodeName(name), address);
  }
}

/** Names that nobody on that side has are names written wrong. */
function checkVisible(
  side: Side,
  { inside, outside }: GatewayPairOption,
  visible: QuicOption["visible"] = false,
): void {
  if (typeof visible === "boolean") return;
  const peers = (side === "outside" ? outside.nodes : [inside.node]).map(parseNodeName);
  for (const name of visibleNames(visible)) {
    if (peers.some((peer) => sameNode(peer, name))) continue;
    throw pairInvalid(
      `${side}.quic.visible names ${name}, which is no node on that side of ${inside.node}`,
      `write ${side === "outside" ? "a name of outside.nodes" : inside.node}, or take it out`,
    );
  }
}

/** An address, where it is one of QUIC. @throws as `parseAddress` */
export function quicAddress(text: string): DialAddress | undefined {
  return text.startsWith("quic:") ? parseAddress(text, "quic") : undefined;
}

function checkListen({ host }: ListenOption, { allowPublic = false }: QuicOption = {}): void {
  if (!allowPublic && isOpenToStrangers(host)) throw publicRefused(host);
}
