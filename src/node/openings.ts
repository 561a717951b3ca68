import type { Opening } from "./arbiter.ts";
import { type Newcomer, sameKeys } from "./standing.ts";

/** One native connection between its verdict and its session, or its end. */
export interface NotedOpening<C> extends Opening {
  readonly connection: C;
  readonly key: Newcomer["key"];
}

/**
 * Native connections that were told `go` or `alive` and are not up yet, by canonical name: what a later one has to respect.
 * Each connection is in it at most once, and not after its end, so their number is bounded by that of open handshakes.
 */
export class Openings<C> {
  /** Per name in the order of their first verdicts. */
  readonly #byName = new Map<string, Map<C, NotedOpening<C>>>();
  readonly #names = new Map<C, string>();

  get size(): number {
    return this.#names.size;
  }

  /** Notes a connection, or what was found out about it since. Its place in the order stays. */
  note(name: string, opening: NotedOpening<C>): void {
    const { connection } = opening;
    const ofName = this.#byName.get(name) ?? new Map<C, NotedOpening<C>>();
    this.#byName.set(name, ofName);
    ofName.set(connection, opening);
    this.#names.set(connection, name);
  }

  /** It is up, or has ended. */
  release(connection: C): void {
    const name = this.#names.get(connection);
    if (name === undefined) return;
    this.#names.delete(connection);
    const ofName = this.#byName.get(name);
    ofName?.delete(connection);
    if (ofName?.size === 0) this.#byName.delete(name);
  }

  /** Those of the same party, without `connection` itself. */
  rivals(name: string, { key }: Newcomer, connection: C): readonly NotedOpening<C>[] {
    const ofName = this.#byName.get(name);
    if (ofName === undefined) return [];
    return [...ofName.values()].filter((other) => other.connection !== connection && sameKeys(other.key, key));
  }

  /** Whether one that was accepted under this name, by whatever party, is noted beside `connection`. */
  isAccepting(name: string, connection: C): boolean {
    const ofName = this.#byName.get(name);
    return [...(ofName?.values() ?? [])].some((other) => other.connection !== connection && other.role === "acceptor");
  }

  /** Those of the same party that had their verdict before `connection` had its own. */
  before(connection: C): readonly C[] {
    const ofName = this.#byName.get(this.#names.get(connection) ?? "");
    const own = ofName?.get(connection);
    const older: C[] = [];
    if (own === undefined) return older;
    for (const other of ofName?.values() ?? []) {
      if (other === own) break;
      if (sameKeys(other.key, own.key)) older.push(other.connection);
    }
    return older;
  }
}
