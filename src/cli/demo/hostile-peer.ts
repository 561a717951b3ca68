import { OpenChallenges } from "../../auth/otp-types.ts";
import { parseNodeName } from "../../base/node-name.ts";
import type { AcceptHandler } from "../../carrier/carrier.ts";
import { DistConnection } from "../../dist/connection.ts";
import type { NativeParts } from "../../dist/handshake.ts";
import { DEFAULT_DIST_LIMITS } from "../../dist/limits.ts";
import type { DistSink } from "../../dist/sink.ts";
import { DEFAULT_TICK_OPTIONS } from "../../dist/tick.ts";
import { readGenCall, replyRef } from "../../node/gen.ts";
import { RealClock } from "../../system/real-clock.ts";
import { RealCrypto } from "../../system/real-crypto.ts";
import { RealRandom } from "../../system/real-random.ts";
import { isAtom, Pid, printTerm, Reference, type Term, Tuple, tuple } from "../../term/public.ts";
import { Atom } from "../../term/types.ts";
import type { Control } from "../../wire/control-types.ts";
import { DEFAULT_FLAGS } from "../../wire/flags.ts";
import { ATTACKS, answersOf, type Raw } from "./hostile-attacks.ts";
import type { AnswerMode, Knowledge, RawPid } from "./hostile-commands.ts";
import { type Answer, readAnswer } from "./machine.ts";

export interface HostileParts {
  readonly name: string;
  readonly creation: number;
  /** The stolen key, and what proves it. */
  readonly native: NativeParts;
}

/** Processes that the attacker says it has: one that attacks, and one to see when the other side is through. */
const ATTACKER_ID = 66;
const FENCE_ID = 67;

const ANSWER_MS = 2_000;

/**
 * A compromised machine: it has the real key of the node it stands for and completes the real handshake, and then writes
 * what it likes. It trusts whoever dials, asks no policy and checks nothing that it sends.
 */
export class HostilePeer {
  mode: AnswerMode = "honest";
  third: RawPid | undefined;
  readonly #parts: HostileParts;
  readonly #clock = new RealClock();
  readonly #random = new RealRandom();
  #connection: DistConnection | undefined;
  /** What came for the attacking process since the attack began. */
  #came: string[] = [];
  #through: (cut: boolean) => void = () => undefined;
  #fence: Reference | undefined;
  #caller: Pid | undefined;

  constructor(parts: HostileParts) {
    this.#parts = parts;
  }

