// The two machines of barrel-auth section 4. No I/O: bytes and time come in, calls on a wire go out.
import {
  decodeMessage,
  encodeChallenge,
  encodeFail,
  encodeHello,
  encodeOk,
  encodeResponse,
  FrameReader,
  framed,
  signedBytes,
  signWith,
  verifies,
} from "./auth-codec.mjs";
import { matchesAny } from "./identity.mjs";

/**
 * @typedef {object} Setup
 * @property {string} name own name
 * @property {{seed: Buffer, publicKey: Buffer}} keys own Ed25519 key
 * @property {Buffer} binding channel binding of this connection
 * @property {import("./identity.mjs").TrustStore} trust
 * @property {string[]} [cookieOnly] patterns
 * @property {string} [target] name that was dialled, dialler only
 * @property {number} [windowMs] auth_timestamp_window, default 30 000
 * @property {(length: number) => Buffer} random
 * @property {() => number} wallMs
 * @property {() => number} monotonicMs
 * @property {{open(): void, send(frame: Buffer): void, fin(): void}} wire own stream
 * @property {(result: {outcome: "ok" | "fail", error?: string, peer?: string, peerKey?: Buffer}) => void} done
 * @property {Bends} [bend]
 *
 * @typedef {object} Bends what a hostile run changes on the way out
 * @property {string} [name]
 * @property {{seed: Buffer, publicKey: Buffer}} [keys]
 * @property {number} [version]
 * @property {Buffer} [binding]
 * @property {number} [skewMs]
 * @property {(frame: Buffer) => Buffer} [hello] changes the framed HELLO
 * @property {(signature: Buffer) => Buffer} [signature]
 * @property {boolean} [trusting] skip own trust check and every check of the other side
 */

class Machine {
  /** @param {Setup} setup */
  constructor(setup) {
    this.windowMs = 30_000;
    Object.assign(this, setup);
    this.bend ??= {};
    this.cookieOnly ??= [];
    this.reader = new FrameReader();
    this.state = "hello";
    this.streamSeen = false;
    this.opened = false;
    this.ended = false;
    this.ownName = this.bend.name ?? this.name;
    this.ownKeys = this.bend.keys ?? this.keys;
  }

  /** Bytes of the peer's auth stream. */
  bytes(chunk) {
    this.streamSeen = true;
    this.reader.push(chunk);
    for (let m = this.ended ? undefined : this.reader.next(); m !== undefined; ) {
      this.message(decodeMessage(m));
      m = this.ended ? undefined : this.reader.next();
    }
  }

  /** Bytes after the last auth message: the carrier takes them for distribution frames (section 14.10). */
  rest() {
    return this.reader.rest();
  }

  reset(code) {
    this.streamSeen = true;
    this.lost(`{stream_reset,${code}}`);
  }

  /** The one deadline of section 6 has passed. */
  deadline() {
    if (this.streamSeen) this.lost("timeout");
    else this.fail("auth_stream_timeout");
  }

  /** The connection is gone. */
  closed(reason) {
    if (this.streamSeen) this.lost(`{connection_closed,${reason}}`);
    else this.fail(`{connection_closed,${reason}}`);
  }

  lost(why) {
    this.fail(`{recv_${this.state}_failed,${why}}`);
  }

  fail(error, reason) {
    if (this.ended) return;
    if (reason !== undefined) {
      this.open();
      this.wire.send(framed(encodeFail(reason)));
    }
    this.end({ outcome: "fail", error });
  }

  end(result) {
    if (this.ended) return;
    this.ended = true;
    if (this.opened) this.wire.fin();
    this.done(result);
  }

  open() {
    if (this.opened) return;
    this.opened = true;
    this.wire.open();
  }

  sendHello() {
    const frame = framed(encodeHello(this.ownName, this.ownKeys.publicKey, this.bend.version ?? 2));
    this.wire.send(this.bend.hello?.(frame) ?? frame);
  }

  sendChallenge() {
    this.nonce = this.random(32);
    this.timestampMs = BigInt(this.wallMs() + (this.bend.skewMs ?? 0));
    this.challengeAt = this.monotonicMs();
    this.wire.send(framed(encodeChallenge(this.nonce, this.timestampMs)));
  }

