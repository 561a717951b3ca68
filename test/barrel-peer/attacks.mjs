// Hostile switches: each is one attack of barrel-auth sections 14 and 15, for one or both roles.
import { randomBytes } from "node:crypto";
import { encodeChallenge, encodeFail, encodeHello, encodeOk, encodeResponse, framed, signWith } from "./auth-codec.mjs";
import { encodeMessage } from "./frames.mjs";
import { encodeName, FRAGMENTS, V4_NC } from "./handshake.mjs";
import { newKeys } from "./identity.mjs";
import { borrowedProof } from "./oracles.mjs";
import { atom, tuple } from "./term.mjs";

const BOTH = ["dialer", "listener"];
const DIALER = ["dialer"];
const LISTENER = ["listener"];
const LONG = `${"a".repeat(245)}@127.0.0.1x`;

/** Names that section 3 refuses. */
export const BAD_NAMES = {
  "no-host": "nohost",
  "empty-node": "@127.0.0.1",
  "empty-host": "node@",
  "leading-dot": ".node@127.0.0.1",
  "leading-dash": "-node@127.0.0.1",
  "host-leading-dot": "node@.local",
  "host-leading-dash": "node@-local",
  "two-ats": "a@b@c",
  "256-bytes": LONG,
  utf8: "n\u00f6de@127.0.0.1",
  slash: "../x@127.0.0.1",
  newline: "a\n@127.0.0.1",
  nul: "a\0@127.0.0.1",
  empty: "",
};

/** Messages that come where a HELLO belongs. */
const FIRST_FRAMES = {
  "unknown-type": () => Buffer.of(9, 1, 2, 3),
  "empty-frame": () => Buffer.alloc(0),
  "challenge-first": () => encodeChallenge(randomBytes(32), Date.now()),
  "response-first": () => encodeResponse(randomBytes(64)),
  "ok-first": () => encodeOk(),
  "fail-first": () => encodeFail("key_mismatch"),
};

/** A point of order one as key: this signature fits it for every message. */
const SMALL_ORDER = { seed: Buffer.alloc(32), publicKey: Buffer.concat([Buffer.of(1), Buffer.alloc(31)]) };
const SMALL_ORDER_SIGNATURE = Buffer.concat([Buffer.of(1), Buffer.alloc(63)]);

/**
 * What a link changes for an attack; see `Bends` in auth.mjs for `bend`.
 * @typedef {object} Attack
 * @property {string} name
 * @property {import("./auth.mjs").Bends} [bend]
 * @property {{name?: string, cookie?: Buffer, flags?: bigint, merge?: boolean, stall?: boolean, paused?: boolean, early?: boolean, blind?: boolean}} [dist]
 * @property {number} [authStream]
 * @property {boolean} [noFin]
 * @property {(link: object, frame: Buffer) => Buffer} [cut] what is sent of a frame of the exchange
 * @property {(link: object) => void} [afterHello]
 * @property {(link: object) => void} [up]
 * @property {(wire: import("./script-wire.mjs").ScriptWire, link: object) => Promise<void>} [script]
 */

/** A y that is not below the prime: the point of 3, written as p + 3. */
const NOT_CANONICAL = { seed: Buffer.alloc(32), publicKey: Buffer.from(`f0${"ff".repeat(30)}7f`, "hex") };

/** The order of the group. */
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;

