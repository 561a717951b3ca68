import { describe, expect, it } from "vitest";
import { isSallyportError } from "../base/errors.ts";
import { type NodeName, parseNodeName } from "../base/node-name.ts";
import { RealCrypto } from "../system/real-crypto.ts";
import { SeededRandom } from "../testkit/seeded-random.ts";
import { DEFAULT_FLAGS, FRAGMENTS, SPAWN } from "../wire/flags.ts";
import {
  type AcceptorMessage,
  decodeFromAcceptor,
  decodeFromInitiator,
  digestInput,
  encodeHandshake,
  type InitiatorMessage,
} from "../wire/handshake.ts";
import { OtpAcceptor } from "./otp-acceptor.ts";
import { OtpInitiator } from "./otp-initiator.ts";
import { OpenChallenges, type OtpHandshakeTools, type OtpSession } from "./otp-types.ts";

const A = parseNodeName("a@h");
const B = parseNodeName("b@h");
const crypto = new RealCrypto();
const own = (name: NodeName) => ({ name, creation: 7, flags: DEFAULT_FLAGS });

function tools(): OtpHandshakeTools {
  const cookieFor = () => Buffer.from("secret");
  return { crypto, random: new SeededRandom(1), openChallenges: new OpenChallenges(), cookieFor };
}

function feed(
  machine: { receive(b: Buffer, s: number, e: number): void },
  message: InitiatorMessage | AcceptorMessage,
): void {
  const body = encodeHandshake(message);
  machine.receive(body, 0, body.length);
}

function reasonOf(run: () => void): string {
  try {
    run();
  } catch (error) {
    if (isSallyportError(error)) return error.reason;
    throw error;
  }
  return "nothing";
}

function heldAcceptor() {
  const sent: AcceptorMessage[] = [];
  const proven: OtpSession[] = [];
  const told: string[] = [];
  const machine = new OtpAcceptor(
    own(B),
    tools(),
    {
      send: (body) => void sent.push(decodeFromAcceptor(body, 0, body.length)),
      claimed: (name, creation, flags) => void told.push(`${name} ${creation} ${flags}`),
      proven: (session) => void proven.push(session),
    },
    { confirmed: () => void told.push("confirmed") },
  );
  feed(machine, { kind: "send-name", flags: DEFAULT_FLAGS, creation: 9, name: A });
  return { machine, sent, proven, told };
}

describe("an acceptor that holds its challenge", () => {
  it("hands up creation and flags of the claim", () => {
    expect(heldAcceptor().told).toEqual([`a@h 9 ${DEFAULT_FLAGS}`]);
  });

  it.each(["ok", "ok_simultaneous"] as const)("says %s at once, and shows what it is given later", (status) => {
    const { machine, sent, proven } = heldAcceptor();
    machine.answerClaim(status);
    expect(sent).toEqual([{ kind: "status", status }]);
    machine.challenge({ creation: 4711, flags: DEFAULT_FLAGS & ~SPAWN });
    const challenge = sent[1];
    if (challenge?.kind !== "challenge") throw new Error("no challenge");
    expect(challenge).toMatchObject({ creation: 4711, flags: DEFAULT_FLAGS & ~SPAWN, name: B });
    const digest = crypto.md5(digestInput(Buffer.from("secret"), challenge.challenge));
    feed(machine, { kind: "challenge-reply", challenge: 5, digest });
    expect(proven).toMatchObject([{ peer: A, peerCreation: 9 }]);
    // The working set is of what was shown, not of what the machine was made with.
    expect((proven[0]?.flags ?? 0n) & SPAWN).toBe(0n);
  });

  it("asks after alive, and challenges only when told to", () => {
    const { machine, sent, told } = heldAcceptor();
    machine.answerClaim("alive");
    feed(machine, { kind: "status-reply", proceed: true });
    expect(told.at(-1)).toBe("confirmed");
    expect(sent).toHaveLength(1);
    machine.challenge({ creation: 5, flags: DEFAULT_FLAGS });
    expect(sent[1]).toMatchObject({ kind: "challenge", creation: 5 });
  });

  it("takes nothing while it is held, and shows nothing before the claim is answered", () => {
    const { machine, sent } = heldAcceptor();
    machine.challenge({ creation: 5, flags: DEFAULT_FLAGS });
    expect(sent).toEqual([]);
    machine.answerClaim("ok");
    const reply = { kind: "challenge-reply", challenge: 5, digest: Buffer.alloc(16) } as const;
    expect(reasonOf(() => feed(machine, reply))).toBe("HANDSHAKE_UNEXPECTED");
  });

  it("has no challenge to answer once it is over", () => {
    const { machine, sent } = heldAcceptor();
    machine.answerClaim("ok");
    machine.dispose();
    machine.challenge({ creation: 5, flags: DEFAULT_FLAGS });
    expect(sent).toHaveLength(1);
  });
});

