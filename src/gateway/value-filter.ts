import { SallyportError } from "../base/errors.ts";
import type { Control } from "../wire/control-types.ts";
import { PayloadFacts, walkPayload } from "./payload.ts";
import type { Refusal } from "./verdict.ts";

/** What of the worker's terms may reach the commander. One per session. */
export class ValueFilter {
  readonly facts: PayloadFacts = new PayloadFacts();
  readonly #nodes: readonly [string, string];
  readonly #maxAtoms: number;
  /** Atoms that have reached the commander: a BEAM never gives one back. */
  readonly #known: Set<string> = new Set();
  /** Atoms of the message at hand. */
  readonly #found: Set<string> = new Set();

  constructor(nodes: readonly [string, string], maxAtoms: number) {
    this.#nodes = nodes;
    this.#maxAtoms = maxAtoms;
  }

  /** Different atoms that have passed. */
  get atoms(): number {
    return this.#known.size;
  }

  /** Walks the payload of a message, if it has one. Errors as `walkPayload`. */
  inspect(b: Buffer, start: number, end: number): void {
    this.#found.clear();
    this.facts.hasFun = false;
    this.facts.hasForeign = false;
    if (end > start) walkPayload(b, start, end, this.#nodes, this.facts, this.#found);
  }

  /** Why the payload inspected last may not pass as a value. */
  get objection(): Refusal | undefined {
    if (this.facts.hasForeign) return "foreign";
    return this.facts.hasFun ? "fun" : undefined;
  }

  /** The payload inspected last may pass all the same. */
  waive(): void {
    this.facts.hasForeign = false;
    this.facts.hasFun = false;
  }

  /**
   * Counts the atoms of a message that is about to be passed on: those of the payload inspected last, unless another one goes
   * in its place, and the names in its control message.
   * @throws {SallyportError} ERR_LIMIT GATEWAY_ATOMS
   */
  admit(control: Control, payload: boolean): void {
    const name = nameIn(control);
    if (name !== undefined) this.#count(name);
    if (payload) for (const atom of this.#found) this.#count(atom);
  }

  #count(atom: string): void {
    if (this.#known.has(atom)) return;
    if (this.#known.size < this.#maxAtoms) {
      this.#known.add(atom);
      return;
    }
    const limit = this.#maxAtoms;
    throw new SallyportError("ERR_LIMIT", "GATEWAY_ATOMS", `the worker has sent more than ${limit} different atoms`, {
      detail: { limit, option: "maxAtoms" },
      advice: "let the worker send binaries in place of atoms made from data, or raise maxAtoms of the gateway",
    });
  }
}

function nameIn(control: Control): string | undefined {
  switch (control.kind) {
    case "reg-send":
      return control.name;
    case "spawn-reply":
      return typeof control.result === "string" ? control.result : undefined;
    default:
      return undefined;
  }
}
