import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { type NodeName, parseNodeName } from "../base/node-name.ts";
import { type PublicKey, parsePublicKey } from "../identity/public-key.ts";
import { signatureInput } from "../identity/signed-text.ts";
import { SymbolicCrypto } from "../testkit/symbolic-crypto.ts";
import { DEFAULT_FLAGS } from "../wire/flags.ts";
import { decodeNative, encodeNative, type Hello, type NativeMessage, type NativeMethod } from "../wire/native-handshake.ts";
import { type AcceptorState, startAcceptor, stepAcceptor } from "./native-acceptor.ts";
import { type DiallerContext, type DiallerState, startDialler, stepDialler } from "./native-dialler.ts";
import type { NativeEvent, NativeStep } from "./native-step.ts";
import { encodeTranscript, TRANSCRIPT_FIELDS, type Transcript, type TranscriptField } from "./native-transcript.ts";
import { type NativeRole, OpenNonces } from "./native-types.ts";

// Exhaustive check of the shipped step functions with perfect cryptography. Two honest nodes A and B dial and accept; the
// attacker M ends TLS on every channel it is on (each has an exporter of its own), knows old runs, has a key of its own,
// and gives any session any message it can build. A session accepted under an honest key, or under a shared cookie, must
// have its matching session on the other honest node.

type Owner = "a" | "b";
/** A part that can be taken away: a field of the transcript, or the role in the labels. */
type Part = TranscriptField | "role";

const NAMES = { a: parseNodeName("a@h"), b: parseNodeName("b@h"), m: parseNodeName("m@h") } as const;
const seed = (who: number) => Buffer.alloc(32, who);
const SEEDS = { a: seed(0x11), b: seed(0x12), m: seed(0x13) } as const;
const KEYS: Readonly<Record<Owner | "m", PublicKey>> = {
  a: parsePublicKey(new SymbolicCrypto().ed25519PublicKey(SEEDS.a), "a"),
  b: parsePublicKey(new SymbolicCrypto().ed25519PublicKey(SEEDS.b), "b"),
  m: parsePublicKey(new SymbolicCrypto().ed25519PublicKey(SEEDS.m), "m"),
};
const CERTIFICATES = { a: Buffer.alloc(32, 0x21), b: Buffer.alloc(32, 0x22), m: Buffer.alloc(32, 0x23) } as const;
const INCARNATIONS = { a: 101n, b: 102n, m: 103n } as const;
const CREATIONS = { a: 11, b: 12, m: 13 } as const;
const COOKIE = { key: Buffer.alloc(32, 0x77), cookieBytes: 32 };
/** A flag that no one demands, to be told from the honest HELLO. */
const OTHER_FLAGS = DEFAULT_FLAGS ^ 1n;
const M_NONCE = Buffer.alloc(32, 0x33);

interface Rules {
  readonly removed: ReadonlySet<Part>;
  readonly method: NativeMethod;
  /** Nodes that have the cookie, with method `key-cookie`. */
  readonly withCookie: readonly Owner[];
  /** TLS keys of honest nodes that M holds: it can show their certificates. */
  readonly stolen: readonly Owner[];
  /** Which fields M alters in a HELLO, alone or together, besides mixing names, keys and nonces of all. */
  readonly altered: readonly (readonly Alteration[])[];
}
type Alteration = "flags" | "creation" | "incarnation" | "method" | "versionHigh";

/** One honest session. `with` is M, or the number of the honest session at the other end of an undisturbed channel. */
interface Kind {
  readonly name: string;
  readonly owner: Owner;
  readonly role: NativeRole;
  readonly target: NodeName;
}
const KINDS: readonly Kind[] = [
  { name: "A dials b", owner: "a", role: "dialler", target: NAMES.b },
  { name: "A dials m", owner: "a", role: "dialler", target: NAMES.m },
  { name: "A accepts", owner: "a", role: "acceptor", target: NAMES.a },
  { name: "B dials a", owner: "b", role: "dialler", target: NAMES.a },
  { name: "B dials m", owner: "b", role: "dialler", target: NAMES.m },
  { name: "B accepts", owner: "b", role: "acceptor", target: NAMES.b },
];

