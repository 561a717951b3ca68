/** Most rules that are counted one by one; those of a policy file and of a profile are fewer. */
const MAX_RULES = 1_024;

interface Count {
  allowed: number;
  denied: number;
}

/** How often each rule decided, in one session of a pair. */
export class RuleCounts {
  readonly #counts = new Map<string, Count>();

  allowed(rule: string): void {
    const count = this.#of(rule);
    if (count !== undefined) count.allowed++;
  }

  denied(rule: string): void {
    const count = this.#of(rule);
    if (count !== undefined) count.denied++;
  }

  report(): Readonly<Record<string, { readonly allowed: number; readonly denied: number }>> {
    return Object.fromEntries([...this.#counts].map(([rule, count]) => [rule, { ...count }]));
  }

  #of(rule: string): Count | undefined {
    const known = this.#counts.get(rule);
    if (known !== undefined || this.#counts.size >= MAX_RULES) return known;
    const made = { allowed: 0, denied: 0 };
    this.#counts.set(rule, made);
    return made;
  }
}
