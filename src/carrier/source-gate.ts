import type { Admission } from "./carrier.ts";
import { networkOf, type SourceList } from "./source-list.ts";

/** Asked about each accepted socket before a byte of it is read: `undefined` cuts it. See `AcceptGate.admit`. */
export interface Gatekeeper {
  admit(address: string, drop: () => void): Admission | undefined;
}

export interface SourceGateParts {
  /** Asked where this one has nothing against an address. */
  readonly inner: Gatekeeper;
  readonly sources: SourceList;
  /** Whether no connection at all is taken now; default never. */
  readonly isShut?: () => boolean;
  /** An address that is in the wrong list came, from this network. Must not throw. */
  readonly refused?: (address: string, network: string) => void;
}

/** What the gate did since it was made. */
export interface SourceGateCounters {
  /** Cut because of their address. */
  readonly refusedAddress: number;
  /** Cut because nobody was let in. */
  readonly refusedShut: number;
}

/** Lets in only what comes from the right addresses, and nothing while it is shut. */
export class SourceGate implements Gatekeeper {
  readonly #parts: SourceGateParts;
  #refusedAddress = 0;
  #refusedShut = 0;

  constructor(parts: SourceGateParts) {
    this.#parts = parts;
  }

  get counters(): SourceGateCounters {
    return { refusedAddress: this.#refusedAddress, refusedShut: this.#refusedShut };
  }

  /** Whether the lists let this address in, for protocols that need no place of the gate; counts and tells as `admit` does. */
  allows(address: string): boolean {
    if (this.#parts.sources.admits(address)) return true;
    this.#refusedAddress++;
    this.#parts.refused?.(address, networkOf(address));
    return false;
  }

  admit(address: string, drop: () => void): Admission | undefined {
    if (!this.allows(address)) return undefined;
    if (this.#parts.isShut?.() === true) {
      this.#refusedShut++;
      return undefined;
    }
    return this.#parts.inner.admit(address, drop);
  }
}
