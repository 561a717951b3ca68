import type { Arbitration, ArbitrationQuestion, CommitAnswer, TrustQuestion } from "../auth/native-types.ts";
import { OpenChallenges, type OtpHandshakeTools } from "../auth/otp-types.ts";
import type { SallyportError } from "../base/errors.ts";
import type { DistConnection } from "../dist/connection.ts";
import type { ClaimAnswer, DistSink, PeerClaim, ProvenPeer } from "../dist/sink.ts";
import { RealCrypto } from "../system/real-crypto.ts";
import type { Term } from "../term/types.ts";
import type { Control } from "../wire/control-types.ts";
import { SeededRandom } from "./seeded-random.ts";

/** A node at one end of a connection: answers what it is asked as it is told to, and keeps what happens. */
export class End implements DistSink {
  connection!: DistConnection;
  /** What happened, in order. */
  readonly events: string[] = [];
  readonly got: Term[] = [];
  readonly questions: ArbitrationQuestion[] = [];
  peer: ProvenPeer | undefined;
  /** Its answers; undefined leaves the question open. */
  claim: ClaimAnswer | undefined = "ok";
  arbitration: Arbitration | undefined = "go";
  alive: Arbitration = "go";
  commit: CommitAnswer | undefined = { ok: true };
  /** Sent as soon as it is up. */
  firstWords: readonly [Control, Term][] = [];
  secured(): void {}
  claimed(claim: PeerClaim): void {
    this.events.push(`claimed ${claim.name} ${claim.creation}`);
    if (this.claim !== undefined) this.connection.answerClaim(this.claim);
  }
  proven(): void {
    this.events.push("proven");
    this.connection.admit();
  }
  trustAsked(_question: TrustQuestion): void {
    this.connection.answerTrust({ kind: "granted", assurance: "pinned" });
  }
  arbitrationAsked(question: ArbitrationQuestion): void {
    this.events.push(question.peerHoldsSession ? "asked" : "trusted");
    this.questions.push(question);
    const answer = question.peerHoldsSession ? this.alive : this.arbitration;
    if (answer !== undefined) this.connection.answerArbitration(answer);
  }
  commitAsked(): void {
    if (this.commit !== undefined) this.connection.answerCommit(this.commit);
  }
  up(peer: ProvenPeer): void {
    this.peer = peer;
    this.events.push(`up ${peer.name} ${peer.creation}`);
    for (const [control, payload] of this.firstWords) this.connection.message(control, payload);
  }
  wanted(): boolean {
    return true;
  }
  refused(): void {}
  message(_control: Control, buffer: Buffer, start: number, end: number): void {
    const term = start === end ? "signal" : this.connection.terms.decodeAt(buffer, start, end);
    this.got.push(Buffer.isBuffer(term) && term.length < 100 ? term.toString() : term);
  }
  idleAsked(): boolean {
    return true;
  }
  idleKept(): void {
    this.events.push("kept");
  }
  turnStarted(): void {}
  turnEnded(): void {}
  drained(): void {}
  down(cause: SallyportError | undefined): void {
    this.events.push(`down ${cause?.reason ?? "in order"}`);
  }
  strayPong(): void {}
}

/** What such an end needs for OTP's handshake, with one cookie for all. */
export function otpTools(cookie: string, seed: number): OtpHandshakeTools {
  return {
    crypto: new RealCrypto(),
    random: new SeededRandom(seed),
    openChallenges: new OpenChallenges(),
    cookieFor: () => Buffer.from(cookie),
  };
}
