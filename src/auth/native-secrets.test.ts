import { describe, expect, it } from "vitest";
import { isSallyportError } from "../base/errors.ts";
import { parseNodeName } from "../base/node-name.ts";
import { RealIdentityCrypto } from "../system/real-identity-crypto.ts";
import { NativeEnd, nativeChannel, nativeTestNode, runNative } from "../testkit/native-end.ts";
import { testInvite } from "../testkit/native-invite.ts";
import type { CookieKey } from "./native-cookie.ts";
import type { NativeTools } from "./native-types.ts";

// AU-33: time cannot be asserted by a test; that nothing depends on where a digest differs can.

/** Writes down what was asked of it, with the lengths. */
class RecordingCrypto extends RealIdentityCrypto {
  calls: string[] = [];
  override equal(a: Uint8Array, b: Uint8Array): boolean {
    this.calls.push(`equal ${a.length} ${b.length}`);
    return super.equal(a, b);
  }
  override hmacSha256(key: Uint8Array, data: Uint8Array): Buffer {
    this.calls.push("hmac");
    return super.hmacSha256(key, data);
  }
  override ed25519Verify(publicKey: Uint8Array, data: Uint8Array, signature: Uint8Array): boolean {
    this.calls.push("verify");
    return super.ed25519Verify(publicKey, data, signature);
  }
}

const SECRET = Buffer.alloc(32, 0x5e);
const INVITE_ID = Buffer.alloc(16, 0x1d);
const K: CookieKey = { key: Buffer.alloc(32, 7), cookieBytes: 20 };
const COOKIE: Partial<NativeTools> = { cookieFor: () => K };
const ONLY: Partial<NativeTools> = { ...COOKIE, cookieOnly: () => true, hasCookieOnly: true };

interface Scene {
  readonly tools: Partial<NativeTools>;
  readonly byInvite?: boolean;
  readonly judge: "dialler" | "acceptor";
  /** Type of the message that carries the digest, and where the digest begins in it. */
  readonly type: number;
  readonly at: number;
  readonly bytes?: number;
}

const SCENES: readonly (readonly [string, Scene])[] = [
  ["the dialler's signature", { tools: {}, judge: "acceptor", type: 3, at: 2, bytes: 64 }],
  ["the acceptor's signature", { tools: {}, judge: "dialler", type: 3, at: 2, bytes: 64 }],
  ["the dialler's cookie", { tools: COOKIE, judge: "acceptor", type: 3, at: 2 + 64 }],
  ["the acceptor's cookie", { tools: COOKIE, judge: "dialler", type: 6, at: 2 }],
  ["the cookie in cookie-only mode", { tools: ONLY, judge: "acceptor", type: 3, at: 2 }],
  ["an invite", { tools: {}, byInvite: true, judge: "acceptor", type: 3, at: 2 + 64 + 16 }],
];

/** What the judging side does and says when the bytes of its proof that `changed` names are wrong. */
function run(scene: Scene, changed: readonly number[]) {
  const cryptos = { dialler: new RecordingCrypto(), acceptor: new RecordingCrypto() };
  const channel = nativeChannel(1);
  const invite = testInvite(INVITE_ID, SECRET, cryptos.acceptor);
  const accepting = { ...scene.tools, judgeInvite: invite.judge };
  const ends = {
    acceptor: new NativeEnd().accept(nativeTestNode("b@h", 2, cryptos.acceptor, accepting), channel.acceptor),
    dialler: new NativeEnd().dial(
      nativeTestNode("a@h", 1, cryptos.dialler, scene.tools),
      parseNodeName("b@h"),
      channel.dialler,
      scene.byInvite === true ? testInvite(INVITE_ID, SECRET, cryptos.dialler).dialler : undefined,
    ),
  };
  runNative(ends.dialler, ends.acceptor, (message, from) => {
    if (from === scene.judge || message[0] !== scene.type) return [message];
    const altered = Buffer.from(message);
    for (const i of changed) altered[scene.at + i] = (altered[scene.at + i] ?? 0) ^ 0x80;
    return [altered];
  });
  const { error, sent, session } = ends[scene.judge];
  const reason = isSallyportError(error) ? error.reason : undefined;
  return { calls: cryptos[scene.judge].calls, reason, heard: sent.at(-1), session };
}

describe("a proof that is wrong", () => {
  it.each(SCENES)("takes the same steps and the same answer wherever it differs: %s", (_what, scene) => {
    const last = (scene.bytes ?? 32) - 1;
    const right = run(scene, []);
    expect(right.session).toBeDefined();
    const first = run(scene, [0]);
    expect(first.reason).toMatch(/^(PROOF_INVALID|SECRET_MISMATCH|INVITE_INVALID)$/);
    expect(first.session).toBeUndefined();
    // One comparison of two whole digests, or one verification, and nothing that looks at a part.
    expect(first.calls.at(-1)).toBe(scene.bytes === 64 ? "verify" : "equal 32 32");
    for (const changed of [[15], [last], Array.from({ length: last + 1 }, (_, i) => i)]) {
      expect(run(scene, changed)).toEqual(first);
    }
  });
});
