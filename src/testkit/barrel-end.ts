import { acceptBarrel, type BarrelMachine, type BarrelSink, dialBarrel } from "../auth/barrel-machine.ts";
import type {
  BarrelAttempt,
  BarrelIdentity,
  BarrelSession,
  BarrelTools,
  BarrelTrustAnswer,
  BarrelTrustQuestion,
} from "../auth/barrel-types.ts";
import { OpenNonces } from "../auth/native-types.ts";
import { addMs, type MonotonicMs } from "../base/clock.ts";
import type { IdentityCrypto } from "../base/identity-crypto.ts";
import { type NodeName, parseNodeName } from "../base/node-name.ts";
import { NodeKey } from "../identity/node-key.ts";
import { SeededRandom } from "./seeded-random.ts";

/** A node for tests of barrel's auth v2. */
export interface BarrelTestNode {
  readonly identity: BarrelIdentity;
  readonly tools: BarrelTools;
}

/** Makes a node of a seed: 32 bytes, or one byte that is repeated. */
export function barrelTestNode(
  name: string,
  seed: Buffer | number,
  crypto: IdentityCrypto,
  tools: Partial<BarrelTools> = {},
): BarrelTestNode {
  const key = new NodeKey(typeof seed === "number" ? Buffer.alloc(32, seed) : seed, crypto);
  return {
    identity: {
      name: parseNodeName(name),
      publicKey: key.publicKey,
      signBarrelProof: (content) => key.signBarrelProof(content),
    },
    tools: {
      crypto,
      random: new SeededRandom(typeof seed === "number" ? seed : seed.readUInt32BE(0)),
      openNonces: new OpenNonces(),
      cookieOnly: () => false,
      ...tools,
    },
  };
}

/** One end of an exchange: the machine, its answers, and all that it said. Time moves only by `now`. */
export class BarrelEnd implements BarrelSink {
  /** What happened, in order: `send`, `finish`, `trust`, `authenticated`, `ok` or `fail`. */
  readonly log: string[] = [];
  readonly sent: Buffer[] = [];
  readonly asked: BarrelTrustQuestion[] = [];
  readonly attempts: BarrelAttempt[] = [];
  /** What the trust store says; `later` leaves the question open. */
  trust: BarrelTrustAnswer | "later" = { kind: "granted", assurance: "pinned" };
  now: MonotonicMs = 0 as MonotonicMs;
  /** So many messages the stream takes, and no more. */
  takes: number = Number.POSITIVE_INFINITY;
  session: BarrelSession | undefined;
  error: unknown;
  #machine: BarrelMachine | undefined;
  readonly #outbox: Buffer[] = [];
  readonly #certificate: Buffer | undefined;
  readonly #wallMs: number;

  /** @param wallMs the wall clock at the start */
  constructor(certificate: Buffer | undefined, wallMs: number) {
    this.#certificate = certificate;
    this.#wallMs = wallMs;
  }

  get machine(): BarrelMachine {
    if (this.#machine === undefined) throw new Error("the machine failed at its start");
    return this.#machine;
  }

  dial(node: BarrelTestNode, target: NodeName): this {
    this.guard(() => {
      this.#machine = dialBarrel(node.identity, target, this.#channel(), node.tools, this);
    });
    return this;
  }

  accept(node: BarrelTestNode): this {
    this.guard(() => {
      this.#machine = acceptBarrel(node.identity, this.#channel(), node.tools, this);
    });
    return this;
  }

  #channel(): { readonly listenerCertificate: Buffer | undefined; readonly now: MonotonicMs; readonly wallMs: number } {
    return { listenerCertificate: this.#certificate, now: this.now, wallMs: this.#wallMs };
  }

  /** Gives bytes to the machine; an error is kept in `error`. */
  receive(chunk: Buffer): this {
    this.guard(() => this.machine.receive(chunk, this.now));
    return this;
  }

  answer(answer: BarrelTrustAnswer): void {
    this.guard(() => this.machine.trustAnswered(answer, this.now));
  }

  /** Moves time and lets the deadline be looked at. */
  pass(ms: number): this {
    this.now = addMs(this.now, ms);
    this.guard(() => this.machine.expire(this.now));
    return this;
  }

  /** All bytes sent since the last call. */
  take(): Buffer {
    return Buffer.concat(this.#outbox.splice(0));
  }

  send(bytes: Buffer): void {
    if (this.sent.length >= this.takes) throw new Error("the stream takes nothing");
    this.log.push("send");
    this.sent.push(bytes);
    this.#outbox.push(bytes);
  }

  finish(): void {
    this.log.push("finish");
  }

  askTrust(question: BarrelTrustQuestion): void {
    this.log.push("trust");
    this.asked.push(question);
    if (this.trust !== "later") this.machine.trustAnswered(this.trust, this.now);
  }

  authenticated(session: BarrelSession): void {
    this.log.push("authenticated");
    this.session = session;
  }

  attempted(attempt: BarrelAttempt): void {
    this.log.push(attempt.outcome);
    this.attempts.push(attempt);
  }

  guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.error ??= error;
    }
  }
}

/** Carries bytes between two ends until both are quiet; `cut` splits each piece on its way. */
export function runBarrel(
  dialler: BarrelEnd,
  listener: BarrelEnd,
  cut: (bytes: Buffer) => readonly Buffer[] = (bytes) => [bytes],
): void {
  for (let round = 0; round < 20; round++) {
    const out = dialler.take();
    const back = listener.take();
    if (out.length === 0 && back.length === 0) return;
    for (const piece of cut(out)) if (listener.error === undefined) listener.receive(piece);
    for (const piece of cut(back)) if (dialler.error === undefined) dialler.receive(piece);
  }
  throw new Error("the exchange does not end");
}
