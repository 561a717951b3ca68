// Every hostile switch against the peer itself: what comes out is what the original does, weaknesses included
// (barrel-auth section 15). Titles name the row.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Match, makeRoom, type PeerEvent, PeerProcess } from "./harness.ts";

const V = "victim@127.0.0.1";
const H = "hasty@127.0.0.1";
const E = "evil@127.0.0.1";
/** Of the victim that is short of patience; the other has a minute, so that a slow machine changes nothing. */
const DEADLINE_MS = 2_500;
const room = makeRoom();
let victim: PeerProcess;
let evil: PeerProcess;
let hasty: PeerProcess;
let strict: PeerProcess;
let address: string;

const unexpected = (inner: string): string => `{unexpected_message,${inner}}`;
const undecodable = (error: string): string => unexpected(`{error,${error}}`);

beforeAll(async () => {
  const patient = ["--auth-timeout", "60000", "--listen", "127.0.0.1:0", "--trace"];
  victim = new PeerProcess(room, V, patient);
  strict = new PeerProcess(room, "strict@127.0.0.1", [...patient, "--trust", "strict"]);
  hasty = new PeerProcess(room, H, ["--auth-timeout", String(DEADLINE_MS), "--listen", "127.0.0.1:0", "--trace"]);
  evil = new PeerProcess(room, E);
  address = `127.0.0.1:${(await victim.wait({ event: "listening" }))["port"]}`;
});

afterAll(async () => {
  await Promise.all([victim, hasty, evil, strict].map((peer) => peer.stop()));
  room.remove();
});

interface Outcome {
  /** The victim's own result. */
  readonly auth: PeerEvent;
  /** What the attacker saw on streams, in order, without stream numbers. */
  readonly saw: string[];
  readonly closed: PeerEvent;
}

function sawBy(peer: PeerProcess, connection: unknown, mark: number): string[] {
  return peer
    .since(mark, { event: "saw", connection })
    .map(({ what, reason }) => (reason === undefined ? String(what) : `${what} ${reason}`));
}

/** The attacker dials; until the connection is closed. */
async function dialled(attack: string, fields: Match = {}, at = address, of = victim): Promise<Outcome> {
  const [mine, theirs] = [evil.mark, of.mark];
  const connection = await evil.dial(of.name, at, { attack, ...fields });
  const auth = await of.wait({ event: "auth" }, theirs);
  const closed = await evil.wait({ event: "closed", connection }, mine);
  return { auth, closed, saw: sawBy(evil, connection, mine) };
}

/** The victim dials the attacker's own listener. */
async function lured(attack: string, fields: Match = {}, to = E): Promise<Outcome> {
  const trap = await evil.listen({ attack, ...fields });
  const [mine, theirs] = [evil.mark, victim.mark];
  const connection = await victim.dial(to, trap);
  const auth = await victim.wait({ event: "auth", connection }, theirs);
  const closed = await evil.wait({ event: "closed" }, mine);
  return { auth, closed, saw: sawBy(evil, closed["connection"], mine) };
}

function expectClosed({ auth, closed }: Outcome, error: string): void {
  expect(auth).toMatchObject({ outcome: "fail", error });
  expect(closed).toMatchObject({ by: "peer", isApp: true, code: 0 });
}

describe("a bad proof", () => {
  it.each(["forged-signature", "wrong-binding"])(
    "%s: the listener sends FAIL signature_invalid, FIN, close 0",
    async (attack) => {
      const outcome = await dialled(attack);
      expectClosed(outcome, "signature_verification_failed");
      expect(outcome.auth["role"]).toBe("incoming");
      expect(outcome.saw).toEqual(["hello", "challenge", "response", "fail signature_invalid", "fin"]);
    },
  );

  it.each(["forged-signature", "wrong-binding"])("%s: the dialler sends no FAIL", async (attack) => {
    const outcome = await lured(attack);
    expectClosed(outcome, "signature_verification_failed");
    expect(outcome.saw).toEqual(["hello", "challenge", "response", "fin"]);
  });

  it("another key for a pinned name: FAIL key_mismatch by the listener, FIN alone by the dialler", async () => {
    const key = "11".repeat(32);
    await victim.command("pin", { name: "pinned@127.0.0.1", key });
    const inward = await dialled("other-key", { as: "pinned@127.0.0.1" });
    expectClosed(inward, "key_mismatch");
    expect(inward.saw).toEqual(["fail key_mismatch", "fin"]);
    const outward = await lured("other-key", { as: "pinned@127.0.0.1" });
    expectClosed(outward, "key_mismatch");
    expect(outward.saw).toEqual(["hello", "fin"]);
  });

  it("no pin in strict mode: FAIL untrusted_key", async () => {
    const at = `127.0.0.1:${(await strict.wait({ event: "listening" }))["port"]}`;
    const outcome = await dialled("no-fin", {}, at, strict);
    expectClosed(outcome, "untrusted_key");
    expect(outcome.saw).toEqual(["fail untrusted_key", "fin"]);
  });

  it.each([61_500, -61_500])("a clock off by %i ms: peer_ts_skew without FAIL in both roles", async (skewMs) => {
    const inward = await dialled("timestamp-skew", { skewMs });
    expectClosed(inward, "peer_ts_skew");
    expect(inward.saw).toEqual(["hello", "challenge", "fin"]);
    const outward = await lured("timestamp-skew", { skewMs });
    expectClosed(outward, "peer_ts_skew");
    expect(outward.saw).toEqual(["hello", "challenge", "fin"]);
  });

  it("a clock off by less than twice the window passes", async () => {
    const mark = victim.mark;
    await evil.dial(V, address, { attack: "timestamp-skew", skewMs: 50_000 });
    expect(await victim.wait({ event: "auth" }, mark)).toMatchObject({ outcome: "ok" });
    await victim.wait({ event: "up", name: E }, mark);
    await evil.command("close", { node: V });
    await victim.wait({ event: "down", name: E }, mark);
  });

  it("a key of small order, with the signature that fits everything, is believed", async () => {
    const as = "small@127.0.0.1";
    const mark = victim.mark;
    const connection = await evil.dial(V, address, { attack: "small-order-key", as });
    expect(await victim.wait({ event: "auth" }, mark)).toMatchObject({ outcome: "ok", peer: as });
    await evil.command("close", { connection });
    await victim.wait({ event: "closed" }, mark);
  });
});

