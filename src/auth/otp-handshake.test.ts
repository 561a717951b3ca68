import { describe, expect, it } from "vitest";
import { isSallyportError, type SallyportError } from "../base/errors.ts";
import { type NodeName, parseNodeName } from "../base/node-name.ts";
import { RealCrypto } from "../system/real-crypto.ts";
import { SeededRandom } from "../testkit/seeded-random.ts";
import {
  ALTACT_SIG,
  DEFAULT_FLAGS,
  FRAGMENTS,
  MANDATORY_25,
  MANDATORY_25_DIGEST,
  UNLINK_ID,
  V4_NC,
} from "../wire/flags.ts";
import {
  type AcceptorMessage,
  decodeFromAcceptor,
  decodeFromInitiator,
  digestInput,
  encodeHandshake,
  type InitiatorMessage,
  type StatusText,
} from "../wire/handshake.ts";
import { OtpAcceptor } from "./otp-acceptor.ts";
import { OtpInitiator } from "./otp-initiator.ts";
import { OpenChallenges, type OtpHandshakeTools, type OtpIdentity, type OtpSession } from "./otp-types.ts";

const A = parseNodeName("a@h");
const B = parseNodeName("b@Host");
const crypto = new RealCrypto();

class CountingCrypto extends RealCrypto {
  compared: (readonly [number, number])[] = [];
  /** What `equal` answers instead of the truth. */
  verdict: boolean | undefined;

  override equal(a: Uint8Array, b: Uint8Array): boolean {
    this.compared.push([a.length, b.length]);
    return this.verdict ?? super.equal(a, b);
  }
}

class WatchedChallenges extends OpenChallenges {
  readonly open: number[] = [];

  override add(challenge: number): void {
    super.add(challenge);
    this.open.push(challenge);
  }

  override remove(challenge: number): void {
    super.remove(challenge);
    const at = this.open.indexOf(challenge);
    if (at >= 0) this.open.splice(at, 1);
  }
}

interface Tools extends OtpHandshakeTools {
  readonly crypto: CountingCrypto;
  readonly openChallenges: WatchedChallenges;
}

function toolsOf(cookies: Readonly<Record<string, string>> | string, seed = 1): Tools {
  return {
    crypto: new CountingCrypto(),
    random: new SeededRandom(seed),
    openChallenges: new WatchedChallenges(),
    cookieFor: (peer) => {
      const cookie = typeof cookies === "string" ? cookies : cookies[peer];
      return cookie === undefined ? undefined : Buffer.from(cookie);
    },
  };
}

const identity = (name: NodeName, flags = DEFAULT_FLAGS): OtpIdentity => ({ name, creation: 7, flags });
const feed = (
  machine: { receive(b: Buffer, s: number, e: number): void },
  message: InitiatorMessage | AcceptorMessage,
) => {
  const body = encodeHandshake(message);
  machine.receive(Buffer.concat([Buffer.from("xx"), body, Buffer.from("y")]), 2, 2 + body.length);
};
const digest = (cookie: string, challenge: number) => crypto.md5(digestInput(Buffer.from(cookie), challenge));

