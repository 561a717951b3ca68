import type { Term } from "../term/types.ts";
import type { DeathObserver, LocalProcess } from "./local-process.ts";

/** Carries an exit signal over a link to the process at its other end. */
export type LinkSignal<Meta, Tag> = (
  process: LocalProcess<Meta, Tag>,
  from: LocalProcess<Meta, Tag>,
  reason: Term,
) => void;

/** Links between two processes of this node. */
export class LocalLinks<Meta, Tag> implements DeathObserver<Meta, Tag> {
  readonly #ends: Map<LocalProcess<Meta, Tag>, Set<LocalProcess<Meta, Tag>>> = new Map();
  readonly #signal: LinkSignal<Meta, Tag>;

  constructor(signal: LinkSignal<Meta, Tag>) {
    this.#signal = signal;
  }

  /** Links two living processes; linking twice, or to itself, changes nothing. */
  link(a: LocalProcess<Meta, Tag>, b: LocalProcess<Meta, Tag>): void {
    if (a === b) return;
    this.#endsOf(a).add(b);
    this.#endsOf(b).add(a);
  }

  /** True when there was a link. No exit signal comes over it any more. */
  unlink(a: LocalProcess<Meta, Tag>, b: LocalProcess<Meta, Tag>): boolean {
    const linked = this.#remove(a, b);
    this.#remove(b, a);
    return linked;
  }

  linked(a: LocalProcess<Meta, Tag>, b: LocalProcess<Meta, Tag>): boolean {
    return this.#ends.get(a)?.has(b) === true;
  }

  processDied(process: LocalProcess<Meta, Tag>, reason: Term): void {
    const ends = this.#ends.get(process);
    if (ends === undefined) return;
    this.#ends.delete(process);
    for (const other of ends) this.#remove(other, process);
    for (const other of ends) this.#signal(other, process, reason);
  }

  #endsOf(process: LocalProcess<Meta, Tag>): Set<LocalProcess<Meta, Tag>> {
    let ends = this.#ends.get(process);
    if (ends === undefined) {
      ends = new Set();
      this.#ends.set(process, ends);
      process.observe(this);
    }
    return ends;
  }

  #remove(process: LocalProcess<Meta, Tag>, other: LocalProcess<Meta, Tag>): boolean {
    const ends = this.#ends.get(process);
    if (ends === undefined || !ends.delete(other)) return false;
    if (ends.size === 0) {
      this.#ends.delete(process);
      process.unobserve(this);
    }
    return true;
  }
}
