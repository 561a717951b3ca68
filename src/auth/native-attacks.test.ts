import { describe, expect, it } from "vitest";
import { isSallyportError } from "../base/errors.ts";
import { type NodeName, parseNodeName } from "../base/node-name.ts";
import { signatureInput } from "../identity/signed-text.ts";
import { makeStatement } from "../identity/succession.ts";
import { RealIdentityCrypto } from "../system/real-identity-crypto.ts";
import { NativeEnd, nativeChannel, nativeTestNode, runNative } from "../testkit/native-end.ts";
import {
  decodeNative,
  encodeNative,
  type Hello,
  type NativeMessage,
  type NativeMethod,
} from "../wire/native-handshake.ts";
import { refuseNumber } from "../wire/refuse-reason.ts";
import type { CookieKey } from "./native-cookie.ts";
import { encodeTranscript } from "./native-transcript.ts";
import type { NativeIdentity, NativeTools } from "./native-types.ts";

// The authentication rows of the threat model (section 5) at the level of the machines.

class CountingCrypto extends RealIdentityCrypto {
  signed = 0;
  verified = 0;
  override ed25519Sign(seed: Uint8Array, data: Uint8Array): Buffer {
    this.signed++;
    return super.ed25519Sign(seed, data);
  }
  override ed25519Verify(publicKey: Uint8Array, data: Uint8Array, signature: Uint8Array): boolean {
    this.verified++;
    return super.ed25519Verify(publicKey, data, signature);
  }
}

const A = parseNodeName("a@h");
const B = parseNodeName("b@h");
const K: CookieKey = { key: Buffer.alloc(32, 7), cookieBytes: 20 };
const AUTH = encodeNative({ kind: "refuse", reason: "auth" });

function world(tools: Partial<NativeTools> = {}, identity: Partial<NativeIdentity> = {}) {
  const crypto = new CountingCrypto();
  const a = nativeTestNode("a@h", 1, crypto, tools, identity);
  const b = nativeTestNode("b@h", 2, crypto, tools);
  const m = nativeTestNode("m@h", 3, crypto, tools);
  crypto.signed = 0;
  return { crypto, a, b, m };
}
const { dialler: AT_DIALLER, acceptor: AT_ACCEPTOR } = nativeChannel(1);
const hello = (m: Buffer): Hello => {
  const message = decodeNative(m, 0, m.length);
  if (message.kind !== "hello") throw new Error("no HELLO");
  return message;
};
const reason = (end: NativeEnd): string => (isSallyportError(end.error) ? end.error.reason : String(end.error));
const kinds = (messages: readonly Buffer[]) => messages.map((m) => decodeNative(m, 0, m.length).kind);
/** A HELLO of `m`'s, changed. */
function helloOf(node: ReturnType<typeof nativeTestNode>, change: Partial<Hello> = {}): Buffer {
  const { name, creation, incarnation, flags, publicKey } = node.identity;
  const nonce = Buffer.alloc(32, 0x99);
  return encodeNative({
    kind: "hello",
    versionLow: 1,
    versionHigh: 1,
    method: "key",
    flags,
    creation,
    incarnation,
    publicKey,
    nonce,
    name,
    ...change,
  });
}
/** The proof of `m`, whose HELLO was `helloOf(m, { method })`, for what the acceptor on node B answered. */
function proofOfM(acceptor: NativeEnd, method: NativeMethod): Extract<NativeMessage, { kind: "proof" }> {
  const crypto = new RealIdentityCrypto();
  const m = nativeTestNode("m@h", 3, crypto).identity;
  const side = { ...m, method, nonce: Buffer.alloc(32, 0x99) };
  const { exporter, ownCertificate, peerCertificate } = AT_DIALLER;
  const bytes = encodeTranscript({
    versionLow: 1,
    versionHigh: 1,
    version: 1,
    dialler: { ...side, certificateHash: crypto.sha256(ownCertificate!) },
    acceptor: { ...hello(acceptor.sent[0]!), certificateHash: crypto.sha256(peerCertificate!) },
    exporter: exporter!,
  });
  const signature = m.sign(signatureInput("sallyport/1 dialler proof", bytes, crypto));
  return { kind: "proof", signature, cookieMac: undefined, invite: undefined };
}
/** An acceptor on node B that was given some messages. */
function accepted(w: ReturnType<typeof world>, messages: readonly Buffer[]): NativeEnd {
  const end = new NativeEnd().accept(w.b, AT_ACCEPTOR);
  for (const message of messages) end.receive(message);
  return end;
}

