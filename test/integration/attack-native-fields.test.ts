import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { GOOD, KeyRig, VICTIM } from "../attack/key-rig.ts";
import {
  type Attack,
  auth,
  BAD_FIELD,
  BAD_NAMES,
  BAD_POINTS,
  fields,
  flip,
  hello,
  instead,
  KEY_UNSAFE,
  PROOF_INVALID,
  UNEXPECTED,
  UNIVERSAL,
} from "../attack/native-bends.ts";
import { answersPing, type Bend, dial, FLAGS } from "../attack/native-client.ts";
import {
  framed,
  HELLO,
  METHOD_COOKIE,
  METHOD_KEY_AND_COOKIE,
  PART_COOKIE,
  PART_SIGNATURE,
} from "../attack/native-frames.ts";
import { nonCanonical } from "../attack/native-transcript.ts";

// Lies in single fields, told by somebody who dials a strict node. The victim has this attacker's own key pinned: whatever
// is refused here is refused for the bend alone, and the honest run that follows each attack succeeds.

let rig: KeyRig;
beforeAll(async () => {
  rig = await KeyRig.start({ trust: "strict" });
});
afterEach(() => rig.dropAttackers());
afterAll(() => rig.stopWell());

const ATTACKS: readonly Attack[] = [
  [
    "AU-02",
    "a signature with one bit turned",
    { proof: (p) => ({ signature: flip(p.signature ?? UNIVERSAL, 40) }) },
    PROOF_INVALID,
  ],
  ["AU-04", "the victim's own name", hello({ name: Buffer.from(VICTIM) }), auth("SELF_CONNECT")],
  ["AU-04", "the victim's own key", () => hello({ publicKey: rig.self(VICTIM).publicKey }), auth("OWN_KEY")],
  ["AU-05", "a proof with the acceptor's label", { role: "acceptor" }, PROOF_INVALID],
  [
    "AU-05",
    "both sides exchanged in the transcript",
    fields(({ dialler, acceptor }) => ({ dialler: acceptor, acceptor: dialler })),
    PROOF_INVALID,
  ],
  [
    "AU-08",
    "a proof that says another dialler",
    fields(({ dialler }) => ({ dialler: { ...dialler, name: Buffer.from(GOOD) } })),
    PROOF_INVALID,
  ],
  [
    "AU-08",
    "a proof for another acceptor",
    fields(({ acceptor }) => ({ acceptor: { ...acceptor, name: Buffer.from(GOOD) } })),
    PROOF_INVALID,
  ],
  ["AU-08", "a HELLO by another name than signed", hello({ name: Buffer.from(GOOD) }), auth("KEY_MISMATCH")],
  ["AU-16", "a key that nobody pinned", hello({ name: Buffer.from("stranger@127.0.0.1") }), auth("KEY_REUSED")],
  ["AU-18", "an empty signature", { proof: () => ({ signature: Buffer.alloc(0) }) }, auth("HANDSHAKE_TRUNCATED")],
  ["AU-18", "a signature of 63 bytes", { proof: () => ({ signature: Buffer.alloc(63) }) }, auth("HANDSHAKE_TRUNCATED")],
  [
    "AU-18",
    "a signature of 65 bytes",
    { proof: () => ({ signature: Buffer.alloc(65) }) },
    auth("HANDSHAKE_TRAILING_BYTES"),
  ],
  ["AU-18", "a signature of zeros", { proof: () => ({ signature: Buffer.alloc(64) }) }, PROOF_INVALID],
  ["AU-18", "a digest that was not asked for", { proof: (p) => ({ ...p, cookieMac: Buffer.alloc(32) }) }, UNEXPECTED],
  ["AU-18", "a digest instead of the signature", { proof: () => ({ cookieMac: Buffer.alloc(32) }) }, UNEXPECTED],
  ["AU-18", "a proof without parts", { proof: () => ({}) }, BAD_FIELD],
  ["AU-18", "a part that does not exist", { proof: (p) => ({ ...p, parts: 8 | PART_SIGNATURE }) }, BAD_FIELD],
  [
    "AU-18",
    "parts that are not there",
    { proof: (p) => ({ ...p, parts: PART_COOKIE | PART_SIGNATURE }) },
    auth("HANDSHAKE_TRUNCATED"),
  ],
  [
    "AU-19",
    "cookie-only mode",
    hello({ method: METHOD_COOKIE, publicKey: Buffer.alloc(32) }),
    { reason: "METHOD_MISMATCH", told: "method" },
  ],
  ["AU-19", "cookie-only mode with a key", hello({ method: METHOD_COOKIE }), BAD_FIELD],
  ["AU-19", "a method that does not exist", hello({ method: 3 }), { reason: "METHOD_MISMATCH", told: "method" }],
  ["AU-19", "no method", hello({ method: 0 }), { reason: "METHOD_MISMATCH", told: "method" }],
  [
    "AU-19",
    "a method other than signed",
    fields(({ dialler }) => ({ dialler: { ...dialler, method: METHOD_KEY_AND_COOKIE } })),
    PROOF_INVALID,
  ],
  ["AU-20", "version 2", hello({ versionLow: 2, versionHigh: 2 }), { reason: "VERSION_MISMATCH", told: "version" }],
  [
    "AU-20",
    "version 2 of another layout",
    instead("hello", () => framed(HELLO, Buffer.from([2, 9]))),
    { reason: "VERSION_MISMATCH", told: "version" },
  ],
  ["AU-20", "version 0", hello({ versionLow: 0, versionHigh: 0 }), BAD_FIELD],
  ["AU-20", "an empty range of versions", hello({ versionLow: 2, versionHigh: 1 }), BAD_FIELD],
  [
    "AU-20",
    "a range of versions other than signed",
    fields(({ dialler }) => ({ dialler: { ...dialler, versionHigh: 9 } })),
    PROOF_INVALID,
  ],
  ["AU-20", "another version chosen", fields(() => ({ version: 0 })), PROOF_INVALID],
  ["AU-20", "no flags", hello({ flags: 0n }), { reason: "FLAGS_MISSING", told: "version" }],
  [
    "AU-20",
    "flags other than signed",
    fields(({ dialler }) => ({ dialler: { ...dialler, flags: FLAGS | 1n } })),
    PROOF_INVALID,
  ],
  [
    "AU-20",
    "flags of the victim other than heard",
    fields(({ acceptor }) => ({ acceptor: { ...acceptor, flags: 0n } })),
    PROOF_INVALID,
  ],
  ["AU-06", "a proof for another TLS session", fields(() => ({ exporter: Buffer.alloc(32) })), PROOF_INVALID],
  [
    "AU-06",
    "a proof for another certificate of ours",
    fields(() => ({ diallerCertificate: Buffer.alloc(32) })),
    PROOF_INVALID,
  ],
  [
    "AU-06",
    "a proof for another certificate of the victim",
    fields(() => ({ acceptorCertificate: Buffer.alloc(32) })),
    PROOF_INVALID,
  ],
  [
    "AU-01",
    "a proof for another nonce of the victim",
    fields(({ acceptor }) => ({ acceptor: { ...acceptor, nonce: Buffer.alloc(32) } })),
    PROOF_INVALID,
  ],
  [
    "AU-01",
    "a proof for another nonce of ours",
    fields(({ dialler }) => ({ dialler: { ...dialler, nonce: Buffer.alloc(32) } })),
    PROOF_INVALID,
  ],
  [
    "AU-01",
    "a proof for another incarnation",
    fields(({ dialler }) => ({ dialler: { ...dialler, incarnation: 1n } })),
    PROOF_INVALID,
  ],
  [
    "AU-01",
    "a proof for another creation",
    fields(({ dialler }) => ({ dialler: { ...dialler, creation: 5 } })),
    PROOF_INVALID,
  ],
  ["AU-01", "a proof under the label of another protocol", fields(() => ({ label: "sallyport/2" })), PROOF_INVALID],
  ["AU-15", "S + L", { proof: (p) => ({ signature: nonCanonical(p.signature ?? UNIVERSAL) }) }, PROOF_INVALID],
  ...BAD_POINTS.map(
    (point): Attack => [
      "AU-14",
      `the key ${point}`,
      { hello: { publicKey: Buffer.from(point, "hex") }, proof: () => ({ signature: UNIVERSAL }) },
      KEY_UNSAFE,
    ],
  ),
  ...BAD_NAMES.map(
    ([what, name]): Attack => [
      "AU-21",
      `a name with ${what}`,
      hello({ name: typeof name === "string" ? Buffer.from(name, "latin1") : name }),
      auth("HANDSHAKE_BAD_NAME"),
    ],
  ),
  ["AU-23", "a name shorter than its length says", hello({ nameLength: 200 }), auth("HANDSHAKE_TRUNCATED")],
  ["AU-23", "a name longer than its length says", hello({ nameLength: 3 }), auth("HANDSHAKE_TRAILING_BYTES")],
  [
    "AU-23",
    "a name of 4,000 bytes",
    hello({ name: Buffer.alloc(4_000, 0x61), nameLength: 255 }),
    auth("HANDSHAKE_TRAILING_BYTES"),
  ],
];

describe("a strict node that is dialled by a key it knows", () => {
  it.each<readonly [string, Bend]>([
    ["nothing bent", {}],
    ["versions 1 to 255", hello({ versionHigh: 255 })],
    ["all 64 flags", hello({ flags: 2n ** 64n - 1n })],
    ["the smallest incarnation", hello({ incarnation: 0n })],
  ])("lets it in with %s", async (_, bend) => {
    const raw = await rig.raw();
    const run = await dial(raw, rig.evil, bend);
    expect([run.end, run.isVictimProven]).toEqual(["up", true]);
    expect(await answersPing(raw)).toBe(true);
  });

  it.each(ATTACKS)("%s: refuses %s", (_row, _title, bend, refused) => rig.expectAttackFails(bend, refused));
});
