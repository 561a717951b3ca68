/** Undoes one thing. */
type UndoStep = () => Promise<void>;

/** What must be undone, newest first, however the demo ends. */
export class Cleanup {
  readonly #steps: UndoStep[] = [];
  #over = false;

  /** Remembers a step. Once the cleanup has run, what comes late is undone at once. */
  async add(step: UndoStep): Promise<void> {
    if (this.#over) await Promise.allSettled([step()]);
    else this.#steps.push(step);
  }

  /** Undoes everything. A step that fails does not keep the others from running. Idempotent. */
  async run(): Promise<void> {
    this.#over = true;
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      // What cannot be undone is gone already, or not ours to force.
      await Promise.allSettled([step()]);
    }
  }
}
