import { describe, expect, it } from "vitest";
import { isSallyportError, SallyportError } from "../base/errors.ts";
import { parseNodeName } from "../base/node-name.ts";
import { RealIdentityCrypto } from "../system/real-identity-crypto.ts";
import { BarrelEnd, type BarrelTestNode, barrelTestNode, runBarrel } from "../testkit/barrel-end.ts";
import { SeededRandom } from "../testkit/seeded-random.ts";
import { encodeBarrel } from "./barrel-codec.ts";
import { barrelNonce, isDiallersNonce } from "./barrel-nonce.ts";
import { OpenNonces } from "./native-types.ts";

const crypto = new RealIdentityCrypto();
const CERTIFICATE = Buffer.from("the certificate of the listener");
const WALL = 1_800_000_000_000;
const A = parseNodeName("a@127.0.0.1");
const B = parseNodeName("b@127.0.0.1");
const refusal = (reason: "KEY_MISMATCH" | "KEY_UNTRUSTED" | "KEY_REVOKED") => ({
  kind: "refused" as const,
  error: new SallyportError("ERR_DENIED", reason, "no"),
});

const node = (name: string, seed: number, tools: Partial<BarrelTestNode["tools"]> = {}): BarrelTestNode =>
  barrelTestNode(name, seed, crypto, tools);

/** A dialler a and a listener b that would get on. */
function pair(options: { a?: BarrelTestNode; b?: BarrelTestNode; wallA?: number; certA?: Buffer } = {}) {
  const dialler = new BarrelEnd(options.certA ?? CERTIFICATE, options.wallA ?? WALL);
  const listener = new BarrelEnd(CERTIFICATE, WALL);
  return {
    dialler: dialler.dial(options.a ?? node(A, 1), B),
    listener: listener.accept(options.b ?? node(B, 2)),
  };
}

/** What failed, in our words and in barrel's. */
function failure(end: BarrelEnd): string {
  if (!isSallyportError(end.error)) return String(end.error);
  const { reason, detail } = end.error;
  return [reason, detail["barrel"], detail["decode"] ?? detail["why"]].filter((part) => part !== undefined).join(" ");
}

/** Messages in the clear, by their first byte. */
const kinds = (frames: readonly Buffer[]): string[] =>
  frames.map((f) => ["?", "HELLO", "CHALLENGE", "RESPONSE", "OK", "FAIL"][f[2] ?? 0] ?? "?");

function text(frame: Buffer | undefined): string {
  return frame?.toString("latin1", 5) ?? "";
}

const hello = (name: string, seed = 9, key?: Buffer): Buffer => {
  const publicKey = key ?? crypto.ed25519PublicKey(Buffer.alloc(32, seed));
  return encodeBarrel({ kind: "hello", name: name as typeof A, publicKey });
};
const challenge = (ms = WALL, nonce = Buffer.alloc(32, 3)): Buffer =>
  encodeBarrel({ kind: "challenge", nonce, timestampMs: BigInt(ms) });
const response = (): Buffer => encodeBarrel({ kind: "response", signature: Buffer.alloc(64, 4) });
const OK = encodeBarrel({ kind: "ok" });
const fail = (reason: string): Buffer => encodeBarrel({ kind: "fail", reason });
const framed = (body: Buffer): Buffer => Buffer.concat([Buffer.from([body.length >> 8, body.length & 255]), body]);

