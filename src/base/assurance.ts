/** How sure we are who the peer is, lowest to highest (design D3). */
export type Assurance = "none" | "cookie" | "tofu" | "ca" | "pinned";

const ORDER: readonly Assurance[] = ["none", "cookie", "tofu", "ca", "pinned"];

/** True when `have` is at least `least`. */
export function assuranceAtLeast(have: Assurance, least: Assurance): boolean {
  return ORDER.indexOf(have) >= ORDER.indexOf(least);
}

/** True for one of the five level names. */
export function isAssurance(value: unknown): value is Assurance {
  return typeof value === "string" && (ORDER as readonly string[]).includes(value);
}

/** Which of the three ways of connecting a session uses (design D4). */
export type ProtocolName = "native" | "otp" | "barrel";
