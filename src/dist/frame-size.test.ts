import { describe, expect, it } from "vitest";
import { OpenChallenges } from "../auth/otp-types.ts";
import { parseNodeName } from "../base/node-name.ts";
import type { CarrierSink } from "../carrier/carrier.ts";
import { createMemoryPair } from "../carrier/memory.ts";
import { RealCrypto } from "../system/real-crypto.ts";
import { encodeTerm } from "../term/encode.ts";
import { Pid, Tuple } from "../term/types.ts";
import { SeededRandom } from "../testkit/seeded-random.ts";
import { VirtualClock } from "../testkit/virtual-clock.ts";
import { DEFAULT_FLAGS, FRAGMENTS } from "../wire/flags.ts";
import { decodeFromAcceptor, digestInput, encodeHandshake, prefixHandshake } from "../wire/handshake.ts";
import { DistConnection } from "./connection.ts";
import { DEFAULT_DIST_LIMITS } from "./limits.ts";
import { DEFAULT_TICK_OPTIONS } from "./tick.ts";

const A = parseNodeName("a@h");
const B = parseNodeName("b@h");
const COOKIE = Buffer.from("secret");
const TICK = Buffer.alloc(4);

/** A session that a bare peer brought up; the peer writes bytes. */
function sessionWith(flags: bigint) {
  const clock = new VirtualClock();
  const crypto = new RealCrypto();
  const pair = createMemoryPair({ clock });
  const got: Buffer[] = [];
  const heard = { messages: 0, down: undefined as string | undefined };
  const nothing = (): void => {};
  let carrierSink: CarrierSink | undefined;
  const connection: DistConnection = new DistConnection(
    {
      own: { name: A, creation: 7, flags: DEFAULT_FLAGS },
      target: undefined,
      tools: { crypto, random: new SeededRandom(1), openChallenges: new OpenChallenges(), cookieFor: () => COOKIE },
      clock,
      limits: { ...DEFAULT_DIST_LIMITS, maxFrameBytes: 1024, maxMessageBytes: 8192 },
      ticks: DEFAULT_TICK_OPTIONS,
    },
    {
      trustAsked: nothing,
      arbitrationAsked: nothing,
      commitAsked: nothing,
      secured: nothing,
      claimed: () => connection.answerClaim("ok"),
      proven: () => connection.admit(),
      up: nothing,
      wanted: () => true,
      refused: () => {},
      message: () => heard.messages++,
      idleAsked: () => false,
      idleKept: nothing,
      strayPong: nothing,
      turnStarted: nothing,
      turnEnded: nothing,
      drained: nothing,
      down: (cause) => {
        heard.down = cause?.reason;
      },
    },
    (sink) => {
      carrierSink = sink;
      return pair.first;
    },
  );
  const peer = {
    opened: nothing,
    bytes: (_: number, chunk: Buffer) => void got.push(chunk),
    drained: nothing,
    closed: nothing,
  };
  pair.connect(carrierSink!, peer);
  clock.runTurn();
  const write = (bytes: Buffer): void => {
    pair.second.write(0, bytes);
    clock.runTurn();
  };
  write(prefixHandshake(encodeHandshake({ kind: "send-name", flags, creation: 7, name: B }), 4));
  const challenge = decodeFromAcceptor(got[0]!, 4 + 3 + 4, got[0]!.length);
  if (challenge.kind !== "challenge") throw new Error("no challenge");
  const digest = crypto.md5(digestInput(COOKIE, challenge.challenge));
  write(prefixHandshake(encodeHandshake({ kind: "challenge-reply", challenge: 5, digest }), 4));
  expect(connection.isUp).toBe(true);
  return { heard, write };
}

function frame(...parts: Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return Buffer.concat([length, body]);
}

/** `{22, From, To}` without its version byte. */
const CONTROL = encodeTerm(new Tuple([22, new Pid(B, 2, 0, 7), new Pid(A, 1, 0, 7)])).subarray(1);
const message = (bytes: number): Buffer =>
  frame(Buffer.from("834400", "hex"), CONTROL, encodeTerm(Buffer.alloc(bytes)).subarray(1));
const FIRST_OF_TWO = frame(Buffer.from("83450000000000000001000000000000000200", "hex"), CONTROL, Buffer.of(109));

describe("a frame", () => {
  it.each([
    ["a tick", TICK],
    ["a fragment", FIRST_OF_TWO],
  ])("may be as large as a message until %s shows that what a peer sent while connecting is through", (_, turn) => {
    const { heard, write } = sessionWith(DEFAULT_FLAGS);
    write(message(4096));
    write(message(4096));
    expect(heard.messages).toBe(2);
    write(turn);
    write(message(512));
    expect(heard).toEqual({ messages: 3, down: undefined });
    write(message(4096));
    expect(heard).toEqual({ messages: 3, down: "FRAME_TOO_LARGE" });
  });

  it("is never larger than a message may be", () => {
    const { heard, write } = sessionWith(DEFAULT_FLAGS);
    write(message(8192));
    expect(heard).toEqual({ messages: 0, down: "FRAME_TOO_LARGE" });
  });

  it("may always be as large as a message where there are no fragments", () => {
    const { heard, write } = sessionWith(DEFAULT_FLAGS & ~FRAGMENTS);
    write(TICK);
    write(frame(Buffer.of(0x70, 0x83), CONTROL, encodeTerm(Buffer.alloc(4096))));
    expect(heard).toEqual({ messages: 1, down: undefined });
  });
});
