import type { NodeName } from "../base/node-name.ts";
import type { Fingerprint, PublicKey } from "./public-key.ts";

/** `trusted`: provisioned, promoted or succeeded. `first-use`: accepted on first contact (rulings section 0). */
export type PinPlace = "trusted" | "first-use";

/** A key that is remembered for a name. */
export interface Pin {
  /** Canonical: the host in lower case. */
  readonly name: NodeName;
  readonly key: PublicKey;
  readonly fingerprint: Fingerprint;
  readonly place: PinPlace;
}

/** A file that should hold a pin and does not: its name is refused until the operator repairs or removes it. */
export interface BrokenPin {
  /** File name without `.pub`; what `pinStem` gives for the name. */
  readonly stem: string;
  readonly path: string;
  readonly place: PinPlace;
  readonly why: string;
}

/** Pins, broken pins and revoked keys of one reading. Changed only by the store that owns it. */
export class PinTable {
  readonly #pins = new Map<NodeName, Pin>();
  readonly #names = new Map<Fingerprint, Set<NodeName>>();
  readonly #broken = new Map<string, BrokenPin>();
  readonly revoked: Set<Fingerprint> = new Set();
  #firstUse = 0;

  get(name: NodeName): Pin | undefined {
    return this.#pins.get(name);
  }

  /** Adds or replaces the pin of its name. */
  set(pin: Pin): void {
    this.delete(pin.name);
    this.#pins.set(pin.name, pin);
    if (pin.place === "first-use") this.#firstUse++;
    const names = this.#names.get(pin.fingerprint);
    if (names === undefined) this.#names.set(pin.fingerprint, new Set([pin.name]));
    else names.add(pin.name);
  }

  delete(name: NodeName): void {
    const pin = this.#pins.get(name);
    if (pin === undefined) return;
    this.#pins.delete(name);
    if (pin.place === "first-use") this.#firstUse--;
    const names = this.#names.get(pin.fingerprint);
    names?.delete(name);
    if (names?.size === 0) this.#names.delete(pin.fingerprint);
  }

  /** A name other than `name` under which this key is pinned. */
  otherName(fingerprint: Fingerprint, name: NodeName): NodeName | undefined {
    for (const other of this.#names.get(fingerprint) ?? []) if (other !== name) return other;
    return undefined;
  }

  pins(): IterableIterator<Pin> {
    return this.#pins.values();
  }

  get size(): number {
    return this.#pins.size;
  }

  get firstUse(): number {
    return this.#firstUse;
  }

  /** The first one of a stem stays: `trusted/` is read before `first-use/`. */
  setBroken(broken: BrokenPin): void {
    if (!this.#broken.has(broken.stem)) this.#broken.set(broken.stem, broken);
  }

  /** What is broken for a name; a broken first-use file says nothing against what the operator provisioned. */
  brokenFor(stem: string, name: NodeName): BrokenPin | undefined {
    const broken = this.#broken.get(stem);
    return broken?.place === "first-use" && this.#pins.get(name)?.place === "trusted" ? undefined : broken;
  }

  get hasBroken(): boolean {
    return this.#broken.size > 0;
  }

  deleteBroken(stem: string): void {
    this.#broken.delete(stem);
  }

  allBroken(): IterableIterator<BrokenPin> {
    return this.#broken.values();
  }
}