describe("an exchange of barrel's auth v2", () => {
  it("proves both keys in two round trips; only the listener says OK", () => {
    const { dialler, listener } = pair();
    runBarrel(dialler, listener);
    expect(dialler.error ?? listener.error).toBeUndefined();
    expect(dialler.log).toEqual(["send", "trust", "send", "send", "finish", "ok", "authenticated"]);
    expect(listener.log).toEqual(["trust", "send", "send", "send", "send", "finish", "ok", "authenticated"]);
    expect(kinds(dialler.sent)).toEqual(["HELLO", "CHALLENGE", "RESPONSE"]);
    expect(kinds(listener.sent)).toEqual(["HELLO", "CHALLENGE", "RESPONSE", "OK"]);
  });

  it("keeps the pin's level when dialled, and never counts above cookie when accepted", () => {
    const { dialler, listener } = pair();
    runBarrel(dialler, listener);
    expect(dialler.session?.assurance).toBe("pinned");
    expect(listener.session?.assurance).toBe("cookie");
  });

  it("asks for trust before anything is proven, and tells of a session only afterwards", () => {
    const { dialler, listener } = pair();
    listener.receive(dialler.take());
    expect(listener.asked).toEqual([
      { role: "acceptor", name: A, method: "key", publicKey: node(A, 1).identity.publicKey },
    ]);
    expect(listener.session).toBeUndefined();
  });

  it("goes the same way wherever its bytes are cut", () => {
    for (const size of [1, 2, 3, 7, 41, 64, 293]) {
      const { dialler, listener } = pair();
      runBarrel(dialler, listener, (bytes) => {
        const pieces: Buffer[] = [];
        for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
        return pieces;
      });
      expect([size, dialler.error ?? listener.error]).toEqual([size, undefined]);
      expect(dialler.session && listener.session).toBeDefined();
    }
  });

  it("lets the peer's next message wait while trust is not decided, but no more than the longest one", () => {
    const { dialler, listener } = pair();
    dialler.trust = "later";
    listener.receive(dialler.take());
    dialler.receive(listener.take());
    expect(dialler.error).toBeUndefined();
    expect(kinds(dialler.sent)).toEqual(["HELLO"]);
    dialler.answer({ kind: "granted", assurance: "tofu" });
    expect(kinds(dialler.sent)).toEqual(["HELLO", "CHALLENGE", "RESPONSE"]);
    const other = pair().dialler;
    other.trust = "later";
    other.receive(hello(B)).receive(Buffer.alloc(293));
    expect(other.error).toBeUndefined();
    other.receive(Buffer.alloc(1));
    expect(failure(other)).toBe("EARLY_BYTES");
  });

  it("has nonces open only as long as somebody is to sign them", () => {
    const nonces = new OpenNonces();
    const { dialler, listener } = pair({ b: node(B, 2, { openNonces: nonces }) });
    listener.receive(dialler.take());
    expect(nonces.size).toBe(1);
    runBarrel(dialler, listener);
    expect(nonces.size).toBe(0);
    const second = pair({ b: node(B, 2, { openNonces: nonces }) });
    second.listener.receive(second.dialler.take());
    second.listener.machine.dispose(second.listener.now);
    expect(nonces.size).toBe(0);
    expect(second.listener.attempts).toEqual([{ role: "incoming", outcome: "fail", durationMs: 0 }]);
  });

  it("is counted once, with its duration", () => {
    const { dialler, listener } = pair();
    dialler.now = listener.now = 40 as typeof dialler.now;
    runBarrel(dialler, listener);
    dialler.machine.dispose(dialler.now);
    expect(dialler.attempts).toEqual([{ role: "outgoing", outcome: "ok", durationMs: 40 }]);
    expect(listener.attempts).toEqual([{ role: "incoming", outcome: "ok", durationMs: 40 }]);
  });

  it("ends when anything follows its last message", () => {
    const { dialler, listener } = pair();
    runBarrel(dialler, listener);
    dialler.receive(OK);
    listener.receive(hello(A));
    expect([failure(dialler), failure(listener)]).toEqual([
      "HANDSHAKE_UNEXPECTED unexpected_message",
      "HANDSHAKE_UNEXPECTED unexpected_message",
    ]);
    expect(dialler.log.filter((word) => word === "finish")).toHaveLength(1);
  });
});

