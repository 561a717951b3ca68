import { describe, expect, it } from "vitest";
import { isSallyportError, SallyportError } from "../base/errors.ts";
import { parseNodeName } from "../base/node-name.ts";
import { parsePublicKey } from "../identity/public-key.ts";
import { makeStatement } from "../identity/succession.ts";
import { RealIdentityCrypto } from "../system/real-identity-crypto.ts";
import { type NativeAnswers, NativeEnd, nativeChannel, nativeTestNode, runNative } from "../testkit/native-end.ts";
import { testInvite } from "../testkit/native-invite.ts";
import { DEFAULT_FLAGS } from "../wire/flags.ts";
import { decodeNative, type NativeMessage } from "../wire/native-handshake.ts";
import type { RefuseReason } from "../wire/refuse-reason.ts";
import type { CookieKey } from "./native-cookie.ts";
import type { DiallerInvite, NativeIdentity, NativeTools } from "./native-types.ts";

const crypto = new RealIdentityCrypto();
const A = parseNodeName("a@h");
const B = parseNodeName("b@h");
const K: CookieKey = { key: Buffer.alloc(32, 7), cookieBytes: 20 };
const OTHER_K: CookieKey = { key: Buffer.alloc(32, 8), cookieBytes: 20 };

interface Side {
  readonly tools?: Partial<NativeTools>;
  readonly identity?: Partial<NativeIdentity>;
  readonly answers?: Partial<NativeAnswers>;
}

function pair(a: Side = {}, b: Side = {}, invite?: DiallerInvite) {
  const channel = nativeChannel(1);
  const nodeA = nativeTestNode("a@h", 1, crypto, a.tools, a.identity);
  const nodeB = nativeTestNode("b@h", 2, crypto, b.tools, b.identity);
  const acceptor = new NativeEnd(b.answers).accept(nodeB, channel.acceptor);
  const dialler = new NativeEnd(a.answers).dial(nodeA, B, channel.dialler, invite);
  return { dialler, acceptor, nodeA, nodeB };
}

function run(a: Side = {}, b: Side = {}, invite?: DiallerInvite) {
  const both = pair(a, b, invite);
  runNative(both.dialler, both.acceptor);
  return both;
}

const kinds = (messages: readonly Buffer[]) => messages.map((m) => decodeNative(m, 0, m.length).kind);
const told = (messages: readonly Buffer[]): RefuseReason | undefined => {
  const last = messages.at(-1);
  const message: NativeMessage | undefined = last && decodeNative(last, 0, last.length);
  return message?.kind === "refuse" ? message.reason : undefined;
};
const failed = (end: NativeEnd): string => {
  if (!isSallyportError(end.error)) throw new Error(`no error, but ${String(end.error)}`);
  return `${end.error.code} ${end.error.reason}`;
};
const cookie = (key: CookieKey | undefined): Partial<NativeTools> => ({ cookieFor: () => key });
const cookieOnly = (key: CookieKey | undefined): Partial<NativeTools> => ({
  cookieFor: () => key,
  cookieOnly: () => true,
  hasCookieOnly: true,
});
const notTrusted = new SallyportError("ERR_DENIED", "PIN_DIFFERS", "the pin differs");

