/** One row for each seed of `status` and `health`: how it stands, and what keeps it away. */
export function seedRows(seeds: unknown): (readonly [string, string])[] {
  const list: readonly unknown[] = Array.isArray(seeds) ? seeds : [];
  return list.map((seed) => ["seed", seedText(seed)] as const);
}

function seedText(seed: unknown): string {
  if (typeof seed !== "object" || seed === null) return "?";
  const { name, state, from, attempts, lastReason, nextDialInMs } = seed as Readonly<Record<string, unknown>>;
  const parts = [`${name}: ${state}`];
  if (from !== "seeds") parts.push(`from ${from}`);
  if (typeof attempts === "number" && attempts > 0) parts.push(`${attempts} failed`);
  if (typeof lastReason === "string" && state !== "joined") parts.push(lastReason);
  if (typeof nextDialInMs === "number") parts.push(`next in ${Math.ceil(nextDialInMs / 1_000)} s`);
  return parts.join(", ");
}