  /** For the listener. */
  readonly accept: AcceptHandler = (carrier, admission) => {
    const connection: DistConnection = new DistConnection(
      {
        own: { name: parseNodeName(this.#parts.name), creation: this.#parts.creation, flags: DEFAULT_FLAGS },
        target: undefined,
        tools: {
          crypto: new RealCrypto(),
          random: this.#random,
          openChallenges: new OpenChallenges(),
          cookieFor: () => undefined,
        },
        native: this.#parts.native,
        clock: this.#clock,
        limits: DEFAULT_DIST_LIMITS,
        ticks: DEFAULT_TICK_OPTIONS,
      },
      this.#sink(
        () => connection,
        () => admission.release(),
      ),
      () => carrier,
    );
    return connection;
  };

  /** Sends the messages of one attack, and answers what came back until the other side was through with them. */
  async attack(name: string, knowledge: Knowledge): Promise<Answer> {
    const make = ATTACKS[name];
    const caller = this.#caller;
    if (make === undefined || caller === undefined || this.#connection === undefined) {
      return { kind: "failed", text: `no way to ${name}` };
    }
    const messages = make({ own: this.#pid(ATTACKER_ID), caller, newRef: () => this.#newRef(), knowledge });
    this.#came = [];
    this.third = knowledge.third;
    const isCut = await this.#sendAndWait(messages);
    if (isCut) return { kind: "cut", text: "the session was ended" };
    return readAnswer(this.#came.join(" ") || "nothing");
  }

  /** Resolves with true when the session was ended instead. Every peer that may connect may ask `is_auth`. */
  #sendAndWait(messages: readonly Raw[]): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("the other side did not get through")), ANSWER_MS);
      this.#through = (isCut) => {
        clearTimeout(timer);
        resolve(isCut);
      };
      const ref = this.#newRef();
      this.#fence = ref;
      const from = this.#pid(FENCE_ID);
      const isAuth = tuple(new Atom("is_auth"), new Atom(this.#parts.name));
      const ask = new Tuple([new Atom("$gen_call"), tuple(from, ref), isAuth]);
      for (const raw of messages) this.#write(raw);
      this.#write([{ kind: "reg-send", from, name: "net_kernel" }, ask]);
    });
  }

  #write([control, payload]: Raw): void {
    if (payload === undefined) this.#connection?.signal(control);
    else this.#connection?.message(control, payload);
  }

  #sink(connection: () => DistConnection, settled: () => void): DistSink {
    return {
      secured: () => {},
      claimed: () => connection().answerClaim("not_allowed"),
      proven: () => {},
      trustAsked: () => connection().answerTrust({ kind: "granted", assurance: "pinned" }),
      arbitrationAsked: () => connection().answerArbitration("go"),
      commitAsked: () => connection().answerCommit({ ok: true }),
      up: () => {
        settled();
        this.#connection = connection();
      },
      wanted: () => true,
      refused: () => {},
      message: (control, buffer, start, end) =>
        this.#received(control, start < end ? connection().terms.decodeAt(buffer, start, end) : undefined),
      idleAsked: () => false,
      idleKept: () => {},
      strayPong: () => {},
      turnStarted: () => {},
      turnEnded: () => {},
      drained: () => {},
      down: () => {
        settled();
        this.#connection = undefined;
        this.#through(true);
      },
    };
  }

  #received(control: Control, payload: Term): void {
    const call = payload instanceof Tuple ? readGenCall(payload) : undefined;
    if (control.kind === "reg-send" && call !== undefined) {
      this.#caller = call.replyTo.pid;
      for (const answer of answersOf(this.mode, this.third)) {
        const alias = replyRef(call.replyTo.tag, true);
        const from = this.#pid(ATTACKER_ID);
        const to: Control =
          alias === undefined ? { kind: "send", from, to: call.replyTo.pid } : { kind: "alias-send", from, alias };
        this.#write([to, tuple(call.replyTo.tag, answer)]);
      }
      return;
    }
    const isFence = control.kind === "send" && control.to.id === FENCE_ID;
    if (isFence && payload instanceof Tuple && isRef(payload.elements[0], this.#fence)) this.#through(false);
    else if (!isFence && control.kind !== "demonitor") this.#came.push(shownAnswer(control, payload));
  }

  #pid(id: number): Pid {
    return new Pid(this.#parts.name, id, 0, this.#parts.creation);
  }

  #newRef(): Reference {
    const words = [this.#random.uint32() & 0x3_ffff, this.#random.uint32(), this.#random.uint32()];
    return new Reference(this.#parts.name, this.#parts.creation, words);
  }
}

function isRef(term: Term, ref: Reference | undefined): boolean {
  return term instanceof Reference && ref !== undefined && printTerm(term) === printTerm(ref);
}

/** What came back, in short. */
function shownAnswer(control: Control, payload: Term): string {
  switch (control.kind) {
    case "monitor-exit":
      return `DOWN ${printTerm(payload)}`;
    case "exit":
      return `EXIT ${printTerm(payload)}`;
    case "spawn-reply":
      return typeof control.result === "string" ? `SPAWN_REPLY ${control.result}` : "SPAWN_REPLY, started";
    case "send":
      return payload instanceof Tuple && isAtom(payload.elements[1], "yes") ? "yes" : printTerm(payload);
    default:
      return control.kind;
  }
}
