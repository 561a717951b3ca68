import type { OtpIdentity, OtpSession, ShownIdentity } from "../auth/otp-types.ts";
import { addMs, type MonotonicMs, type Timer } from "../base/clock.ts";
import { isSallyportError, type SallyportError } from "../base/errors.ts";
import type { NodeName } from "../base/node-name.ts";
import type { Admission } from "../carrier/carrier.ts";
import { mayBeResumption } from "../dist/resumption.ts";
import type { PeerClaim } from "../dist/sink.ts";
import type { TrustChange } from "../identity/trust-change.ts";
import type { IdentityKeeper } from "../node/identity-keeper.ts";
import { otherConnectionWins } from "../node/sessions.ts";
import type { Control } from "../wire/control-types.ts";
import { expandDigest } from "../wire/flags.ts";
import type { ByeReason } from "../wire/link-frames.ts";
import { EarlyMessages } from "./early-messages.ts";
import type { ExpectedNode } from "./expected-node.ts";
import { Leg, type LegOwner } from "./leg.ts";
import type { LegCarrier } from "./leg-carrier.ts";
import { identityOn } from "./leg-identity.ts";
import { Meeting } from "./meeting.ts";
import { type MessageFilter, otherSide, type Side } from "./message-filter.ts";
import {
  cacheNotNegotiated,
  creationChanged,
  notForwardable,
  notPaired,
  otherLegEnded,
  strictlyMissing,
} from "./pair-failures.ts";
import type { PairHandshake } from "./pair-handshake.ts";
import { pairedNode } from "./paired-node.ts";
import type { Route } from "./route.ts";
import type { Outgoing } from "./verdict.ts";

/** Dials of a node with a key for one of the other node, while its own crosses them. */
export const MAX_FAR_DIALS = 4;

/** Before another such dial, milliseconds: where the other node's goes on, and where its own should come first. */
export const FAR_REDIAL_MS = 50;
export const FAR_REDIAL_LATER_MS = 500;

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
  /** The far node's own dial won; ours is made anew. */
  | { readonly kind: "waiting"; readonly claim: PeerClaim; readonly timer: Timer }
  | { readonly kind: "up"; readonly far: Leg; readonly filter: MessageFilter }
  | { readonly kind: "closed" };

/**
 * Two connections joined: each node sees the other's name, creation and capabilities, and each proves its own cookie to
 * the gateway alone. The near leg is the one that was accepted, the far one was dialled for it. Both end together, and
 * neither is ever joined to another: identifiers, links and monitors belong to the connection.
 */
export class Pair implements LegOwner {
  readonly near: Leg;
  readonly meeting: Meeting<PairHandshake>;
  readonly #route: Route;
  readonly #watcher: PairWatcher;
  readonly #admission: Admission;
  #phase: Phase = { kind: "idle" };
  #hasAnswered = false;
  /** What the near node was told of the far one. */
  #shown: ShownIdentity | undefined;
  #isNearProven = false;
  #farDials = 0;
  /** The far node is dialled without resuming a TLS session. */
  #isFull = false;
  readonly #early = new EarlyMessages();
  #bye: ByeReason = "disconnect";
  #wasUp = false;
  #now: MonotonicMs;

