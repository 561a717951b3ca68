import { OtpAcceptor } from "../../src/auth/otp-acceptor.ts";
import { OtpInitiator } from "../../src/auth/otp-initiator.ts";
import { OpenChallenges, type OtpHandshakeTools } from "../../src/auth/otp-types.ts";
import { parseNodeName } from "../../src/base/node-name.ts";
import type { Random } from "../../src/base/random.ts";
import { RealCrypto } from "../../src/system/real-crypto.ts";
import { DEFAULT_FLAGS } from "../../src/wire/flags.ts";
import { challenge, challengeAck, challengeReply, digest, FLAGS, sendName, status } from "../attack/frames.ts";
import { diceOf } from "./dice.ts";
import { refusal, type Target } from "./harness.ts";
import { mutateFrames } from "./mutate.ts";

const COOKIE = "a secret cookie of the fuzzer";
const SEEN = 0x1234_5678;
const own = { name: parseNodeName("victim@home.example"), creation: 99, flags: DEFAULT_FLAGS };
const peer = parseNodeName("peer@home.example");
/** Every challenge of the machine is the same, so that a sequence that was valid stays valid. */
const random: Random = { uint32: () => SEEN, bytes: (length) => Buffer.alloc(length, 1) };

function tools(): OtpHandshakeTools {
  return {
    crypto: new RealCrypto(),
    random,
    openChallenges: new OpenChallenges(),
    cookieFor: () => Buffer.from(COOKIE),
  };
}

/** Bodies of the frames in a stream `length:16 body`, as far as they are whole; what is left over is a last body. */
function bodies(stream: Buffer): Buffer[] {
  const out: Buffer[] = [];
  let at = 0;
  while (at + 2 <= stream.length && out.length < 64) {
    const end = Math.min(stream.length, at + 2 + stream.readUInt16BE(at));
    out.push(stream.subarray(at + 2, end));
    at = end;
  }
  return out;
}

const reply = digest(COOKIE, SEEN);
const fromInitiator = [
  [sendName(peer), challengeReply(7, reply)],
  [sendName(peer, FLAGS, 0xffff_ffff), status("true"), challengeReply(0xffff_ffff, reply)],
  [sendName(peer), status("false")],
  [sendName(`${"x".repeat(200)}@h`), challengeReply(1, reply), challengeReply(1, reply)],
];
const acceptorOthers = [
  ...fromInitiator.flat(),
  Buffer.from("6e0005000000ff6140", "hex"),
  Buffer.from("6300000000ffffffff", "hex"),
];

/** The accepting machine as a whole: any sequence of messages, and no peer is proven without the digest. */
export const acceptorTarget: Target = {
  name: "handshake-acceptor",
  make: (dice) => mutateFrames(dice, dice.pick(fromInitiator), acceptorOthers, 2),
  run(bytes) {
    const parts = tools();
    const alive = diceOf(bytes).oneIn(2);
    let proven = 0;
    let sent = 0;
    let admitted = false;
    const machine = new OtpAcceptor(own, parts, {
      send(body) {
        sent++;
        if (body[0] === 0x61 && proven === 0) throw new Error("acknowledged a peer that proved nothing");
      },
      claimed: () => machine.answerClaim(alive ? "alive" : "ok"),
      proven: () => {
        proven++;
      },
    });
    const messages = bodies(bytes);
    const refused = refusal(() => {
      for (const message of messages) {
        machine.receive(message, 0, message.length);
        if (proven === 1 && !admitted) {
          admitted = true;
          machine.admit();
        }
      }
    });
    machine.dispose();
    if (parts.openChallenges.has(SEEN)) throw new Error("the challenge stays open after the end");
    if (proven > 1 || sent > 3) throw new Error(`proven ${proven} times, sent ${sent} messages`);
    if (proven === 1 && !messages.some((m) => m[0] === 0x72 && m.subarray(5).equals(reply)))
      throw new Error("proven without the digest");
    return refused;
  },
};

const ack = digest(COOKIE, SEEN);
const fromAcceptor = [
  [status("ok"), challenge(peer, 5), challengeAck(ack)],
  [status("ok_simultaneous"), challenge(peer, 0xffff_ffff), challengeAck(ack)],
  [status("alive"), challenge(peer, 0), challengeAck(ack)],
  [status("nok")],
  [status("not_allowed")],
  [
    Buffer.from("736e616d65643a00113144463630413356503959555940316566d6cba1", "hex"),
    challenge(peer, 1),
    challengeAck(ack),
  ],
];
const initiatorOthers = [
  ...fromAcceptor.flat(),
  Buffer.from("736e616d65643a", "hex"),
  status("ok\n"),
  status("x".repeat(900)),
];

/** The dialling machine as a whole; a reflected challenge is never answered. */
export const initiatorTarget: Target = {
  name: "handshake-initiator",
  make: (dice) => mutateFrames(dice, dice.pick(fromAcceptor), initiatorOthers, 2),
  run(bytes) {
    const parts = tools();
    // Challenge 5 is one that this node has open itself, in half of the cases.
    const reflected = diceOf(bytes).oneIn(2);
    if (reflected) parts.openChallenges.add(5);
    let proven = 0;
    const sent: Buffer[] = [];
    const machine = new OtpInitiator(own, peer, parts, { send: (body) => sent.push(body), proven: () => proven++ });
    const messages = bodies(bytes);
    const refused = refusal(() => {
      for (const message of messages) machine.receive(message, 0, message.length);
    });
    if (proven > 1 || sent.length > 3) throw new Error(`proven ${proven} times, sent ${sent.length} messages`);
    if (proven === 1 && !messages.some((m) => m[0] === 0x61 && m.subarray(1).equals(ack)))
      throw new Error("proven without the digest");
    const answer = digest(COOKIE, 5);
    if (reflected && sent.some((m) => m.includes(answer))) throw new Error("answered its own challenge");
    return refused;
  },
};
