import type { NodeName } from "../base/node-name.ts";
import type { IdentityKeeper } from "../node/identity-keeper.ts";
import type { ConnectionBook } from "./connection-book.ts";
import type { ExpectedNode } from "./expected-node.ts";
import type { Side } from "./message-filter.ts";
import type { PairHandshake } from "./pair-handshake.ts";

/** What the legs prove themselves with that stand for one node, and whom they trust. */
export interface LegIdentity {
  readonly keeper: IdentityKeeper;
  /** The node that they stand for, as it is shown to who dials. */
  readonly expected: ExpectedNode;
}

/** The keys of a pair's legs, where these have any. */
export interface LegIdentities {
  /** Of all outside legs: they stand for the inside node. */
  readonly outside: LegIdentity | undefined;
  /** Of inside legs, by the outside node that they stand for, byte for byte. */
  readonly inside: ReadonlyMap<NodeName, LegIdentity>;
  readonly book: ConnectionBook<PairHandshake>;
}

/** Those of one leg. `outside`: the outside node, which an outside leg need not know yet. */
export function identityOn(
  identities: LegIdentities | undefined,
  side: Side,
  outside: NodeName | undefined,
): LegIdentity | undefined {
  if (side === "outside") return identities?.outside;
  return outside === undefined ? undefined : identities?.inside.get(outside);
}
