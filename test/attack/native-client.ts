// An honest dialler and an honest acceptor of the native handshake that can be bent at each step. Made from
// docs/protocol.md alone; shares nothing with src/.
import { randomBytes } from "node:crypto";
import type { TLSSocket } from "node:tls";
import type { Raw } from "./client.ts";
import {
  ALIVE,
  CONFIRM,
  confirmFrame,
  framed,
  type Hello,
  helloFrame,
  METHOD_KEY,
  METHOD_KEY_AND_COOKIE,
  PROOF,
  type Proof,
  pingFrame,
  proofFrame,
  REFUSE,
  readHello,
  readProof,
  STATUS,
  SUCCESSION,
  unsigned,
} from "./native-frames.ts";
import {
  bindingOf,
  cookieMac,
  type Fields,
  holds,
  proofLabel,
  publicKeyOf,
  type Role,
  signWith,
  transcript,
} from "./native-transcript.ts";

/** What a hidden node of OTP 25 offers, with fragments. */
export const FLAGS = 0xd_07df_5fbcn;

/** Who the attacker is when it is honest. */
export interface Self {
  readonly name: string;
  readonly seed: Buffer;
  readonly publicKey: Buffer;
  readonly cookie?: string;
}

export function selfOf(name: string, seed: Buffer = randomBytes(32), cookie?: string): Self {
  return { name, seed, publicKey: publicKeyOf(seed), ...(cookie === undefined ? {} : { cookie }) };
}

export type Step = "hello" | "proof" | "alive" | "confirm";

/** Where the attacker stops being honest. Without any of these it is. */
export interface Bend {
  /** Fields of HELLO; the transcript has them too. */
  readonly hello?: Partial<Hello>;
  /** The version that an acceptor chooses. */
  readonly version?: number;
  /** What the attacker's proofs cover, where it differs from what happened. */
  readonly fields?: (honest: Fields) => Partial<Fields>;
  /** Role whose label the proof has. */
  readonly role?: Role;
  readonly proof?: (honest: Proof, run: Run) => Proof;
  /** The bytes that leave at a step instead of the honest ones. */
  readonly say?: (step: Step, honest: Buffer, run: Run) => Buffer;
  /** Answer to STATUS alive; 1 goes on. */
  readonly alive?: number;
}

/** What came of it: a session, the number in a REFUSE, or a closed connection. */
export type End = "up" | "closed" | number;

/** One handshake, as far as it went. */
export interface Run {
  readonly role: Role;
  readonly sent: Buffer[];
  /** Frames of the victim, without their length. */
  readonly heard: Buffer[];
  mine: Hello;
  theirs: Hello | undefined;
  fields: Fields | undefined;
  /** Did the victim's signature, and its digest where there was one, hold? */
  isVictimProven: boolean;
  end: End;
}

class Over extends Error {
  readonly end: End;
  constructor(end: End) {
    super(String(end));
    this.end = end;
  }
}

class Talk {
  readonly run: Run;
  readonly #raw: Raw;
  readonly #bend: Bend;

  constructor(raw: Raw, run: Run, bend: Bend) {
    this.#raw = raw;
    this.run = run;
    this.#bend = bend;
  }

  say(step: Step, honest: Buffer): void {
    const bytes = this.#bend.say?.(step, honest, this.run) ?? honest;
    this.run.sent.push(bytes);
    this.#raw.write(bytes);
  }

  /** The next frame, which must be of one of these types; a REFUSE or the end of the connection ends the run. */
  async hear(...types: readonly number[]): Promise<Buffer> {
    const frame = await this.#raw.readFrame(4).catch(() => undefined);
    if (frame === undefined) throw new Over("closed");
    this.run.heard.push(Buffer.from(frame));
    if (frame[0] === REFUSE) throw new Over(frame.readUInt8(1));
    if (!types.includes(frame[0] ?? -1)) throw new Error(`the victim sent ${frame.toString("hex")}`);
    return frame;
  }
}

function helloOf(me: Self, bend: Bend): Hello {
  return {
    versionLow: bend.version ?? 1,
    versionHigh: bend.version ?? 1,
    method: me.cookie === undefined ? METHOD_KEY : METHOD_KEY_AND_COOKIE,
    flags: FLAGS,
    creation: 77,
    incarnation: BigInt(Date.now()),
    publicKey: me.publicKey,
    nonce: randomBytes(32),
    name: Buffer.from(me.name),
    ...bend.hello,
  };
}

function fieldsOf(raw: Raw, run: Run): Fields {
  if (run.theirs === undefined) throw new Error("no HELLO yet");
  const { exporter, ownCertificate, peerCertificate } = bindingOf(raw.socket as TLSSocket);
  const dials = run.role === "dialler";
  const acceptor = dials ? run.theirs : run.mine;
  return {
    label: "sallyport/1",
    version: acceptor.versionLow,
    dialler: dials ? run.mine : run.theirs,
    acceptor,
    exporter,
    diallerCertificate: dials ? ownCertificate : peerCertificate,
    acceptorCertificate: dials ? peerCertificate : ownCertificate,
  };
}