describe("a listener", () => {
  const accept = (options: Partial<BarrelTestNode["tools"]> = {}): BarrelEnd =>
    new BarrelEnd(CERTIFICATE, WALL).accept(node(B, 2, options));

  it("says FAIL signature_invalid to a proof over another certificate, or by another key", () => {
    const { dialler, listener } = pair({ certA: Buffer.from("another certificate") });
    // The dialler is made not to look at the listener's proof, which is wrong as well.
    listener.receive(dialler.take());
    const [, ask = Buffer.alloc(0)] = [listener.take().subarray(0, 0), listener.sent[1] ?? Buffer.alloc(0)];
    listener.receive(challenge());
    const wrong = node(A, 1).identity.signBarrelProof({
      nonce: ask.subarray(3, 35),
      timestampMs: ask.readBigUInt64BE(35),
      binding: crypto.sha256(Buffer.from("another certificate")),
    });
    listener.receive(encodeBarrel({ kind: "response", signature: wrong }));
    expect(failure(listener)).toBe("PROOF_INVALID signature_verification_failed");
    expect(text(listener.sent.at(-1))).toBe("signature_invalid");
    expect(listener.log.slice(-3)).toEqual(["send", "finish", "fail"]);
    const other = accept().receive(hello(A)).receive(challenge()).receive(response());
    expect(failure(other)).toBe("PROOF_INVALID signature_verification_failed");
    expect(text(other.sent.at(-1))).toBe("signature_invalid");
  });

  it.each([
    ["KEY_MISMATCH", "key_mismatch"],
    ["KEY_UNTRUSTED", "untrusted_key"],
    ["KEY_REVOKED", "untrusted_key"],
  ] as const)("says FAIL to a key that the trust store refuses (%s)", (reason, word) => {
    const listener = accept();
    listener.trust = refusal(reason);
    listener.receive(hello(A));
    expect(failure(listener)).toBe(`${reason} ${word}`);
    expect(kinds(listener.sent)).toEqual(["FAIL"]);
    expect(text(listener.sent[0])).toBe(word);
    expect(listener.log).toEqual(["trust", "send", "finish", "fail"]);
  });

  it("says nothing to somebody there is no room for", () => {
    const listener = accept();
    listener.trust = { kind: "full", error: new SallyportError("ERR_LIMIT", "SESSIONS_FULL", "full") };
    listener.receive(hello(A));
    expect(listener.log).toEqual(["trust", "fail"]);
  });

  it("takes a clock 60 seconds off, and refuses one that is further off, without a word", () => {
    for (const ms of [60_000, -60_000]) {
      expect(
        accept()
          .receive(hello(A))
          .receive(challenge(WALL + ms)).error,
      ).toBeUndefined();
    }
    for (const ms of [60_001, -60_001]) {
      const listener = accept()
        .receive(hello(A))
        .receive(challenge(WALL + ms));
      expect(failure(listener)).toBe("CLOCK_SKEW peer_ts_skew");
      expect(kinds(listener.sent)).toEqual(["HELLO", "CHALLENGE"]);
      expect(listener.log.slice(-2)).toEqual(["finish", "fail"]);
    }
  });

  it("lets its own clock run with the monotonic one", () => {
    const listener = accept({ maxAuthMs: 100_000 });
    listener.pass(5_000).receive(hello(A));
    expect(listener.sent[1]?.readBigUInt64BE(35)).toBe(BigInt(WALL + 5_000));
    expect(listener.receive(challenge(WALL + 65_000)).error).toBeUndefined();
  });

  it("takes a right proof that comes after the window for a wrong one", () => {
    const { dialler, listener } = pair({ b: node(B, 2, { maxAuthMs: 100_000 }) });
    listener.receive(dialler.take());
    dialler.receive(listener.take());
    const proof = dialler.take();
    listener.pass(30_000);
    expect(listener.receive(proof).session).toBeDefined();
    const late = pair({ b: node(B, 2, { maxAuthMs: 100_000 }) });
    late.listener.receive(late.dialler.take());
    late.dialler.receive(late.listener.take());
    late.listener.pass(30_001);
    expect(failure(late.listener.receive(late.dialler.take()))).toBe("PROOF_INVALID signature_verification_failed");
    expect(text(late.listener.sent.at(-1))).toBe("signature_invalid");
  });

  const version = (v: number): Buffer => {
    const bytes = hello(A);
    bytes[3] = v;
    return bytes;
  };
  const renamed = (name: string): Buffer => {
    const text = Buffer.from(name, "utf8");
    const body = Buffer.concat([Buffer.from([1, 2, text.length >> 8, text.length & 255]), text, Buffer.alloc(32, 9)]);
    return framed(body);
  };
  it.each([
    ["version 1", version(1), "VERSION_MISMATCH unexpected_message unsupported_version"],
    ["version 3", version(3), "VERSION_MISMATCH unexpected_message unsupported_version"],
    [
      "a cut inside the name's length",
      framed(Buffer.from([1, 2, 0])),
      "VERSION_MISMATCH unexpected_message unsupported_version",
    ],
    ["a name without a host", renamed("a@"), "HANDSHAKE_BAD_NAME unexpected_message invalid_node_name"],
    ["a name without an @", renamed("ab"), "HANDSHAKE_BAD_NAME unexpected_message invalid_node_name"],
    ["a name with two @", renamed("a@b@c"), "HANDSHAKE_BAD_NAME unexpected_message invalid_node_name"],
    ["a leading dot", renamed(".a@b"), "HANDSHAKE_BAD_NAME unexpected_message invalid_node_name"],
    ["a leading dash of the host", renamed("a@-b"), "HANDSHAKE_BAD_NAME unexpected_message invalid_node_name"],
    ["a dot left of the @", renamed("a.b@c"), "HANDSHAKE_BAD_NAME unexpected_message invalid_node_name"],
    ["UTF-8 in a name", renamed("é@b"), "HANDSHAKE_BAD_NAME unexpected_message invalid_node_name"],
    ["an empty name", renamed(""), "HANDSHAKE_BAD_NAME unexpected_message invalid_node_name"],
    ["a name of 256 bytes", renamed(`a@${"b".repeat(254)}`), "HANDSHAKE_TOO_LONG"],
    [
      "a trailing byte",
      framed(Buffer.concat([hello(A).subarray(2), Buffer.from([0])])),
      "HANDSHAKE_BAD_FIELD unexpected_message invalid_hello_payload",
    ],
    [
      "an unknown type",
      framed(Buffer.from([6, 0])),
      "HANDSHAKE_UNKNOWN_MESSAGE unexpected_message unknown_message_type",
    ],
    [
      "an OK with more behind it",
      framed(Buffer.from([4, 0])),
      "HANDSHAKE_UNKNOWN_MESSAGE unexpected_message unknown_message_type",
    ],
    ["an empty frame", framed(Buffer.alloc(0)), "HANDSHAKE_EMPTY unexpected_message malformed_message"],
    ["CHALLENGE first", challenge(), "HANDSHAKE_UNEXPECTED unexpected_message"],
    [
      "a short CHALLENGE",
      framed(Buffer.from([2, 0])),
      "HANDSHAKE_BAD_FIELD unexpected_message invalid_challenge_payload",
    ],
    [
      "a short RESPONSE",
      framed(Buffer.from([3, 0])),
      "HANDSHAKE_BAD_FIELD unexpected_message invalid_response_payload",
    ],
    [
      "a FAIL of the wrong length",
      framed(Buffer.from([5, 0, 2, 65])),
      "HANDSHAKE_BAD_FIELD unexpected_message invalid_fail_payload",
    ],
    ["OK first", OK, "HANDSHAKE_UNEXPECTED unexpected_message"],
    ["FAIL first", fail("key_mismatch"), "HANDSHAKE_UNEXPECTED unexpected_message"],
    ["a length above every legal message", Buffer.from([0x01, 0x24]), "HANDSHAKE_TOO_LONG"],
  ])("closes without opening a stream on %s", (_, bytes, expected) => {
    const listener = accept().receive(bytes);
    expect(failure(listener)).toBe(expected);
    expect(listener.log).toEqual(["fail"]);
  });

  it("takes the longest name", () => {
    const long = `a@${"b".repeat(253)}`;
    const listener = accept().receive(hello(long));
    expect(hello(long)).toHaveLength(293);
    expect(listener.error).toBeUndefined();
  });

  it("has one deadline, whatever comes meanwhile", () => {
    const silent = accept();
    expect(silent.pass(9_999).error).toBeUndefined();
    expect(failure(silent.pass(1))).toBe("HANDSHAKE_TIMEOUT auth_stream_timeout");
    expect(silent.log).toEqual(["fail"]);
    const half = accept().receive(hello(A).subarray(0, 20));
    expect(failure(half.pass(10_000))).toBe("HANDSHAKE_TIMEOUT recv_hello_failed timeout");
    const stalled = accept();
    stalled.pass(9_000).receive(hello(A));
    expect(failure(stalled.pass(1_000))).toBe("HANDSHAKE_TIMEOUT recv_challenge_failed timeout");
    expect(stalled.log.slice(-2)).toEqual(["finish", "fail"]);
    const signing = accept().receive(hello(A)).receive(challenge());
    expect(failure(signing.pass(10_000))).toBe("HANDSHAKE_TIMEOUT recv_response_failed timeout");
    const done = pair();
    runBarrel(done.dialler, done.listener);
    expect(done.listener.machine.deadline).toBeUndefined();
    expect(done.listener.pass(20_000).error).toBeUndefined();
  });

  it("ends at once when the peer resets, or ends, its stream before it has said all", () => {
    const reset = accept().receive(hello(A));
    reset.guard(() => reset.machine.reset(7, reset.now));
    expect(failure(reset)).toBe("BARREL_STREAM_RESET recv_challenge_failed stream_reset");
    const half = accept().receive(hello(A).subarray(0, 20));
    half.guard(() => half.machine.ended(half.now));
    expect(failure(half)).toBe("BARREL_STREAM_ENDED recv_hello_failed stream_ended");
  });

  it("names what it said last when the peer stops its stream, and what the stream did not take", () => {
    const stop = (end: BarrelEnd): BarrelEnd => {
      end.guard(() => end.machine.stopped(9, end.now));
      return end;
    };
    const challenged = stop(accept().receive(hello(A)));
    expect(failure(challenged)).toBe("BARREL_STREAM_FAILED send_challenge_failed stream_stopped");
    expect(isSallyportError(challenged.error) && challenged.error.detail["resetCode"]).toBe(9);
    expect(challenged.log.slice(-2)).toEqual(["finish", "fail"]);
    const signing = stop(accept().receive(hello(A)).receive(challenge()));
    expect(failure(signing)).toBe("BARREL_STREAM_FAILED send_response_failed stream_stopped");
    const silent = stop(accept());
    expect([silent.error, silent.log]).toEqual([undefined, []]);
    for (const [takes, said] of ["hello", "challenge", "response", "ok"].entries()) {
      const { dialler, listener } = pair();
      listener.takes = takes;
      runBarrel(dialler, listener);
      expect(failure(listener)).toBe(`BARREL_STREAM_FAILED send_${said}_failed`);
      expect([listener.log.at(-1), listener.attempts.length, listener.session]).toEqual(["fail", 1, undefined]);
    }
    const refusing = pair().listener;
    refusing.trust = refusal("KEY_MISMATCH");
    refusing.takes = 0;
    expect(failure(refusing.receive(hello(A)))).toBe("KEY_MISMATCH key_mismatch");
    const done = pair();
    runBarrel(done.dialler, done.listener);
    expect([stop(done.listener).error, stop(done.dialler).error]).toEqual([undefined, undefined]);
  });

  it("says what was open when the connection goes", () => {
    const silent = accept();
    const cause = new SallyportError("ERR_CLOSED", "CONNECTION_RESET", "cut");
    silent.error = silent.machine.lost(cause, silent.now);
    expect(failure(silent)).toBe("CONNECTION_RESET transport_error");
    const gone = accept();
    gone.error = gone.machine.lost(undefined, gone.now);
    expect(failure(gone)).toBe("CLOSED_DURING_HANDSHAKE connection_closed");
    const later = accept().receive(hello(A));
    later.error = later.machine.lost(cause, later.now);
    expect(failure(later)).toBe("CLOSED_DURING_HANDSHAKE recv_challenge_failed connection_closed");
    expect(later.machine.lost(cause, later.now)).toBeUndefined();
  });

  it("answers a listed name with OK and nothing else, and counts it as cookie at most", () => {
    const listener = accept({ cookieOnly: (peer) => peer === A }).receive(hello(A));
    expect(kinds(listener.sent)).toEqual(["OK"]);
    expect(listener.log).toEqual(["trust", "send", "finish", "ok", "authenticated"]);
    expect(listener.session).toEqual({
      role: "acceptor",
      peer: A,
      method: "cookie-only",
      publicKey: undefined,
      assurance: "cookie",
    });
    const other = accept({ cookieOnly: (peer) => peer === A }).receive(hello("c@127.0.0.1"));
    expect(kinds(other.sent)).toEqual(["HELLO", "CHALLENGE"]);
  });

  it("refuses its own name and its own key, also of a listed name, and keys of small order", () => {
    const all = { cookieOnly: () => true };
    expect(failure(accept(all).receive(hello(B)))).toBe("SELF_CONNECT");
    expect(failure(accept().receive(hello("b@127.0.0.1")))).toBe("SELF_CONNECT");
    expect(failure(accept().receive(hello(A, 2)))).toBe("OWN_KEY");
    const listed = accept(all).receive(hello(A, 2));
    expect([failure(listed), ...listed.log]).toEqual(["OWN_KEY", "fail"]);
    expect(failure(accept().receive(hello(A, 0, Buffer.alloc(32))))).toBe("KEY_UNSAFE");
    const one = Buffer.alloc(32);
    one[0] = 1;
    const listener = accept().receive(hello(A, 0, one));
    expect(failure(listener)).toBe("KEY_UNSAFE");
    expect(listener.log).toEqual(["fail"]);
  });

  it("signs no nonce of its own: reflection proves nothing", () => {
    const listener = accept().receive(hello(A));
    const own = listener.sent[1] ?? Buffer.alloc(0);
    listener.receive(own);
    expect(failure(listener)).toBe("NONCE_REFLECTED");
    expect(kinds(listener.sent)).toEqual(["HELLO", "CHALLENGE"]);
  });

  it("signs no nonce that another exchange of the node has open", () => {
    const openNonces = new OpenNonces();
    const first = accept({ openNonces }).receive(hello(A));
    const second = accept({ openNonces }).receive(hello("c@127.0.0.1", 8));
    second.receive(first.sent[1] ?? Buffer.alloc(0));
    expect(failure(second)).toBe("NONCE_REFLECTED");
  });
});

