import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { int, pid } from "../attack/etf.ts";
import { message, op } from "../attack/frames.ts";
import { EVIL, GOOD, KeyRig, VICTIM } from "../attack/key-rig.ts";
import {
  type Attack,
  after,
  auth,
  BAD_FIELD,
  before,
  hello,
  instead,
  NONE,
  UNEXPECTED,
  UNIVERSAL,
} from "../attack/native-bends.ts";
import { answersPing, dial, selfOf } from "../attack/native-client.ts";
import {
  ALIVE,
  CONFIRM,
  confirmFrame,
  framed,
  HELLO,
  helloFrame,
  PROOF,
  pingFrame,
  proofFrame,
  STATUS,
  SUCCESSION,
  unsigned,
} from "../attack/native-frames.ts";
import { successionStatement } from "../attack/native-transcript.ts";

// Messages that are too long, too short, too many or out of order, from somebody who dials a strict node that knows its key.

let rig: KeyRig;
beforeAll(async () => {
  rig = await KeyRig.start({ trust: "strict" });
});
afterEach(() => rig.dropAttackers());
afterAll(() => rig.stopWell());

const ATTACKS: readonly Attack[] = [
  ["AU-36", "a creation that no node has", hello({ creation: 3 }), BAD_FIELD],
  [
    "AU-36",
    "HELLO twice",
    instead("hello", (honest) => Buffer.concat([honest, honest])),
    { ...UNEXPECTED, isCut: true },
  ],
  [
    "AU-36",
    "HELLO instead of PROOF",
    { say: (step, honest, run) => (step === "proof" ? helloFrame(run.mine) : honest) },
    UNEXPECTED,
  ],
  ["AU-36", "PROOF first", before("hello", proofFrame({ signature: UNIVERSAL })), UNEXPECTED],
  ["AU-36", "CONFIRM first", before("hello", confirmFrame()), UNEXPECTED],
  ["AU-36", "CONFIRM instead of PROOF", instead("proof", () => confirmFrame()), UNEXPECTED],
  [
    "AU-36",
    "PROOF twice",
    instead("proof", (honest) => Buffer.concat([honest, honest])),
    { ...UNEXPECTED, isCut: true },
  ],
  ["AU-36", "PROOF instead of CONFIRM", instead("confirm", () => proofFrame({ signature: UNIVERSAL })), UNEXPECTED],
  ["AU-36", "ALIVE that nobody asked for", instead("confirm", () => framed(ALIVE, Buffer.from([1]))), UNEXPECTED],
  ["AU-36", "the acceptor's STATUS", before("proof", framed(STATUS, Buffer.from([1]))), UNEXPECTED],
  ["AU-36", "CONFIRM with a digest", instead("confirm", () => confirmFrame(Buffer.alloc(32))), UNEXPECTED],
  ["AU-36", "a message of unknown type", before("proof", framed(99)), auth("HANDSHAKE_UNKNOWN_MESSAGE")],
  [
    "AU-36",
    "HELLO with a byte too many",
    instead("hello", (h) => framed(HELLO, h.subarray(5), Buffer.alloc(1))),
    auth("HANDSHAKE_TRAILING_BYTES"),
  ],
  [
    "AU-36",
    "PROOF with a byte too many",
    instead("proof", (p) => framed(PROOF, p.subarray(5), Buffer.alloc(1))),
    auth("HANDSHAKE_TRAILING_BYTES"),
  ],
  [
    "AU-36",
    "an empty chain of successions",
    before("proof", framed(SUCCESSION, unsigned(0, 1))),
    auth("HANDSHAKE_BAD_SUCCESSION"),
  ],
  [
    "AU-36",
    "nine statements of succession",
    () => before("proof", framed(SUCCESSION, unsigned(9, 1), ...Array<Buffer>(9).fill(statement()))),
    auth("HANDSHAKE_BAD_SUCCESSION"),
  ],
  [
    "AU-36",
    "a succession of another node",
    () => before("proof", framed(SUCCESSION, unsigned(1, 1), statement(GOOD))),
    auth("SUCCESSION_FOREIGN"),
  ],
  [
    "AU-37",
    "a session frame before HELLO",
    before("hello", pingFrame(Buffer.alloc(8))),
    auth("HANDSHAKE_UNKNOWN_MESSAGE"),
  ],
  [
    "AU-37",
    "a session frame behind PROOF",
    after("proof", pingFrame(Buffer.alloc(8))),
    { ...auth("HANDSHAKE_UNKNOWN_MESSAGE"), isCut: true },
  ],
  [
    "AU-34",
    "a frame of 65,535 bytes",
    before("hello", Buffer.concat([unsigned(65_535, 4), Buffer.alloc(65_535)])),
    { reason: "NOT_A_DIST_PEER", told: undefined },
  ],
  [
    "AU-34",
    "a length of 4 GiB",
    instead("hello", () => Buffer.alloc(4, 255)),
    { reason: "NOT_A_DIST_PEER", told: undefined },
  ],
  [
    "AU-34",
    "a length just above the limit instead of PROOF",
    instead("proof", () => unsigned(4_097, 4)),
    { reason: "NOT_A_DIST_PEER", told: undefined },
  ],
  ["AU-34", "an empty frame", before("hello", Buffer.alloc(4)), { reason: "FRAME_TOO_EARLY", told: undefined }],
];

function statement(name: string = EVIL): Buffer {
  const { seed, publicKey } = rig.evil;
  return successionStatement({ serial: 1, oldKey: selfOf("x@h").publicKey, newKey: publicKey, name, seed });
}

describe("a strict node that is dialled by a key it knows", () => {
  it("lets it in, and its frames right behind the last message", async () => {
    await rig.honestSession();
    await rig.dropAttackers();
    const raw = await rig.raw();
    const glued = await dial(raw, rig.evil, after("confirm", pingFrame(Buffer.alloc(8, 7))));
    expect(glued.end).toBe("up");
    expect((await raw.readFrame(4)).toString("hex")).toBe(`f002${"07".repeat(8)}`);
  });

  it.each([
    ["another node", pid(GOOD, 9, 0, 77)],
    ["an earlier life of its own", pid(EVIL, 9, 0, 76)],
    ["the victim itself", pid(VICTIM, 9, 0, 77)],
  ])("does not let it send in the name of %s", async (_, from) => {
    const raw = await rig.honestSession();
    raw.frame(message("headers", op.regSend(pid(EVIL, 9, 0, 77), "echo"), int(1)), 4);
    expect(await answersPing(raw)).toBe(true);
    const mark = rig.mark;
    raw.frame(message("headers", op.regSend(from, "echo"), int(1)), 4);
    expect(await rig.victim.down(EVIL, mark)).toMatchObject({ reason: "FORGED_IDENTIFIER" });
    await raw.untilClosed();
  });

  it("takes frames that come with an early CONFIRM only after its own", async () => {
    const raw = await rig.raw();
    const early = Buffer.concat([confirmFrame(), pingFrame(Buffer.alloc(8))]);
    const run = await dial(raw, rig.evil, {
      say: (step, honest) => (step === "proof" ? Buffer.concat([honest, early]) : step === "confirm" ? NONE : honest),
    });
    expect(run.heard.map((frame) => frame[0])).toEqual([HELLO, PROOF, CONFIRM]);
    expect((await raw.readFrame(4)).toString("hex")).toBe(`f002${"00".repeat(8)}`);
  });

  it.each(ATTACKS)("%s: refuses %s", (_row, _title, bend, refused) => rig.expectAttackFails(bend, refused));
});
