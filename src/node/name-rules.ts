import type { AllowRule } from "../guard/allow.ts";

/** Names whose rule is remembered after their service ended. */
export const MAX_REMEMBERED_NAMES = 4_096;

/**
 * The rule each name was registered with last, also after its service ended: whoever might reach the service learns that
 * it is gone (`noproc`); everybody else goes on learning nothing (rulings U9).
 */
export class NameRules {
  readonly #rules = new Map<string, AllowRule | undefined>();

  remember(name: string, rule: AllowRule | undefined): void {
    this.#rules.delete(name);
    if (this.#rules.size >= MAX_REMEMBERED_NAMES) {
      for (const oldest of this.#rules.keys()) {
        this.#rules.delete(oldest);
        break;
      }
    }
    this.#rules.set(name, rule);
  }

  get(name: string): AllowRule | undefined {
    return this.#rules.get(name);
  }
}