const bothWantCookies = ({ dialler, acceptor }: Fields): boolean =>
  dialler.method === METHOD_KEY_AND_COOKIE && acceptor.method === METHOD_KEY_AND_COOKIE;

function proofOf(me: Self, run: Run, fields: Fields, bend: Bend): Proof {
  const content = transcript({ ...fields, ...bend.fields?.(fields) });
  const role = bend.role ?? run.role;
  const withCookie = run.role === "dialler" && me.cookie !== undefined && bothWantCookies(fields);
  const honest: Proof = {
    signature: signWith(me.seed, proofLabel(role), content),
    cookieMac: withCookie ? cookieMac(me.cookie ?? "", role, content) : undefined,
  };
  return bend.proof?.(honest, run) ?? honest;
}

function provesVictim(me: Self, run: Run, fields: Fields, proof: Proof): boolean {
  const role = run.role === "dialler" ? "acceptor" : "dialler";
  const content = transcript(fields);
  if (proof.signature === undefined || run.theirs === undefined) return false;
  if (!holds(run.theirs.publicKey, proofLabel(role), content, proof.signature)) return false;
  if (role === "acceptor" || !bothWantCookies(fields)) return proof.cookieMac === undefined;
  return proof.cookieMac?.equals(cookieMac(me.cookie ?? "", "dialler", content)) ?? false;
}

async function perform(
  raw: Raw,
  role: Role,
  me: Self,
  bend: Bend,
  steps: (talk: Talk, run: Run) => Promise<void>,
): Promise<Run> {
  const run: Run = {
    role,
    sent: [],
    heard: [],
    mine: helloOf(me, bend),
    theirs: undefined,
    fields: undefined,
    isVictimProven: false,
    end: "closed",
  };
  try {
    await steps(new Talk(raw, run, bend), run);
    run.end = "up";
  } catch (error) {
    if (!(error instanceof Over)) throw error;
    run.end = error.end;
  }
  return run;
}

/** The whole handshake as the dialler. */
export function dial(raw: Raw, me: Self, bend: Bend = {}): Promise<Run> {
  return perform(raw, "dialler", me, bend, async (talk, run) => {
    talk.say("hello", helloFrame(run.mine));
    run.theirs = readHello(await talk.hear(1));
    run.fields = fieldsOf(raw, run);
    let frame = await talk.hear(SUCCESSION, PROOF);
    if (frame[0] === SUCCESSION) frame = await talk.hear(PROOF);
    run.isVictimProven = provesVictim(me, run, run.fields, readProof(frame));
    talk.say("proof", proofFrame(proofOf(me, run, run.fields, bend)));
    frame = await talk.hear(STATUS, CONFIRM);
    if (frame[0] === STATUS) {
      talk.say("alive", framed(ALIVE, unsigned(bend.alive ?? 1, 1)));
      frame = await talk.hear(CONFIRM);
    }
    if (me.cookie !== undefined && bothWantCookies(run.fields)) {
      const right = cookieMac(me.cookie, "acceptor", transcript(run.fields));
      run.isVictimProven &&= readProof(frame).cookieMac?.equals(right) ?? false;
    }
    talk.say("confirm", confirmFrame());
  });
}

/** The whole handshake as the acceptor. */
export function accept(raw: Raw, me: Self, bend: Bend = {}): Promise<Run> {
  return perform(raw, "acceptor", me, bend, async (talk, run) => {
    run.theirs = readHello(await talk.hear(1));
    talk.say("hello", helloFrame(run.mine));
    run.fields = fieldsOf(raw, run);
    talk.say("proof", proofFrame(proofOf(me, run, run.fields, bend)));
    let frame = await talk.hear(SUCCESSION, PROOF);
    if (frame[0] === SUCCESSION) frame = await talk.hear(PROOF);
    run.isVictimProven = provesVictim(me, run, run.fields, readProof(frame));
    const withCookie = me.cookie !== undefined && bothWantCookies(run.fields);
    const content = transcript({ ...run.fields, ...bend.fields?.(run.fields) });
    talk.say("confirm", confirmFrame(withCookie ? cookieMac(me.cookie ?? "", "acceptor", content) : undefined));
    if ((await talk.hear(ALIVE, CONFIRM))[0] === ALIVE) await talk.hear(CONFIRM);
  });
}

/** Does a session stand on this connection? The victim answers a PING there, and nowhere else. */
export async function answersPing(raw: Raw): Promise<boolean> {
  const token = randomBytes(8);
  raw.write(pingFrame(token));
  for (;;) {
    const frame = await raw.readFrame(4).catch(() => undefined);
    if (frame === undefined) return false;
    if (frame[0] === 0xf0 && frame[1] === 2 && frame.subarray(2).equals(token)) return true;
  }
}
