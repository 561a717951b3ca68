import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { GOOD, KeyRig, VICTIM } from "../attack/key-rig.ts";
import {
  type Attack,
  after,
  auth,
  BAD_FIELD,
  before,
  fields,
  flip,
  hello,
  instead,
  KEY_UNSAFE,
  PROOF_INVALID,
  UNEXPECTED,
  UNIVERSAL,
} from "../attack/native-bends.ts";
import { accept, answersPing, type Bend, selfOf } from "../attack/native-client.ts";
import {
  confirmFrame,
  framed,
  HELLO,
  METHOD_COOKIE,
  METHOD_KEY_AND_COOKIE,
  PROOF,
  pingFrame,
  proofFrame,
  REFUSE,
  STATUS,
  TOLD,
} from "../attack/native-frames.ts";
import { nonCanonical } from "../attack/native-transcript.ts";

// What somebody can try whom the victim dials. The victim trusts on first use and knows no key for the dialled name: it
// would take any key that is proven, and must not pin one that is not.

let rig: KeyRig;
beforeAll(async () => {
  rig = await KeyRig.start({ trust: "tofu", pinned: [GOOD] });
});
afterEach(() => rig.dropAttackers());
afterAll(() => rig.stopWell());

const STRANGER = selfOf("stranger@127.0.0.1");
const WRONG_NODE = { reason: "PEER_NAME_MISMATCH", told: "wrong-node" } as const;
const VERSION = { reason: "VERSION_MISMATCH", told: "version" } as const;
const METHOD = { reason: "METHOD_MISMATCH", told: "method" } as const;

const ATTACKS: readonly Attack[] = [
  [
    "AU-02",
    "a signature with a bit turned",
    { proof: (p) => ({ signature: flip(p.signature ?? UNIVERSAL, 3) }) },
    PROOF_INVALID,
  ],
  [
    "AU-03",
    "its own nonce back",
    { hello: {}, say: (step, honest, run) => (step === "hello" ? echoed(honest, run.theirs?.nonce) : honest) },
    auth("NONCE_REFLECTED"),
  ],
  ["AU-04", "its own name", hello({ name: Buffer.from(VICTIM) }), WRONG_NODE],
  ["AU-04", "its own key", () => hello({ publicKey: rig.self(VICTIM).publicKey }), auth("OWN_KEY")],
  ["AU-05", "a proof with the dialler's label", { role: "dialler" }, PROOF_INVALID],
  [
    "AU-05",
    "both sides exchanged",
    fields(({ dialler, acceptor }) => ({ dialler: acceptor, acceptor: dialler })),
    PROOF_INVALID,
  ],
  ["AU-08", "another name than dialled", hello({ name: Buffer.from(GOOD) }), WRONG_NODE],
  [
    "AU-08",
    "a proof for another dialler",
    fields(({ dialler }) => ({ dialler: { ...dialler, name: Buffer.from(GOOD) } })),
    PROOF_INVALID,
  ],
  [
    "AU-08",
    "a proof by another name",
    fields(({ acceptor }) => ({ acceptor: { ...acceptor, name: Buffer.from(GOOD) } })),
    PROOF_INVALID,
  ],
  [
    "AU-09",
    "the key that is pinned for another name",
    () => ({ ...hello({ publicKey: rig.self(GOOD).publicKey }) }),
    PROOF_INVALID,
  ],
  ["AU-12", "a key that it has not got", hello({ publicKey: STRANGER.publicKey }), PROOF_INVALID],
  [
    "AU-14",
    "a key of small order",
    { hello: { publicKey: Buffer.from(`01${"00".repeat(31)}`, "hex") }, proof: () => ({ signature: UNIVERSAL }) },
    KEY_UNSAFE,
  ],
  ["AU-15", "S + L", { proof: (p) => ({ signature: nonCanonical(p.signature ?? UNIVERSAL) }) }, PROOF_INVALID],
  ["AU-18", "a signature of zeros", { proof: () => ({ signature: Buffer.alloc(64) }) }, PROOF_INVALID],
  ["AU-18", "a digest instead of the signature", { proof: () => ({ cookieMac: Buffer.alloc(32) }) }, UNEXPECTED],
  ["AU-18", "a digest beside the signature", { proof: (p) => ({ ...p, cookieMac: Buffer.alloc(32) }) }, UNEXPECTED],
  ["AU-18", "an invite beside the signature", { proof: (p) => ({ ...p, invite: Buffer.alloc(48) }) }, UNEXPECTED],
  ["AU-19", "cookie-only mode", hello({ method: METHOD_COOKIE, publicKey: Buffer.alloc(32) }), METHOD],
  ["AU-19", "a method that does not exist", hello({ method: 7 }), METHOD],
  [
    "AU-19",
    "a method other than signed",
    fields(({ acceptor }) => ({ acceptor: { ...acceptor, method: METHOD_KEY_AND_COOKIE } })),
    PROOF_INVALID,
  ],
  [
    "AU-19",
    "the cookie, which the victim has not got",
    hello({ method: METHOD_KEY_AND_COOKIE }),
    { reason: "SECRET_MISMATCH", told: "secret" },
  ],
  ["AU-20", "version 2", { version: 2 }, VERSION],
  ["AU-20", "a range of versions instead of one", hello({ versionHigh: 2 }), VERSION],
  ["AU-20", "version 0", { version: 0 }, BAD_FIELD],
  ["AU-20", "no flags", hello({ flags: 0n }), { reason: "FLAGS_MISSING", told: "version" }],
  [
    "AU-20",
    "flags of the dialler other than sent",
    fields(({ dialler }) => ({ dialler: { ...dialler, flags: dialler.flags ^ 1n } })),
    PROOF_INVALID,
  ],
  ["AU-06", "a proof for another TLS session", fields(() => ({ exporter: Buffer.alloc(32, 1) })), PROOF_INVALID],
  ["AU-21", "a name that is a path", hello({ name: Buffer.from("../../x@h") }), auth("HANDSHAKE_BAD_NAME")],
  ["AU-36", "HELLO twice", instead("hello", (honest) => Buffer.concat([honest, honest])), UNEXPECTED],
  ["AU-36", "PROOF before HELLO", before("hello", proofFrame({ signature: UNIVERSAL })), UNEXPECTED],
  [
    "AU-36",
    "PROOF twice",
    instead("proof", (honest) => Buffer.concat([honest, honest])),
    { ...UNEXPECTED, isCut: true },
  ],
  ["AU-36", "CONFIRM instead of PROOF", instead("proof", () => confirmFrame()), UNEXPECTED],
  ["AU-36", "CONFIRM with a digest", instead("confirm", () => confirmFrame(Buffer.alloc(32))), UNEXPECTED],
  [
    "AU-36",
    "STATUS twice",
    instead("confirm", () => Buffer.concat([ALIVE_STATUS, ALIVE_STATUS])),
    { ...UNEXPECTED, isCut: true },
  ],
  [
    "AU-36",
    "HELLO with a byte too many",
    instead("hello", (h) => framed(HELLO, h.subarray(5), Buffer.alloc(1))),
    auth("HANDSHAKE_TRAILING_BYTES"),
  ],
  [
    "AU-36",
    "PROOF that is cut",
    instead("proof", (p) => framed(PROOF, p.subarray(5, -1))),
    auth("HANDSHAKE_TRUNCATED"),
  ],
  ["AU-36", "a reason that does not exist", instead("proof", () => framed(REFUSE, Buffer.from([0]))), BAD_FIELD],
  [
    "AU-37",
    "a session frame before PROOF",
    before("proof", pingFrame(Buffer.alloc(8))),
    auth("HANDSHAKE_UNKNOWN_MESSAGE"),
  ],
  [
    "AU-37",
    "a session frame instead of CONFIRM",
    instead("confirm", () => pingFrame(Buffer.alloc(8))),
    auth("HANDSHAKE_UNKNOWN_MESSAGE"),
  ],
  [
    "AU-34",
    "a length of 4 GiB",
    instead("hello", () => Buffer.alloc(4, 255)),
    { reason: "NOT_A_DIST_PEER", told: undefined },
  ],
];