describe("a native handshake", () => {
  it("by keys ends with the same transcript on both sides", () => {
    const { dialler, acceptor, nodeA, nodeB } = run();
    expect(kinds(dialler.sent)).toEqual(["hello", "proof", "confirm"]);
    expect(kinds(acceptor.sent)).toEqual(["hello", "proof", "confirm"]);
    expect(dialler.session).toMatchObject({ role: "dialler", peer: B, method: "key", assurance: "pinned" });
    expect(acceptor.session).toMatchObject({ role: "acceptor", peer: A, method: "key", peerCreation: 1001 });
    expect(acceptor.session?.peerIncarnation).toBe(1_700_000_000_001n);
    expect(dialler.session?.publicKey).toEqual(nodeB.identity.publicKey);
    expect(acceptor.session?.publicKey).toEqual(nodeA.identity.publicKey);
    expect(dialler.session?.transcriptHash).toEqual(acceptor.session?.transcriptHash);
    expect(dialler.session?.transcript).toEqual(acceptor.session?.transcript);
    expect(nodeA.tools.openNonces.size + nodeB.tools.openNonces.size).toBe(0);
  });

  it("by keys and cookie sends each proof of the cookie only after the other side's signature", () => {
    const { dialler, acceptor } = run({ tools: cookie(K) }, { tools: cookie(K) });
    expect(dialler.session?.method).toBe("key-cookie");
    expect(acceptor.session?.method).toBe("key-cookie");
    const proofs = [...dialler.sent, ...acceptor.sent].map((m) => decodeNative(m, 0, m.length));
    expect(proofs.filter((m) => "cookieMac" in m && m.cookieMac !== undefined).map((m) => m.kind)).toEqual([
      "proof",
      "confirm",
    ]);
    expect(acceptor.asked[0]).toMatchObject({ cookieProven: true, cookieDiffers: false });
    expect(acceptor.sent[1]?.length).toBe(2 + 64);
  });

  it("by cookie alone gives no more than the assurance cookie", () => {
    const { dialler, acceptor } = run({ tools: cookieOnly(K) }, { tools: cookieOnly(K) });
    expect(kinds(acceptor.sent)).toEqual(["hello", "confirm"]);
    expect(dialler.session).toMatchObject({ method: "cookie", assurance: "cookie", publicKey: undefined });
    expect(acceptor.session).toMatchObject({ method: "cookie", assurance: "cookie", publicKey: undefined });
    expect(dialler.sent[0]?.subarray(24, 56)).toEqual(Buffer.alloc(32));
    expect(acceptor.asked[0]).toMatchObject({
      publicKey: undefined,
      cookieProven: true,
      cookieDiffers: false,
      method: "cookie",
    });
  });

  it("keeps an assurance below cookie as it is", () => {
    const answers: Partial<NativeAnswers> = { trust: { kind: "granted", assurance: "none" } };
    expect(run({ tools: cookieOnly(K) }, { tools: cookieOnly(K), answers }).acceptor.session?.assurance).toBe("none");
  });

  it("by invite tells both trust stores, and asks to burn it before CONFIRM", () => {
    const id = Buffer.alloc(16, 4);
    const invite = testInvite(id, Buffer.alloc(32, 3), crypto, A);
    const { dialler, acceptor } = run({}, { tools: { judgeInvite: invite.judge } }, invite.dialler);
    expect(dialler.asked[0]?.inviteProven).toBe(true);
    expect(acceptor.asked[0]?.inviteProven).toBe(true);
    expect(acceptor.commits[0]?.inviteId).toEqual(id);
    expect(acceptor.log.indexOf("commit")).toBeLessThan(acceptor.log.lastIndexOf("send"));
    expect(acceptor.session?.inviteProven).toBe(true);
  });

  it("hands a chain of successions to the trust store of the other side", () => {
    const oldSeed = Buffer.alloc(32, 99);
    const statement = (name: typeof A, seedByte: number) =>
      makeStatement(
        {
          serial: 1,
          notBefore: 1,
          notAfter: 2,
          oldKey: parsePublicKey(crypto.ed25519PublicKey(oldSeed), "old"),
          newKey: parsePublicKey(crypto.ed25519PublicKey(Buffer.alloc(32, seedByte)), "new"),
          name,
        },
        oldSeed,
        crypto,
      );
    const a = statement(A, 1);
    const b = statement(B, 2);
    const { dialler, acceptor } = run({ identity: { successions: [a] } }, { identity: { successions: [b] } });
    expect(dialler.asked[0]?.successions).toEqual([b]);
    expect(acceptor.asked[0]?.successions).toEqual([a]);
    expect(acceptor.session).toBeDefined();
    const foreign = run({}, { identity: { successions: [statement(A, 2)] } });
    expect(failed(foreign.dialler)).toBe("ERR_PEER_MISBEHAVED SUCCESSION_FOREIGN");
    const otherKey = run({ identity: { successions: [statement(A, 5)] } }, {});
    expect(failed(otherKey.acceptor)).toBe("ERR_PEER_MISBEHAVED SUCCESSION_FOREIGN");
    expect(otherKey.dialler.session).toBeUndefined();
  });

  it("sends no CONFIRM before the commit is acknowledged, and stands only after it", () => {
    const { dialler, acceptor } = pair({ answers: { commit: "later" } }, { answers: { commit: "later" } });
    runNative(dialler, acceptor);
    expect(kinds(acceptor.sent)).toEqual(["hello", "proof"]);
    acceptor.answer((m) => m.committed({ ok: true }));
    runNative(dialler, acceptor);
    expect(kinds(acceptor.sent)).toEqual(["hello", "proof", "confirm"]);
    expect([dialler.session, acceptor.session]).toEqual([undefined, undefined]);
    dialler.answer((m) => m.committed({ ok: true }));
    expect(dialler.session).toBeDefined();
    expect(acceptor.session).toBeUndefined();
    runNative(dialler, acceptor);
    expect(acceptor.session).toBeDefined();
  });

  it.each(["dialler", "acceptor"] as const)("is refused when the %s cannot commit", (who) => {
    const error = new SallyportError("ERR_DENIED", "PIN_NOT_SAVED", "disk full");
    const answers: Partial<NativeAnswers> = { commit: { ok: false, error } };
    const { dialler, acceptor } = run(who === "dialler" ? { answers } : {}, who === "acceptor" ? { answers } : {});
    const [mine, other] = who === "dialler" ? [dialler, acceptor] : [acceptor, dialler];
    expect(mine.error).toBe(error);
    expect(told(mine.sent)).toBe("failed");
    expect(failed(other)).toBe("ERR_CLOSED PEER_COMMIT_FAILED");
    expect([dialler.session, acceptor.session]).toEqual([undefined, undefined]);
  });
});