  constructor(route: Route, watcher: PairWatcher, carrier: LegCarrier, admission: Admission) {
    this.#route = route;
    this.#watcher = watcher;
    this.#admission = admission;
    this.#now = route.world.clock.now();
    this.meeting = new Meeting<PairHandshake>(route.identities?.book, this, () => this.#outside);
    // Only the name counts: what else is shown comes with the challenge, or is expected of the target.
    const own = { name: route.target, creation: 0, flags: route.mask };
    this.near = this.#leg(route.from, own, undefined, carrier);
  }

  #leg(side: Side, own: OtpIdentity, target: NodeName | undefined, carrier: LegCarrier): Leg {
    const { world, tools, identities, isVisibleTo } = this.#route;
    // Inside it stands for the outside node, by that one's name.
    const identity = identityOn(identities, side, own.name);
    const shows = (peer: NodeName): boolean => isVisibleTo?.[side](peer) === true;
    const parts = { world, tools: tools[side], identity, isVisibleTo: shows };
    return new Leg({ side, own, target, carrier, isFull: this.#isFull, ...parts }, this);
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

  get #outside(): NodeName | undefined {
    return this.near.side === "outside" ? this.near.peer : this.#route.target;
  }

  /** Ends both legs in good order. Idempotent. */
  end(reason: ByeReason = "disconnect"): void {
    this.#bye = reason;
    this.near.connection.end(reason);
  }

  /** Ends it at once. */
  giveWay(error: SallyportError): void {
    this.near.connection.destroy(error);
  }

  /** Trust has changed in these keys' directory: ends the pair when one of its legs rests on what is gone. */
  cut(keeper: IdentityKeeper, changes: readonly TrustChange[]): void {
    for (const leg of [this.near, this.far]) {
      const lost = leg?.withdrawn(keeper, changes);
      if (lost !== undefined) leg?.connection.destroy(lost);
    }
  }

  // Handshake. The far node hears of the near one when that was judged by its certificate or key, and gets our proof when
  // that has proven all it has to prove.

  named(name: NodeName): void {
    const { target, mayDial } = this.#route;
    if (!mayDial.has(name)) throw notPaired(name, target);
  }

  claimed(claim: PeerClaim): void {
    if (this.welcome(claim)) this.dialFar(claim);
  }

  welcome(claim: PeerClaim): boolean {
    try {
      this.named(claim.name);
      const lacking = strictlyMissing(claim.name, claim.flags);
      if (lacking !== undefined) throw lacking;
      this.near.authenticate(claim);
      this.#watcher.attempted(this, claim.name);
    } catch (error) {
      this.near.refuseClaim(error);
      return false;
    }
    return true;
  }

  dialFar(claim: PeerClaim): void {
    const { target, mask } = this.#route;
    const side = otherSide(this.near.side);
    const own = { name: claim.name, creation: claim.creation, flags: expandDigest(claim.flags) & mask };
    this.#farDials++;
    try {
      const far = this.#leg(side, own, target, this.#route.dial(claim.name));
      this.#phase = { kind: "dialling", far, claim };
    } catch (error) {
      if (!isSallyportError(error)) throw error;
      this.near.abandon(error);
    }
  }

  status(status: "ok" | "ok_simultaneous" | "alive"): void {
    if (this.#hasAnswered) return;
    this.#hasAnswered = true;
    this.near.answerClaim(status);
  }

  confirmed(): void {
    this.far?.connection.answerAlive(true);
  }

  challenged({ peerCreation: creation, flags: common }: OtpSession, peerFlags: bigint): void {
    const phase = this.#phase;
    // A leg over QUIC may show more.
    const flags = common & expandDigest(this.#route.mask);
    if (phase.kind !== "dialling") return;
    const { far } = phase;
    const lacking = strictlyMissing(this.#route.target, peerFlags);
    if (lacking !== undefined) {
      this.near.abandon(lacking);
      return;
    }
    this.#phase = { ...phase, kind: "answering" };
    this.#expectedOn(this.near.side)?.learn({ creation, flags: peerFlags });
    if (this.#shown === undefined) {
      this.#shown = { creation, flags };
      this.near.challenge(this.#shown);
    } else if (this.#shown.creation !== creation || this.#shown.flags !== flags) {
      this.near.abandon(creationChanged(this.#route.target));
    } else if (this.#isNearProven) far.reply();
  }

  nearProven(): void {
    const phase = this.#phase;
    this.#isNearProven = true;
    if ("claim" in phase) this.#expectedOn(otherSide(this.near.side))?.learn(phase.claim);
    this.far?.reply();
  }

  /** What legs of that side show of the node that they stand for, which is on the other one. */
  #expectedOn(side: Side): ExpectedNode | undefined {
    return identityOn(this.#route.identities, side, this.#outside)?.expected;
  }

  farProven(): void {
    // The near leg first: what the far node sends from now on has somewhere to go.
    this.near.admit();
    this.far?.admit();
  }

  up(leg: Leg): void {
    const phase = this.#phase;
    if (phase.kind !== "answering") return;
    const { near } = this;
    const { far } = phase;
    const [nearPeer, farPeer] = [near.connection.peer, far.connection.peer];
    if (nearPeer === undefined || farPeer === undefined) {
      // Our last word to the near node is out, and its answer is not here.
      if (leg === far) far.connection.holdReading();
      return;
    }
    this.#admission.release();
    const { route } = this;
    const bySide = <T>(ofNear: T, ofFar: T): Readonly<Record<Side, T>> =>
      near.side === "outside" ? { outside: ofNear, inside: ofFar } : { outside: ofFar, inside: ofNear };
    if (!this.meeting.up(bySide(near.partyOf(nearPeer), far.partyOf(farPeer)), near.side)) {
      this.giveWay(otherConnectionWins(nearPeer.name));
      return;
    }
    const nodes = bySide(pairedNode(near, nearPeer), pairedNode(far, farPeer));
    const filter = route.filterFor({ ...nodes, dialledBy: near.side, flags: farPeer.flags });
    this.#phase = { kind: "up", far, filter };
    this.#wasUp = true;
    this.#watcher.up(this);
    try {
      for (const { control, payload } of this.#early.take()) this.message(far, control, payload, 0, payload.length);
    } catch (error) {
      if (!isSallyportError(error)) throw error;
      far.connection.destroy(error);
    }
    this.#settle(near, far);
  }

  // Messages

  turnStarted(): void {
    this.#now = this.#route.world.clock.now();
  }

  message(leg: Leg, control: Control, buffer: Buffer, start: number, end: number): void {
    const phase = this.#phase;
    if (leg.connection.isUp && leg.connection.terms.atomRefs !== undefined)
      throw cacheNotNegotiated(leg.peer as NodeName);
    if (phase.kind !== "up") {
      if (phase.kind === "answering") this.#early.keep(leg.peer as NodeName, control, buffer, start, end);
      return;
    }
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
    const { filter } = phase;
    if (filter.isPressed === undefined) return;
    const isChanged = leg.pressure.update(filter.isPressed(leg.side));
    if (other.pressure.update(filter.isPressed(other.side)) || isChanged) this.#settle(leg, other);
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
    leg.isFull = false;
    leg.answersWait = false;
    this.pressureOver(leg);
  }

  pressureOver(leg: Leg): void {
    const other = leg === this.near ? this.far : this.near;
    if (other !== undefined) this.#settle(leg, other);
  }

  /** Each leg is read while there is room for what may come of it. */
  #settle(one: Leg, other: Leg): void {
    hold(one, other.isFull || one.answersWait || one.pressure.isOn);
    hold(other, one.isFull || other.answersWait || other.pressure.isOn);
  }

  down(leg: Leg, cause: SallyportError | undefined): void {
    const phase = this.#phase;
    if (phase.kind === "closed" || this.#dialsInFull(leg, cause) || this.#dialsAnew(leg, cause)) return;
    this.#phase = { kind: "closed" };
    if (phase.kind === "up") {
      this.near.pressure.stop();
      phase.far.pressure.stop();
      // What was forwarded still leaves; then the other node sees the connection end, as it would without a gateway.
      (leg === this.near ? phase.far : this.near).connection.end(this.#bye);
      phase.filter.ended?.();
    } else if (phase.kind === "waiting") phase.timer.cancel();
    else if (phase.kind !== "idle") this.#giveUp(leg, phase.far, cause);
    this.meeting.release();
    this.#watcher.ended(this, leg, cause);
  }

  /** The far leg had offered an earlier TLS session, which may be all that was wrong: what a full handshake leads to counts. */
  #dialsInFull(leg: Leg, cause: SallyportError | undefined): boolean {
    const phase = this.#phase;
    if ((phase.kind !== "dialling" && phase.kind !== "answering") || leg !== phase.far || this.#isFull) return false;
    if (leg.connection.resumption === undefined || !mayBeResumption(cause)) return false;
    this.#isFull = true;
    if (leg.provesKeys) this.meeting.release();
    this.dialFar(phase.claim);
    return true;
  }

  /** The far node prefers its own dial, which this gateway has sent away: the near node's goes on. */
  #dialsAnew(leg: Leg, cause: SallyportError | undefined): boolean {
    const phase = this.#phase;
    if ((phase.kind !== "dialling" && phase.kind !== "answering") || leg !== phase.far || !leg.provesKeys) return false;
    if (cause?.reason !== "OTHER_CONNECTION_WINS" || this.#farDials >= MAX_FAR_DIALS) return false;
    // While its dial is held here its node refuses the other one, for which this one may have been refused.
    if (this.near.dialsAgain && !this.#hasAnswered) return false;
    const { clock } = this.#route.world;
    const afterMs = this.meeting.prefers(this.near.side) ? FAR_REDIAL_MS : FAR_REDIAL_LATER_MS;
    const timer = clock.at(addMs(clock.now(), afterMs), () => this.dialFar(phase.claim), true);
    this.#phase = { kind: "waiting", claim: phase.claim, timer };
    this.meeting.release();
    return true;
  }

  #giveUp(leg: Leg, far: Leg, cause: SallyportError | undefined): void {
    const { near } = this;
    if (leg === near) {
      // Without effect unless the far node waits for just that.
      far.connection.answerAlive(false);
      far.connection.destroy(otherLegEnded(leg.side, leg.peer ?? this.#route.target, cause?.reason ?? "CLOSED"));
      return;
    }
    // The far node's own words, where it had some.
    if (!this.#hasAnswered && cause?.reason === "OTHER_CONNECTION_WINS") near.answerClaim("nok");
    else if (!this.#hasAnswered && cause?.reason === "NOT_ALLOWED" && !near.provesKeys) near.answerClaim("not_allowed");
    near.abandon(cause ?? otherLegEnded(leg.side, this.#route.target, "CLOSED"));
  }
}

function hold(leg: Leg, stops: boolean): void {
  if (stops) leg.connection.holdReading();
  else leg.connection.releaseReading();
}