describe("AU-01 and AU-02: replay", () => {
  it("a recorded handshake does not come up again, not even on the same channel", () => {
    const w = world();
    const acceptor = new NativeEnd().accept(w.b, AT_ACCEPTOR);
    const dialler = new NativeEnd().dial(w.a, B, AT_DIALLER);
    runNative(dialler, acceptor);
    expect(acceptor.session).toBeDefined();
    const again = accepted(w, dialler.sent);
    expect(reason(again)).toBe("PROOF_INVALID");
    expect(again.asked).toEqual([]);
    const toDialler = new NativeEnd().dial(w.a, B, AT_DIALLER);
    for (const message of acceptor.sent) toDialler.receive(message);
    expect(reason(toDialler)).toBe("PROOF_INVALID");
    expect(kinds(toDialler.sent)).toEqual(["hello", "refuse"]);
  });
});

describe("AU-03 to AU-05: reflection, own identity, roles", () => {
  it("a dialler that gets its own HELLO back refuses before it signs or verifies", () => {
    const w = world();
    const dialler = new NativeEnd().dial(w.a, B, AT_DIALLER);
    const own = hello(dialler.sent[0]!);
    dialler.receive(encodeNative({ ...own, name: B }));
    expect(reason(dialler)).toBe("NONCE_REFLECTED");
    expect([w.crypto.signed, w.crypto.verified]).toEqual([0, 0]);
  });

  it("a node refuses a nonce that it has open on another connection", () => {
    const w = world();
    const dialler = new NativeEnd().dial(w.b, A, AT_DIALLER);
    const acceptor = accepted(w, [helloOf(w.m, { nonce: hello(dialler.sent[0]!).nonce })]);
    expect(reason(acceptor)).toBe("NONCE_REFLECTED");
    expect(w.crypto.signed).toBe(0);
  });

  it.each([
    ["its own key", "OWN_KEY", (w: ReturnType<typeof world>) => ({ publicKey: w.b.identity.publicKey })],
    ["its own name", "SELF_CONNECT", () => ({ name: B })],
    ["its own name in capitals after the @", "SELF_CONNECT", () => ({ name: parseNodeName("b@H") })],
  ])("an acceptor refuses %s before any signature", (_what, expected, change) => {
    const w = world();
    const acceptor = accepted(w, [helloOf(w.m, change(w))]);
    expect(reason(acceptor)).toBe(expected);
    expect(acceptor.sent).toEqual([AUTH]);
    expect(w.crypto.signed).toBe(0);
  });

  it("a dialler refuses its own key and its own name", () => {
    const w = world();
    const dialler = new NativeEnd().dial(w.a, B, AT_DIALLER);
    dialler.receive(helloOf(w.b, { publicKey: w.a.identity.publicKey }));
    expect(reason(dialler)).toBe("OWN_KEY");
    const self = new NativeEnd().dial(w.a, A, AT_DIALLER);
    expect(reason(self)).toBe("SELF_CONNECT");
    expect(self.sent).toEqual([]);
  });

  it("the acceptor's proof is none of a dialler", () => {
    const w = world();
    const other = accepted(w, [helloOf(w.m)]);
    const acceptor = accepted(w, [helloOf(w.m)]);
    acceptor.receive(other.sent[1]!);
    expect(reason(acceptor)).toBe("PROOF_INVALID");
  });

  it("the dialler's proof of the cookie is none of an acceptor", () => {
    const only: Partial<NativeTools> = { cookieFor: () => K, cookieOnly: () => true, hasCookieOnly: true };
    const w = world(only);
    const dialler = new NativeEnd().dial(w.a, B, AT_DIALLER);
    dialler.receive(helloOf(w.b, { method: "cookie", publicKey: Buffer.alloc(32) }));
    const proof = decodeNative(dialler.sent[1]!, 0, dialler.sent[1]!.length);
    expect(proof.kind).toBe("proof");
    dialler.receive(encodeNative({ kind: "confirm", cookieMac: proof.kind === "proof" ? proof.cookieMac : undefined }));
    expect(reason(dialler)).toBe("SECRET_MISMATCH");
    expect(dialler.session).toBeUndefined();
  });
});

