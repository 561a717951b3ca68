import { asObject } from "../../identity/pin-meta.ts";
import type { Fingerprint } from "../../identity/public-key.ts";
import type { TrustStore } from "../../identity/trust-store.ts";
import type { CommandWorld } from "../command-world.ts";
import { KeyDirectory, type KeyFlags } from "../key-directory.ts";
import { reportResult } from "../report.ts";
import { moment, table } from "../table.ts";
import type { Colours } from "../terminal.ts";
import { pendingPeers } from "./trust.ts";

/** How far a key is trusted. `broken`: a pin file that cannot be used, its name is refused. */
type Level = "pinned" | "tofu" | "pending" | "revoked" | "broken";

interface Entry {
  readonly name: string | null;
  readonly level: Level;
  readonly fingerprint: string | null;
  readonly origin: string | null;
  readonly sinceMs: number | null;
  readonly lastSeenMs: number | null;
  readonly address: string | null;
}

const HEAD = ["NAME", "LEVEL", "FINGERPRINT", "ORIGIN", "SINCE", "LAST SEEN"];

/** `trust list`: every key that is pinned, waits or is revoked. */
export async function trustList(world: CommandWorld, flags: KeyFlags): Promise<void> {
  const directory = new KeyDirectory(world, flags);
  const store = directory.trust();
  directory.warn(store.warnings);
  const waiting = await pendingPeers(world, flags);
  const entries = [...pinned(store), ...broken(store), ...waiting.map(pendingEntry), ...revoked(store)];
  const { colours } = world.terminal;
  const when = (ms: number | null): string => (ms === null ? "" : moment(ms));
  const rows = entries.map(({ name, level, fingerprint, origin, sinceMs, lastSeenMs }) => [
    name ?? "",
    { text: level, colour: colourOf(level, colours) },
    fingerprint ?? "",
    origin ?? "",
    when(sinceMs),
    when(lastSeenMs),
  ]);
  const human = rows.length === 0 ? "no keys" : table(HEAD, rows, colours.dim);
  reportResult(world.terminal, { trust: store.mode, keys: entries, warnings: store.warnings }, human);
}

function pinned(store: TrustStore): Entry[] {
  return store.list().map(({ name, place, fingerprint, meta }) => ({
    name,
    level: store.isRevoked(fingerprint) ? "revoked" : place === "trusted" ? "pinned" : "tofu",
    fingerprint,
    origin: meta?.origin ?? "unknown",
    sinceMs: meta?.addedMs ?? null,
    lastSeenMs: meta?.lastSeenMs ?? null,
    address: meta?.address ?? null,
  }));
}

function broken(store: TrustStore): Entry[] {
  return store.broken().map(({ stem, why }) => ({ ...EMPTY, name: stem, level: "broken", origin: why }));
}

/** Revoked keys that no name has any more. */
function revoked(store: TrustStore): Entry[] {
  const named = new Set<Fingerprint>(store.list().map(({ fingerprint }) => fingerprint));
  return store
    .revoked()
    .filter((fingerprint) => !named.has(fingerprint))
    .map((fingerprint) => ({ ...EMPTY, level: "revoked", fingerprint }));
}

function pendingEntry(value: unknown): Entry {
  const { name, fingerprint, address, firstSeenMs, lastSeenMs } = asObject(value) ?? {};
  return {
    name: typeof name === "string" ? name : null,
    level: "pending",
    fingerprint: typeof fingerprint === "string" ? fingerprint : null,
    origin: null,
    sinceMs: typeof firstSeenMs === "number" ? firstSeenMs : null,
    lastSeenMs: typeof lastSeenMs === "number" ? lastSeenMs : null,
    address: typeof address === "string" ? address : null,
  };
}

function colourOf(level: Level, colours: Colours): (text: string) => string {
  switch (level) {
    case "pinned":
      return colours.green;
    case "tofu":
      return colours.yellow;
    case "pending":
      return colours.dim;
    case "revoked":
    case "broken":
      return colours.red;
  }
}

const EMPTY: Entry = {
  name: null,
  level: "revoked",
  fingerprint: null,
  origin: null,
  sinceMs: null,
  lastSeenMs: null,
  address: null,
};