  sendResponse(challenge) {
    const binding = this.bend.binding ?? this.binding;
    const bytes = signedBytes(challenge.nonce, challenge.timestampMs, this.ownKeys.publicKey, binding);
    const signature = signWith(this.ownKeys.seed, bytes);
    this.wire.send(framed(encodeResponse(this.bend.signature?.(signature) ?? signature)));
  }

  /** Section 6: twice the window, both ends included. */
  skewed(challenge) {
    if (this.bend.trusting === true) return false;
    const off = BigInt(Math.round(this.wallMs())) - challenge.timestampMs;
    return (off < 0n ? -off : off) > BigInt(2 * this.windowMs);
  }

  proven(response) {
    if (this.bend.trusting === true) return true;
    const inTime = this.monotonicMs() - this.challengeAt <= this.windowMs;
    const bytes = signedBytes(this.nonce, this.timestampMs, this.peerKey, this.binding);
    return inTime && verifies(this.peerKey, bytes, response.signature);
  }

  /** Error of section 5.1, or undefined. */
  distrust(hello) {
    this.peer = hello.name;
    this.peerKey = hello.publicKey;
    return this.bend.trusting === true ? undefined : this.trust.refusal(hello.name, hello.publicKey);
  }

  /** Section 5.2, store if new. Error or undefined. */
  pin() {
    return this.bend.trusting === true ? undefined : this.trust.record(this.peer, this.peerKey);
  }
}

/** Section 4.1. */
export class DialerAuth extends Machine {
  start() {
    this.open();
    this.sendHello();
  }

  message(m) {
    if (m.type === "fail") return this.fail(`{auth_rejected,${printable(m.reason)}}`);
    if (this.state === "hello" && m.type === "ok") {
      if (!matchesAny(this.cookieOnly, this.target ?? "")) return this.fail("unexpected_auth_ok");
      return this.end({ outcome: "ok" });
    }
    if (m.type !== this.state) return this.fail(unexpected(m));
    switch (this.state) {
      case "hello": {
        const refusal = this.distrust(m);
        if (refusal !== undefined) return this.fail(refusal);
        this.sendChallenge();
        this.state = "challenge";
        return undefined;
      }
      case "challenge":
        if (this.skewed(m)) return this.fail("peer_ts_skew");
        this.sendResponse(m);
        this.state = "response";
        return undefined;
      case "response":
        if (!this.proven(m)) return this.fail("signature_verification_failed");
        this.state = "ok";
        return undefined;
      default: {
        const refusal = this.pin();
        if (refusal !== undefined) return this.fail(refusal);
        return this.end({ outcome: "ok", peer: this.peer, peerKey: this.peerKey });
      }
    }
  }
}

/** Section 4.2. */
export class ListenerAuth extends Machine {
  start() {}

  message(m) {
    if (m.type !== this.state) return this.fail(unexpected(m));
    switch (this.state) {
      case "hello":
        return this.hello(m);
      case "challenge":
        if (this.skewed(m)) return this.fail("peer_ts_skew");
        this.sendResponse(m);
        this.state = "response";
        return undefined;
      default: {
        if (!this.proven(m)) return this.fail("signature_verification_failed", "signature_invalid");
        this.wire.send(framed(encodeOk()));
        const refusal = this.pin();
        if (refusal !== undefined) return this.fail(refusal);
        return this.end({ outcome: "ok", peer: this.peer, peerKey: this.peerKey });
      }
    }
  }

  hello(m) {
    if (matchesAny(this.cookieOnly, m.name)) {
      this.open();
      this.wire.send(framed(encodeOk()));
      return this.end({ outcome: "ok" });
    }
    const refusal = this.distrust(m);
    if (refusal !== undefined) return this.fail(refusal, refusal);
    this.open();
    this.sendHello();
    this.sendChallenge();
    this.state = "challenge";
    return undefined;
  }
}

function unexpected(m) {
  const inner = { error: `{error,${m.error}}`, fail: `{fail,${printable(m.reason ?? Buffer.alloc(0))}}` };
  return `{unexpected_message,${inner[m.type] ?? m.type}}`;
}

function printable(bytes) {
  return bytes.toString("latin1").replace(/[^ -~]/g, "?");
}
