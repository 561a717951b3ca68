import { canonicalName, type NodeName, parseNodeName } from "../../base/node-name.ts";
import { asObject } from "../../identity/pin-meta.ts";
import { type Fingerprint, fingerprintOf, parseFingerprint } from "../../identity/public-key.ts";
import type { TrustChange } from "../../identity/trust-change.ts";
import { fingerprintNeeded, notFound } from "../../identity/trust-denials.ts";
import type { TrustStore } from "../../identity/trust-store.ts";
import type { CommandWorld } from "../command-world.ts";
import { KeyDirectory, type KeyFlags } from "../key-directory.ts";
import { wholeKey } from "../key-lines.ts";
import { reportResult } from "../report.ts";
import { askIfRunning, type Told, tellRunningNode } from "../running-node.ts";

export interface TrustAddFlags extends KeyFlags {
  readonly replace?: boolean;
}

/** `trust add NAME KEY`: pins a key by the operator's word. */
export async function trustAdd(world: CommandWorld, flags: TrustAddFlags, name: string, key: string): Promise<void> {
  const peer = parseNodeName(name);
  const publicKey = wholeKey(key);
  const store = new KeyDirectory(world, flags).trust();
  const changes = store.add(peer, publicKey, { nowMs: world.clock.wallMs(), replace: flags.replace === true });
  const fingerprint = fingerprintOf(publicKey, world.identityCrypto);
  const done = changes.length === 0 ? "was trusted already with" : "is trusted with";
  await report(world, flags, { name: peer, fingerprint }, changes, done);
}

/** `trust remove NAME`: forgets the pin of a name. */
export async function trustRemove(world: CommandWorld, flags: KeyFlags, name: string): Promise<void> {
  const peer = parseNodeName(name);
  const store = new KeyDirectory(world, flags).trust();
  const fingerprint = store.lookup(peer)?.fingerprint;
  await report(world, flags, { name: peer, fingerprint }, store.remove(peer), "is no longer pinned with");
}

/**
 * `trust promote NAME [FINGERPRINT]`: trusts a key that came on first use, or one that waits at the running node.
 * @throws as `TrustStore.promote`
 */
export async function trustPromote(
  world: CommandWorld,
  flags: KeyFlags,
  name: string,
  wanted: string | undefined,
): Promise<void> {
  const peer = parseNodeName(name);
  const fingerprint = wanted === undefined ? undefined : parseFingerprint(wanted);
  const store = new KeyDirectory(world, flags).trust();
  const changes =
    store.lookup(peer) === undefined
      ? await promotePending(world, flags, store, peer, fingerprint)
      : store.promote(peer, fingerprint, world.clock.wallMs());
  const pinned = store.lookup(peer)?.fingerprint;
  await report(world, flags, { name: peer, fingerprint: pinned }, changes, "is trusted with");
}

/** Who waits is known to the running node only. */
async function promotePending(
  world: CommandWorld,
  flags: KeyFlags,
  store: TrustStore,
  name: NodeName,
  fingerprint: Fingerprint | undefined,
): Promise<readonly TrustChange[]> {
  const waiting = await pendingUnder(world, flags, name);
  if (waiting.length === 0) throw notFound(name);
  if (fingerprint === undefined) throw fingerprintNeeded(name, waiting.length);
  for (const { key: text, lastSeenMs, address } of waiting) {
    const key = wholeKey(String(text));
    if (fingerprintOf(key, world.identityCrypto) !== fingerprint) continue;
    const seen = { nowMs: Number(lastSeenMs), address: String(address) };
    return store.add(name, key, { nowMs: world.clock.wallMs(), origin: "promoted", seen });
  }
  throw notFound(name);
}

/** The strangers that wait at the running node under a name. */
async function pendingUnder(
  world: CommandWorld,
  flags: KeyFlags,
  name: NodeName,
): Promise<readonly Readonly<Record<string, unknown>>[]> {
  return (await pendingPeers(world, flags)).filter((peer) => peer["name"] === canonicalName(name));
}

/** What waits at the running node; empty when none runs. @throws as `askIfRunning` */
export async function pendingPeers(
  world: CommandWorld,
  flags: KeyFlags,
): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const list = (await askIfRunning(world, flags, "pending"))?.["pending"];
  return Array.isArray(list) ? list.map((item) => asObject(item) ?? {}) : [];
}

/** `trust revoke FINGERPRINT|NAME`: shuts a key out for good. @throws {SallyportError} ERR_CONFIG PIN_NOT_FOUND, FINGERPRINT_NEEDED */
export async function trustRevoke(world: CommandWorld, flags: KeyFlags, whom: string): Promise<void> {
  const store = new KeyDirectory(world, flags).trust();
  const name = whom.startsWith("SHA256:") ? undefined : parseNodeName(whom);
  const fingerprint =
    name === undefined
      ? parseFingerprint(whom)
      : (store.lookup(name)?.fingerprint ?? (await onlyPending(world, flags, name)));
  const changes = store.revoke(fingerprint, world.clock.wallMs());
  const done = changes.length === 0 ? "was revoked already:" : "is revoked for good:";
  await report(world, flags, { name, fingerprint }, changes, done);
}

/** The key that waits under a name without a pin: with several, nobody knows which is meant. */
async function onlyPending(world: CommandWorld, flags: KeyFlags, name: NodeName): Promise<Fingerprint> {
  const [first, ...more] = await pendingUnder(world, flags, name);
  if (first === undefined) throw notFound(name);
  if (more.length > 0) throw fingerprintNeeded(name, more.length + 1);
  return fingerprintOf(wholeKey(String(first["key"])), world.identityCrypto);
}

interface Concerned {
  readonly name: NodeName | undefined;
  readonly fingerprint: Fingerprint | undefined;
}

/** What a change says to a person about the running node. */
const SAYS: Readonly<Record<Told, string>> = {
  told: "; the running node knows",
  none: "",
  "without-identity": "; the running node has no identity by key",
};

async function report(
  world: CommandWorld,
  flags: KeyFlags,
  { name, fingerprint }: Concerned,
  changes: readonly TrustChange[],
  done: string,
): Promise<void> {
  // Also without a change: an earlier command may have failed to tell.
  const node = await tellRunningNode(world, flags);
  const who = name === undefined ? "the key" : canonicalName(name);
  const result = { name: name === undefined ? null : canonicalName(name), fingerprint: fingerprint ?? null };
  const human = `${who} ${done} ${fingerprint ?? "a file that could not be used"}${SAYS[node]}`;
  reportResult(world.terminal, { ...result, changed: changes.length > 0, node }, human);
}
