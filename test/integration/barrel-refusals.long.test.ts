import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ATTACKS } from "../barrel-peer/attacks.mjs";
import type { Match } from "../barrel-peer/harness.ts";
import { BarrelRig, EVIL, type Holdings, type Outcome } from "./barrel-rig.ts";

// Every hostile switch of the conformance peer against a node, in both roles (barrel-auth sections 14 and 15): the name of the
// failure on both ends, and what is left afterwards, which is nothing.

const PINNED = "pinned@127.0.0.1";
const KEY = Buffer.alloc(32, 0x11);

type Role = "dialer" | "listener";
type Wanted = readonly [
  attack: string,
  /** Of the attacker. */
  role: Role,
  reason: string,
  detail: Readonly<Record<string, unknown>>,
  saw: string,
  /** Undefined: none, by the protocol (docs/barrel.md, "What the other end is not told"), or of a script that has no names. */
  theirs: string | undefined,
  fields?: Match,
];

const BAD_PROOF = { barrel: "signature_verification_failed", isLate: false };
const CLOSED = "{connection_closed,closed}";
const CLOSED_AFTER_HELLO = `{recv_challenge_failed,${CLOSED}}`;
const undecodable = (decode: string): Readonly<Record<string, unknown>> => ({ barrel: "unexpected_message", decode });
const unexpected = (got: string): Readonly<Record<string, unknown>> => ({
  barrel: "unexpected_message",
  expected: "HELLO",
  got,
});
const badNames = Object.keys(ATTACKS).filter((name) => name.startsWith("bad-name-"));

/** A first message that is none, in both roles: nothing is answered, only the dialler's own stream gets its FIN. */
const first = (attack: string, reason: string, detail: Readonly<Record<string, unknown>>): readonly Wanted[] => [
  [attack, "dialer", reason, detail, "", CLOSED],
  [attack, "listener", reason, detail, "hello fin", CLOSED_AFTER_HELLO],
];

/** A stream of the node's that is stopped after the message that it said last. */
const stopped = (role: Role, at: string, said: string, saw: string): readonly Wanted[] => {
  const detail = { barrel: `send_${said}_failed`, why: "stream_stopped", resetCode: 9 };
  return [["stop-after", role, "BARREL_STREAM_FAILED", detail, saw, undefined, { at }]];
};

