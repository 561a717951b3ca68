import type { Random } from "../base/random.ts";

const CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** Length of a decision id, in characters of Crockford base32 (5 bits each; rulings U9 allow 8 to 26). */
const DECISION_ID_CHARS = 12;

/** Makes the opaque ids under which a refusal is known to the operator; they say nothing about what exists. */
export function newDecisionId(random: Random): string {
  let id = "";
  for (const byte of random.bytes(DECISION_ID_CHARS)) id += CROCKFORD[byte & 31];
  return id;
}