const ALIVE_STATUS = framed(STATUS, Buffer.from([1]));

/** The HELLO with this nonce. */
function echoed(frame: Buffer, nonce: Buffer | undefined): Buffer {
  const out = Buffer.from(frame);
  nonce?.copy(out, 4 + 56);
  return out;
}

async function run(bend: Bend): Promise<{
  run: Awaited<ReturnType<typeof accept>>;
  raw: Awaited<ReturnType<KeyRig["raw"]>>;
  outcome: Promise<string>;
}> {
  const { raw, outcome } = await rig.dialled();
  return { run: await accept(raw, rig.evil, bend), raw, outcome };
}

describe("a node that dials somebody whose key it does not know", () => {
  it.each(ATTACKS)("%s: refuses %s, and pins nothing", async (_row, _title, bend, refused) => {
    const files = rig.files();
    const attack = await run(typeof bend === "function" ? bend() : bend);
    await rig.expectRefused(attack.raw, attack.run, refused, attack.outcome, files);
  });

  it("AU-35: a listener that only refuses, with every reason there is, leaves nothing behind", async () => {
    const files = rig.files();
    for (const reason of Object.values(TOLD)) {
      // After this one the victim waits for the other connection, as it would for a silent listener.
      if (reason === TOLD["other-wins"]) continue;
      const attack = await run(instead("hello", () => framed(REFUSE, Buffer.from([reason]))));
      expect(await attack.outcome).not.toBe("up");
      attack.raw.destroy();
    }
    expect(rig.files()).toEqual(files);
  });

  it("AU-13: ends the handshake when the pin cannot be saved", async () => {
    const directory = join(rig.keyDir, "first-use");
    rmSync(directory, { recursive: true, force: true });
    writeFileSync(directory, "not a directory");
    const attack = await run({});
    await rig.expectRefused(
      attack.raw,
      attack.run,
      { reason: "PIN_NOT_DURABLE", told: "failed" },
      attack.outcome,
      rig.files(),
    );
    rmSync(directory);
  });

  it("without any bend lets the same listener in and pins its key", async () => {
    const honest = await run(after("confirm", pingFrame(Buffer.alloc(8, 5))));
    expect([honest.run.end, honest.run.isVictimProven]).toEqual(["up", true]);
    expect(await honest.outcome).toBe("up");
    expect((await honest.raw.readFrame(4)).toString("hex")).toBe(`f002${"05".repeat(8)}`);
    expect(await answersPing(honest.raw)).toBe(true);
    expect(rig.files().some((file) => file.startsWith("/first-use/evil@127.0.0.1.pub"))).toBe(true);
  });

  it("AU-11: then refuses another key under that name, and the pin stays", async () => {
    const files = rig.files();
    const { raw, outcome } = await rig.dialled();
    const other = await accept(raw, selfOf(rig.evil.name));
    await rig.expectRefused(raw, other, auth("KEY_MISMATCH"), outcome, files);
  });
});