function thrown(run: () => void): SallyportError {
  try {
    run();
  } catch (error) {
    if (isSallyportError(error)) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

function dial(tools: Tools = toolsOf("secret"), target = B, own = identity(A)) {
  const sent: InitiatorMessage[] = [];
  const proven: OtpSession[] = [];
  const machine = new OtpInitiator(own, target, tools, {
    send: (body) => sent.push(decodeFromInitiator(body, 0, body.length)),
    proven: (session) => proven.push(session),
  });
  return { machine, sent, proven, tools };
}

function accept(tools: Tools = toolsOf("secret"), own = identity(B)) {
  const sent: AcceptorMessage[] = [];
  const claims: string[] = [];
  const proven: OtpSession[] = [];
  const machine = new OtpAcceptor(own, tools, {
    send: (body) => sent.push(decodeFromAcceptor(body, 0, body.length)),
    claimed: (name) => claims.push(name),
    proven: (session) => proven.push(session),
  });
  return { machine, sent, claims, proven, tools };
}

const NAME: InitiatorMessage = { kind: "send-name", flags: DEFAULT_FLAGS, creation: 9, name: A };
const REPLY: InitiatorMessage = { kind: "challenge-reply", challenge: 5, digest: Buffer.alloc(16) };
const COMPLEMENT: InitiatorMessage = { kind: "complement", flagsHigh: 0, creation: 9 };
const GO_ON: InitiatorMessage = { kind: "status-reply", proceed: true };
const OK: AcceptorMessage = { kind: "status", status: "ok" };
const CHALLENGE: AcceptorMessage = { kind: "challenge", flags: DEFAULT_FLAGS, challenge: 99, creation: 8, name: B };
const ACK: AcceptorMessage = { kind: "challenge-ack", digest: Buffer.alloc(16) };
const NAMED: AcceptorMessage = { kind: "status-named", name: A, creation: 3 };

/** The acceptor's challenge, once it was sent. */
function challengeOf(sent: readonly AcceptorMessage[]): number {
  const last = sent.at(-1);
  if (last?.kind !== "challenge") throw new Error(`no challenge but ${last?.kind}`);
  return last.challenge;
}

/** Runs both machines against each other until neither has anything to say; the acceptor answers `status`. */
function handshake(a: Tools, b: Tools, status: StatusText = "ok") {
  const toB: Buffer[] = [];
  const toA: Buffer[] = [];
  const log: string[] = [];
  const initiator = new OtpInitiator(identity(A), B, a, {
    send: (body) => toB.push(body),
    proven: (session) => log.push(`initiator proven ${session.peer}`),
  });
  const acceptor = new OtpAcceptor(identity(B), b, {
    send: (body) => toA.push(body),
    claimed: () => acceptor.answerClaim(status),
    proven: (session) => {
      log.push(`acceptor proven ${session.peer}`);
      acceptor.admit();
    },
  });
  while (toB.length + toA.length > 0) {
    for (const body of toB.splice(0)) acceptor.receive(body, 0, body.length);
    for (const body of toA.splice(0)) initiator.receive(body, 0, body.length);
  }
  return { log, initiator, acceptor };
}

describe("OTP handshake between our own two sides", () => {
  it.each(["ok", "ok_simultaneous", "alive"] as const)("ends with both proven after status %s", (status) => {
    const [a, b] = [toolsOf("secret", 1), toolsOf("secret", 2)];
    expect(handshake(a, b, status).log).toEqual(["acceptor proven a@h", "initiator proven b@Host"]);
    expect(b.openChallenges.open).toEqual([]);
    // Both proofs went through the injected constant-time comparison, whole digests at a time.
    expect(a.crypto.compared).toEqual([[16, 16]]);
    expect(b.crypto.compared).toEqual([[16, 16]]);
  });

  it("is refused by the acceptor, who checks first, when the cookies differ", () => {
    const b = toolsOf("other", 2);
    const error = thrown(() => handshake(toolsOf("secret", 1), b));
    expect(error).toMatchObject({ code: "ERR_DENIED", reason: "SECRET_MISMATCH", stage: "cookie", peer: "a@h" });
    expect(b.openChallenges.open).toEqual([]);
  });

  it("uses the cookie of the peer in question on both sides", () => {
    const a = toolsOf({ [B]: "for-b" }, 1);
    expect(handshake(a, toolsOf({ [A]: "for-b", "c@h": "x" }, 2)).log).toHaveLength(2);
    expect(thrown(() => handshake(a, toolsOf({ [A]: "x", [B]: "for-b" }, 2))).reason).toBe("SECRET_MISMATCH");
  });

  it("is decided by nothing but the comparison", () => {
    const a = toolsOf("secret", 1);
    const b = toolsOf("other", 2);
    a.crypto.verdict = true;
    b.crypto.verdict = true;
    expect(handshake(a, b).log).toHaveLength(2);
    b.crypto.verdict = undefined;
    a.crypto.verdict = false;
    expect(thrown(() => handshake(a, toolsOf("secret", 2)))).toMatchObject({
      reason: "SECRET_MISMATCH",
      peer: "b@Host",
    });
  });
});

describe("OtpInitiator", () => {
  it("sends its name at once", () => {
    expect(dial().sent).toEqual([{ kind: "send-name", flags: DEFAULT_FLAGS, creation: 7, name: A }]);
  });

  it("does not even start without a cookie for the target", () => {
    const tools = toolsOf({ "c@h": "x" });
    expect(thrown(() => dial(tools))).toMatchObject({ code: "ERR_CONFIG", reason: "COOKIE_MISSING", stage: "cookie" });
  });

  it.each(["ok", "ok_simultaneous"] as const)("waits for the challenge after %s", (status) => {
    const { machine, sent } = dial();
    feed(machine, { kind: "status", status });
    expect(sent).toHaveLength(1);
    feed(machine, CHALLENGE);
    expect(sent.map((message) => message.kind)).toEqual(["send-name", "challenge-reply"]);
  });

  it("answers alive with true and goes on", () => {
    const { machine, sent } = dial();
    feed(machine, { kind: "status", status: "alive" });
    expect(sent[1]).toEqual({ kind: "status-reply", proceed: true });
    feed(machine, CHALLENGE);
    expect(sent[2]?.kind).toBe("challenge-reply");
  });

  it.each([
    ["nok", "ERR_CLOSED", "OTHER_CONNECTION_WINS"],
    ["not_allowed", "ERR_DENIED", "NOT_ALLOWED"],
  ] as const)("gives up after %s", (status, code, reason) => {
    const { machine, proven } = dial();
    expect(thrown(() => feed(machine, { kind: "status", status }))).toMatchObject({ code, reason, peer: B });
    expect(proven).toEqual([]);
  });

  it("refuses a challenge that somebody else signs, and takes the dialled host in another case", () => {
    const other = dial();
    feed(other.machine, OK);
    expect(thrown(() => feed(other.machine, { ...CHALLENGE, name: parseNodeName("c@host") }))).toMatchObject({
      code: "ERR_DENIED",
      reason: "PEER_NAME_MISMATCH",
    });
    expect(other.sent).toHaveLength(1);
    const local = dial();
    feed(local.machine, OK);
    expect(thrown(() => feed(local.machine, { ...CHALLENGE, name: parseNodeName("B@Host") })).reason).toBe(
      "PEER_NAME_MISMATCH",
    );
    const folded = dial();
    feed(folded.machine, OK);
    feed(folded.machine, { ...CHALLENGE, name: parseNodeName("b@hOST") });
    expect(folded.sent).toHaveLength(2);
  });

  it.each([
    [0n, "HANDSHAKE_23"],
    [MANDATORY_25, "UNLINK_ID"],
    [MANDATORY_25_DIGEST | UNLINK_ID, "V4_NC"],
    [DEFAULT_FLAGS & ~V4_NC, "V4_NC"],
  ])("refuses an acceptor with flags %s, naming what is missing, before it answers the challenge", (flags, missing) => {
    const { machine, sent } = dial();
    feed(machine, OK);
    const error = thrown(() => feed(machine, { ...CHALLENGE, flags }));
    expect(error).toMatchObject({ code: "ERR_PEER_INCOMPATIBLE", reason: "FLAGS_MISSING" });
    expect(String(error.detail["missing"]).split(" ")).toContain(missing);
    expect(sent).toHaveLength(1);
  });

  it("takes the shorthand for the mandatory flags", () => {
    const { machine, sent } = dial();
    feed(machine, OK);
    feed(machine, { ...CHALLENGE, flags: MANDATORY_25_DIGEST | UNLINK_ID | V4_NC });
    expect(sent).toHaveLength(2);
  });

  it("does not answer a challenge that this node has open itself (HS-09)", () => {
    const { machine, sent, tools } = dial();
    tools.openChallenges.add(99);
    feed(machine, OK);
    expect(thrown(() => feed(machine, CHALLENGE))).toMatchObject({
      code: "ERR_PEER_MISBEHAVED",
      reason: "CHALLENGE_REFLECTED",
    });
    expect(sent).toHaveLength(1);
    expect(tools.crypto.compared).toEqual([]);
  });

  it("refuses a wrong acknowledgement and proves nothing then", () => {
    const { machine, proven } = dial();
    feed(machine, OK);
    feed(machine, CHALLENGE);
    expect(machine.repliedToChallenge).toBe(true);
    expect(thrown(() => feed(machine, ACK))).toMatchObject({ code: "ERR_DENIED", reason: "SECRET_MISMATCH", peer: B });
    expect(proven).toEqual([]);
  });

  it("agrees on the flags that both sides have", () => {
    const { machine, proven, sent } = dial(toolsOf("secret"), B, identity(A, DEFAULT_FLAGS | ALTACT_SIG));
    feed(machine, OK);
    feed(machine, { ...CHALLENGE, flags: DEFAULT_FLAGS & ~FRAGMENTS });
    const reply = sent[1];
    if (reply?.kind !== "challenge-reply") throw new Error("no reply");
    feed(machine, { kind: "challenge-ack", digest: digest("secret", reply.challenge) });
    expect(machine.repliedToChallenge).toBe(false);
    expect(proven).toHaveLength(1);
    expect(proven[0]).toMatchObject({ peer: B, peerCreation: 8 });
    expect((proven[0]?.flags ?? 0n) & (FRAGMENTS | ALTACT_SIG)).toBe(0n);
    expect((proven[0]?.flags ?? 0n) & V4_NC).toBe(V4_NC);
  });

  const states = {
    "expect-status": { steps: [], takes: ["status"], expected: "a status" },
    "expect-challenge": { steps: [OK], takes: ["challenge"], expected: "a challenge" },
    "expect-ack": { steps: [OK, CHALLENGE], takes: ["challenge-ack"], expected: "a challenge ack" },
  } as const;
  for (const [state, { steps, takes, expected }] of Object.entries(states)) {
    const others = [OK, NAMED, CHALLENGE, ACK].filter(
      (message) => !(takes as readonly string[]).includes(message.kind),
    );
    it.each(others)(`says in ${state} what it expected and that $kind came`, (message) => {
      const { machine, proven } = dial();
      for (const step of steps) feed(machine, step);
      expect(thrown(() => feed(machine, message))).toMatchObject({
        code: "ERR_PEER_MISBEHAVED",
        reason: "HANDSHAKE_UNEXPECTED",
        detail: { expected, got: message.kind },
      });
      expect(proven).toEqual([]);
    });
  }

  it.each([OK, NAMED, CHALLENGE, ACK])("takes no $kind after the end", (message) => {
    const { machine, sent, proven } = dial();
    feed(machine, OK);
    feed(machine, CHALLENGE);
    const reply = sent[1];
    if (reply?.kind !== "challenge-reply") throw new Error("no reply");
    feed(machine, { kind: "challenge-ack", digest: digest("secret", reply.challenge) });
    expect(thrown(() => feed(machine, message)).reason).toBe("HANDSHAKE_UNEXPECTED");
    expect([sent.length, proven.length]).toEqual([2, 1]);
  });
});

describe("OtpAcceptor", () => {
  /** A machine that has sent its challenge. */
  function challenged(tools = toolsOf("secret"), name: InitiatorMessage = NAME) {
    const all = accept(tools);
    feed(all.machine, name);
    all.machine.answerClaim("ok");
    return { ...all, challenge: challengeOf(all.sent) };
  }

  const reply = (challenge: number, cookie = "secret"): InitiatorMessage => ({
    kind: "challenge-reply",
    challenge: 4,
    digest: digest(cookie, challenge),
  });

  it("says nothing before its owner has answered the claim", () => {
    const { machine, sent, claims, tools } = accept();
    feed(machine, NAME);
    expect([sent, claims, tools.openChallenges.open]).toEqual([[], ["a@h"], []]);
    machine.answerClaim("ok");
    expect(sent.map((message) => message.kind)).toEqual(["status", "challenge"]);
    expect(tools.openChallenges.open).toEqual([challengeOf(sent)]);
  });

  it("challenges under its own name with a fresh number each time", () => {
    const tools = toolsOf("secret");
    const [one, two] = [challenged(tools), challenged(tools)];
    expect(one.sent[1]).toMatchObject({ name: B, creation: 7, flags: DEFAULT_FLAGS });
    expect(one.challenge).not.toBe(two.challenge);
  });

  it("refuses its own name, whatever the case of the host (S16)", () => {
    for (const text of ["b@Host", "b@hOST"]) {
      const { machine, sent, claims } = accept();
      const error = thrown(() => feed(machine, { ...NAME, name: parseNodeName(text) } as InitiatorMessage));
      expect(error).toMatchObject({ code: "ERR_DENIED", reason: "SELF_CONNECT" });
      expect(sent).toEqual([{ kind: "status", status: "not_allowed" }]);
      expect(claims).toEqual([]);
    }
    const other = accept();
    feed(other.machine, { ...NAME, name: parseNodeName("B@Host") } as InitiatorMessage);
    expect(other.claims).toEqual(["B@Host"]);
  });

  it("refuses missing flags with not_allowed and asks nobody", () => {
    const { machine, sent, claims } = accept();
    const error = thrown(() => feed(machine, { ...NAME, flags: MANDATORY_25 } as InitiatorMessage));
    expect(error).toMatchObject({ code: "ERR_PEER_INCOMPATIBLE", reason: "FLAGS_MISSING" });
    expect(String(error.detail["missing"])).toBe("UNLINK_ID V4_NC");
    expect(sent).toEqual([{ kind: "status", status: "not_allowed" }]);
    expect(claims).toEqual([]);
  });

  it.each([
    ["nok", "ERR_CLOSED", "OTHER_CONNECTION_WINS"],
    ["not_allowed", "ERR_DENIED", "NOT_ALLOWED"],
  ] as const)("sends %s and ends", (status, code, reason) => {
    const { machine, sent, tools } = accept();
    feed(machine, NAME);
    expect(thrown(() => machine.answerClaim(status))).toMatchObject({ code, reason, peer: "a@h" });
    expect(sent).toEqual([{ kind: "status", status }]);
    expect(tools.openChallenges.open).toEqual([]);
  });

  it("challenges after alive only when the peer says true", () => {
    const yes = accept();
    feed(yes.machine, NAME);
    yes.machine.answerClaim("alive");
    expect(yes.sent).toEqual([{ kind: "status", status: "alive" }]);
    feed(yes.machine, GO_ON);
    expect(yes.sent[1]?.kind).toBe("challenge");
    const no = accept();
    feed(no.machine, NAME);
    no.machine.answerClaim("alive");
    expect(thrown(() => feed(no.machine, { kind: "status-reply", proceed: false }))).toMatchObject({
      code: "ERR_CLOSED",
      reason: "PEER_GAVE_UP",
    });
    expect(no.sent).toHaveLength(1);
  });

  it("needs a cookie for the peer at the latest when it checks", () => {
    const { machine, proven, challenge } = challenged(toolsOf({ "c@h": "x" }));
    expect(thrown(() => feed(machine, reply(challenge)))).toMatchObject({
      code: "ERR_CONFIG",
      reason: "COOKIE_MISSING",
    });
    expect(proven).toEqual([]);
  });

  it("acknowledges only when its owner admits, and once", () => {
    const { machine, sent, proven, challenge } = challenged();
    feed(machine, reply(challenge));
    expect([proven.length, sent.length]).toEqual([1, 2]);
    expect(proven[0]).toMatchObject({ peer: A, peerCreation: 9 });
    machine.admit();
    machine.admit();
    expect(sent).toHaveLength(3);
    expect(sent[2]).toEqual({ kind: "challenge-ack", digest: digest("secret", 4) });
  });

  it("never acknowledges a wrong digest, not even when told to", () => {
    const { machine, sent, proven, challenge } = challenged();
    expect(thrown(() => feed(machine, reply(challenge, "wrong")))).toMatchObject({
      code: "ERR_DENIED",
      reason: "SECRET_MISMATCH",
    });
    machine.admit();
    expect([proven.length, sent.length]).toEqual([0, 2]);
    expect(thrown(() => feed(machine, reply(challenge))).reason).toBe("HANDSHAKE_UNEXPECTED");
  });

  it("takes no answer to another connection's challenge", () => {
    const tools = toolsOf("secret");
    const [one, two] = [challenged(tools), challenged(tools)];
    expect(thrown(() => feed(one.machine, reply(two.challenge))).reason).toBe("SECRET_MISMATCH");
    feed(two.machine, reply(two.challenge));
    expect(two.proven).toHaveLength(1);
  });

  it("ignores an answer to a claim and an admission that are not due", () => {
    const { machine, sent } = accept();
    machine.answerClaim("ok");
    machine.admit();
    expect(sent).toEqual([]);
    feed(machine, NAME);
    machine.answerClaim("ok");
    machine.answerClaim("ok");
    expect(sent).toHaveLength(2);
  });

  const allMessages = [NAME, GO_ON, REPLY, COMPLEMENT];
  const states: readonly (readonly [string, (m: OtpAcceptor) => void, readonly string[], string])[] = [
    ["expect-name", () => {}, ["send-name"], "a name"],
    ["await-answer", (m) => feed(m, NAME), [], "nothing before our answer"],
    [
      "expect-alive-reply",
      (m) => {
        feed(m, NAME);
        m.answerClaim("alive");
      },
      ["status-reply"],
      "true or false",
    ],
    [
      "expect-reply",
      (m) => {
        feed(m, NAME);
        m.answerClaim("ok");
      },
      ["challenge-reply"],
      "a challenge reply",
    ],
  ];
  for (const [state, prepare, takes, expected] of states) {
    it.each(allMessages.filter((message) => !takes.includes(message.kind)))(
      `says in ${state} what it expected and that $kind came`,
      (message) => {
        const { machine, proven, tools } = accept();
        prepare(machine);
        expect(thrown(() => feed(machine, message))).toMatchObject({
          code: "ERR_PEER_MISBEHAVED",
          reason: "HANDSHAKE_UNEXPECTED",
          detail: { expected, got: message.kind },
        });
        expect(proven).toEqual([]);
        machine.dispose();
        expect(tools.openChallenges.open).toEqual([]);
      },
    );
  }

  it.each(allMessages)("takes no $kind between proof and admission, nor after it", (message) => {
    const { machine, sent, proven, challenge } = challenged();
    feed(machine, reply(challenge));
    expect(thrown(() => feed(machine, message)).reason).toBe("HANDSHAKE_UNEXPECTED");
    machine.admit();
    expect(thrown(() => feed(machine, message)).reason).toBe("HANDSHAKE_UNEXPECTED");
    expect([sent.length, proven.length]).toEqual([3, 1]);
  });

  it("leaves no challenge open, in whatever state it is disposed of, and is dead afterwards", () => {
    const stages: ((all: ReturnType<typeof accept>) => void)[] = [
      () => {},
      ({ machine }) => feed(machine, NAME),
      ({ machine }) => machine.answerClaim("ok"),
      ({ machine, sent }) => feed(machine, reply(challengeOf(sent))),
      ({ machine }) => machine.admit(),
    ];
    for (let last = 0; last < stages.length; last++) {
      const all = accept();
      for (const stage of stages.slice(0, last + 1)) stage(all);
      const sentBefore = all.sent.length;
      expect(all.tools.openChallenges.open).toHaveLength(last === 2 ? 1 : 0);
      all.machine.dispose();
      all.machine.dispose();
      expect(all.tools.openChallenges.open).toEqual([]);
      all.machine.answerClaim("ok");
      all.machine.admit();
      expect(all.sent).toHaveLength(sentBefore);
      expect(thrown(() => feed(all.machine, NAME)).reason).toBe("HANDSHAKE_UNEXPECTED");
    }
  });
});

describe("messages of handshake errors", () => {
  it("hold no cookie, challenge or digest", () => {
    const { machine, tools } = accept(toolsOf("secret-cookie-text"));
    feed(machine, NAME);
    machine.answerClaim("ok");
    const challenge = tools.openChallenges.open[0] ?? 0;
    const error = thrown(() => feed(machine, REPLY));
    const text = JSON.stringify([error.message, error.detail, error.advice]);
    expect(text).not.toContain("secret-cookie-text");
    expect(text).not.toContain(String(challenge));
    expect(text).not.toContain(digest("secret-cookie-text", challenge).toString("hex"));
  });
});
