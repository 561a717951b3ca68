import { canonicalName, type NodeName } from "../base/node-name.ts";
import type { PinPlace, PinTable } from "./pin-table.ts";
import type { Fingerprint } from "./public-key.ts";

/** A difference that may end live sessions. Names are canonical. */
export type TrustChange =
  /** A name now has this key: sessions of the name with another key have no standing. */
  | { readonly kind: "pinned"; readonly name: NodeName; readonly fingerprint: Fingerprint; readonly place: PinPlace }
  /** A pin is gone, was replaced, went from `trusted/` to `first-use/`, or its file broke. */
  | { readonly kind: "unpinned"; readonly name: NodeName; readonly fingerprint: Fingerprint }
  /** A key is revoked, under whatever name. */
  | { readonly kind: "revoked"; readonly fingerprint: Fingerprint }
  /** The operator trusts a key that was accepted on first use. Ends nothing. */
  | { readonly kind: "promoted"; readonly name: NodeName; readonly fingerprint: Fingerprint };

/**
 * Whether a live session authenticated by `fingerprint` under `name` must end because of a change. A session without a key
 * (by cookie or certificate alone) ends when the name gets one.
 */
export function losesStanding(change: TrustChange, name: NodeName, fingerprint: Fingerprint | undefined): boolean {
  switch (change.kind) {
    case "pinned":
      return change.name === canonicalName(name) && change.fingerprint !== fingerprint;
    case "unpinned":
      return change.name === canonicalName(name) && change.fingerprint === fingerprint;
    case "revoked":
      return change.fingerprint === fingerprint;
    case "promoted":
      return false;
  }
}

/** What changed from one reading to the next. */
export function changesBetween(
  before: PinTable,
  after: PinTable,
  isBroken: (name: NodeName) => boolean,
): TrustChange[] {
  const changes: TrustChange[] = [];
  for (const fingerprint of after.revoked) {
    if (!before.revoked.has(fingerprint)) changes.push({ kind: "revoked", fingerprint });
  }
  for (const old of before.pins()) {
    const now = after.get(old.name);
    const { name, fingerprint } = old;
    const demoted = old.place === "trusted" && now?.place === "first-use";
    if (now?.fingerprint !== fingerprint || demoted || isBroken(name)) {
      changes.push({ kind: "unpinned", name, fingerprint });
    } else if (old.place !== now.place) changes.push({ kind: "promoted", name, fingerprint });
  }
  for (const { name, fingerprint, place } of after.pins()) {
    if (before.get(name)?.fingerprint !== fingerprint) changes.push({ kind: "pinned", name, fingerprint, place });
  }
  return changes;
}