describe("a dialler", () => {
  const dial = (options: Partial<BarrelTestNode["tools"]> = {}): BarrelEnd =>
    new BarrelEnd(CERTIFICATE, WALL).dial(node(A, 1, options), B);

  it("sends nothing without the other side's certificate, and has no name that barrel cannot read", () => {
    expect(failure(new BarrelEnd(undefined, WALL).dial(node(A, 1), B))).toBe(
      "CHANNEL_BINDING_MISSING channel_binding_failed",
    );
    expect(failure(new BarrelEnd(undefined, WALL).accept(node(B, 1)))).toBe(
      "CHANNEL_BINDING_MISSING channel_binding_failed",
    );
    expect(failure(new BarrelEnd(CERTIFICATE, WALL).dial(node("a@::1", 1), B))).toBe("BARREL_NAME_UNUSABLE");
    expect(failure(new BarrelEnd(CERTIFICATE, WALL).dial(node(B, 1), B))).toBe("SELF_CONNECT");
  });

  it("refuses, without a word, a key that the trust store refuses", () => {
    for (const [reason, word] of [
      ["KEY_MISMATCH", "key_mismatch"],
      ["KEY_UNTRUSTED", "untrusted_key"],
    ] as const) {
      const dialler = dial();
      dialler.trust = refusal(reason);
      dialler.receive(hello(B));
      expect(failure(dialler)).toBe(`${reason} ${word}`);
      expect(dialler.log).toEqual(["send", "trust", "finish", "fail"]);
    }
  });

  it("refuses any node but the dialled one, its own key, and keys of small order", () => {
    expect(failure(dial().receive(hello("c@127.0.0.1")))).toBe("PEER_NAME_MISMATCH");
    expect(failure(dial().receive(hello(A)))).toBe("SELF_CONNECT");
    expect(failure(dial().receive(hello(B, 1)))).toBe("OWN_KEY");
    expect(failure(dial().receive(hello(B, 0, Buffer.alloc(32))))).toBe("KEY_UNSAFE");
  });

  it("gives no proof for a nonce of its own", () => {
    const dialler = dial().receive(hello(B));
    dialler.receive(dialler.sent[1] ?? Buffer.alloc(0));
    expect(failure(dialler)).toBe("NONCE_REFLECTED");
    expect(kinds(dialler.sent)).toEqual(["HELLO", "CHALLENGE"]);
  });

  it("gives no proof for a nonce that any other dialler made, and a listener does", () => {
    const other = new BarrelEnd(CERTIFICATE, WALL).dial(node("c@127.0.0.1", 7), B).receive(hello(B));
    const asked = other.sent[1] ?? Buffer.alloc(0);
    const dialler = dial().receive(hello(B)).receive(asked);
    expect(failure(dialler)).toBe("NONCE_REFLECTED");
    expect(kinds(dialler.sent)).toEqual(["HELLO", "CHALLENGE"]);
    const listener = new BarrelEnd(CERTIFICATE, WALL).accept(node(B, 2)).receive(hello(A)).receive(asked);
    expect(kinds(listener.sent)).toEqual(["HELLO", "CHALLENGE", "RESPONSE"]);
  });

  it("has nonces of which no two are alike, and of which a changed one is no dialler's", () => {
    const random = new SeededRandom(3);
    const nonces = Array.from({ length: 100 }, () => barrelNonce("dialler", random, crypto));
    expect(new Set(nonces.map((nonce) => nonce.toString("hex", 0, 24))).size).toBe(100);
    expect(nonces.every((nonce) => nonce.length === 32 && isDiallersNonce(nonce, crypto))).toBe(true);
    for (const [at, nonce] of nonces.entries()) nonce[at % 32] = (nonce[at % 32] ?? 0) ^ 1;
    expect(nonces.some((nonce) => isDiallersNonce(nonce, crypto))).toBe(false);
    expect(isDiallersNonce(barrelNonce("acceptor", random, crypto), crypto)).toBe(false);
  });

  it("refuses a wrong proof, a clock that is off, and what has no place", () => {
    const wrong = dial().receive(hello(B)).receive(challenge()).receive(response());
    expect(failure(wrong)).toBe("PROOF_INVALID signature_verification_failed");
    expect(kinds(wrong.sent)).toEqual(["HELLO", "CHALLENGE", "RESPONSE"]);
    expect(
      failure(
        dial()
          .receive(hello(B))
          .receive(challenge(WALL + 60_001)),
      ),
    ).toBe("CLOCK_SKEW peer_ts_skew");
    expect(failure(dial().receive(hello(B)).receive(response()))).toBe("HANDSHAKE_UNEXPECTED unexpected_message");
    expect(failure(dial().receive(challenge()))).toBe("HANDSHAKE_UNEXPECTED unexpected_message");
    expect(failure(dial().receive(hello(B)).receive(challenge()).receive(OK))).toBe(
      "HANDSHAKE_UNEXPECTED unexpected_message",
    );
  });

  it("takes OK without a proof only from a node on its own list", () => {
    expect(failure(dial().receive(OK))).toBe("METHOD_MISMATCH unexpected_auth_ok");
    const listed = dial({ cookieOnly: (peer) => peer === B });
    listed.trust = { kind: "granted", assurance: "pinned" };
    listed.receive(OK);
    expect(listed.session).toEqual({
      role: "dialler",
      peer: B,
      method: "cookie-only",
      publicKey: undefined,
      assurance: "cookie",
    });
    expect(listed.log).toEqual(["send", "trust", "finish", "ok", "authenticated"]);
    const refused = dial({ cookieOnly: () => true });
    refused.trust = refusal("KEY_UNTRUSTED");
    expect(failure(refused.receive(OK))).toBe("KEY_UNTRUSTED untrusted_key");
  });

  it("goes on with keys when only it has the other side on its list", () => {
    const { dialler, listener } = pair({ a: node(A, 1, { cookieOnly: () => true }) });
    runBarrel(dialler, listener);
    expect(dialler.session?.method).toBe("key");
  });

  it("reports FAIL as the peer's word, escaped, at any point", () => {
    for (const before of [[], [hello(B)], [hello(B), challenge()]]) {
      const dialler = dial();
      for (const bytes of before) dialler.receive(bytes);
      dialler.receive(fail("key_mismatch\u001b[2J"));
      expect(failure(dialler)).toBe("REFUSED_BY_PEER auth_rejected");
      expect(isSallyportError(dialler.error) && dialler.error.detail["told"]).toBe("key_mismatch\\x1b[2J");
    }
  });

  it("names what it said last when the peer stops its stream, and what the stream did not take", () => {
    for (const [i, said] of ["hello", "challenge", "response"].entries()) {
      const stopped = dial();
      for (const bytes of [hello(B), challenge()].slice(0, i)) stopped.receive(bytes);
      stopped.guard(() => stopped.machine.stopped(9, stopped.now));
      expect(failure(stopped)).toBe(`BARREL_STREAM_FAILED send_${said}_failed stream_stopped`);
      const full = new BarrelEnd(CERTIFICATE, WALL);
      full.takes = i;
      full.dial(node(A, 1), B);
      for (const bytes of [hello(B), challenge()].slice(0, i)) full.receive(bytes);
      expect(failure(full)).toBe(`BARREL_STREAM_FAILED send_${said}_failed`);
      expect(full.attempts).toMatchObject([{ role: "outgoing", outcome: "fail" }]);
    }
  });

  it("names the message that did not come", () => {
    expect(failure(dial().pass(10_000))).toBe("HANDSHAKE_TIMEOUT auth_stream_timeout");
    const reset = dial();
    reset.guard(() => reset.machine.reset(0, reset.now));
    expect(failure(reset)).toBe("BARREL_STREAM_RESET recv_hello_failed stream_reset");
    const { dialler, listener } = pair();
    listener.receive(dialler.take());
    const first = listener.take();
    dialler.receive(first);
    expect(failure(dialler.pass(10_000))).toBe("HANDSHAKE_TIMEOUT recv_response_failed timeout");
    expect(dialler.log.slice(-2)).toEqual(["finish", "fail"]);
    const noOk = pair();
    runUntilOk(noOk.dialler, noOk.listener);
    expect(failure(noOk.dialler.pass(10_000))).toBe("HANDSHAKE_TIMEOUT recv_ok_failed timeout");
  });
});

/** All but the OK. */
function runUntilOk(dialler: BarrelEnd, listener: BarrelEnd): void {
  listener.receive(dialler.take());
  dialler.receive(listener.take());
  listener.receive(dialler.take());
  dialler.receive(listener.take().subarray(0, 67));
}
