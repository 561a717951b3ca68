import { canonicalName, type NodeName, parseNodeName } from "../base/node-name.ts";
import type { QuicOption } from "./options.ts";

/** Whether Erlang nodes are to list this node over QUIC, by their name. */
export type ShowsItself = (peer: NodeName) => boolean;

/**
 * Reads `quic.visible`: the peers that list this node, by name, or all of them. Case of the host does not count.
 * @throws {SallyportError} ERR_CONFIG NAME_INVALID
 */
export function visibleTo(visible: QuicOption["visible"] = false): ShowsItself {
  if (typeof visible === "boolean") return () => visible;
  const names = new Set<string>(visible.map((name) => canonicalName(parseNodeName(name))));
  return (peer) => names.has(canonicalName(peer));
}

/** What a node is warned of at its start that shows itself over QUIC; nothing where it does not. */
export function visibleWarning(
  visible: QuicOption["visible"] = false,
  who = "this node",
): readonly { readonly reason: string; readonly message: string }[] {
  if (visible === false || (visible !== true && visible.length === 0)) return [];
  const whom = visible === true ? "Erlang nodes" : visible.join(", ");
  const message = `over QUIC ${who} is visible: ${whom} list it in nodes(), and send rex and global traffic to it`;
  return [{ reason: "QUIC_VISIBLE", message }];
}
