import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import { RealCrypto } from "../system/real-crypto.ts";
import { prefixHandshake } from "../wire/handshake.ts";
import { OtpAcceptor } from "./otp-acceptor.ts";
import { OtpInitiator } from "./otp-initiator.ts";
import { OpenChallenges, type OtpHandshakeTools, type OtpSession } from "./otp-types.ts";

// Captured handshakes, otp-distribution section 10, with the 2-byte length of TCP. Cookie `secret`.
const VECTORS = [
  {
    title: "V2, OTP 25",
    acceptor: "a25@127.0.0.1",
    creation: 0x6b00d47b,
    ownChallenge: 3297512422,
    peerChallenge: 4154875823,
    frames: [
      "001b4e0000000d075f5fbc01020304000c6a73403132372e302e302e31",
      "0003736f6b",
      "00204e0000000d07df7fbdf7a65faf6b00d47b000d613235403132372e302e302e31",
      "001572c48c0be68223f56092fd31313f8ef16489111104",
      "001161dcda1bfd55a027e6df3d239b3c891585",
    ],
  },
  {
    title: "V3, OTP 27",
    acceptor: "a27@127.0.0.1",
    creation: 0x6b00d47b,
    ownChallenge: 1755466277,
    peerChallenge: 415381918,
    frames: [
      "001b4e0000000d075f5fbc01020304000c6a73403132372e302e302e31",
      "0003736f6b",
      "00204e0000000d07df7fbd18c2399e6b00d47b000d613237403132372e302e302e31",
      "00157268a24a25801c0d3e2933e3aa0a326d133b0453ad",
      "0011613b529de12692ba67068077d2c0b412fd",
    ],
  },
  {
    title: "V4, OTP 29 with ALTACT_SIG",
    acceptor: "a29@127.0.0.1",
    creation: 0x6b00db53,
    ownChallenge: 2530457347,
    peerChallenge: 3162038061,
    frames: [
      "001b4e0000002d075f5fbc01020304000c6a73403132372e302e302e31",
      "0003736f6b",
      "00204e0000006d07df7fbdbc78df2d6b00db53000d613239403132372e302e302e31",
      "00157296d3b703f9d1b6a845a513be5836ad6902afa3ca",
      "0011619aa8f05f73472c6a3e307a1191540947",
    ],
  },
] as const;

/** Random that says what the capture says, once. */
function scripted(value: number): OtpHandshakeTools {
  let left = 1;
  return {
    crypto: new RealCrypto(),
    random: {
      uint32() {
        if (left-- === 0) throw new Error("one challenge per handshake");
        return value;
      },
      bytes() {
        throw new Error("the handshake draws no bytes");
      },
    },
    openChallenges: new OpenChallenges(),
    cookieFor: () => Buffer.from("secret"),
  };
}

const flagsOf = (frame: string, at: number) => Buffer.from(frame, "hex").readBigUInt64BE(at);

describe.each(VECTORS)("captured handshake $title", ({ acceptor, creation, ownChallenge, peerChallenge, frames }) => {
  const [name, status, challenge, reply, ack] = frames.map((hex) => Buffer.from(hex, "hex").subarray(2)) as Buffer[];
  const initiatorFlags = flagsOf(frames[0], 3);
  const acceptorFlags = flagsOf(frames[2], 3);
  const js = { name: parseNodeName("js@127.0.0.1"), creation: 0x01020304, flags: initiatorFlags };
  const them = { name: parseNodeName(acceptor), creation, flags: acceptorFlags };

  it("is reproduced byte for byte as the dialling side", () => {
    const sent: string[] = [];
    const sessions: OtpSession[] = [];
    const machine = new OtpInitiator(js, them.name, scripted(ownChallenge), {
      send: (body) => sent.push(prefixHandshake(body, 2).toString("hex")),
      proven: (session) => sessions.push(session),
    });
    expect(sent).toEqual([frames[0]]);
    machine.receive(status!, 0, status!.length);
    machine.receive(challenge!, 0, challenge!.length);
    expect(sent).toEqual([frames[0], frames[3]]);
    expect(sessions).toEqual([]);
    machine.receive(ack!, 0, ack!.length);
    expect(sent.length).toBe(2);
    expect(sessions).toHaveLength(1);
    expect(sessions[0]).toMatchObject({ peer: acceptor, peerCreation: creation });
    expect((sessions[0]?.flags ?? 0n) & 0x1n).toBe(0n);
  });

  it("is reproduced byte for byte as the accepting side", () => {
    const sent: string[] = [];
    const asked: unknown[] = [];
    const tools = scripted(peerChallenge);
    const machine = new OtpAcceptor(them, tools, {
      send: (body) => sent.push(prefixHandshake(body, 2).toString("hex")),
      claimed: (claimed, peerCreation) => asked.push([claimed, peerCreation]),
      proven: (session) => asked.push(session),
    });
    machine.receive(name!, 0, name!.length);
    expect(asked).toEqual([["js@127.0.0.1", 0x01020304]]);
    expect(sent).toEqual([]);
    machine.answerClaim("ok");
    expect(sent).toEqual([frames[1], frames[2]]);
    machine.receive(reply!, 0, reply!.length);
    expect(asked[1]).toMatchObject({ peer: "js@127.0.0.1", peerCreation: 0x01020304 });
    expect(sent.length).toBe(2);
    machine.admit();
    expect(sent).toEqual([frames[1], frames[2], frames[4]]);
  });

  it("gives both sides the same flags", () => {
    const flags: bigint[] = [];
    const initiator = new OtpInitiator(js, them.name, scripted(ownChallenge), {
      send: () => {},
      proven: (session) => flags.push(session.flags),
    });
    for (const body of [status!, challenge!, ack!]) initiator.receive(body, 0, body.length);
    const machine = new OtpAcceptor(them, scripted(peerChallenge), {
      send: () => {},
      claimed: () => {},
      proven: (session) => flags.push(session.flags),
    });
    machine.receive(name!, 0, name!.length);
    machine.answerClaim("ok");
    machine.receive(reply!, 0, reply!.length);
    expect(flags).toHaveLength(2);
    expect(flags[0]).toBe(flags[1]);
  });
});
