import { type DialTarget, hostPart, tryNodeName } from "../base/node-name.ts";
import { tryAddress } from "./address.ts";

/** Where a configuration says that peers are. */
export interface ExpectedHostsParts {
  /** The static table, `host:port` by name, or resolvers. */
  readonly resolve: object | undefined;
  readonly seeds: readonly DialTarget[];
  /** Names; those with `*` in them name no host. */
  readonly nodes: readonly string[];
}

/** The hosts under which the configured peers are found: names or addresses, each once. */
export function expectedHosts({ resolve, seeds, nodes }: ExpectedHostsParts): readonly string[] {
  const table = resolve === undefined || Array.isArray(resolve) ? {} : resolve;
  const byTable = Object.values(table).flatMap((text) => {
    return typeof text === "string" ? (tryAddress(text, "tls")?.host ?? []) : [];
  });
  const bySeed = seeds.flatMap(({ name, port }) => {
    // A port makes the host part the address, whatever the table says.
    return port === undefined && Object.hasOwn(table, name) ? [] : hostPart(name);
  });
  const byName = nodes.flatMap((text) => {
    const name = text.includes("*") ? undefined : tryNodeName(text);
    return name === undefined || Object.hasOwn(table, name) ? [] : hostPart(name);
  });
  return [...new Set([...byTable, ...bySeed, ...byName])];
}
