import type { Arbitration, ArbitrationQuestion } from "../auth/native-types.ts";
import { type Assurance, assuranceAtLeast, type ProtocolName } from "../base/assurance.ts";
import type { SallyportError } from "../base/errors.ts";
import { canonicalName, type NodeName } from "../base/node-name.ts";
import { arbitrateNative, mayReplaceNative, type StandingFacts } from "../node/arbiter.ts";
import { Openings } from "../node/openings.ts";
import { otherConnectionWins, sessionReplaced } from "../node/sessions.ts";
import { type Newcomer, sameKeys } from "../node/standing.ts";
import { otherSide, type Side } from "./message-filter.ts";

/** One node of a pair, as it has proven itself on its leg. */
export interface LegParty {
  readonly name: NodeName;
  readonly protocol: ProtocolName;
  readonly key: Uint8Array | undefined;
  readonly assurance: Assurance;
  /** Undefined where the protocol has no order of lives. */
  readonly incarnation: bigint | undefined;
  /** The key that it follows by a signed succession, if it does. */
  readonly succeeds: Uint8Array | undefined;
}

/** A dial that has everything but our proof to its target. */
interface Waiter {
  readonly name: string;
  /** Where its target stands. */
  readonly side: Side;
  readonly newcomer: Newcomer;
  readonly incarnation: bigint;
  readonly run: () => void;
}

interface Standing<P> {
  readonly pair: P;
  readonly parties: Readonly<Record<Side, LegParty>>;
}

/** What the book can end. */
export interface Endable {
  giveWay(error: SallyportError): void;
}

/**
 * What stands and comes up between one inside node and its outside nodes, by canonical name of these. On each side where a key
 * is proven the node may have dialled (`acceptor` is our part then) or be dialled for the other one (`dialler`).
 *
 * Of crossing dials that of the greater name goes on, as a BEAM node has it: it gives its own up without a failure only when it
 * is the smaller one. The native protocol has it the other way round, so neither dial is let through to its judge while the other
 * is there; where both nodes prove keys, the one that did so first goes on.
 */
export class ConnectionBook<P extends Endable> {
  readonly #standing = new Map<string, Standing<P>>();
  readonly #openings: Readonly<Record<Side, Openings<P>>> = { outside: new Openings(), inside: new Openings() };
  readonly #waiting = new Map<P, Waiter>();
  readonly #inside: NodeName;

  constructor(inside: NodeName) {
    this.#inside = inside;
  }

  /** Of two crossing dials that of the side `from` goes on. */
  prefers(from: Side, outside: NodeName): boolean {
    return from === "inside" ? this.#inside > outside : outside > this.#inside;
  }

