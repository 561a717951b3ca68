import { resolve } from "node:path";
import { SallyportError } from "../base/errors.ts";
import { quotePeerText } from "../base/escape.ts";
import { canonicalName, type NodeName, tryNodeName } from "../base/node-name.ts";
import { canonicalKeyText } from "../policy/check/check-peers.ts";
import type { CommandWorld } from "./command-world.ts";
import { KeyDirectory } from "./key-directory.ts";
import { CONFIG_FILE } from "./settings.ts";

/** A node that may connect to one that is being made. */
export interface InitPeer {
  /** In the policy; unique in it. */
  readonly alias: string;
  readonly name: NodeName;
  /** As a policy names keys: `SHA256:...`, `ed25519:...` or `spki:SHA256:...`. */
  readonly key: string;
}

/**
 * What `init --peer` names: `NAME=KEY`, or the directory of a node on this machine.
 * @throws {SallyportError} ERR_CONFIG INIT_PEER, and what reading the directory's configuration and key throws
 */
export function initPeers(world: CommandWorld, texts: readonly string[]): readonly InitPeer[] {
  const aliases = new Set<string>();
  const seen = new Set<string>();
  return texts.map((text) => {
    const { name, key } = named(text) ?? inDirectory(world, text);
    const known = [canonicalName(name), key].find((part) => seen.has(part));
    if (known !== undefined) throw invalid(text, `names ${known}, which another --peer names already`);
    seen.add(canonicalName(name)).add(key);
    return { alias: newAlias(name, aliases), name, key };
  });
}

/** The error for peers that cannot stand in one policy together. */
export function peersUnfit(why: string): SallyportError {
  return new SallyportError("ERR_CONFIG", "INIT_PEER", `no policy can have these peers: ${why}`, {
    stage: "identity",
    advice: "name each other node once with --peer, by its own name and key",
  });
}

/** An entry of `peers` on one line. */
export function peerEntry({ alias, name, key }: InitPeer): string {
  return `"${alias}": { "keys": ["${key}"], "names": ["${name}"] }`;
}

/** The entry that another node needs for a node of this name and key. */
export function entryFor(name: NodeName, key: string): string {
  return peerEntry({ alias: newAlias(name, new Set()), name, key });
}

/** The entry that another node needs for a node of this name where it dials in over QUIC: its key does not count there. */
export function entryOverQuic(name: NodeName): string {
  return `"${newAlias(name, new Set())}": { "names": ["${name}"], "assurance": "cookie" }`;
}

function named(text: string): Omit<InitPeer, "alias"> | undefined {
  const equals = text.indexOf("=");
  const name = equals < 0 ? undefined : tryNodeName(text.slice(0, equals));
  if (name === undefined) {
    if (tryNodeName(text) === undefined) return undefined;
    throw invalid(text, "says a name and no key: a name alone proves nothing");
  }
  const key = canonicalKeyText(text.slice(equals + 1));
  if (key === undefined) throw invalid(text, "says no key that could be one");
  return { name, key };
}

function inDirectory(world: CommandWorld, text: string): Omit<InitPeer, "alias"> {
  const config = resolve(world.directory, text, CONFIG_FILE);
  if (!world.files.exists(config)) throw invalid(text, `is no NAME=KEY, and no directory with a ${CONFIG_FILE}`);
  const directory = new KeyDirectory(world, { config });
  const name = directory.mustHaveName();
  const { key } = directory.load();
  key.destroy();
  return { name, key: key.fingerprint };
}

/** The part of a name before the @, with a number where that is taken. */
function newAlias(name: NodeName, taken: Set<string>): string {
  const local = name.slice(0, name.indexOf("@")).slice(0, 60);
  let alias = local === "unknown" ? "peer" : local;
  for (let number = 2; taken.has(alias); number++) alias = `${local}-${number}`;
  taken.add(alias);
  return alias;
}

function invalid(text: string, why: string): SallyportError {
  return new SallyportError("ERR_CONFIG", "INIT_PEER", `--peer "${quotePeerText(text)}" ${why}`, {
    stage: "identity",
    advice:
      "write --peer NAME=KEY with what `sallyport keys show` prints on the other machine, or the directory of a node on this one",
  });
}
