import type { Session } from "./session.ts";

/** Those who wait until a session is not congested any more. */
export class DrainWaiters {
  readonly #waiters = new Map<Session, (() => void)[]>();

  /** Resolves when the session has room again, or ended; at once where it has. */
  wait(session: Session | undefined): Promise<void> {
    if (session === undefined || !session.connection.congested) return Promise.resolve();
    return new Promise((resolve) => {
      const waiters = this.#waiters.get(session) ?? [];
      waiters.push(resolve);
      this.#waiters.set(session, waiters);
    });
  }

  /** There is room, or the session is over. */
  wake(session: Session): void {
    const waiters = this.#waiters.get(session);
    this.#waiters.delete(session);
    for (const wake of waiters ?? []) wake();
  }
}