  /** The node on `side` has dialled and proven itself: whether the other one is dialled for it. */
  arbitrate(side: Side, outside: NodeName, question: ArbitrationQuestion, newcomer: Newcomer, pair: P): Arbitration {
    const { incarnation } = question;
    const name = canonicalName(outside);
    const openings = this.#openings[side];
    const { answer, ended } = arbitrateNative({
      role: "acceptor",
      incarnation,
      isProven: true,
      peerHoldsSession: false,
      // What is noted of the other node's dials goes on.
      isOwnNameSmaller: true,
      standing: standingFacts(this.#standing.get(name)?.parties[side], newcomer),
      openings: openings.rivals(name, newcomer, pair),
    });
    if (answer === "go" || answer === "alive") {
      // Their judges would wait for each other.
      if (this.#openings[otherSide(side)].isAccepting(name, pair)) return "other-wins";
      openings.note(name, { connection: pair, key: newcomer.key, role: "acceptor", incarnation, isProven: true });
    }
    for (const { connection } of ended) connection.giveWay(otherConnectionWins(question.name));
    return answer;
  }

  /**
   * The node on `side` dials over QUIC and has proven its key, which may be relayed: what its name is answered. `assurance` of it;
   * a session of which we are surer stays. Of crossing dials the other node judges, when this one has proven its cookie.
   */
  answerBarrel(side: Side, outside: NodeName, assurance: Assurance): "ok" | "alive" | "nok" {
    const standing = this.#standing.get(canonicalName(outside))?.parties;
    if (standing === undefined) return "ok";
    const isSure = assuranceAtLeast(assurance, standing[side].assurance);
    return standing.outside.name === outside && isSure ? "alive" : "nok";
  }

  /** We may prove ourselves to the node on `side`, for the one that dialled: `run` does so, once no dial of that node is judged. */
  whenFree(
    side: Side,
    outside: NodeName,
    { incarnation }: ArbitrationQuestion,
    newcomer: Newcomer,
    pair: P,
    run: () => void,
  ): void {
    const name = canonicalName(outside);
    const waiter = { name, side, newcomer, incarnation, run };
    // Else a dial of that node may still come first: the one that waits then gives its own up.
    if (this.prefers(otherSide(side), outside)) this.#noteDial(pair, waiter);
    this.#waiting.set(pair, waiter);
    this.#wake(name);
  }

  #noteDial(pair: P, { name, side, newcomer: { key }, incarnation }: Waiter): void {
    this.#openings[side].note(name, { connection: pair, key, role: "dialler", incarnation, isProven: true });
  }

  /** Both legs stand. What was there of these nodes ends; false: the pair itself has to. */
  up(pair: P, parties: Readonly<Record<Side, LegParty>>, dialledBy: Side): boolean {
    const dialler = parties[dialledBy];
    const outside = parties.outside.name;
    const name = canonicalName(outside);
    const before = this.#standing.get(name);
    const { incarnation } = dialler;
    if (incarnation !== undefined) {
      const facts = standingFacts(before?.parties[dialledBy], { ...dialler, holdsName: true });
      if (!mayReplaceNative(facts, incarnation)) return false;
    }
    if (dialler.protocol === "barrel" && before !== undefined) {
      if (!assuranceAtLeast(dialler.assurance, before.parties[dialledBy].assurance)) return false;
    }
    const older = new Set([...this.#openings.outside.before(pair), ...this.#openings.inside.before(pair)]);
    this.#standing.set(name, { pair, parties });
    this.#forget(pair);
    before?.pair.giveWay(sessionReplaced(outside));
    for (const opening of older) opening.giveWay(otherConnectionWins(outside));
    this.#wake(name);
    return true;
  }

  /** A pair is over, or its dial is made anew later. */
  release(pair: P, outside: NodeName | undefined): void {
    this.#forget(pair);
    this.#waiting.delete(pair);
    if (outside === undefined) return;
    const name = canonicalName(outside);
    if (this.#standing.get(name)?.pair === pair) this.#standing.delete(name);
    this.#wake(name);
  }

  #forget(pair: P): void {
    this.#openings.outside.release(pair);
    this.#openings.inside.release(pair);
  }

  #wake(name: string): void {
    for (const [pair, waiter] of [...this.#waiting]) {
      if (waiter.name !== name || this.#waiting.get(pair) !== waiter) continue;
      const rivals = this.#openings[waiter.side].rivals(name, waiter.newcomer, pair);
      if (rivals.some(({ role }) => role === "acceptor")) continue;
      this.#waiting.delete(pair);
      // From here on that node may end its own dial for it.
      this.#noteDial(pair, waiter);
      waiter.run();
    }
  }
}

function standingFacts(standing: LegParty | undefined, newcomer: Newcomer): StandingFacts | undefined {
  if (standing === undefined) return undefined;
  const { key, assurance, protocol, incarnation } = standing;
  const isFollowed = newcomer.succeeds !== undefined && key !== undefined && sameKeys(newcomer.succeeds, key);
  return {
    isSameParty: protocol === "native" && sameKeys(key, newcomer.key),
    isOutranked: isFollowed || (newcomer.assurance !== assurance && assuranceAtLeast(newcomer.assurance, assurance)),
    incarnation,
  };
}