describe("trust", () => {
  it.each(["dialler", "acceptor"] as const)("is asked by the %s after the proof; a no is told as auth", (who) => {
    const answers: Partial<NativeAnswers> = { trust: { kind: "refused", error: notTrusted } };
    const { dialler, acceptor } = run(who === "dialler" ? { answers } : {}, who === "acceptor" ? { answers } : {});
    const [mine, other] = who === "dialler" ? [dialler, acceptor] : [acceptor, dialler];
    expect(mine.error).toBe(notTrusted);
    expect(told(mine.sent)).toBe("auth");
    expect(failed(other)).toBe("ERR_DENIED REFUSED_BY_PEER");
    if (who === "dialler") expect(kinds(dialler.sent)).toEqual(["hello", "refuse"]);
  });

  it("refuses before the cookie is spoken of, so that an unknown key learns nothing of it", () => {
    const answers: Partial<NativeAnswers> = { trust: { kind: "refused", error: notTrusted } };
    const { acceptor } = run({ tools: cookie(OTHER_K) }, { tools: cookie(K), answers });
    expect(told(acceptor.sent)).toBe("auth");
    expect(acceptor.asked[0]).toMatchObject({ cookieProven: false, cookieDiffers: true });
    const oneSided = run({ tools: cookie(K), answers }, {});
    expect(told(oneSided.dialler.sent)).toBe("auth");
  });
});

