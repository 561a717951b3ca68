import type { Arbitration, ArbitrationQuestion } from "../auth/native-types.ts";
import { type Assurance, assuranceAtLeast, type ProtocolName } from "../base/assurance.ts";
import type { SallyportError } from "../base/errors.ts";
import { canonicalName, type NodeName } from "../base/node-name.ts";
import { arbitrateNative, mayReplaceNative, type StandingFacts } from "../node/arbiter.ts";
import { Openings } from "../node/openings.ts";
import { otherConnectionWins, sessionReplaced } from "../node/sessions.ts";
import { type Newcomer, sameKeys } from "../node/standing.ts";

/** An outside node on one pair, as it has proven itself. */
export interface OutsideParty {
  readonly name: NodeName;
  readonly protocol: ProtocolName;
  readonly key: Uint8Array | undefined;
  readonly assurance: Assurance;
  /** Undefined where the protocol has no order of lives. */
  readonly incarnation: bigint | undefined;
  /** The key that it follows by a signed succession, if it does. */
  readonly succeeds: Uint8Array | undefined;
  /** The inside node has dialled it. */
  readonly isDialled: boolean;
}

/** A dial of the inside node that has everything but our proof. */
interface Waiter {
  readonly name: string;
  readonly newcomer: Newcomer;
  readonly incarnation: bigint;
  readonly run: () => void;
}

/** What the book can end. */
export interface Endable {
  giveWay(error: SallyportError): void;
}

/**
 * What stands and comes up between one inside node and its outside nodes, by canonical name of these. Of crossing dials that
 * of the greater name goes on, as a BEAM node has it: it gives its own up without a failure only when it is the smaller one.
 * The native protocol has it the other way round, so neither dial is let through to its judge while the other is there.
 */
export class OutsideBook<P extends Endable> {
  readonly #standing = new Map<string, { readonly pair: P; readonly party: OutsideParty }>();
  readonly #openings = new Openings<P>();
  readonly #waiting = new Map<P, Waiter>();
  readonly #inside: NodeName;

  constructor(inside: NodeName) {
    this.#inside = inside;
  }

  /** Of two crossing dials the inside node's goes on. */
  prefersInside(outside: NodeName): boolean {
    return this.#inside > outside;
  }

  /** An outside node that dialled has proven itself: whether the inside node is dialled for it. */
  arbitrate(question: ArbitrationQuestion, newcomer: Newcomer, pair: P): Arbitration {
    const { incarnation } = question;
    const name = canonicalName(question.name);
    const { answer, ended } = arbitrateNative({
      role: "acceptor",
      incarnation,
      isProven: true,
      peerHoldsSession: false,
      // What is noted of the inside node's dials goes on.
      isOwnNameSmaller: true,
      standing: standingFacts(this.#standing.get(name)?.party, newcomer),
      openings: this.#openings.rivals(name, newcomer, pair),
    });
    if (answer === "go" || answer === "alive") {
      this.#openings.note(name, { connection: pair, key: newcomer.key, role: "acceptor", incarnation, isProven: true });
    }
    for (const { connection } of ended) connection.giveWay(otherConnectionWins(question.name));
    return answer;
  }

  /**
   * An outside node dials over QUIC and has proven its key, which may be relayed: what its name is answered. `assurance` of it;
   * a session of which we are surer stays. Of crossing dials the inside node judges, when this one has proven its cookie.
   */
  answerBarrel(outside: NodeName, assurance: Assurance): "ok" | "alive" | "nok" {
    const standing = this.#standing.get(canonicalName(outside))?.party;
    if (standing === undefined) return "ok";
    return standing.name === outside && assuranceAtLeast(assurance, standing.assurance) ? "alive" : "nok";
  }

  /** The inside node's dial may prove itself outside: `run` does so, once the inside node judges no other. */
  whenFree({ name: dialled, incarnation }: ArbitrationQuestion, newcomer: Newcomer, pair: P, run: () => void): void {
    const name = canonicalName(dialled);
    const waiter = { name, newcomer, incarnation, run };
    // Else an outside dial may still come first: the inside node then gives its own up.
    if (this.prefersInside(dialled)) this.#noteDial(pair, waiter);
    this.#waiting.set(pair, waiter);
    this.#wake(name);
  }

  #noteDial(pair: P, { name, newcomer: { key }, incarnation }: Waiter): void {
    this.#openings.note(name, { connection: pair, key, role: "dialler", incarnation, isProven: true });
  }

  /** Both legs stand. What was there of that name ends; false: the pair itself has to. */
  up(pair: P, party: OutsideParty): boolean {
    const name = canonicalName(party.name);
    const before = this.#standing.get(name);
    const { incarnation } = party;
    if (!party.isDialled && incarnation !== undefined) {
      const facts = standingFacts(before?.party, { ...party, succeeds: party.succeeds, holdsName: true });
      if (!mayReplaceNative(facts, incarnation)) return false;
    }
    if (party.protocol === "barrel" && !party.isDialled && before !== undefined) {
      if (!assuranceAtLeast(party.assurance, before.party.assurance)) return false;
    }
    const older = this.#openings.before(pair);
    this.#standing.set(name, { pair, party });
    this.#openings.release(pair);
    before?.pair.giveWay(sessionReplaced(party.name));
    for (const opening of older) opening.giveWay(otherConnectionWins(party.name));
    this.#wake(name);
    return true;
  }

  /** A pair is over. */
  release(pair: P, outside: NodeName | undefined): void {
    this.#openings.release(pair);
    this.#waiting.delete(pair);
    if (outside === undefined) return;
    const name = canonicalName(outside);
    if (this.#standing.get(name)?.pair === pair) this.#standing.delete(name);
    this.#wake(name);
  }

  #wake(name: string): void {
    for (const [pair, waiter] of [...this.#waiting]) {
      if (waiter.name !== name || this.#waiting.get(pair) !== waiter) continue;
      const rivals = this.#openings.rivals(name, waiter.newcomer, pair);
      if (rivals.some(({ role }) => role === "acceptor")) continue;
      this.#waiting.delete(pair);
      // From here on the outside node may end its own dial for it.
      this.#noteDial(pair, waiter);
      waiter.run();
    }
  }
}

function standingFacts(standing: OutsideParty | undefined, newcomer: Newcomer): StandingFacts | undefined {
  if (standing === undefined) return undefined;
  const { key, assurance, protocol, incarnation } = standing;
  const isFollowed = newcomer.succeeds !== undefined && key !== undefined && sameKeys(newcomer.succeeds, key);
  return {
    isSameParty: protocol === "native" && sameKeys(key, newcomer.key),
    isOutranked: isFollowed || (newcomer.assurance !== assurance && assuranceAtLeast(newcomer.assurance, assurance)),
    incarnation,
  };
}
