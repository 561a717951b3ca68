import { acceptNative, dialNative, type NativeMachine, type NativeSink } from "../auth/native-machine.ts";
import type {
  Arbitration,
  ArbitrationQuestion,
  ChannelBinding,
  CommitAnswer,
  CommitRequest,
  DiallerInvite,
  NativeIdentity,
  NativeSession,
  NativeTools,
  TrustAnswer,
  TrustQuestion,
} from "../auth/native-types.ts";
import { OpenNonces } from "../auth/native-types.ts";
import type { IdentityCrypto } from "../base/identity-crypto.ts";
import { type NodeName, parseNodeName } from "../base/node-name.ts";
import { parsePublicKey } from "../identity/public-key.ts";
import { DEFAULT_FLAGS } from "../wire/flags.ts";
import { SeededRandom } from "./seeded-random.ts";

/** One side's answers to its machine's questions; `later` leaves the question open. */
export interface NativeAnswers {
  trust: TrustAnswer | "later";
  arbitration: Arbitration | "later";
  /** Asked of a dialler that was told of a standing session. */
  alive: Arbitration | "later";
  commit: CommitAnswer | "later";
}

/** A node for tests of the native handshake: its key is made of one byte. */
export interface NativeTestNode {
  readonly identity: NativeIdentity;
  readonly tools: NativeTools;
}

/** Makes a node whose seed is 32 times `seedByte`. Nonces come from a seeded generator. */
export function nativeTestNode(
  name: string,
  seedByte: number,
  crypto: IdentityCrypto,
  tools: Partial<NativeTools> = {},
  identity: Partial<NativeIdentity> = {},
): NativeTestNode {
  const seed = Buffer.alloc(32, seedByte);
  return {
    identity: {
      name: parseNodeName(name),
      creation: 1000 + seedByte,
      incarnation: 1_700_000_000_000n + BigInt(seedByte),
      flags: DEFAULT_FLAGS,
      publicKey: parsePublicKey(crypto.ed25519PublicKey(seed), "a test key"),
      successions: [],
      sign: (input) => crypto.ed25519Sign(seed, input),
      ...identity,
    },
    tools: {
      crypto,
      random: new SeededRandom(seedByte),
      openNonces: new OpenNonces(),
      cookieFor: () => undefined,
      cookieOnly: () => false,
      hasCookieOnly: false,
      allowShortCookie: false,
      judgeInvite: () => "unknown",
      ...tools,
    },
  };
}

/** One end of a native handshake: the machine, its answers, and all that it said. */
export class NativeEnd implements NativeSink {
  readonly sent: Buffer[] = [];
  readonly asked: TrustQuestion[] = [];
  readonly arbitrations: ArbitrationQuestion[] = [];
  readonly commits: CommitRequest[] = [];
  /** What happened, in order: `send`, `trust`, `arbitrate`, `commit`, `up`. */
  readonly log: string[] = [];
  readonly answers: NativeAnswers = {
    trust: { kind: "granted", assurance: "pinned" },
    arbitration: "go",
    alive: "go",
    commit: { ok: true },
  };
  session: NativeSession | undefined;
  error: unknown;
  #machine: NativeMachine | undefined;
  /** Messages sent and not fetched by `take`. */
  readonly #outbox: Buffer[] = [];

  constructor(answers: Partial<NativeAnswers> = {}) {
    Object.assign(this.answers, answers);
  }

  get machine(): NativeMachine {
    if (this.#machine === undefined) throw new Error("the machine failed at its start");
    return this.#machine;
  }

  dial(node: NativeTestNode, target: NodeName, channel: ChannelBinding, invite?: DiallerInvite): this {
    this.#guard(() => {
      this.#machine = dialNative(node.identity, target, channel, node.tools, this, invite);
    });
    return this;
  }

  accept(node: NativeTestNode, channel: ChannelBinding): this {
    this.#guard(() => {
      this.#machine = acceptNative(node.identity, channel, node.tools, this);
    });
    return this;
  }

  /** Gives one message to the machine; an error is kept in `error`. */
  receive(message: Buffer): void {
    this.#guard(() => this.machine.receive(message, 0, message.length));
  }

  /** Answers a question that was left open. */
  answer(run: (machine: NativeMachine) => void): void {
    this.#guard(() => run(this.machine));
  }

  /** All messages sent since the last call. */
  take(): Buffer[] {
    return this.#outbox.splice(0);
  }

  send(body: Buffer): void {
    this.log.push("send");
    this.sent.push(body);
    this.#outbox.push(body);
  }

  askTrust(question: TrustQuestion): void {
    this.log.push("trust");
    this.asked.push(question);
    const answer = this.answers.trust;
    if (answer !== "later") this.machine.trustAnswered(answer);
  }

  arbitrate(question: ArbitrationQuestion): void {
    this.log.push("arbitrate");
    this.arbitrations.push(question);
    const answer = question.peerHoldsSession ? this.answers.alive : this.answers.arbitration;
    if (answer !== "later") this.machine.arbitrated(answer);
  }

  commit(request: CommitRequest): void {
    this.log.push("commit");
    this.commits.push(request);
    const answer = this.answers.commit;
    if (answer !== "later") this.machine.committed(answer);
  }

  up(session: NativeSession): void {
    this.log.push("up");
    this.session = session;
  }

  #guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.error ??= error;
    }
  }
}

/** The two views of one TLS session without anybody in between. */
export function nativeChannel(exporterByte: number): {
  readonly dialler: ChannelBinding;
  readonly acceptor: ChannelBinding;
} {
  const exporter = Buffer.alloc(32, exporterByte);
  const a = Buffer.from("certificate of the dialler");
  const b = Buffer.from("certificate of the acceptor");
  return {
    dialler: { exporter, ownCertificate: a, peerCertificate: b },
    acceptor: { exporter, ownCertificate: b, peerCertificate: a },
  };
}

/** Carries messages between two ends until both are quiet. `change` may alter, drop or add messages on the way. */
export function runNative(
  dialler: NativeEnd,
  acceptor: NativeEnd,
  change: (message: Buffer, from: "dialler" | "acceptor") => readonly Buffer[] = (message) => [message],
): void {
  for (let round = 0; round < 20; round++) {
    const out = dialler.take();
    const back = acceptor.take();
    if (out.length === 0 && back.length === 0) return;
    for (const message of out)
      for (const m of change(message, "dialler")) if (acceptor.error === undefined) acceptor.receive(m);
    for (const message of back)
      for (const m of change(message, "acceptor")) if (dialler.error === undefined) dialler.receive(m);
  }
  throw new Error("the handshake does not end");
}
