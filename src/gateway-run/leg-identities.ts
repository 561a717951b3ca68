import type { NodeName } from "../base/node-name.ts";
import { ConnectionBook } from "../gateway/connection-book.ts";
import { ExpectedNode } from "../gateway/expected-node.ts";
import type { LegIdentities } from "../gateway/leg-identity.ts";
import type { PairWorld } from "./gateway-world.ts";
import type { PairIdentities } from "./identity-pool.ts";

/** The keys of a pair's legs, with what each shows and the one book of connections. */
export function legIdentities(
  { outside, inside }: PairIdentities,
  node: NodeName,
  mask: bigint,
  { mappers }: Pick<PairWorld, "mappers">,
): LegIdentities {
  const expected = new ExpectedNode(mask, () => mappers.registeredCreation(node));
  return {
    outside: outside === undefined ? undefined : { keeper: outside.keeper, expected },
    // Outside nodes register nowhere here.
    inside: new Map(
      [...inside].map(([name, { keeper }]) => [name, { keeper, expected: new ExpectedNode(mask, () => undefined) }]),
    ),
    book: new ConnectionBook(node),
  };
}
