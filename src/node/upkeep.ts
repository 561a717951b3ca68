import { addMs, type Clock } from "../base/clock.ts";
import { SallyportError } from "../base/errors.ts";
import { canonicalName, type DialTarget, type NodeName, sameNode } from "../base/node-name.ts";
import type { Random } from "../base/random.ts";
import { backoffMs, type Reconnect } from "./backoff.ts";
import type { Dial } from "./dial.ts";
import { isDismissal, isNo, Seed, type SeedHealth } from "./seed.ts";
import { MAX_SEEDS } from "./seeds.ts";
import type { Session } from "./session.ts";

/** Seeds that are dialled at once, at most; the others wait for a place. */
export const MAX_SEED_DIALS = 64;

/** The name under which `Seed.from` keeps those of the option `seeds`. */
export const CONFIGURED = "seeds";

export interface UpkeepParts {
  readonly own: NodeName;
  readonly clock: Clock;
  readonly random: Random;
  readonly reconnect: Reconnect;
  /** The session over which this node may speak to a name. */
  sessionWith(name: NodeName): Session | undefined;
  /** The dial to a node, shared by all who want it; started where none is under way. */
  dial(target: DialTarget): Pick<Dial, "wait" | "isUnwanted" | "fail">;
  /** Tells the operator. May run code of the user. */
  warn(reason: string, message: string): void;
}

/**
 * Keeps connections to the nodes that it is told: dials each until a session stands, whoever made it, and again when that is lost,
 * with growing waits. Waits and dials are all that it does; it never repeats a message.
 */
export class Upkeep {
  readonly #parts: UpkeepParts;
  readonly #seeds = new Map<NodeName, Seed>();
  #dialling = 0;
  #isRunning = false;

  constructor(parts: UpkeepParts) {
    this.#parts = parts;
  }

  /** Starts to dial, each seed at once. */
  start(): void {
    this.#isRunning = true;
    for (const seed of [...this.#seeds.values()]) this.#begin(seed);
  }

  /** Dials no more, and takes nothing new. */
  stop(): void {
    this.#isRunning = false;
    for (const seed of this.#seeds.values()) seed.rest("stopped");
  }

  /**
   * From now on `from` names exactly these. Those that it named before are kept while they are connected, and go then. What finds no
   * room, is this node itself or is named by somebody else already is left out.
   */
  keep(from: string, targets: readonly DialTarget[]): void {
    const listed = new Set<NodeName>();
    for (const target of targets) {
      const key = canonicalName(target.name);
      if (sameNode(target.name, this.#parts.own)) continue;
      listed.add(key);
      if (this.#seeds.has(key) || this.#seeds.size >= MAX_SEEDS) continue;
      const seed = new Seed(target, from);
      this.#seeds.set(key, seed);
      if (this.#isRunning) this.#begin(seed);
    }
    for (const [key, seed] of this.#seeds) {
      if (seed.from !== from) continue;
      seed.isListed = listed.has(key);
      if (!seed.isListed && seed.state !== "joined") this.#forget(key, seed);
    }
  }

  /** Whether the node is one of those kept. */
  has(name: NodeName): boolean {
    return this.#seeds.has(canonicalName(name));
  }

  /** Of each seed, in the order in which they came. */
  health(): readonly SeedHealth[] {
    const now = this.#parts.clock.now();
    return [...this.#seeds.values()].map((seed) => seed.shown(now));
  }

  /** True when a seed that the owner named is not to be had. Nodes that peers told of come and go. */
  isTroubled(learned: string): boolean {
    for (const seed of this.#seeds.values()) if (seed.from !== learned && seed.isTroubled) return true;
    return false;
  }

  /** A session stands, or its peer turned out to hold its name. */
  up(session: Session): void {
    const seed = session.holdsName ? this.#seeds.get(session.facts.name) : undefined;
    if (seed !== undefined && this.#isRunning) this.#joined(seed);
  }

  /** A session stands no more. */
  down(session: Session, cause: SallyportError | undefined): void {
    const key = session.facts.name;
    const seed = this.#seeds.get(key);
    if (seed?.state !== "joined" || this.#parts.sessionWith(key) !== undefined) return;
    if (!seed.isListed) {
      this.#forget(key, seed);
      return;
    }
    const { clock, reconnect } = this.#parts;
    if (seed.joinedAt !== undefined && clock.now() - seed.joinedAt > reconnect.maxMs) seed.doublings = 0;
    seed.lastReason = cause?.reason ?? "CLOSED";
    this.#again(seed, cause);
  }

  /** The owner ends the session with a node: it is not dialled any more. */
  disconnected(name: NodeName): void {
    const seed = this.#seeds.get(canonicalName(name));
    if (seed !== undefined) seed.rest("stopped");
  }

  /** The owner asks for a session with a node: upkeep of one that was stopped goes on. */
  wanted(name: NodeName): void {
    const seed = this.#seeds.get(canonicalName(name));
    if (seed?.state === "stopped" && this.#isRunning) this.#begin(seed);
  }

  #begin(seed: Seed): void {
    if (this.#parts.sessionWith(seed.target.name) !== undefined) this.#joined(seed);
    else this.#dial(seed);
  }

  #joined(seed: Seed): void {
    seed.rest("joined");
    seed.attempts = 0;
    seed.isRefused = false;
    seed.joinedAt ??= this.#parts.clock.now();
  }

  #dial(seed: Seed): void {
    const { dial: begin } = this.#parts;
    if (this.#dialling >= MAX_SEED_DIALS) {
      this.#wait(seed, 0);
      return;
    }
    seed.rest("dialling");
    this.#dialling++;
    const dial = begin(seed.target);
    const takeBack = dial.wait(
      () => this.#joined(seed),
      (error) => this.#failed(seed, error),
      { isQuiet: true },
    );
    seed.takeBack = () => {
      this.#dialling--;
      takeBack();
      // Nobody else wants it: then it must not come up behind the back of the owner.
      if (seed.state !== "joined" && dial.isUnwanted) dial.fail(dialStopped(seed.target.name));
    };
  }

  #failed(seed: Seed, error: SallyportError): void {
    seed.attempts++;
    seed.lastReason = error.reason;
    this.#again(seed, error);
  }

  /** The next dial, after a failed one or a lost session. */
  #again(seed: Seed, error: SallyportError | undefined): void {
    const isRefusal = isNo(error);
    if (isRefusal || isDismissal(error)) seed.doublings = Number.POSITIVE_INFINITY;
    this.#wait(seed, seed.doublings++);
    if (!isRefusal || seed.isRefused || error === undefined) return;
    seed.isRefused = true;
    const { name } = seed.target;
    this.#parts.warn("SEED_REFUSED", `seed ${name}: ${error.reason}, tried again now and then: ${error.message}`);
  }

  #wait(seed: Seed, doublings: number): void {
    const { clock, random, reconnect } = this.#parts;
    seed.rest("waiting");
    seed.dueAt = addMs(clock.now(), backoffMs(doublings, reconnect, random));
    seed.timer = clock.at(seed.dueAt, () => this.#begin(seed), true);
  }

  #forget(key: NodeName, seed: Seed): void {
    seed.rest("stopped");
    this.#seeds.delete(key);
  }
}

/** The owner takes back the wish for a connection while it is made. */
function dialStopped(name: NodeName): SallyportError {
  return new SallyportError("ERR_CLOSED", "DIAL_STOPPED", `the dial to ${name} was not wanted any more`, {
    peer: name,
    stage: "session",
    advice: "nothing: this node was told to disconnect, or its seeds changed",
  });
}
