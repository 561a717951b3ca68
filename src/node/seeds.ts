import { SallyportError } from "../base/errors.ts";
import { quotePeerText } from "../base/escape.ts";
import { canonicalName, type DialTarget, type NodeName, parseDialTarget, sameNode } from "../base/node-name.ts";
import type { SeedSource } from "./ports.ts";

/** Nodes that are dialled until they are connected, at most: those configured, those of sources, and those learned of peers. */
export const MAX_SEEDS = 1_024;

/** Sources of seeds at most. */
export const MAX_SEED_SOURCES = 16;

/** Makes the source behind `dns:LOCAL@SERVICE`. */
export type SeedSourceFactory = (local: string, service: string) => SeedSource;

/** What the option `seeds` asks for. */
export interface Seeds {
  readonly targets: readonly DialTarget[];
  readonly sources: readonly SeedSource[];
}

/**
 * Reads the option `seeds`. The own name in it is left out, so that one list fits all nodes; of a name that comes twice the first
 * counts.
 * @throws {SallyportError} ERR_CONFIG NAME_INVALID, SEED_INVALID, TOO_MANY_SEEDS
 */
export function readSeeds(texts: readonly string[], own: NodeName, dns: SeedSourceFactory): Seeds {
  const targets = new Map<NodeName, DialTarget>();
  const sources = new Map<string, SeedSource>();
  for (const text of texts) {
    if (text.startsWith("dns:")) {
      if (!sources.has(text)) sources.set(text, dnsSource(text, dns));
      continue;
    }
    const target = parseDialTarget(text);
    const key = canonicalName(target.name);
    if (!sameNode(target.name, own) && !targets.has(key)) targets.set(key, target);
  }
  if (targets.size > MAX_SEEDS) throw tooMany(`${targets.size} nodes`, MAX_SEEDS);
  if (sources.size > MAX_SEED_SOURCES) throw tooMany(`${sources.size} dns entries`, MAX_SEED_SOURCES);
  return { targets: [...targets.values()], sources: [...sources.values()] };
}

function dnsSource(text: string, dns: SeedSourceFactory): SeedSource {
  const match = /^dns:([A-Za-z0-9_-]+)@([A-Za-z0-9._-]+)$/.exec(text);
  if (match?.[1] === undefined || match[2] === undefined) {
    throw new SallyportError("ERR_CONFIG", "SEED_INVALID", `"${quotePeerText(text)}" is not dns:LOCAL@SERVICE`, {
      stage: "name",
      advice: "write for example dns:worker@workers.prod.example",
    });
  }
  return dns(match[1], match[2]);
}

function tooMany(what: string, max: number): SallyportError {
  return new SallyportError("ERR_CONFIG", "TOO_MANY_SEEDS", `seeds has ${what}, and ${max} is the most`, {
    stage: "name",
    detail: { max },
    advice: "name a few nodes that the others find each other by; not every node needs to be a seed",
  });
}
