import type { TrustStore } from "./trust-store.ts";

/** What a node asks of its trust; what changes it by hand is the operator's. */
export type NodeTrust = Pick<
  TrustStore,
  "mode" | "warnings" | "decide" | "commit" | "followed" | "hasPin" | "list" | "reload" | "pending" | "setOwnKey"
>;