const AT_ONCE: readonly Wanted[] = [
  ...["forged-signature", "wrong-binding", "second-form-signature"].flatMap((attack): readonly Wanted[] => [
    [
      attack,
      "dialer",
      "PROOF_INVALID",
      BAD_PROOF,
      "hello challenge response fail:signature_invalid fin",
      "{auth_rejected,signature_invalid}",
    ],
    [attack, "listener", "PROOF_INVALID", BAD_PROOF, "hello challenge response fin", undefined],
  ]),
  [
    "other-key",
    "dialer",
    "KEY_MISMATCH",
    { barrel: "key_mismatch" },
    "fail:key_mismatch fin",
    "{auth_rejected,key_mismatch}",
    { as: PINNED },
  ],
  [
    "other-key",
    "listener",
    "KEY_MISMATCH",
    { barrel: "key_mismatch" },
    "hello fin",
    CLOSED_AFTER_HELLO,
    { as: PINNED },
  ],
  ["small-order-key", "dialer", "KEY_UNSAFE", { fault: "KEY_SMALL_ORDER" }, "", CLOSED, { as: "small@127.0.0.1" }],
  [
    "small-order-key",
    "listener",
    "KEY_UNSAFE",
    { fault: "KEY_SMALL_ORDER" },
    "hello fin",
    CLOSED_AFTER_HELLO,
    { as: "small@127.0.0.1" },
  ],
  ["non-canonical-key", "dialer", "KEY_UNSAFE", {}, "", CLOSED, { as: "second@127.0.0.1" }],
  ["non-canonical-key", "listener", "KEY_UNSAFE", {}, "hello fin", CLOSED_AFTER_HELLO, { as: "second@127.0.0.1" }],
  [
    "hello-twice",
    "dialer",
    "HANDSHAKE_UNEXPECTED",
    { barrel: "unexpected_message", expected: "CHALLENGE", got: "hello" },
    "hello challenge fin",
    `{recv_response_failed,${CLOSED}}`,
  ],
  [
    "hello-twice",
    "listener",
    "HANDSHAKE_UNEXPECTED",
    { barrel: "unexpected_message", expected: "CHALLENGE", got: "hello" },
    "hello challenge fin",
    `{recv_response_failed,${CLOSED}}`,
  ],
  ...[120_000, -120_000].flatMap((skewMs) =>
    (["dialer", "listener"] as const).map(
      (role): Wanted => [
        "timestamp-skew",
        role,
        "CLOCK_SKEW",
        { barrel: "peer_ts_skew", limitMs: 60_000 },
        "hello challenge fin",
        `{recv_response_failed,${CLOSED}}`,
        { skewMs },
      ],
    ),
  ),
  ...[1, 3].flatMap((version) =>
    first(`version-${version}`, "VERSION_MISMATCH", { ...undecodable("unsupported_version"), version }),
  ),
  ...first("trailing-byte", "HANDSHAKE_BAD_FIELD", undecodable("invalid_hello_payload")),
  ...badNames
    .filter((attack) => attack !== "bad-name-256-bytes")
    .flatMap((attack) => first(attack, "HANDSHAKE_BAD_NAME", undecodable("invalid_node_name"))),
  // Too long for any message that is legal: refused by its length alone.
  ...first("bad-name-256-bytes", "HANDSHAKE_TOO_LONG", { value: 292, limit: 291 }),
  ...first("unknown-type", "HANDSHAKE_UNKNOWN_MESSAGE", undecodable("unknown_message_type")),
  ...first("empty-frame", "HANDSHAKE_EMPTY", undecodable("malformed_message")),
  ...first("challenge-first", "HANDSHAKE_UNEXPECTED", unexpected("challenge")),
  ...first("response-first", "HANDSHAKE_UNEXPECTED", unexpected("response")),
  ["ok-first", "dialer", "HANDSHAKE_UNEXPECTED", unexpected("ok"), "", CLOSED],
  ["fail-first", "dialer", "HANDSHAKE_UNEXPECTED", unexpected("fail"), "", CLOSED],
  ...["ok-first", "unsolicited-ok"].map(
    (attack): Wanted => [
      attack,
      "listener",
      "METHOD_MISMATCH",
      { barrel: "unexpected_auth_ok" },
      "hello fin",
      CLOSED_AFTER_HELLO,
    ],
  ),
  [
    "fail-first",
    "listener",
    "REFUSED_BY_PEER",
    { barrel: "auth_rejected", told: "key_mismatch" },
    "hello fin",
    CLOSED_AFTER_HELLO,
  ],
  [
    "other-hello-name",
    "listener",
    "PEER_NAME_MISMATCH",
    { answered: "other@127.0.0.1" },
    "hello fin",
    CLOSED_AFTER_HELLO,
    { as: "other@127.0.0.1" },
  ],
  ...(["dialer", "listener"] as const).flatMap((role): readonly Wanted[] => {
    const heard = role === "listener" ? "hello fin" : "";
    const proven = role === "listener" ? "hello challenge response fin" : "hello challenge response ok fin";
    const ended = { barrel: "recv_hello_failed", why: "stream_ended" };
    return [
      ["half-frame-fin", role, "BARREL_STREAM_ENDED", ended, heard, undefined],
      ["fin-early", role, "BARREL_STREAM_ENDED", ended, heard, undefined],
      [
        "reset-early",
        role,
        "BARREL_STREAM_RESET",
        { barrel: "recv_hello_failed", why: "stream_reset", resetCode: 7 },
        heard,
        undefined,
      ],
      ["wrong-cookie", role, "SECRET_MISMATCH", {}, proven, undefined],
      [
        "missing-v4-nc",
        role,
        "FLAGS_MISSING",
        { missing: "V4_NC" },
        proven,
        role === "dialer" ? "{status,not_allowed}" : undefined,
      ],
      [
        "other-dist-name",
        role,
        "PEER_NAME_MISMATCH",
        { proven: EVIL, claimed: "zz@127.0.0.1" },
        proven,
        undefined,
        { distName: "zz@127.0.0.1" },
      ],
      ["reflection", role, "OWN_KEY", {}, heard, undefined, { as: "ghost@127.0.0.1" }],
    ];
  }),
  ...stopped("dialer", "challenge", "challenge", "hello challenge"),
  ...stopped("dialer", "response", "response", "hello challenge response"),
  ...stopped("listener", "hello", "hello", "hello"),
  ...stopped("listener", "challenge", "challenge", "hello challenge"),
  ...stopped("listener", "response", "response", "hello challenge response"),
  // The session stands, and then ends.
  ["frame-on-stream-2", "dialer", "EARLY_BYTES", {}, "hello challenge response ok fin", undefined],
  ["wrong-form", "dialer", "PACKET_WRONG_STYLE", {}, "hello challenge response ok fin", undefined],
  ["wrong-form", "listener", "PACKET_WRONG_STYLE", {}, "hello challenge response fin", undefined],
  ["flood", "dialer", "EARLY_BYTES", { limit: 65_536 }, "", undefined, { bytes: 8 * 1024 * 1024 }],
];