describe("AU-06 to AU-08: relay and unknown key share", () => {
  it.each(["exporter", "ownCertificate", "peerCertificate"] as const)(
    "a relay that differs in the %s fails",
    (part) => {
      const w = world();
      const acceptor = new NativeEnd().accept(w.b, { ...AT_ACCEPTOR, [part]: Buffer.alloc(32, 0x55) });
      const dialler = new NativeEnd().dial(w.a, B, AT_DIALLER);
      runNative(dialler, acceptor);
      expect(reason(dialler)).toBe("PROOF_INVALID");
      expect([dialler.session, acceptor.session]).toEqual([undefined, undefined]);
      expect(kinds(dialler.sent)).toEqual(["hello", "refuse"]);
    },
  );

  it.each(["exporter", "ownCertificate", "peerCertificate"] as const)("nothing starts without the %s", (part) => {
    const w = world();
    const acceptor = new NativeEnd().accept(w.b, { ...AT_ACCEPTOR, [part]: undefined });
    const dialler = new NativeEnd().dial(w.a, B, { ...AT_DIALLER, [part]: undefined });
    for (const end of [acceptor, dialler]) {
      expect(reason(end)).toBe("CHANNEL_BINDING_MISSING");
      expect(end.sent).toEqual([encodeNative({ kind: "refuse", reason: "cert" })]);
    }
    const short = new NativeEnd().dial(w.a, B, { ...AT_DIALLER, exporter: Buffer.alloc(31) });
    expect(reason(short)).toBe("CHANNEL_BINDING_MISSING");
  });

  it("a proof of A does not serve under the name M, nor under the key of M", () => {
    for (const change of [{ name: parseNodeName("m@h") }, { publicKey: world().m.identity.publicKey }]) {
      const w = world();
      const acceptor = new NativeEnd().accept(w.b, AT_ACCEPTOR);
      const dialler = new NativeEnd().dial(w.a, B, AT_DIALLER);
      acceptor.receive(encodeNative({ ...hello(dialler.sent[0]!), ...change }));
      for (const message of acceptor.sent) dialler.receive(message);
      expect(reason(dialler)).toBe("PROOF_INVALID");
      expect(dialler.sent).toHaveLength(2);
    }
  });
});

describe("AU-14: keys for which anybody can sign", () => {
  const SMALL = [
    `01${"00".repeat(31)}`,
    `ec${"ff".repeat(30)}7f`,
    "00".repeat(32),
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    `ed${"ff".repeat(30)}7f`,
  ];
  it.each(SMALL)("%s is refused at HELLO by both roles", (hex) => {
    for (const sign of [0, 0x80]) {
      const publicKey = Buffer.from(hex, "hex");
      publicKey[31] = (publicKey[31] ?? 0) | sign;
      const w = world();
      const acceptor = accepted(w, [helloOf(w.m, { publicKey })]);
      const dialler = new NativeEnd().dial(w.a, B, AT_DIALLER);
      dialler.receive(helloOf(w.b, { publicKey }));
      expect([reason(acceptor), reason(dialler)]).toEqual(["KEY_UNSAFE", "KEY_UNSAFE"]);
      expect([w.crypto.signed, w.crypto.verified]).toEqual([0, 0]);
    }
  });
});

