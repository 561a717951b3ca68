import type { OtpHandshakeTools, OtpSession } from "../auth/otp-types.ts";
import type { MonotonicMs } from "../base/clock.ts";
import { isSallyportError, type SallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";
import type { Admission, Carrier, CarrierSink } from "../carrier/carrier.ts";
import type { PeerClaim } from "../dist/sink.ts";
import type { Control } from "../wire/control-types.ts";
import { expandDigest } from "../wire/flags.ts";
import { Leg, type LegOwner, type LegWorld } from "./leg.ts";
import { type FilterFactory, type MessageFilter, otherSide, type PairedNode, type Side } from "./message-filter.ts";
import { cacheNotNegotiated, notForwardable, notPaired, otherLegEnded } from "./pair-failures.ts";
import type { Outgoing } from "./verdict.ts";

/** One way of being dialled: the node that is meant, who may dial it, and how the gateway reaches it. */
export interface Route {
  /** Where the dialling nodes stand. */
  readonly from: Side;
  readonly target: NodeName;
  /** Names that may dial, byte for byte: they go on to the target as they are. */
  readonly mayDial: ReadonlySet<string>;
  /** The capabilities that may be agreed upon through the gateway. */
  readonly mask: bigint;
  readonly world: LegWorld;
  readonly tools: Readonly<Record<Side, OtpHandshakeTools>>;
  readonly filterFor: FilterFactory;
  /** Dials the target. @throws {SallyportError} when there is nothing to dial */
  dial(sink: CarrierSink): Carrier;
}

/** What a pair tells of itself. */
export interface PairWatcher {
  /** A paired node asks for its target; nothing was said to that yet. @throws {SallyportError} to refuse it */
  attempted(pair: Pair, claimed: NodeName): void;
  up(pair: Pair): void;
  /** Exactly once. `cause`: undefined when one of the nodes has left in good order; `first`: the leg that ended first. */
  ended(pair: Pair, first: Leg, cause: SallyportError | undefined): void;
}

type Phase =
  | { readonly kind: "idle" }
  | { readonly kind: "dialling" | "answering"; readonly far: Leg; readonly claim: PeerClaim }
  | { readonly kind: "up"; readonly far: Leg; readonly filter: MessageFilter }
  | { readonly kind: "closed" };

/**
 * Two connections joined: each node sees the other's name, creation and capabilities, and each proves its own cookie to
 * the gateway alone. The near leg is the one that was accepted, the far one was dialled for it. Both end together, and
 * neither is ever joined to another: identifiers, links and monitors belong to the connection.
 */
export class Pair implements LegOwner {
  readonly near: Leg;
  readonly #route: Route;
  readonly #watcher: PairWatcher;
  readonly #admission: Admission;
  #phase: Phase = { kind: "idle" };
  #hasAnswered = false;
  #flags = 0n;
  #farCreation = 0;
  #wasUp = false;
  #now: MonotonicMs;

  constructor(route: Route, watcher: PairWatcher, carrier: Carrier, admission: Admission) {
    this.#route = route;
    this.#watcher = watcher;
    this.#admission = admission;
    this.#now = route.world.clock.now();
    this.near = new Leg(
      {
        side: route.from,
        world: route.world,
        tools: route.tools[route.from],
        // Only the name counts: what else is shown comes with the challenge.
        own: { name: route.target, creation: 0, flags: route.mask },
        target: undefined,
        makeCarrier: () => carrier,
      },
      this,
    );
  }

  get route(): Route {
    return this.#route;
  }

  get isUp(): boolean {
    return this.#phase.kind === "up";
  }

  get wasUp(): boolean {
    return this.#wasUp;
  }

  /** While it is up. */
  get filter(): MessageFilter | undefined {
    return this.#phase.kind === "up" ? this.#phase.filter : undefined;
  }

  get far(): Leg | undefined {
    return "far" in this.#phase ? this.#phase.far : undefined;
  }

  /** Ends both legs in good order. Idempotent. */
  end(): void {
    this.near.connection.end();
  }

  // Handshake. The far node hears of the near one when that was judged by its certificate, and gets our proof of the cookie
  // when that has proven its own.

  claimed(claim: PeerClaim): void {
    const { target, mayDial, mask, tools, world } = this.#route;
    const { connection } = this.near;
    try {
      if (!mayDial.has(claim.name)) throw notPaired(claim.name, target);
      this.near.authenticate(claim);
      this.#watcher.attempted(this, claim.name);
    } catch (error) {
      connection.refuseClaim(error);
      return;
    }
    const side = otherSide(this.near.side);
    const own = { name: claim.name, creation: claim.creation, flags: expandDigest(claim.flags) & mask };
    try {
      const makeCarrier = (sink: CarrierSink): Carrier => this.#route.dial(sink);
      const far = new Leg({ side, world, tools: tools[side], own, target, makeCarrier }, this);
      this.#phase = { kind: "dialling", far, claim };
    } catch (error) {
      if (!isSallyportError(error)) throw error;
      connection.destroy(error);
    }
  }

  status(status: "ok" | "ok_simultaneous" | "alive"): void {
    this.#hasAnswered = true;
    this.near.connection.answerClaim(status);
  }

  confirmed(): void {
    this.far?.connection.answerAlive(true);
  }

  challenged({ peerCreation, flags }: OtpSession): void {
    const phase = this.#phase;
    if (phase.kind !== "dialling") return;
    this.#flags = flags;
    this.#farCreation = peerCreation;
    this.#phase = { ...phase, kind: "answering" };
    this.near.connection.challenge({ creation: peerCreation, flags });
  }

  proven(leg: Leg): void {
    if (leg === this.near) {
      this.far?.connection.reply();
      return;
    }
    // The near leg first: what the far node sends from now on has somewhere to go.
    this.near.connection.admit();
    leg.connection.admit();
  }

  up(leg: Leg): void {
    const phase = this.#phase;
    if (leg === this.near || phase.kind !== "answering") return;
    this.#admission.release();
    const { route, near } = this;
    const nearNode = pairedNode(near, phase.claim.creation);
    const farNode = pairedNode(leg, this.#farCreation);
    const [outside, inside] = near.side === "outside" ? [nearNode, farNode] : [farNode, nearNode];
    const filter = route.filterFor({ outside, inside, dialledBy: near.side, flags: this.#flags });
    this.#phase = { kind: "up", far: leg, filter };
    this.#wasUp = true;
    this.#watcher.up(this);
  }

  // Messages

  turnStarted(): void {
    this.#now = this.#route.world.clock.now();
  }

  message(leg: Leg, control: Control, buffer: Buffer, start: number, end: number): void {
    const phase = this.#phase;
    if (phase.kind !== "up") return;
    if (leg.connection.terms.atomRefs !== undefined) throw cacheNotNegotiated(leg.peer as NodeName);
    const verdict = phase.filter.judge(leg.side, control, buffer, start, end, this.#now);
    const other = leg === this.near ? phase.far : this.near;
    if (verdict.close !== undefined) throw verdict.close;
    const { forward, answer } = verdict;
    if (forward !== undefined && !this.#send(leg, other, forward)) {
      other.isFull = true;
      this.#settle(leg, other);
    }
    if (answer !== undefined && !this.#send(leg, leg, answer)) {
      leg.answersWait = true;
      this.#settle(leg, other);
    }
  }

  #send(from: Leg, to: Leg, { control, buffer, start, end }: Outgoing): boolean {
    // One leg may have ended in the turn of the other.
    if (!to.connection.isUp) return true;
    try {
      return start === end ? to.connection.signal(control) : to.connection.encoded(control, buffer, start, end);
    } catch (error) {
      if (!isSallyportError(error) || error.code !== "ERR_LIMIT") throw notForwardable(from.peer as NodeName, error);
      to.connection.destroy(error);
      return true;
    }
  }

  drained(leg: Leg): void {
    const other = leg === this.near ? this.far : this.near;
    leg.isFull = false;
    leg.answersWait = false;
    if (other !== undefined) this.#settle(leg, other);
  }

  /** Each leg is read while there is room for what may come of it. */
  #settle(one: Leg, other: Leg): void {
    hold(one, other.isFull || one.answersWait);
    hold(other, one.isFull || other.answersWait);
  }

  down(leg: Leg, cause: SallyportError | undefined): void {
    const phase = this.#phase;
    if (phase.kind === "closed") return;
    this.#phase = { kind: "closed" };
    if (phase.kind === "up") {
      // What was forwarded still leaves; then the other node sees the connection end, as it would without a gateway.
      (leg === this.near ? phase.far : this.near).connection.end();
      phase.filter.ended?.();
    } else if (phase.kind !== "idle") this.#giveUp(leg, phase.far, cause);
    this.#watcher.ended(this, leg, cause);
  }

  #giveUp(leg: Leg, far: Leg, cause: SallyportError | undefined): void {
    const near = this.near.connection;
    if (leg === this.near) {
      // Without effect unless the far node waits for just that.
      far.connection.answerAlive(false);
      far.connection.destroy(otherLegEnded(leg.side, leg.peer ?? this.#route.target, cause?.reason ?? "CLOSED"));
      return;
    }
    // The far node's own words, where it had some.
    if (!this.#hasAnswered && cause?.reason === "OTHER_CONNECTION_WINS") near.answerClaim("nok");
    else if (!this.#hasAnswered && cause?.reason === "NOT_ALLOWED") near.answerClaim("not_allowed");
    near.destroy(cause ?? otherLegEnded(leg.side, this.#route.target, "CLOSED"));
  }
}

function hold(leg: Leg, stops: boolean): void {
  if (stops) leg.connection.holdReading();
  else leg.connection.releaseReading();
}

function pairedNode(leg: Leg, creation: number): PairedNode {
  const { peer } = leg.connection;
  if (peer === undefined) throw otherLegEnded(leg.side, leg.peer as NodeName, "CLOSED");
  const { name, info } = peer;
  const spki = info.chainTrusted && info.peerCertDer !== undefined ? leg.spkiOf(info.peerCertDer) : undefined;
  const { assurance } = leg;
  return { name, creation, assurance, info, protocol: "otp", fingerprints: [], publicKey: undefined, spki };
}