function heldInitiator() {
  const sent: InitiatorMessage[] = [];
  const proven: OtpSession[] = [];
  const told: string[] = [];
  const machine = new OtpInitiator(
    own(A),
    B,
    tools(),
    {
      send: (body) => void sent.push(decodeFromInitiator(body, 0, body.length)),
      proven: (session) => void proven.push(session),
    },
    {
      status: (status) => void told.push(status),
      challenged: ({ peer, peerCreation }) => void told.push(`${peer} ${peerCreation}`),
    },
  );
  return { machine, sent, proven, told };
}

const CHALLENGE = {
  kind: "challenge",
  flags: DEFAULT_FLAGS & ~FRAGMENTS,
  challenge: 99,
  creation: 8,
  name: B,
} as const;

describe("a dialler that holds its proof", () => {
  it.each(["ok", "ok_simultaneous"] as const)(
    "tells of %s and of the challenge, and proves nothing by itself",
    (text) => {
      const { machine, sent, told, proven } = heldInitiator();
      feed(machine, { kind: "status", status: text });
      feed(machine, CHALLENGE);
      expect(told).toEqual([text, "b@h 8"]);
      expect(sent.map(({ kind }) => kind)).toEqual(["send-name"]);
      expect(machine.repliedToChallenge).toBe(false);
      machine.reply();
      const reply = sent[1];
      if (reply?.kind !== "challenge-reply") throw new Error("no reply");
      expect(machine.repliedToChallenge).toBe(true);
      feed(machine, {
        kind: "challenge-ack",
        digest: crypto.md5(digestInput(Buffer.from("secret"), reply.challenge)),
      });
      expect(proven).toMatchObject([{ peer: B, peerCreation: 8 }]);
    },
  );

  it("takes no acknowledgement of a proof that it has not given", () => {
    const { machine } = heldInitiator();
    feed(machine, { kind: "status", status: "ok" });
    feed(machine, CHALLENGE);
    const ack = { kind: "challenge-ack", digest: Buffer.alloc(16) } as const;
    expect(reasonOf(() => feed(machine, ack))).toBe("HANDSHAKE_UNEXPECTED");
  });

  it("leaves the answer to alive to its owner", () => {
    const { machine, sent, told } = heldInitiator();
    feed(machine, { kind: "status", status: "alive" });
    expect(told).toEqual(["alive"]);
    expect(sent).toHaveLength(1);
    machine.answerAlive(true);
    expect(sent[1]).toEqual({ kind: "status-reply", proceed: true });
    feed(machine, CHALLENGE);
    expect(told).toEqual(["alive", "b@h 8"]);
  });

  it("says false and ends when the old connection is kept", () => {
    const { machine, sent } = heldInitiator();
    feed(machine, { kind: "status", status: "alive" });
    expect(reasonOf(() => machine.answerAlive(false))).toBe("ATTEMPT_GIVEN_UP");
    expect(sent[1]).toEqual({ kind: "status-reply", proceed: false });
    expect(reasonOf(() => feed(machine, CHALLENGE))).toBe("HANDSHAKE_UNEXPECTED");
  });
});
