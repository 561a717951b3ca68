import type { Arbitration, ArbitrationQuestion } from "../auth/native-types.ts";
import type { Assurance } from "../base/assurance.ts";
import type { NodeName } from "../base/node-name.ts";
import type { Newcomer } from "../node/standing.ts";
import type { ConnectionBook, Endable, LegParty } from "./connection-book.ts";
import type { Side } from "./message-filter.ts";

/** One pair's place in the book of connections. Where no leg proves keys there is no book; whoever asks all the same is refused. */
export class Meeting<P extends Endable> {
  readonly #book: ConnectionBook<P> | undefined;
  readonly #pair: P;
  readonly #outside: () => NodeName | undefined;

  /** @param outside the outside node, once its name is known */
  constructor(book: ConnectionBook<P> | undefined, pair: P, outside: () => NodeName | undefined) {
    this.#book = book;
    this.#pair = pair;
    this.#outside = outside;
  }

  /** The node on `side` has dialled and proven itself: whether the other one is dialled for it. */
  arbitrate(side: Side, question: ArbitrationQuestion, newcomer: Newcomer): Arbitration {
    const outside = this.#outside();
    if (this.#book === undefined || outside === undefined) return "other-wins";
    return this.#book.arbitrate(side, outside, question, newcomer, this.#pair);
  }

  /** The node on `side` says its name over QUIC: what it is answered. `assurance` of it. */
  answerBarrel(side: Side, assurance: Assurance): "ok" | "alive" | "nok" {
    const outside = this.#outside();
    return outside === undefined ? "nok" : (this.#book?.answerBarrel(side, outside, assurance) ?? "nok");
  }

  /** We may prove ourselves to the node on `side`: `run` does so once no dial of that node is judged. */
  whenFree(side: Side, question: ArbitrationQuestion, newcomer: Newcomer, run: () => void): void {
    const outside = this.#outside();
    if (outside !== undefined) this.#book?.whenFree(side, outside, question, newcomer, this.#pair, run);
  }

  /** Of two crossing dials that of the side `from` goes on. */
  prefers(from: Side): boolean {
    const outside = this.#outside();
    return outside !== undefined && this.#book?.prefers(from, outside) !== false;
  }

  /** Both legs stand. False: the pair has to end. */
  up(parties: Readonly<Record<Side, LegParty>>, dialledBy: Side): boolean {
    return this.#book?.up(this.#pair, parties, dialledBy) !== false;
  }

  /** The pair is over, or its dial is made anew later. */
  release(): void {
    this.#book?.release(this.#pair, this.#outside());
  }
}