const REFUSED_FIRST: readonly (readonly [string, string])[] = [
  ["version-1", undecodable("{unsupported_version,1}")],
  ["version-3", undecodable("{unsupported_version,3}")],
  ["trailing-byte", undecodable("invalid_hello_payload")],
  ["unknown-type", undecodable("{unknown_message_type,9}")],
  ["empty-frame", undecodable("malformed_message")],
  ["challenge-first", unexpected("challenge")],
  ["response-first", unexpected("response")],
  ...[
    ...["no-host", "empty-node", "empty-host", "leading-dot", "leading-dash", "host-leading-dot", "host-leading-dash"],
    ...["two-ats", "256-bytes", "utf8", "slash", "newline", "nul", "empty"],
  ].map((kind) => [`bad-name-${kind}`, undecodable("invalid_node_name")] as const),
];

describe("a first frame that is no good HELLO", () => {
  it.each([
    ...REFUSED_FIRST,
    ["ok-first", unexpected("ok")],
    ["fail-first", unexpected("{fail,key_mismatch}")],
  ] as const)("%s: the listener closes and opens no stream", async (attack, error) => {
    const outcome = await dialled(attack);
    expectClosed(outcome, error);
    expect(outcome.saw).toEqual([]);
  });

  it.each([
    ...REFUSED_FIRST,
    ["unsolicited-ok", "unexpected_auth_ok"],
    ["ok-first", "unexpected_auth_ok"],
    ["fail-first", "{auth_rejected,key_mismatch}"],
  ] as const)("%s: the dialler ends its stream and closes", async (attack, error) => {
    const outcome = await lured(attack);
    expectClosed(outcome, error);
    expect(outcome.saw).toEqual(["hello", "fin"]);
  });
});

const SILENCES = [
  ["silence", "auth_stream_timeout"],
  ["hello-then-silence", "{recv_challenge_failed,timeout}"],
  ["half-frame-fin", "{recv_hello_failed,timeout}"],
  ["fin-early", "{recv_hello_failed,timeout}"],
  ["drip", "{recv_hello_failed,timeout}"],
] as const;

describe("silence", () => {
  it("is ended at the deadline, from a dialler", async () => {
    const at = `127.0.0.1:${(await hasty.wait({ event: "listening" }))["port"]}`;
    const mark = hasty.mark;
    const dials = await Promise.all(SILENCES.map(([attack]) => evil.dial(H, at, { attack })));
    await Promise.all(dials.map((connection) => evil.wait({ event: "closed", connection, by: "peer", code: 0 })));
    const ended = hasty.since(mark, { event: "auth", outcome: "fail" });
    expect(ended.map(({ error }) => error).sort()).toEqual(SILENCES.map(([, error]) => error).sort());
    for (const { elapsedMs } of ended) expect(elapsedMs).toBeGreaterThanOrEqual(DEADLINE_MS - 5);
  });

  it("is ended at the deadline, from a listener", async () => {
    const traps: string[] = [];
    for (const [attack] of SILENCES) traps.push(await evil.listen({ attack }));
    await Promise.all(
      SILENCES.map(async ([, error], i) => {
        const connection = await hasty.dial(E, traps[i]!);
        const ended = await hasty.wait({ event: "auth", connection });
        expect(ended).toMatchObject({ outcome: "fail", error });
        expect(ended["elapsedMs"]).toBeGreaterThanOrEqual(DEADLINE_MS - 5);
      }),
    );
  });

  it("after a reset is ended at once, in both roles", async () => {
    const error = "{recv_hello_failed,{stream_reset,7}}";
    expectClosed(await dialled("reset-early"), error);
    expectClosed(await lured("reset-early"), error);
  });

  it("of many half-open connections is all taken, and each kept until the deadline", async () => {
    const at = `127.0.0.1:${(await hasty.wait({ event: "listening" }))["port"]}`;
    const mark = hasty.mark;
    await evil.command("dial", { to: H, address: at, attack: "half-open", count: 30 });
    await evil.command("dial", { to: H, address: at, attack: "half-open-tls", count: 10 });
    const opened = (): number => hasty.since(mark, { event: "connection" }).length;
    while (opened() < 40) await hasty.wait({ event: "connection" }, hasty.mark);
    const errors = (): unknown[] => hasty.since(mark, { event: "auth", outcome: "fail" }).map(({ error }) => error);
    while (errors().length < 40) await hasty.wait({ event: "auth", outcome: "fail" }, hasty.mark);
    expect(errors().filter((error) => error === "auth_stream_timeout")).toHaveLength(30);
    expect(errors().filter((error) => error === "handshake_timeout")).toHaveLength(10);
  });
});