/** name -> roles it plays in, and how to make it. `o` are the options of the command, `own` the peer's. */
const MAKERS = {
  "forged-signature": [BOTH, () => ({ bend: { signature: () => signWith(newKeys().seed, randomBytes(104)) } })],
  "wrong-binding": [BOTH, () => ({ bend: { binding: randomBytes(32) } })],
  "other-key": [BOTH, (o) => ({ bend: { name: o.as, keys: newKeys() } })],
  stranger: [
    BOTH,
    (o, own) => ({ bend: { name: o.as, keys: o.ownKey === true ? own.keys() : newKeys() }, dist: { name: o.as } }),
  ],
  "small-order-key": [
    BOTH,
    (o) => ({ bend: { name: o.as, keys: SMALL_ORDER, signature: () => SMALL_ORDER_SIGNATURE } }),
  ],
  "non-canonical-key": [BOTH, (o) => ({ bend: { name: o.as, keys: NOT_CANONICAL, signature: () => randomBytes(64) } })],
  "second-form-signature": [BOTH, () => ({ bend: { signature: plusOrder } })],
  "hello-twice": [BOTH, () => ({ bend: { hello: (frame) => Buffer.concat([frame, frame]) } })],
  "cut-after": [BOTH, (o) => ({ cut: cutAfter(o.at) })],
  "timestamp-skew": [BOTH, (o) => ({ bend: { skewMs: o.skewMs } })],
  "version-1": [BOTH, () => ({ bend: { version: 1 } })],
  "version-3": [BOTH, () => ({ bend: { version: 3 } })],
  "trailing-byte": [BOTH, () => ({ bend: { hello: (f) => framed(Buffer.concat([f.subarray(2), Buffer.of(0)])) } })],
  ...Object.fromEntries(
    Object.entries(BAD_NAMES).map(([kind, name]) => [`bad-name-${kind}`, [BOTH, () => ({ bend: { name } })]]),
  ),
  ...Object.fromEntries(
    Object.entries(FIRST_FRAMES).map(([name, make]) => [
      name,
      [BOTH, () => ({ bend: { hello: () => framed(make()) } })],
    ]),
  ),
  "unsolicited-ok": [LISTENER, () => ({ bend: { hello: () => framed(encodeOk()) } })],
  "other-hello-name": [LISTENER, (o) => ({ bend: { name: o.as } })],
  silence: [BOTH, () => ({ script: hold })],
  "hello-then-silence": [
    BOTH,
    (o, own) => ({
      script: async (wire) => {
        if (wire.link.role === "listener") await wire.frame();
        wire.send(helloOf(o, own));
        await hold(wire);
      },
    }),
  ],
  "half-frame-fin": [BOTH, (o, own) => ({ script: partial((hello) => hello.subarray(0, 10), "fin", o, own) })],
  "fin-early": [BOTH, (o, own) => ({ script: partial(() => Buffer.alloc(0), "fin", o, own) })],
  "reset-early": [BOTH, (o, own) => ({ script: partial((hello) => hello.subarray(0, 10), "reset", o, own) })],
  "stop-after": [BOTH, (o, own) => ({ script: stopAfter(o.at, o, own) })],
  drip: [BOTH, (o, own) => ({ script: (wire) => drip(wire, o, own) })],
  "hello-on-bidi": [BOTH, (_o, _own, role) => ({ authStream: role === "dialer" ? 0 : 1, noFin: true })],
  "no-fin": [BOTH, () => ({ noFin: true })],
  "early-stream-0": [
    DIALER,
    (_o, own) => ({
      dist: { early: true },
      afterHello: (link) => {
        link.quic.write(0, encodeName(own.options.flags, own.node.creation, own.node.name));
        link.quic.flush();
      },
    }),
  ],
  "frame-on-stream-2": [DIALER, () => ({ noFin: true, up: frameOnAuthStream })],
  "wrong-form": [BOTH, () => ({ up: wrongForm })],
  "wrong-cookie": [BOTH, (o) => ({ dist: { cookie: Buffer.from(o.cookie ?? "not the cookie"), blind: true } })],
  "missing-v4-nc": [BOTH, (_o, own) => ({ dist: { flags: own.options.flags & ~V4_NC } })],
  "other-dist-name": [BOTH, (o) => ({ dist: { name: o.distName } })],
  squat: [DIALER, (o) => ({ bend: { name: o.as, keys: newKeys() }, dist: { stall: true } })],
  "no-handshake": [DIALER, () => ({ dist: { stall: true } })],
  // Until the command `resume`.
  "late-handshake": [BOTH, () => ({ dist: { paused: true } })],
  "stall-after-ok": [LISTENER, () => ({ dist: { stall: true } })],
  "merged-status-challenge": [LISTENER, () => ({ dist: { merge: true } })],
  reflection: [BOTH, (o, own, role) => reflection(o, own, role)],
  "borrowed-proof": [LISTENER, (o, own) => borrowedProof(o, own)],
  flood: [DIALER, (o, own) => ({ script: (wire) => flood(wire, o, own) })],
  "half-open": [DIALER, () => ({ script: hold })],
  "half-open-tls": [DIALER, () => ({ script: hold, deaf: true })],
  "certificate-without-key": [LISTENER, () => ({ forged: true })],
};

/** Every switch with the roles it plays in. @type {Record<string, string[]>} */
export const ATTACKS = Object.fromEntries(Object.entries(MAKERS).map(([name, [roles]]) => [name, roles]));

/** @returns {Attack | undefined} undefined without a name; an unknown name or the wrong role throws */
export function attackFor(name, options, own, role) {
  if (name === undefined) return undefined;
  const [roles, make] = MAKERS[name] ?? [];
  if (roles === undefined) throw new Error(`unknown attack ${name}; known: ${Object.keys(MAKERS).join(", ")}`);
  if (!roles.includes(role)) throw new Error(`attack ${name} is for the ${roles.join(" or ")}, not the ${role}`);
  return { name, ...make(options, own, role) };
}