describe("cookies that differ", () => {
  it("are secret on both sides, and the acceptor proves nothing", () => {
    const { dialler, acceptor } = run({ tools: cookie(OTHER_K) }, { tools: cookie(K) });
    expect(failed(acceptor)).toBe("ERR_DENIED SECRET_MISMATCH");
    expect(failed(dialler)).toBe("ERR_DENIED SECRET_MISMATCH");
    expect(kinds(acceptor.sent)).toEqual(["hello", "proof", "refuse"]);
    expect(acceptor.commits).toEqual([]);
  });

  it.each([
    ["the dialler", cookie(K), cookie(undefined)],
    ["the acceptor", cookie(undefined), cookie(K)],
  ])("because only %s has one are secret, and no proof of it leaves", (_who, a, b) => {
    const { dialler, acceptor } = run({ tools: a }, { tools: b });
    expect(failed(dialler)).toBe("ERR_DENIED SECRET_MISMATCH");
    expect(failed(acceptor)).toBe("ERR_DENIED SECRET_MISMATCH");
    expect(kinds(dialler.sent)).toEqual(["hello", "refuse"]);
    expect(dialler.asked).toHaveLength(1);
  });

  it("in cookie-only mode are secret too", () => {
    const { dialler, acceptor } = run({ tools: cookieOnly(OTHER_K) }, { tools: cookieOnly(K) });
    expect(failed(acceptor)).toBe("ERR_DENIED SECRET_MISMATCH");
    expect(failed(dialler)).toBe("ERR_DENIED SECRET_MISMATCH");
    expect(kinds(acceptor.sent)).toEqual(["hello", "refuse"]);
  });

  it("of an acceptor that does not know ours are seen by the dialler", () => {
    const { dialler, acceptor } = pair({ tools: cookie(K) }, { tools: cookie(K) });
    runNative(dialler, acceptor, (m, from) => {
      if (from === "acceptor" && m[0] === 6) m[40 - 8] = (m[40 - 8] ?? 0) ^ 1;
      return [m];
    });
    expect(failed(dialler)).toBe("ERR_DENIED SECRET_MISMATCH");
    expect(told(dialler.sent)).toBe("secret");
    expect(dialler.commits).toEqual([]);
  });
});

describe("cookie-only mode", () => {
  it("is refused as a method by a side that has it off or wants keys", () => {
    const off = run({ tools: cookieOnly(K) }, { tools: cookie(K) });
    expect(failed(off.acceptor)).toBe("ERR_PEER_INCOMPATIBLE METHOD_MISMATCH");
    expect(failed(off.dialler)).toBe("ERR_PEER_INCOMPATIBLE METHOD_MISMATCH");
    expect(kinds(off.acceptor.sent)).toEqual(["refuse"]);
    const keys = run({ tools: cookie(K) }, { tools: cookieOnly(K) });
    expect(keys.dialler.session?.method).toBe("key-cookie");
  });

  it("tells only who knows the cookie that its name is not listed", () => {
    const listed: Partial<NativeTools> = { ...cookieOnly(K), cookieOnly: () => false };
    expect(told(run({ tools: cookieOnly(K) }, { tools: listed }).acceptor.sent)).toBe("method");
    expect(told(run({ tools: cookieOnly(OTHER_K) }, { tools: listed }).acceptor.sent)).toBe("secret");
    const without: Partial<NativeTools> = { ...cookieOnly(undefined), cookieOnly: () => false };
    expect(told(run({ tools: cookieOnly(K) }, { tools: without }).acceptor.sent)).toBe("secret");
  });

  it("needs a cookie of 16 bytes, on both sides, unless that is waived", () => {
    const short: CookieKey = { key: K.key, cookieBytes: 15 };
    const exact: CookieKey = { key: K.key, cookieBytes: 16 };
    expect(failed(pair({ tools: cookieOnly(short) }).dialler)).toBe("ERR_CONFIG COOKIE_TOO_SHORT");
    expect(pair({ tools: cookieOnly(short) }).dialler.sent).toEqual([]);
    expect(failed(pair({ tools: cookieOnly(undefined) }).dialler)).toBe("ERR_CONFIG COOKIE_MISSING");
    expect(told(run({ tools: cookieOnly(K) }, { tools: cookieOnly(short) }).acceptor.sent)).toBe("method");
    expect(run({ tools: cookieOnly(exact) }, { tools: cookieOnly(exact) }).acceptor.session).toBeDefined();
    const waived = { ...cookieOnly(short), allowShortCookie: true };
    expect(run({ tools: waived }, { tools: waived }).acceptor.session).toBeDefined();
  });

  it("asks the trust store of the dialler before its proof leaves", () => {
    const answers: Partial<NativeAnswers> = { trust: { kind: "refused", error: notTrusted } };
    const { dialler } = run({ tools: cookieOnly(K), answers }, { tools: cookieOnly(K) });
    expect(kinds(dialler.sent)).toEqual(["hello", "refuse"]);
  });
});

