import { tryBarrelName } from "../auth/barrel-codec.ts";
import { nameUnusable } from "../auth/barrel-failures.ts";
import { type NodeName, parseNodeName } from "../base/node-name.ts";
import type { DialAddress } from "../carrier/carrier.ts";
import { isOpenToStrangers } from "../carrier/quic/public-address.ts";
import { publicRefused } from "../carrier/quic/quic-errors.ts";
import { parseAddress } from "../discovery/address.ts";
import type { OutsideOption } from "../gateway/options.ts";
import { type ListenOption, parseListen } from "../node/listen-option.ts";
import type { QuicOption } from "../node/options.ts";
import { checkQuicDial } from "../quic-node.ts";
import { pairInvalid } from "./pair-invalid.ts";

/** Whether anything of the outside runs over QUIC. */
export function usesQuic({ listen, addresses = {} }: OutsideOption): boolean {
  return [listen ?? "", ...Object.values(addresses)].some((text) => text.startsWith("quic:"));
}

/** What is told at the start of a pair whose inside node is visible over QUIC. */
export const QUIC_VISIBLE = {
  reason: "QUIC_VISIBLE",
  message:
    "over QUIC the inside node is visible: Erlang nodes outside list it in nodes(), and send rex and global traffic to it",
} as const;

/**
 * Over QUIC a node proves its key, then the cookie: both have to be set. The engine has known faults, so it is not shown to
 * strangers unless that was asked for (rulings S7).
 * @throws {SallyportError} ERR_CONFIG GATEWAY_PAIR_INVALID, BARREL_NAME_UNUSABLE, QUIC_PUBLIC_ADDRESS, LISTEN_INVALID, ADDRESS_INVALID
 */
export function checkQuicOutside(outside: OutsideOption, inside: NodeName): void {
  if (!usesQuic(outside)) {
    if (outside.quic === undefined) return;
    throw pairInvalid(
      `outside.quic is set for ${inside}, and nothing there runs over QUIC`,
      "write quic:// in outside.listen or outside.addresses, or take outside.quic out",
    );
  }
  const { identity, cookie, quic = {}, listen, addresses = {} } = outside;
  if (identity === undefined)
    throw pairInvalid(`nodes over QUIC prove keys, and the outside of ${inside} has none`, "set outside.identity");
  if (cookie === undefined)
    throw pairInvalid(`nodes over QUIC prove the cookie, and the outside of ${inside} has none`, "set outside.cookie");
  if (tryBarrelName(inside) === undefined) throw nameUnusable(inside);
  if (listen?.startsWith("quic:")) checkListen(parseListen(listen, false, true), quic);
  for (const [name, text] of Object.entries(addresses)) {
    const address = quicAddress(text);
    if (address !== undefined) checkQuicDial(quic, parseNodeName(name), address);
  }
}

/** Inside nodes have no keys, and QUIC knows its peers by nothing else. */
export function refuseQuicInside(side: "address" | "listen", text: string | undefined): void {
  if (text === undefined || !text.startsWith("quic:")) return;
  throw pairInvalid(
    `inside.${side} is a quic:// address, and the inside of a gateway does not run over QUIC`,
    "write tcp:// on loopback, or tls://, for the inside node; QUIC is for outside.listen and outside.addresses",
  );
}

/** An address of the outside, where it is one of QUIC. @throws as `parseAddress` */
export function quicAddress(text: string): DialAddress | undefined {
  return text.startsWith("quic:") ? parseAddress(text, "quic") : undefined;
}

function checkListen({ host }: ListenOption, { allowPublic = false }: QuicOption): void {
  if (!allowPublic && isOpenToStrangers(host)) throw publicRefused(host);
}