interface Local {
  readonly id: number;
  readonly session: Session;
  readonly state: DiallerState | AcceptorState;
  readonly received: number;
  readonly sent: readonly Buffer[];
  readonly nonces: readonly Buffer[];
  readonly proofs: readonly Buffer[];
  readonly children: Map<string, Local | undefined>;
  readonly byNonce: Map<string, readonly Local[]>;
}

interface Session {
  readonly kind: Kind;
  readonly start: () => NativeStep<DiallerState | AcceptorState>;
  readonly step: (state: DiallerState | AcceptorState, event: NativeEvent) => NativeStep<DiallerState | AcceptorState>;
}

interface Found {
  states: number;
  accepted: number;
  readonly violations: Set<string>;
}

const CHANNEL_FIELDS: readonly TranscriptField[] = ["exporter", "diallerCertificate", "acceptorCertificate"];

function fieldsOf(transcript: Transcript): Map<TranscriptField, string> {
  const bytes = encodeTranscript(transcript);
  const fields = new Map<TranscriptField, string>();
  let at = 0;
  for (const field of TRANSCRIPT_FIELDS) {
    const length = bytes.readUInt16BE(at);
    fields.set(field, bytes.toString("hex", at + 2, at + 2 + length));
    at += 2 + length;
  }
  return fields;
}

class Model {
  readonly #rules: Rules;
  readonly #crypto: SymbolicCrypto;
  readonly #roots = new Map<string, Local>();
  #ids = 0;

