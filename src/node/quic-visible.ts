import { SallyportError } from "../base/errors.ts";
import { canonicalName, type NodeName, parseNodeName } from "../base/node-name.ts";
import type { QuicOption } from "./options.ts";

/** Whether Erlang nodes are to list this node over QUIC, by their name. */
export type ShowsItself = (peer: NodeName) => boolean;

/**
 * Reads `quic.visible`: the peers that list this node, by name, or all of them. Case of the host does not count.
 * @throws {SallyportError} ERR_CONFIG NAME_INVALID, QUIC_OPTION_INVALID
 */
export function visibleTo(visible: QuicOption["visible"] = false): ShowsItself {
  if (typeof visible === "boolean") return () => visible;
  const names = new Set<string>(visibleNames(visible));
  return (peer) => names.has(canonicalName(peer));
}

/** What a node is warned of at its start that shows itself over QUIC; nothing where it does not. */
export function visibleWarning(
  visible: QuicOption["visible"] = false,
  who = "this node",
): readonly { readonly reason: string; readonly message: string }[] {
  if (visible === false) return [];
  const whom = visible === true ? "Erlang nodes" : [...new Set(visibleNames(visible))].join(", ");
  if (whom === "") return [];
  const message = `over QUIC ${who} is visible: ${whom} list it in nodes(), and send rex and global traffic to it`;
  return [{ reason: "QUIC_VISIBLE", message }];
}

/**
 * Names of a list, each in the one form that is compared. From JavaScript it may be anything.
 * @throws {SallyportError} ERR_CONFIG NAME_INVALID, QUIC_OPTION_INVALID
 */
export function visibleNames(list: readonly unknown[]): readonly NodeName[] {
  if (Array.isArray(list) && list.every((name) => typeof name === "string")) {
    return list.map((name) => canonicalName(parseNodeName(name)));
  }
  throw new SallyportError(
    "ERR_CONFIG",
    "QUIC_OPTION_INVALID",
    "quic.visible is no boolean and no list of node names",
    {
      advice: 'write true, false, or the names in a list: visible: ["a@host"]',
    },
  );
}
