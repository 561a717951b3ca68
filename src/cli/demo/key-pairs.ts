import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { loadNodeKey } from "../../identity/key-files.ts";
import type { CommandWorld } from "../command-world.ts";

/** Key directories of a run, one for each Sallyport machine, in which each of the others is pinned. */
export interface KeyPairs {
  /** By node name. */
  readonly directories: Readonly<Record<string, string>>;
  readonly fingerprints: Readonly<Record<string, string>>;
}

/** Makes them below `directory`. */
export function makeKeyPairs(world: CommandWorld, directory: string, names: readonly string[]): KeyPairs {
  const { files, random, clock, identityCrypto: crypto } = world;
  const directories = Object.fromEntries(names.map((name) => [name, join(directory, `keys-${name}`)]));
  const fingerprints: Record<string, string> = {};
  for (const [name, own] of Object.entries(directories)) {
    const nowMs = clock.wallMs();
    const { key } = loadNodeKey({ files, crypto, random, directory: own, profile: "standard", nowMs });
    fingerprints[name] = key.fingerprint;
    key.destroy();
  }
  for (const [name, own] of Object.entries(directories)) {
    mkdirSync(join(own, "trusted"), { recursive: true, mode: 0o700 });
    for (const other of names.filter((each) => each !== name)) {
      copyFileSync(join(directories[other] ?? "", "node.pub"), join(own, "trusted", `${other}.pub`));
    }
  }
  return { directories, fingerprints };
}