describe("an invite", () => {
  const id = Buffer.alloc(16, 4);
  const secret = Buffer.alloc(32, 3);
  const invite = testInvite(id, secret, crypto);

  it("is not shown to a node whose key is not the one it names", () => {
    const { dialler, acceptor } = run({}, {}, { ...invite.dialler, namesKey: () => false });
    expect(failed(dialler)).toBe("ERR_DENIED INVITE_WRONG_NODE");
    expect(kinds(dialler.sent)).toEqual(["hello", "refuse"]);
    expect(dialler.asked).toEqual([]);
    expect(failed(acceptor)).toBe("ERR_DENIED REFUSED_BY_PEER");
  });

  it("with a wrong proof is a bad proof", () => {
    const { judge } = testInvite(id, secret, crypto, undefined, Buffer.alloc(32, 9));
    const { acceptor } = run({}, { tools: { judgeInvite: judge } }, invite.dialler);
    expect(failed(acceptor)).toBe("ERR_DENIED INVITE_INVALID");
    expect(told(acceptor.sent)).toBe("auth");
    expect(acceptor.asked).toEqual([]);
  });

  it("that is no longer open leaves the decision to the pin", () => {
    const { acceptor } = run({}, {}, invite.dialler);
    expect(acceptor.asked[0]).toMatchObject({ inviteProven: false, inviteFault: "unknown" });
    expect(acceptor.commits[0]?.inviteId).toBeUndefined();
    expect(acceptor.session?.inviteProven).toBe(false);
  });
});

describe("arbitration", () => {
  it("comes after all proofs, with the name and incarnation that were proven", () => {
    const { acceptor, dialler } = run();
    const facts = { peerHoldsSession: false, isProven: true, flags: DEFAULT_FLAGS };
    expect(acceptor.arbitrations).toEqual([
      { role: "acceptor", name: A, incarnation: 1_700_000_000_001n, creation: 1001, ...facts },
    ]);
    expect(dialler.arbitrations).toEqual([
      { role: "dialler", name: B, incarnation: 1_700_000_000_002n, creation: 1002, ...facts },
    ]);
    expect(dialler.log).toEqual(["send", "trust", "arbitrate", "send", "commit", "send", "up"]);
    expect(acceptor.log).toEqual(["send", "send", "trust", "arbitrate", "commit", "send", "up"]);
  });

  it.each([
    ["other-wins", "ERR_CLOSED OTHER_CONNECTION_WINS"],
    ["stale", "ERR_DENIED STALE_INCARNATION"],
  ] as const)("with %s refuses on either side and is told", (answer, pairName) => {
    for (const who of ["dialler", "acceptor"] as const) {
      const side: Side = { answers: { arbitration: answer } };
      const { dialler, acceptor } = who === "dialler" ? run(side) : run({}, side);
      const [mine, other] = who === "dialler" ? [dialler, acceptor] : [acceptor, dialler];
      expect(failed(mine)).toBe(pairName);
      expect(failed(other)).toBe(pairName);
      expect(told(mine.sent)).toBe(answer);
      expect([mine.session, other.session, ...mine.commits, ...other.commits]).toEqual([undefined, undefined]);
    }
  });

  it.each([
    ["refused", "auth", "ERR_DENIED REFUSED_BY_PEER"],
    ["full", "busy", "ERR_CLOSED PEER_BUSY"],
  ] as const)("with a no that comes as late, %s, tells %s on either side", (kind, word, heard) => {
    const error = new SallyportError("ERR_UNREACHABLE", "PORT_CLOSED", "nobody there");
    for (const who of ["dialler", "acceptor"] as const) {
      const side: Side = { answers: { arbitration: { kind, error } } };
      const { dialler, acceptor } = who === "dialler" ? run(side) : run({}, side);
      const [mine, other] = who === "dialler" ? [dialler, acceptor] : [acceptor, dialler];
      expect(mine.error).toBe(error);
      expect([told(mine.sent), failed(other)]).toEqual([word, heard]);
      expect([mine.session, other.session, ...mine.commits, ...other.commits]).toEqual([undefined, undefined]);
    }
  });

  it("with a standing session asks the dialler, who goes on", () => {
    const { dialler, acceptor } = run({}, { answers: { arbitration: "alive" } });
    expect(kinds(acceptor.sent)).toEqual(["hello", "proof", "status-alive", "confirm"]);
    expect(kinds(dialler.sent)).toEqual(["hello", "proof", "alive", "confirm"]);
    expect(dialler.arbitrations.map((q) => q.peerHoldsSession)).toEqual([false, true]);
    expect(acceptor.session).toBeDefined();
  });

  it("with a standing session asks the dialler, who keeps it", () => {
    const { dialler, acceptor } = run({ answers: { alive: "alive" } }, { answers: { arbitration: "alive" } });
    expect(failed(dialler)).toBe("ERR_CLOSED OTHER_CONNECTION_WINS");
    expect(failed(acceptor)).toBe("ERR_CLOSED PEER_GAVE_UP");
    expect(kinds(dialler.sent)).toEqual(["hello", "proof", "alive"]);
    expect(acceptor.commits).toEqual([]);
  });

  it("says when the other side's word about a session is not proven yet", () => {
    const { dialler } = run({ tools: cookieOnly(K) }, { tools: cookieOnly(K), answers: { arbitration: "alive" } });
    expect(dialler.arbitrations.map((q) => [q.peerHoldsSession, q.isProven])).toEqual([
      [false, false],
      [true, false],
      [false, true],
    ]);
    expect(dialler.session).toBeDefined();
  });

  it("takes STATUS once", () => {
    const { dialler, acceptor } = pair({}, { answers: { arbitration: "alive" } });
    runNative(dialler, acceptor, (m) => (m[0] === 4 ? [m, m] : [m]));
    expect(failed(dialler)).toBe("ERR_PEER_MISBEHAVED HANDSHAKE_UNEXPECTED");
  });
});