const timeout = (barrel: string, why?: string): Readonly<Record<string, unknown>> =>
  why === undefined ? { barrel } : { barrel, why };

/** Those that end with time. All at once, since each takes the whole time. */
const WITH_TIME: readonly Wanted[] = [
  ...(["dialer", "listener"] as const).flatMap((role): readonly Wanted[] => {
    const heard = role === "listener" ? "hello" : "";
    const late = "HANDSHAKE_TIMEOUT";
    return [
      ["silence", role, late, timeout("auth_stream_timeout"), heard, undefined],
      ["drip", role, late, timeout("recv_hello_failed", "timeout"), heard, undefined],
      ["hello-then-silence", role, late, timeout("recv_challenge_failed", "timeout"), "hello challenge", undefined],
      // barrel takes the exchange on any stream; here it has the one stream that the protocol gives it.
      [
        "hello-on-bidi",
        role,
        late,
        timeout("auth_stream_timeout"),
        heard,
        role === "listener" ? CLOSED_AFTER_HELLO : CLOSED,
      ],
    ];
  }),
  ["half-open", "dialer", "HANDSHAKE_TIMEOUT", timeout("auth_stream_timeout"), "", undefined],
  ["squat", "dialer", "HANDSHAKE_TIMEOUT", {}, "hello challenge response ok fin", undefined, { as: "owner@127.0.0.1" }],
  ["no-handshake", "dialer", "HANDSHAKE_TIMEOUT", {}, "hello challenge response ok fin", undefined],
  ["stall-after-ok", "listener", "HANDSHAKE_TIMEOUT", {}, "hello challenge response fin", undefined],
];

/** What is odd and no harm, in the role that it plays in, and lets a session stand. */
const HARMLESS: readonly (readonly [attack: string, role: Role])[] = [
  ["no-fin", "dialer"],
  ["no-fin", "listener"],
  ["early-stream-0", "dialer"],
  ["merged-status-challenge", "listener"],
];

/** Shown elsewhere: see the files of attacks over QUIC. */
const ELSEWHERE = [
  "cut-after dialer",
  "cut-after listener",
  "certificate-without-key listener",
  "half-open-tls dialer",
  "borrowed-proof listener",
  "late-handshake dialer",
  "late-handshake listener",
  "stranger dialer",
  "stranger listener",
];

const shownAs = (outcome: Outcome): string => outcome.saw.map((each) => each.replace(" ", ":")).join(" ");
const expectOutcome = (outcome: Outcome, [, , reason, detail, saw, theirs]: Wanted): void => {
  const { reason: got, theirs: told } = outcome;
  expect({ reason: got, saw: shownAs(outcome), theirs: told }).toEqual({ reason, saw, theirs });
  if (outcome.at === "refused") expect(outcome.detail).toMatchObject(detail);
};

/** Of a node at rest: idle sessions, changes of trust on disk, and its engine. */
const STEADY_TIMERS = 3;

describe("a node and a hostile barrel peer", () => {
  let rig: BarrelRig;
  let before: Holdings;
  beforeAll(async () => {
    rig = await BarrelRig.start({ pins: { [PINNED]: KEY } });
    await rig.servesGood();
    before = rig.holdings();
  });
  afterAll(() => rig.stop());

  it.each(AT_ONCE.map((wanted) => [wanted[0], wanted[1], wanted[2], wanted] as const))(
    "%s of a %s ends with %s",
    async (_attack, _role, _reason, wanted) => {
      const [attack, role, , , , , fields = {}] = wanted;
      const victimKey = rig.node.identity?.publicKey.toString("hex");
      const options = attack === "reflection" ? { ...fields, victimKey } : fields;
      const name = typeof fields["as"] === "string" && attack !== "other-hello-name" ? fields["as"] : EVIL;
      const outcome = await (role === "dialer" ? rig.dialled(attack, options) : rig.lured(attack, options, name));
      expectOutcome(outcome, wanted);
      // By its own rules: code 0 for all that barrel knows, another for what only we refuse to take.
      const isOurs = outcome.at === "down" || attack === "flood";
      expect(outcome.closed).toMatchObject({ by: "peer", isApp: true, code: isOurs ? 0x0c : 0 });
      await rig.expectNothingStays(outcome.at === "down" ? withContact(before, rig) : before);
      await rig.servesGood();
      before = rig.holdings();
    },
  );

  it.each(HARMLESS)("%s of a %s lets the session stand", async (attack, role) => {
    const { evil, node } = rig;
    const mark = evil.mark;
    if (role === "dialer") await evil.dial(node.name, rig.address, { attack });
    else {
      rig.addresses.set(EVIL, await evil.listen({ attack }));
      await node.connect(EVIL, { timeoutMs: 30_000 });
    }
    const { connection } = await evil.wait({ event: "up" }, mark);
    const called = await evil.command("call", { connection, name: "echo", term: 7 });
    expect(called).toMatchObject({ value: 7 });
    await evil.command("close", { connection });
    await rig.until(() => node.peers().length === 0);
    await rig.expectNothingStays(withContact(before, rig));
    await rig.servesGood();
  });
});