describe("AU-18 to AU-21: lengths, methods, flags, versions, names", () => {
  const cookie: Partial<NativeTools> = { cookieFor: () => K };

  it.each([31, 33, 0, 64])("a keyed digest of %i bytes is no message", (length) => {
    const w = world(cookie);
    const acceptor = accepted(w, [helloOf(w.a, { method: "key-cookie" })]);
    acceptor.receive(Buffer.concat([Buffer.from([3, 3]), Buffer.alloc(64), Buffer.alloc(length)]));
    expect(isSallyportError(acceptor.error)).toBe(true);
    expect(acceptor.session).toBeUndefined();
  });

  it("a digest of zeros is a wrong one", () => {
    const w = world(cookie);
    const acceptor = new NativeEnd().accept(w.b, AT_ACCEPTOR);
    const dialler = new NativeEnd().dial(w.a, B, AT_DIALLER);
    runNative(dialler, acceptor, (m, from) => {
      const message = decodeNative(m, 0, m.length);
      if (from === "acceptor" || message.kind !== "proof") return [m];
      return [encodeNative({ ...message, cookieMac: Buffer.alloc(32) })];
    });
    expect([reason(acceptor), reason(dialler)]).toEqual(["SECRET_MISMATCH", "SECRET_MISMATCH"]);
  });

  it("a proof without the parts of its method, or with others, is refused", () => {
    const w = world(cookie);
    const parts = (p: Partial<Extract<NativeMessage, { kind: "proof" }>>) =>
      encodeNative({ kind: "proof", signature: undefined, cookieMac: undefined, invite: undefined, ...p });
    const signature = Buffer.alloc(64, 1);
    const cookieMac = Buffer.alloc(32, 1);
    for (const [method, proof] of [
      ["key-cookie", parts({ signature })],
      ["key-cookie", parts({ cookieMac })],
      ["key", parts({ signature, cookieMac })],
      ["key", parts({ cookieMac })],
    ] as const) {
      const acceptor = accepted(w, [helloOf(w.a, { method }), proof]);
      expect(reason(acceptor)).toBe("HANDSHAKE_UNEXPECTED");
    }
    expect(w.crypto.verified).toBe(0);
  });

  it("cookie only is no way into a node that wants keys, and no way for one that dials by keys", () => {
    const w = world(cookie);
    const acceptor = accepted(w, [helloOf(w.m, { method: "cookie", publicKey: Buffer.alloc(32) })]);
    expect(acceptor.sent).toEqual([encodeNative({ kind: "refuse", reason: "method" })]);
    const dialler = new NativeEnd().dial(w.a, B, AT_DIALLER);
    dialler.receive(helloOf(w.b, { method: "cookie", publicKey: Buffer.alloc(32) }));
    expect(reason(dialler)).toBe("METHOD_MISMATCH");
    expect(kinds(dialler.sent)).toEqual(["hello", "refuse"]);
  });

  it.each([
    ["key-cookie", undefined],
    ["key", K],
  ] as const)("a dialler by %s that goes on although the cookie is one-sided is told secret", (method, ours) => {
    const w = world({ cookieFor: () => ours });
    const acceptor = accepted(w, [helloOf(w.m, { method })]);
    const cookieMac = method === "key" ? undefined : Buffer.alloc(32, 1);
    acceptor.receive(encodeNative({ ...proofOfM(acceptor, method), cookieMac }));
    expect(reason(acceptor)).toBe("SECRET_MISMATCH");
    expect(acceptor.asked[0]).toMatchObject({ cookieProven: false, cookieDiffers: true });
    expect(acceptor.sent.at(-1)).toEqual(encodeNative({ kind: "refuse", reason: "secret" }));
  });

  it("a dialler's confirmation carries nothing", () => {
    const w = world();
    const acceptor = accepted(w, [helloOf(w.m)]);
    acceptor.receive(encodeNative(proofOfM(acceptor, "key")));
    expect(acceptor.machine.stateKind).toBe("expect-confirm");
    acceptor.receive(encodeNative({ kind: "confirm", cookieMac: Buffer.alloc(32) }));
    expect(reason(acceptor)).toBe("HANDSHAKE_UNEXPECTED");
    expect(acceptor.session).toBeUndefined();
  });

  it("one chain of successions is taken from a side, and none in cookie-only mode", () => {
    const w = world();
    const chainFor = (node: typeof w.m) =>
      encodeNative({
        kind: "succession",
        chain: [
          makeStatement(
            {
              serial: 1,
              notBefore: 1,
              notAfter: 2,
              oldKey: w.a.identity.publicKey,
              newKey: node.identity.publicKey,
              name: node.identity.name,
            },
            Buffer.alloc(32, 1),
            w.crypto,
          ),
        ],
      });
    const acceptor = accepted(w, [helloOf(w.m), chainFor(w.m)]);
    expect(acceptor.machine.stateKind).toBe("expect-proof");
    acceptor.receive(chainFor(w.m));
    expect(reason(acceptor)).toBe("HANDSHAKE_UNEXPECTED");
    const dialler = new NativeEnd().dial(w.a, B, AT_DIALLER);
    dialler.receive(helloOf(w.b));
    dialler.receive(chainFor(w.b));
    expect(dialler.machine.stateKind).toBe("expect-proof");
    dialler.receive(chainFor(w.b));
    expect(reason(dialler)).toBe("HANDSHAKE_UNEXPECTED");
    const only = world({ cookieFor: () => K, cookieOnly: () => true, hasCookieOnly: true });
    const byCookie = accepted(only, [
      helloOf(only.m, { method: "cookie", publicKey: Buffer.alloc(32) }),
      chainFor(w.m),
    ]);
    expect(reason(byCookie)).toBe("HANDSHAKE_UNEXPECTED");
  });

  it("a method changed on the way is found out", () => {
    const w = world(cookie);
    const acceptor = new NativeEnd().accept(w.b, AT_ACCEPTOR);
    const dialler = new NativeEnd().dial(w.a, B, AT_DIALLER);
    const strip = (m: Buffer): Buffer[] => {
      const message = decodeNative(m, 0, m.length);
      return [message.kind === "hello" ? encodeNative({ ...message, method: "key" }) : m];
    };
    runNative(dialler, acceptor, strip);
    expect([dialler.session, acceptor.session]).toEqual([undefined, undefined]);
    expect(reason(dialler)).toBe("PROOF_INVALID");
  });

  it("each of the 64 flags is covered; a missing mandatory one is told as version", () => {
    for (let bit = 0n; bit < 64n; bit++) {
      const w = world();
      const acceptor = new NativeEnd().accept(w.b, AT_ACCEPTOR);
      const dialler = new NativeEnd().dial(w.a, B, AT_DIALLER);
      runNative(dialler, acceptor, (m, from) => {
        const message = decodeNative(m, 0, m.length);
        if (from === "acceptor" || message.kind !== "hello") return [m];
        return [encodeNative({ ...message, flags: message.flags ^ (1n << bit) })];
      });
      expect(acceptor.session ?? dialler.session, `bit ${bit}`).toBeUndefined();
    }
    const w = world();
    const bare = accepted(w, [helloOf(w.a, { flags: 0n })]);
    expect(reason(bare)).toBe("FLAGS_MISSING");
    expect(bare.sent).toEqual([encodeNative({ kind: "refuse", reason: "version" })]);
  });

  it("a range of versions is covered, and the acceptor's choice must be one that was offered", () => {
    const w = world();
    const acceptor = new NativeEnd().accept(w.b, AT_ACCEPTOR);
    const dialler = new NativeEnd().dial(w.a, B, AT_DIALLER);
    runNative(dialler, acceptor, (m, from) =>
      from === "dialler" && m[0] === 1 ? [Buffer.from(m.fill(9, 2, 3))] : [m],
    );
    expect(reason(dialler)).toBe("PROOF_INVALID");
    const picky = new NativeEnd().dial(w.a, B, AT_DIALLER);
    picky.receive(helloOf(w.b, { versionHigh: 2 }));
    expect(reason(picky)).toBe("VERSION_MISMATCH");
    const later = accepted(w, [Buffer.from([1, 2, 9, 1, 2, 3])]);
    expect(later.sent).toEqual([encodeNative({ kind: "refuse", reason: "version" })]);
  });

  it.each(["é@h", "\u212a@h", "а@h", "../../x@h", "x@h\0", "@h", "a@@h", "a b@h", ""])(
    "the name %j is refused",
    (name) => {
      const w = world();
      const bytes = Buffer.from(name, "utf8");
      const head = helloOf(w.m).subarray(0, 88);
      const acceptor = accepted(w, [Buffer.concat([head, Buffer.from([bytes.length]), bytes])]);
      expect(reason(acceptor)).toBe("HANDSHAKE_BAD_NAME");
      expect(acceptor.sent).toEqual([AUTH]);
      expect(w.crypto.signed).toBe(0);
    },
  );

  it("only the dialled name may answer", () => {
    const w = world();
    const dialler = new NativeEnd().dial(w.a, B, AT_DIALLER);
    dialler.receive(helloOf(w.m));
    expect(reason(dialler)).toBe("PEER_NAME_MISMATCH");
    expect(dialler.sent[1]).toEqual(Buffer.from([15, refuseNumber("wrong-node")]));
    const folded = new NativeEnd().dial(w.a, parseNodeName("b@H") as NodeName, AT_DIALLER);
    folded.receive(helloOf(w.b));
    expect(folded.error).toBeUndefined();
  });
});