describe("what the owner does", () => {
  it("has no room for a trusted peer, which hears busy", () => {
    const error = new SallyportError("ERR_LIMIT", "SESSIONS_FULL", "full", { advice: "none" });
    const { acceptor, dialler } = run({}, { answers: { trust: { kind: "full", error } } });
    expect(told(acceptor.sent)).toBe("busy");
    expect(failed(acceptor)).toBe("ERR_LIMIT SESSIONS_FULL");
    expect(failed(dialler)).toBe("ERR_CLOSED PEER_BUSY");
    expect(acceptor.commits).toEqual([]);
  });

  it("answers that nobody waits for change nothing", () => {
    const { dialler, acceptor } = pair();
    for (const end of [dialler, acceptor]) {
      end.answer((m) => m.trustAnswered({ kind: "granted", assurance: "pinned" }));
      end.answer((m) => m.arbitrated("stale"));
      end.answer((m) => m.committed({ ok: true }));
      expect(end.error).toBeUndefined();
    }
    runNative(dialler, acceptor);
    expect(acceptor.session).toBeDefined();
  });

  it("dispose forgets the open nonce in every state and takes nothing more", () => {
    const { dialler, acceptor, nodeA, nodeB } = pair({ answers: { trust: "later" } });
    expect(nodeA.tools.openNonces.size).toBe(1);
    runNative(dialler, acceptor);
    expect([dialler.machine.stateKind, acceptor.machine.stateKind]).toEqual(["await-trust", "expect-proof"]);
    expect([nodeA.tools.openNonces.size, nodeB.tools.openNonces.size]).toEqual([1, 1]);
    dialler.machine.dispose();
    acceptor.machine.dispose();
    dialler.answer((m) => m.trustAnswered({ kind: "granted", assurance: "pinned" }));
    expect(dialler.take()).toEqual([]);
    expect([nodeA.tools.openNonces.size, nodeB.tools.openNonces.size]).toEqual([0, 0]);
  });
});
