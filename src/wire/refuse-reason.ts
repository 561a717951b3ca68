/** Why a side ends the handshake, as far as the other side is told. A closed list: the detail stays at home. */
export type RefuseReason =
  | "version"
  | "method"
  | "cert"
  | "wrong-node"
  | "busy"
  | "auth"
  | "secret"
  | "other-wins"
  | "stale"
  | "failed";

const REASONS: readonly RefuseReason[] = [
  "version",
  "method",
  "cert",
  "wrong-node",
  "busy",
  "auth",
  "secret",
  "other-wins",
  "stale",
  "failed",
];

/** Wire number of a refusal: 1 to 10. */
export function refuseNumber(reason: RefuseReason): number {
  return REASONS.indexOf(reason) + 1;
}

/** The refusal of a wire number, or undefined. */
export function refuseReason(number: number): RefuseReason | undefined {
  return REASONS[number - 1];
}
