import { overLimit } from "./faults.ts";

/** Atoms of a message that count whether or not they repeat; only later ones are told apart. */
const ATOMS_COUNTED_PLAINLY = 1024;

/**
 * Counts the atoms written out in one message against `maxAtoms`. The first 1,024 count each, which costs one addition;
 * after them only those that differ, since a long list of tagged tuples repeats its tags.
 */
export class AtomBudget {
  readonly #max: number;
  readonly #plain: number;
  readonly #later: Set<string> = new Set();
  #written = 0;

  constructor(maxAtoms: number) {
    this.#max = maxAtoms;
    this.#plain = Math.min(ATOMS_COUNTED_PLAINLY, maxAtoms);
  }

  /** A new message begins. */
  reset(): void {
    this.#written = 0;
    if (this.#later.size > 0) this.#later.clear();
  }

  /** One atom was written out. @throws {SallyportError} ERR_LIMIT TERM_ATOMS */
  charge(name: string): void {
    if (++this.#written <= this.#plain) return;
    this.#later.add(name);
    if (this.#plain + this.#later.size > this.#max)
      throw overLimit("TERM_ATOMS", "maxAtoms", this.#max, "the number of atoms in a message");
  }
}