/** The same signature with S + L: it verifies wherever S is not compared with L. */
function plusOrder(signature) {
  const s = BigInt(`0x${Buffer.from(signature.subarray(32)).reverse().toString("hex")}`) + ORDER;
  const bytes = Buffer.from(s.toString(16).padStart(64, "0"), "hex").reverse();
  return Buffer.concat([signature.subarray(0, 32), bytes]);
}

/** Honest for so many bytes of the exchange; then the connection is closed. */
function cutAfter(bytes) {
  let left = bytes;
  return (link, frame) => {
    const part = frame.subarray(0, left);
    left -= part.length;
    if (part.length < frame.length) setImmediate(() => link.close());
    return part;
  };
}

function helloOf(o, own) {
  return framed(encodeHello(o.as ?? own.node.name, own.keys().publicKey));
}

/** Says nothing more, until the other side ends it. */
async function hold(wire) {
  while ((await wire.frame()) !== undefined) {
    // Read and forget.
  }
}

/** One byte of HELLO at a time: each comes in time, the whole does not. */
async function drip(wire, o, own) {
  if (wire.link.role === "listener") await wire.frame();
  for (const byte of helloOf(o, own)) {
    if (wire.link.phase === "closed") return;
    wire.send(Buffer.of(byte));
    await new Promise((resolve) => setTimeout(resolve, o.everyMs ?? 500));
  }
  await hold(wire);
}

function partial(cut, end, o, own) {
  return async (wire) => {
    if (wire.link.role === "listener") await wire.frame();
    const bytes = cut(helloOf(o, own));
    wire.send(bytes, { fin: end === "fin" });
    if (end === "reset") wire.link.quic.resetStream(wire.out, 7);
    await hold(wire);
  };
}

/** Honest up to a message of the other side, and then wants no more of its stream. */
function stopAfter(at, o, own) {
  return async (wire) => {
    const isDialler = wire.link.role === "dialer";
    if (isDialler) wire.send(helloOf(o, own));
    for (let m = await wire.frame(); m !== undefined; m = await wire.frame()) {
      if (m.type === at) wire.link.quic.stopReading(isDialler ? 3 : 2, 9);
      else if (m.type === "hello" && !isDialler) wire.send(helloOf(o, own));
      else if (m.type === "challenge") wire.send(framed(encodeChallenge(randomBytes(32), Date.now())));
    }
  };
}

/** Section 14.2: the victim's own key, its own challenge and its own signature sent back to it. */
function reflection(o, own, role) {
  const name = o.as ?? own.node.name;
  const script = async (wire, link) => {
    const hello = role === "listener" ? await wire.frame() : undefined;
    const key = hello?.publicKey ?? Buffer.from(o.victimKey, "hex");
    wire.send(framed(encodeHello(name, key)));
    if (role === "dialer") await wire.frame();
    for (let step = 0; step < 2; step++) {
      const theirs = await wire.frame();
      if (theirs === undefined) return;
      wire.send(theirs.bytes);
    }
    if (role === "listener") wire.send(framed(encodeOk()));
    const accepted = role === "listener" || (await wire.frame())?.type === "ok";
    link.emit({ event: "attack", name: "reflection", accepted });
    if (!accepted) return;
    wire.fin();
    wire.proceed({ outcome: "ok", peer: hello?.name });
  };
  return { script, dist: { name } };
}

/** Section 14.9 b: the auth stream is opened by one byte, then any amount goes to a stream of no use. */
async function flood(wire, o, own) {
  const hello = helloOf(o, own);
  const order = o.unrelatedFirst === true;
  if (!order) wire.send(hello.subarray(0, 1));
  const chunk = Buffer.alloc(65_536, 0x5a);
  for (let left = o.bytes; left > 0; left -= chunk.length) {
    wire.send(chunk.subarray(0, Math.min(left, chunk.length)), { stream: o.stream ?? 4 });
  }
  if (order) wire.send(hello.subarray(0, 1));
  await hold(wire);
}

function echoMessage(fragments, link, text) {
  const { node } = link.owner;
  return encodeMessage(fragments, 1, tuple(6, node.shell, atom(""), atom("echo")), tuple(node.shell, text));
}

function frameOnAuthStream(link) {
  for (const frame of echoMessage((link.peer.effective & FRAGMENTS) !== 0n, link, "on stream 2")) {
    link.quic.write(2, frame);
  }
  link.quic.flush();
}

/** Section 10: the message form that was not negotiated. */
function wrongForm(link) {
  for (const frame of echoMessage((link.peer.effective & FRAGMENTS) === 0n, link, "wrong form")) {
    link.quic.write(link.role === "dialer" ? 4 : 1, frame);
  }
  link.quic.flush();
}