/** Who had a session, and so the cookie, is remembered: as a pin if we dialled it, as waiting if it dialled us. Nothing else may have come. */
function withContact(before: Holdings, rig: BarrelRig): Holdings {
  const { files, waiting } = rig.holdings();
  const pins = files.filter((file) => file.includes(EVIL));
  return { ...before, waiting, files: [...new Set([...before.files, ...pins])].sort() };
}

describe("a node with little patience and a hostile barrel peer", () => {
  it("ends what takes too long, names it, and keeps nothing", async () => {
    const limits = { maxTlsHandshakeMs: 3_000, maxHandshakeMs: 3_000 };
    const rig = await BarrelRig.start({ node: { limits } });
    const before = rig.holdings();
    const { evil, node } = rig;
    const mark = evil.mark;
    const inward = WITH_TIME.filter(([, role]) => role === "dialer");
    const outward = WITH_TIME.filter(([, role]) => role === "listener");
    const connections = await Promise.all(
      inward.map(([attack, , , , , , fields = {}]) => evil.dial(node.name, rig.address, { attack, ...fields })),
    );
    const names = outward.map(([attack], i) => (attack === "stall-after-ok" ? EVIL : `trap${i}@127.0.0.1`));
    for (const [i, name] of names.entries()) {
      rig.addresses.set(name, await evil.listen({ attack: outward[i]?.[0], as: name }));
    }
    const dials = await Promise.all(names.map((name) => failureOf(node.connect(name, { timeoutMs: 30_000 }))));
    await Promise.all(connections.map((connection) => evil.wait({ event: "closed", connection }, mark)));
    await rig.until(() => rig.refusals.length >= WITH_TIME.length);
    await rig.expectNothingStays(before);
    // Those that dialled in are told apart by what they owed; several owed the same.
    const owed = rig.refusals.filter(({ role }) => role === "acceptor").map(({ error }) => wordOf(error));
    const expected = inward.map(([, , reason, detail]) => `${reason} ${detail["barrel"] ?? ""}`);
    expect([...owed].sort()).toEqual([...expected].sort());
    expect(dials.map(wordOf)).toEqual(outward.map(([, , reason, detail]) => `${reason} ${detail["barrel"] ?? ""}`));
    await rig.servesGood();
    await rig.stop();
  });
});

interface Failure {
  readonly reason: string;
  readonly detail?: Readonly<Record<string, unknown>> | undefined;
}
const wordOf = ({ reason, detail }: Failure): string => `${reason} ${detail?.["barrel"] ?? ""}`;
const failureOf = (promise: Promise<unknown>): Promise<Failure> =>
  promise.then(
    () => ({ reason: "it worked" }),
    (error: Failure) => error,
  );

describe("a strict node", () => {
  it("tells a key that it does not know so, in both roles", async () => {
    const rig = await BarrelRig.start({ trust: "strict" });
    // What a node does by itself begins in the turn after it was made.
    await expect.poll(() => rig.holdings().timers).toBe(STEADY_TIMERS);
    const before = rig.holdings();
    const inward = await rig.dialled("no-fin");
    expect({ ...inward, saw: shownAs(inward) }).toMatchObject({
      reason: "KEY_UNTRUSTED",
      detail: { barrel: "untrusted_key" },
      saw: "fail:untrusted_key fin",
      theirs: "{auth_rejected,untrusted_key}",
    });
    const outward = await rig.lured("no-fin");
    expect({ ...outward, saw: shownAs(outward) }).toMatchObject({
      reason: "KEY_UNTRUSTED",
      detail: { barrel: "untrusted_key" },
      saw: "hello fin",
      theirs: CLOSED_AFTER_HELLO,
    });
    await rig.expectNothingStays(before);
    await rig.servesGood();
    await rig.stop();
  });
});

describe("the table of hostile switches", () => {
  it("leaves none out", () => {
    const shown = new Set([...AT_ONCE, ...WITH_TIME, ...HARMLESS].map(([attack, role]) => `${attack} ${role}`));
    const all = Object.entries(ATTACKS).flatMap(([attack, roles]) => roles.map((role) => `${attack} ${role}`));
    expect(all.filter((each) => !shown.has(each)).sort()).toEqual([...ELSEWHERE].sort());
  });
});