describe("AU-34 to AU-37: sizes, order, early data", () => {
  /** What each side would send next in a good run, by state, so that everything else is unexpected. */
  const run = () => {
    const w = world({ cookieFor: () => K });
    const acceptor = new NativeEnd({ arbitration: "alive" }).accept(w.b, AT_ACCEPTOR);
    const dialler = new NativeEnd().dial(w.a, B, AT_DIALLER);
    runNative(dialler, acceptor);
    return { w, toAcceptor: dialler.sent, toDialler: acceptor.sent };
  };
  const all: readonly NativeMessage[] = [
    hello(run().toAcceptor[0]!),
    { kind: "proof", signature: Buffer.alloc(64, 1), cookieMac: undefined, invite: undefined },
    { kind: "status-alive" },
    { kind: "alive", answer: "replace" },
    { kind: "confirm", cookieMac: undefined },
    { kind: "confirm", cookieMac: Buffer.alloc(32) },
  ];

  it("every message in every state that does not expect it ends the handshake on the spot", () => {
    let checked = 0;
    for (const role of ["dialler", "acceptor"] as const) {
      const script = role === "dialler" ? run().toDialler : run().toAcceptor;
      for (let position = 0; position <= script.length; position++) {
        for (const message of all) {
          // A nonce or two differ in each run; the state reached is what counts, so the peer runs along.
          const w = world({ cookieFor: () => K });
          const acceptor = new NativeEnd({ arbitration: "alive" }).accept(w.b, AT_ACCEPTOR);
          const dialler = new NativeEnd().dial(w.a, B, AT_DIALLER);
          const subject = role === "dialler" ? dialler : acceptor;
          let seen = 0;
          let expected = "";
          runNative(dialler, acceptor, (m, from) => {
            if (from === role) return [m];
            if (seen++ !== position) return seen <= position ? [m] : [];
            expected = decodeNative(m, 0, m.length).kind;
            return [];
          });
          if (message.kind === expected || subject.error !== undefined) continue;
          const { stateKind } = subject.machine;
          // STATUS may come instead of CONFIRM; the run has used it up by then or not.
          if (stateKind === "expect-confirm" && role === "dialler" && message.kind !== "hello" && position === 2)
            continue;
          subject.receive(encodeNative(message));
          expect(reason(subject), `${role} ${stateKind} ${message.kind}`).toBe("HANDSHAKE_UNEXPECTED");
          expect(subject.machine.stateKind).toBe("ended");
          checked++;
        }
      }
    }
    expect(checked).toBeGreaterThan(35);
  });

  it("a message while a question is open is early, whatever it says", () => {
    for (const question of ["trust", "arbitration", "commit"] as const) {
      const w = world();
      const acceptor = new NativeEnd({ [question]: "later" }).accept(w.b, AT_ACCEPTOR);
      const dialler = new NativeEnd().dial(w.a, B, AT_DIALLER);
      runNative(dialler, acceptor);
      expect(acceptor.machine.stateKind).toMatch(/^await-/);
      acceptor.receive(encodeNative({ kind: "confirm", cookieMac: undefined }));
      expect(reason(acceptor)).toBe("HANDSHAKE_UNEXPECTED");
      acceptor.answer((m) => m.trustAnswered({ kind: "granted", assurance: "pinned" }));
      expect([acceptor.commits.length > 1, acceptor.session]).toEqual([false, undefined]);
    }
  });

  it("a refusal ends every state, and nothing is answered to it", () => {
    const w = world();
    for (const prefix of [0, 1]) {
      const acceptor = new NativeEnd().accept(w.b, AT_ACCEPTOR);
      if (prefix === 1) acceptor.receive(helloOf(w.a));
      const before = acceptor.sent.length;
      acceptor.receive(AUTH);
      expect(reason(acceptor)).toBe("REFUSED_BY_PEER");
      expect(acceptor.sent).toHaveLength(before);
      acceptor.receive(helloOf(w.a));
      expect(acceptor.sent).toHaveLength(before);
    }
  });

  it("too long a message is refused without a look at it", () => {
    const w = world();
    const acceptor = accepted(w, [Buffer.alloc(65_535, 1)]);
    expect(reason(acceptor)).toBe("HANDSHAKE_TOO_LONG");
    expect(acceptor.sent).toEqual([AUTH]);
  });
});

describe("AU-26: what the peer hears", () => {
  it("is the same for an unknown key, a wrong proof, an unsafe key, a bad name and our own name", () => {
    const w = world();
    const heard = [
      accepted(w, [helloOf(w.m, { publicKey: Buffer.alloc(32) })]),
      accepted(w, [helloOf(w.m, { name: B })]),
      accepted(w, [
        helloOf(w.m),
        encodeNative({ kind: "proof", signature: Buffer.alloc(64, 9), cookieMac: undefined, invite: undefined }),
      ]),
      accepted(w, [Buffer.from([7])]),
    ].map((end) => end.sent.at(-1));
    expect(heard).toEqual([AUTH, AUTH, AUTH, AUTH]);
  });
});
