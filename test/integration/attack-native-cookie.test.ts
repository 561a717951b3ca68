import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { EVIL, GOOD, KeyRig } from "../attack/key-rig.ts";
import { type Attack, auth, fields, flip, hello, instead, PROOF_INVALID, UNEXPECTED } from "../attack/native-bends.ts";
import { accept, answersPing, type Bend, dial, type Run, type Self, selfOf } from "../attack/native-client.ts";
import {
  CONFIRM,
  confirmFrame,
  framed,
  HELLO,
  METHOD_COOKIE,
  METHOD_KEY,
  PART_COOKIE,
  PART_SIGNATURE,
  PROOF,
  REFUSE,
} from "../attack/native-frames.ts";
import { cookieMac, transcript } from "../attack/native-transcript.ts";

// A cookie beside keys: what of it leaves, to whom, and when. `EVIL` knows the cookie where nothing else is said.

const COOKIE = "correct horse battery staple";

let rig: KeyRig;
beforeAll(async () => {
  rig = await KeyRig.start({ trust: "strict", node: { cookie: COOKIE } });
});
afterEach(() => rig.dropAttackers());
afterAll(() => rig.stopWell());

const SECRET = { reason: "SECRET_MISMATCH", told: "secret" } as const;
const ZEROS = Buffer.alloc(32);

/** The digest for these roles, as somebody makes it who knows the cookie. */
const macFor = (run: Run, role: "dialler" | "acceptor"): Buffer => {
  if (run.fields === undefined) throw new Error("too early");
  return cookieMac(COOKIE, role, transcript(run.fields));
};

const DIALLING: readonly Attack[] = [
  ["AU-18", "a digest of zeros", { proof: (p) => ({ ...p, cookieMac: ZEROS }) }, SECRET],
  [
    "AU-18",
    "a digest with its first bit turned",
    { proof: (p) => ({ ...p, cookieMac: flip(p.cookieMac ?? ZEROS, 0) }) },
    SECRET,
  ],
  [
    "AU-18",
    "a digest with its last bit turned",
    { proof: (p) => ({ ...p, cookieMac: flip(p.cookieMac ?? ZEROS, 31) }) },
    SECRET,
  ],
  ["AU-18", "an empty digest", { proof: (p) => ({ ...p, cookieMac: Buffer.alloc(0) }) }, auth("HANDSHAKE_TRUNCATED")],
  [
    "AU-18",
    "a digest of 31 bytes",
    { proof: (p) => ({ ...p, cookieMac: Buffer.alloc(31) }) },
    auth("HANDSHAKE_TRUNCATED"),
  ],
  [
    "AU-18",
    "a digest of 33 bytes",
    { proof: (p) => ({ ...p, cookieMac: Buffer.alloc(33) }) },
    auth("HANDSHAKE_TRAILING_BYTES"),
  ],
  ["AU-18", "no digest, though the method says one", { proof: (p) => ({ signature: p.signature }) }, UNEXPECTED],
  [
    "AU-05",
    "the digest with the acceptor's label",
    { proof: (p, run) => ({ ...p, cookieMac: macFor(run, "acceptor") }) },
    SECRET,
  ],
  [
    "AU-19",
    "a method without the cookie",
    { hello: { method: METHOD_KEY }, proof: (p) => ({ signature: p.signature }) },
    SECRET,
  ],
  ["AU-19", "the cookie alone, without the key", { proof: (p) => ({ cookieMac: p.cookieMac }) }, UNEXPECTED],
  [
    "AU-19",
    "cookie-only mode",
    hello({ method: METHOD_COOKIE, publicKey: ZEROS }),
    { reason: "METHOD_MISMATCH", told: "method" },
  ],
  [
    "AU-26",
    "the right digest and a wrong signature",
    { proof: (p) => ({ ...p, signature: Buffer.alloc(64) }) },
    PROOF_INVALID,
  ],
  [
    "AU-26",
    "a wrong digest and a wrong signature",
    { proof: () => ({ signature: Buffer.alloc(64), cookieMac: ZEROS }) },
    PROOF_INVALID,
  ],
  ["AU-06", "digest and signature for another TLS session", fields(() => ({ exporter: ZEROS })), PROOF_INVALID],
];

