import { type NodeName, parseNodeName, sameNode } from "../base/node-name.ts";
import type { IdentityWarning } from "../identity/key-layout.ts";
import type { CommandWorld } from "./command-world.ts";
import type { CommonFlags } from "./common-options.ts";
import { findConfig } from "./settings.ts";

type ConfigFlags = Pick<CommonFlags, "config">;

/** What speaks against an invite of this node: nobody who comes over QUIC can show it. */
export function inviteWarnings(world: CommandWorld, flags: ConfigFlags): readonly IdentityWarning[] {
  const listen = findConfig(flags, world)?.options.listen ?? [];
  return listen.length > 0 && listen.every(isQuic) ? [notOverQuic("this node listens on QUIC alone")] : [];
}

/** The same of an invite that is to be shown to `acceptor`. */
export function joinWarnings(world: CommandWorld, flags: ConfigFlags, acceptor: NodeName): readonly IdentityWarning[] {
  const known = Object.entries(findConfig(flags, world)?.options.resolve ?? {});
  const address = known.find(([name]) => sameNode(parseNodeName(name), acceptor))?.[1];
  return address !== undefined && isQuic(address) ? [notOverQuic(`this node dials ${acceptor} over QUIC`)] : [];
}

function isQuic(address: string): boolean {
  return address.startsWith("quic:");
}

function notOverQuic(why: string): IdentityWarning {
  const message = `${why}, and QUIC has no place for invites: pin the keys on both sides with sallyport trust add`;
  return { reason: "INVITE_NOT_OVER_QUIC", message };
}
