import { SallyportError } from "../base/errors.ts";
import type { IdentityCrypto } from "../base/identity-crypto.ts";
import type { NodeName } from "../base/node-name.ts";
import type { BundleNode } from "../identity/bundle.ts";
import { type Fingerprint, fingerprintOf, type PublicKey, sameKey } from "../identity/public-key.ts";
import type { TrustStore } from "../identity/trust-store.ts";

/** What an import does with one name. `own`: it is this node, nothing is pinned. */
export type ImportAction = "added" | "unchanged" | "replaced" | "promoted" | "own";

export interface PlannedPin {
  readonly name: NodeName;
  readonly key: PublicKey;
  readonly fingerprint: Fingerprint;
  readonly action: ImportAction;
}

/**
 * What importing these keys would do; everything is checked, nothing is written.
 * @throws {SallyportError} ERR_CONFIG PIN_EXISTS without `replace`; ERR_DENIED OWN_IDENTITY, KEY_REVOKED, KEY_REUSED
 */
export function planImport(
  store: TrustStore,
  nodes: readonly BundleNode[],
  crypto: IdentityCrypto,
  replace: boolean,
): readonly PlannedPin[] {
  const names = new Map<Fingerprint, NodeName>();
  return nodes.map(({ name, key }) => {
    const fingerprint = fingerprintOf(key, crypto);
    const twin = names.get(fingerprint);
    if (twin !== undefined && !store.allowReusedKeys) throw reused(twin, name);
    names.set(fingerprint, name);
    const own = store.isOwn(name, key);
    if (own.name && own.key) return { name, key, fingerprint, action: "own" };
    store.checkImport(name, key);
    const conflict = store.conflictOf(name, key);
    if (conflict !== undefined && !replace) throw exists(name, conflict);
    return { name, key, fingerprint, action: actionFor(store, name, key, conflict !== undefined) };
  });
}

function actionFor(store: TrustStore, name: NodeName, key: PublicKey, conflict: boolean): ImportAction {
  if (conflict) return "replaced";
  const pin = store.lookup(name);
  if (pin === undefined || !sameKey(pin.key, key)) return "added";
  return pin.place === "trusted" ? "unchanged" : "promoted";
}

function reused(first: NodeName, second: NodeName): SallyportError {
  return new SallyportError(
    "ERR_DENIED",
    "KEY_REUSED",
    `${first} and ${second} have the same key; nothing was imported`,
    {
      stage: "identity",
      advice: "ask their operators for the right keys: a key stands for one node",
    },
  );
}

function exists(name: NodeName, conflict: string): SallyportError {
  return new SallyportError("ERR_CONFIG", "PIN_EXISTS", `${name} has ${conflict}; nothing was imported`, {
    stage: "identity",
    advice: "compare fingerprints with the peer's operator, then add --replace",
  });
}