describe("a node with a cookie that is dialled", () => {
  it.each(DIALLING)("%s: refuses %s", (_row, _title, bend, refused) => rig.expectAttackFails(bend, refused));

  it("AU-26: tells a stranger with the wrong cookie what it tells a stranger with the right one", async () => {
    for (const cookie of [COOKIE, "another cookie altogether"]) {
      const raw = await rig.raw();
      const run = await dial(raw, selfOf("stranger@127.0.0.1", undefined, cookie));
      await rig.expectRefused(raw, run, auth("KEY_UNTRUSTED"), rig.refusalOf(raw), rig.files());
    }
  });

  it("shows its own digest only to a key that it trusts and that showed the right one", async () => {
    const liars: readonly (readonly [Self, Bend])[] = [
      [selfOf("stranger@127.0.0.1", undefined, COOKIE), {}],
      [selfOf(EVIL, undefined, COOKIE), {}],
      [{ ...rig.evil, cookie: "another cookie altogether" }, {}],
      [rig.evil, { proof: (p) => ({ ...p, signature: Buffer.alloc(64) }) }],
    ];
    for (const [self, bend] of liars) {
      const raw = await rig.raw();
      const run = await dial(raw, self, bend);
      expect(run.heard.map((frame) => frame[0])).toEqual([HELLO, PROOF, REFUSE]);
      expect(run.heard[1]?.readUInt8(1)).toBe(PART_SIGNATURE);
      await raw.untilClosed();
    }
    await rig.honestSession();
  });
});

interface Liar {
  readonly self: () => Self;
  readonly bend: Bend;
  readonly reason: string;
}

/** Listeners to whom the victim must not show its digest. */
const LISTENERS: readonly (readonly [string, Liar])[] = [
  [
    "no valid signature",
    { self: () => rig.evil, bend: { proof: () => ({ signature: Buffer.alloc(64) }) }, reason: "PROOF_INVALID" },
  ],
  [
    "a key that is not the pinned one",
    { self: () => selfOf(EVIL, undefined, COOKIE), bend: {}, reason: "KEY_MISMATCH" },
  ],
  ["the key of another node", { self: () => ({ ...rig.self(GOOD), name: EVIL }), bend: {}, reason: "KEY_MISMATCH" }],
  [
    "no signature at all",
    { self: () => rig.evil, bend: instead("proof", () => confirmFrame(ZEROS)), reason: "HANDSHAKE_UNEXPECTED" },
  ],
  [
    "only a digest",
    { self: () => rig.evil, bend: { proof: () => ({ cookieMac: ZEROS }) }, reason: "HANDSHAKE_UNEXPECTED" },
  ],
  [
    "cookie-only mode",
    { self: () => rig.evil, bend: hello({ method: METHOD_COOKIE, publicKey: ZEROS }), reason: "METHOD_MISMATCH" },
  ],
  [
    "a method without the cookie",
    { self: () => rig.evil, bend: hello({ method: METHOD_KEY }), reason: "SECRET_MISMATCH" },
  ],
  [
    "a valid proof for another TLS session",
    { self: () => rig.evil, bend: fields(() => ({ exporter: ZEROS })), reason: "PROOF_INVALID" },
  ],
];

describe("a node with a cookie that dials", () => {
  it.each(LISTENERS)("gives somebody with %s nothing to guess against", async (_, { self, bend, reason }) => {
    const { raw, outcome } = await rig.dialled();
    const run = await accept(raw, self(), bend);
    expect(await outcome).toBe(reason);
    await raw.untilClosed();
    // HELLO and a refusal: no PROOF, so no digest, left the victim.
    expect(run.heard.map((frame) => frame[0])).toEqual([HELLO, REFUSE]);
  });

  it("refuses a listener that does not know the cookie, whose digest would be an echo or a guess", async () => {
    const echo = instead("confirm", () => confirmFrame(ZEROS));
    const reflected: Bend = {
      say: (step, honest, run) => {
        const proof = run.heard.find((frame) => frame[0] === PROOF);
        return step === "confirm" && proof !== undefined
          ? framed(CONFIRM, Buffer.from([PART_COOKIE]), proof.subarray(66, 98))
          : honest;
      },
    };
    for (const bend of [echo, reflected]) {
      const { raw, outcome } = await rig.dialled();
      const run = await accept(raw, rig.evil, bend);
      await rig.expectRefused(raw, run, SECRET, outcome, rig.files());
    }
  });

  it("shows it to the node that it trusts, and the session stands", async () => {
    const { raw, outcome } = await rig.dialled();
    const run = await accept(raw, rig.evil);
    expect([run.end, run.isVictimProven, await outcome]).toEqual(["up", true, "up"]);
    expect(await answersPing(raw)).toBe(true);
  });
});