  constructor(rules: Rules) {
    this.#rules = rules;
    const gone = TRANSCRIPT_FIELDS.map((field) => rules.removed.has(field));
    this.#crypto = new SymbolicCrypto({
      hashed: (data) => {
        const bytes = Buffer.from(data);
        let out = "";
        let at = 0;
        for (const removed of gone) {
          const end = at + 2 + bytes.readUInt16BE(at);
          out += removed ? "-" : bytes.toString("latin1", at, end);
          at = end;
        }
        return out;
      },
      covered: (data) => {
        const text = Buffer.from(data).toString("latin1");
        return rules.removed.has("role") ? text.replace(/dialler|acceptor/, "side") : text;
      },
    });
  }

  /** The start of a session of M with an honest node, or of an honest node with the other (`honest` names the channel). */
  root(kind: Kind, copy: number, honest?: string): Local {
    const key = `${kind.name}/${copy}/${honest ?? ""}`;
    let root = this.#roots.get(key);
    if (root !== undefined) return root;
    const { owner, role, target } = kind;
    const { stolen, method, withCookie } = this.#rules;
    const number = 1 + KINDS.indexOf(kind) + 10 * copy;
    const nonce = Buffer.alloc(32, 0x80 + number);
    const openNonces = new OpenNonces();
    openNonces.add(nonce);
    const other: Owner = owner === "a" ? "b" : "a";
    const peerCertificate = honest !== undefined || stolen.includes(other) ? CERTIFICATES[other] : CERTIFICATES.m;
    const context: DiallerContext = {
      own: {
        name: NAMES[owner],
        creation: CREATIONS[owner],
        incarnation: INCARNATIONS[owner],
        flags: DEFAULT_FLAGS,
        publicKey: KEYS[owner],
        successions: [],
        sign: (input) => this.#crypto.ed25519Sign(SEEDS[owner], input),
      },
      tools: {
        crypto: this.#crypto,
        random: { bytes: () => nonce, uint32: () => 0 },
        openNonces,
        cookieFor: () => (method === "cookie" || withCookie.includes(owner) ? COOKIE : undefined),
        cookieOnly: () => method === "cookie",
        hasCookieOnly: method === "cookie",
        allowShortCookie: false,
        inviteSecret: () => undefined,
      },
      channel: {
        exporter: honest === undefined ? Buffer.alloc(32, 0x40 + number) : Buffer.from(honest.padEnd(32, "=")),
        ownCertificateHash: CERTIFICATES[owner],
        peerCertificateHash: peerCertificate,
      },
      target,
      invite: undefined,
    };
    const session: Session = {
      kind,
      start: () => (role === "dialler" ? startDialler(context) : startAcceptor()),
      step: (state, event) =>
        role === "dialler"
          ? stepDialler(context, state as DiallerState, event)
          : stepAcceptor(context, state as AcceptorState, event),
    };
    root = this.#local(session, session.start(), undefined);
    if (root === undefined) throw new Error(`${key} does not start`);
    this.#roots.set(key, root);
    return root;
  }

  /** What follows from one message; undefined when the session ends, which gives M nothing but REFUSE. */
  give(local: Local, message: Buffer): Local | undefined {
    const key = message.toString("latin1");
    if (local.children.has(key)) return local.children.get(key);
    let event: NativeEvent;
    try {
      event = { kind: "message", message: decodeNative(message, 0, message.length) };
    } catch {
      local.children.set(key, undefined);
      return undefined;
    }
    const child = this.#local(local.session, local.session.step(local.state, event), local);
    local.children.set(key, child);
    return child;
  }

  #local(session: Session, first: NativeStep<DiallerState | AcceptorState>, parent: Local | undefined): Local | undefined {
    const sent = [...(parent?.sent ?? [])];
    const nonces = [...(parent?.nonces ?? [])];
    const proofs = [...(parent?.proofs ?? [])];
    let step = first;
    for (;;) {
      if (step.failure !== undefined) return undefined;
      let answer: NativeEvent | undefined;
      for (const output of step.outputs) {
        if (output.kind === "send") {
          sent.push(output.bytes);
          const message = decodeNative(output.bytes, 0, output.bytes.length);
          if (message.kind === "hello") nonces.push(message.nonce);
          // A MAC that was sent as a proof may be given as a confirmation and the other way round.
          if (message.kind === "proof" || message.kind === "confirm") proofs.push(...regroup(message));
        } else if (output.kind === "ask-trust") {
          answer = { kind: "trust", answer: { kind: "granted", assurance: "tofu" } };
        } else if (output.kind === "arbitrate") answer = { kind: "arbitrated", answer: "go" };
        else if (output.kind === "commit") answer = { kind: "committed", answer: { ok: true } };
      }
      if (answer === undefined) break;
      step = session.step(step.state, answer);
    }
    return {
      id: this.#ids++,
      session,
      state: step.state,
      received: parent === undefined ? 0 : parent.received + 1,
      sent,
      nonces,
      proofs,
      children: new Map(),
      byNonce: new Map(),
    };
  }

  /** All HELLOs with one nonce that `local` does not refuse at once. */
  #hellos(local: Local, nonce: Buffer): readonly Local[] {
    const key = nonce.toString("latin1");
    const known = local.byNonce.get(key);
    if (known !== undefined) return known;
    const next: Local[] = [];
    for (const name of Object.values(NAMES)) {
      for (const publicKey of Object.values(KEYS)) {
        for (const like of ["a", "b", "m"] as const) {
          for (const altered of [[], ...this.#rules.altered]) {
            const child = this.give(local, encodeNative(this.#hello(name, publicKey, nonce, like, altered)));
            if (child !== undefined) next.push(child);
          }
        }
      }
    }
    local.byNonce.set(key, next);
    return next;
  }

  #hello(
    name: NodeName,
    publicKey: Buffer,
    nonce: Buffer,
    like: Owner | "m",
    altered: readonly Alteration[],
  ): Hello {
    const { method, withCookie } = this.#rules;
    const honest: NativeMethod =
      method === "cookie" ? "cookie" : withCookie.includes(like === "b" ? "b" : "a") ? "key-cookie" : "key";
    return {
      kind: "hello",
      versionLow: 1,
      versionHigh: altered.includes("versionHigh") ? 2 : 1,
      method: altered.includes("method") && method !== "cookie" ? (honest === "key" ? "key-cookie" : "key") : honest,
      flags: altered.includes("flags") ? OTHER_FLAGS : DEFAULT_FLAGS,
      creation: altered.includes("creation") ? 99 : CREATIONS[like],
      incarnation: altered.includes("incarnation") ? 99n : INCARNATIONS[like],
      publicKey: method === "cookie" ? Buffer.alloc(32) : publicKey,
      nonce,
      name,
    };
  }

  /** Every state that follows when M gives `local` something it can build. */
  #attack(local: Local, nonces: ReadonlyMap<string, Buffer>, proofs: ReadonlyMap<string, Buffer>): readonly Local[] {
    const next: Local[] = [];
    const add = (child: Local | undefined): void => {
      if (child !== undefined) next.push(child);
    };
    const { state } = local;
    if (state.kind === "expect-hello") {
      for (const nonce of nonces.values()) next.push(...this.#hellos(local, nonce));
    } else if (state.kind === "expect-proof" || state.kind === "expect-confirm") {
      for (const message of proofs.values()) add(this.give(local, message));
      add(this.give(local, encodeNative({ kind: "confirm", cookieMac: undefined })));
      if (state.kind === "expect-proof") add(this.give(local, this.#ownProof(local.session.kind.role, state.agreed.transcript)));
    }
    return next;
  }

  /** M signs with its own key what the receiver expects of the other role. */
  #ownProof(receiver: NativeRole, transcript: Transcript): Buffer {
    const label = receiver === "dialler" ? "sallyport/1 acceptor proof" : "sallyport/1 dialler proof";
    const signature = this.#crypto.ed25519Sign(SEEDS.m, signatureInput(label, encodeTranscript(transcript), this.#crypto));
    return encodeNative({ kind: "proof", signature, cookieMac: undefined, invite: undefined });
  }

  /** What M learned of runs before: with itself as either side of A and B, and relaying A to B and B to A. */
  #oldRuns(): readonly Local[] {
    const out: Local[] = [];
    const copy = 3;
    const relays = [
      [KINDS[0], KINDS[5]],
      [KINDS[3], KINDS[2]],
    ] as const;
    for (const [dialling, accepting] of relays) {
      if (dialling === undefined || accepting === undefined) continue;
      const dialler = this.root(dialling, copy);
      const acceptor = this.give(this.root(accepting, copy), dialler.sent[0] as Buffer);
      if (acceptor !== undefined) out.push(dialler, acceptor);
    }
    for (const kind of KINDS.filter((k) => k.target === NAMES.m || k.role === "acceptor")) {
      const hello = encodeNative(this.#hello(NAMES.m, KEYS.m, M_NONCE, "m", []));
      const met = this.give(this.root(kind, copy + 1), hello);
      if (met === undefined) continue;
      out.push(met);
      if (met.state.kind !== "expect-proof") continue;
      const after = this.give(met, this.#ownProof(kind.role, met.state.agreed.transcript));
      if (after !== undefined) out.push(after);
    }
    return out;
  }

  /** Visits every reachable combination of the sessions. `direct`: the last two are the ends of one honest channel. */
  explore(start: readonly Local[], direct: boolean, found: Found, sees: (x: Local, all: readonly Local[]) => void): void {
    const old = this.#oldRuns();
    const seen = new Set<string>();
    const stack: (readonly Local[])[] = [start];
    const hidden = direct ? start.length - 2 : start.length;
    for (let all = stack.pop(); all !== undefined; all = stack.pop()) {
      const key = all.map((local) => local.id).join();
      if (seen.has(key)) continue;
      seen.add(key);
      found.states++;
      const nonces = new Map<string, Buffer>([["m", M_NONCE]]);
      const proofs = new Map<string, Buffer>();
      for (const local of [...old, ...all.slice(0, hidden)]) {
        for (const nonce of local.nonces) nonces.set(nonce.toString("latin1"), nonce);
        for (const proof of local.proofs) proofs.set(proof.toString("latin1"), proof);
      }
      all.forEach((local, i) => {
        let next: readonly Local[];
        if (i < hidden) next = this.#attack(local, nonces, proofs);
        else {
          const message = all[i === hidden ? hidden + 1 : hidden]?.sent[local.received];
          const child = message === undefined ? undefined : this.give(local, message);
          next = child === undefined ? [] : [child];
        }
        for (const child of next) {
          const after = all.with(i, child);
          if (child.state.kind === "up") {
            found.accepted++;
            sees(child, after);
          }
          stack.push(after);
        }
      });
    }
  }
}

/** The messages that M can make of the proofs it saw: as they are, and their parts by themselves. */
function regroup(message: Extract<NativeMessage, { kind: "proof" | "confirm" }>): Buffer[] {
  const { cookieMac } = message;
  const signature = message.kind === "proof" ? message.signature : undefined;
  const out = [encodeNative(message)];
  if (signature !== undefined) {
    out.push(encodeNative({ kind: "proof", signature, cookieMac: undefined, invite: undefined }));
  }
  if (cookieMac !== undefined) {
    out.push(encodeNative({ kind: "confirm", cookieMac }));
    out.push(encodeNative({ kind: "proof", signature: undefined, cookieMac, invite: undefined }));
  }
  return out;
}

/** Whether an accepted session has the matching one: the peer's other end, with the same view of `fields`. */
function violation(x: Local, all: readonly Local[], fields: readonly TranscriptField[], method: NativeMethod): string | undefined {
  if (x.state.kind !== "up") return undefined;
  const { session } = x.state;
  const { owner, role } = x.session.kind;
  const peer = (["a", "b"] as const).find((who) => session.publicKey?.equals(KEYS[who]));
  if (peer === owner) return `${x.session.kind.name}: its own key`;
  // M has a key and no cookie: under its key it may be accepted by keys alone.
  if (peer === undefined && method === "key") return undefined;
  const mine = fieldsOf(session.transcript);
  const candidates = all.filter(
    (z) => z !== x && z.session.kind.role !== role && z.session.kind.owner !== owner && "agreed" in withView(z),
  );
  const match = candidates.some((z) => {
    const view = withView(z);
    if (!("agreed" in view)) return false;
    const theirs = fieldsOf(view.agreed);
    return fields.every((field) => theirs.get(field) === mine.get(field));
  });
  return match ? undefined : `${x.session.kind.name} accepted ${session.peer} without the matching session`;
}

function withView(z: Local): { readonly agreed: Transcript } | { readonly nothing: true } {
  if (z.state.kind === "up") return { agreed: z.state.session.transcript };
  return "agreed" in z.state ? { agreed: z.state.agreed.transcript } : { nothing: true };
}

const ALL_FIELDS: readonly TranscriptField[] = TRANSCRIPT_FIELDS;
const DATA_FIELDS: readonly TranscriptField[] = TRANSCRIPT_FIELDS.filter((field) => !CHANNEL_FIELDS.includes(field));

function rules(part: Partial<Rules> & { readonly removed?: ReadonlySet<Part> } = {}): Rules {
  return { removed: new Set(), method: "key", withCookie: [], stolen: ["a", "b"], altered: [], ...part };
}

/** Runs all combinations of `size` sessions, with or without an honest channel from A to B beside them. */
function check(r: Rules, size: number, fields: readonly TranscriptField[], direct = false, stopAtFirst = false): Found {
  const model = new Model(r);
  const found: Found = { states: 0, accepted: 0, violations: new Set() };
  const pick = (from: number, chosen: readonly Kind[]): void => {
    if (stopAtFirst && found.violations.size > 0) return;
    if (chosen.length === size) {
      const start = chosen.map((kind, i) => model.root(kind, chosen.slice(0, i).filter((k) => k === kind).length));
      if (direct) {
        start.push(model.root(KINDS[0] as Kind, 0, "honest"), model.root(KINDS[5] as Kind, 0, "honest"));
      }
      model.explore(start, direct, found, (x, all) => {
        const bad = violation(x, all, fields, r.method === "key" && r.withCookie.length > 0 ? "key-cookie" : r.method);
        if (bad !== undefined) found.violations.add(bad);
      });
      return;
    }
    KINDS.forEach((kind, i) => {
      if (i >= from) pick(i, [...chosen, kind]);
    });
  };
  pick(0, []);
  return found;
}

const ONE_EACH: readonly (readonly Alteration[])[] = [["flags"], ["creation"], ["incarnation"], ["method"], ["versionHigh"]];

describe("the shipped handshake, with an attacker on every channel", () => {
  it.each([
    ["keys", rules({ altered: ONE_EACH })],
    ["keys and cookie", rules({ withCookie: ["a", "b"], altered: ONE_EACH })],
    ["keys, cookie on one side only", rules({ withCookie: ["b"], altered: ONE_EACH })],
    ["cookie only", rules({ method: "cookie", altered: ONE_EACH })],
  ])("by %s: no session without its matching session, two sessions at a time", (name, r) => {
    const found = check(r, 2, ALL_FIELDS);
    console.log(name, found);
    expect([...found.violations]).toEqual([]);
  });
});
