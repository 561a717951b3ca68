import type { Random } from "../base/random.ts";
import { Reference } from "../term/types.ts";

/** Words of our references: 18 + 4 x 32 = 146 random bits, so that an alias cannot be guessed (rulings S12). */
const WORDS = 5;
/** BEAM keeps 18 bits in the first word. */
const FIRST_WORD_MASK = 0x3ffff;

/** Makes unguessable references of this node. */
export class RefMaker {
  readonly #node: string;
  readonly #creation: number;
  readonly #random: Random;

  constructor(node: string, creation: number, random: Random) {
    this.#node = node;
    this.#creation = creation;
    this.#random = random;
  }

  next(): Reference {
    const words = new Array<number>(WORDS);
    for (let i = 0; i < WORDS; i++) words[i] = this.#random.uint32();
    words[0] = (words[0] ?? 0) & FIRST_WORD_MASK;
    return new Reference(this.#node, this.#creation, words);
  }

  /** True when `ref` may have been made here. */
  owns(ref: Reference): boolean {
    return ref.creation === this.#creation && ref.node === this.#node && ref.words.length === WORDS;
  }
}

/** A table key for references made by `RefMaker`: 30 of their random bits, so that it needs no allocation. Two in one table may never share it. */
export function ownRefKey(ref: Reference): number {
  return (ref.words[1] ?? 0) >>> 2;
}

export function sameRef(a: Reference, b: Reference): boolean {
  if (a.creation !== b.creation || a.node !== b.node || a.words.length !== b.words.length) return false;
  for (let i = 0; i < a.words.length; i++) if (a.words[i] !== b.words[i]) return false;
  return true;
}
