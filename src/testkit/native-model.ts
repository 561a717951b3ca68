import { type AcceptorState, startAcceptor, stepAcceptor } from "../auth/native-acceptor.ts";
import { type DiallerContext, type DiallerState, startDialler, stepDialler } from "../auth/native-dialler.ts";
import type { NativeEvent, NativeStep } from "../auth/native-step.ts";
import {
  encodeTranscript,
  TRANSCRIPT_FIELDS,
  type Transcript,
  type TranscriptField,
} from "../auth/native-transcript.ts";
import { type NativeRole, OpenNonces } from "../auth/native-types.ts";
import type { NodeName } from "../base/node-name.ts";
import { signatureInput } from "../identity/signed-text.ts";
import { DEFAULT_FLAGS } from "../wire/flags.ts";
import { decodeNative, encodeNative, type Hello, type NativeMethod } from "../wire/native-handshake.ts";
import {
  type Alteration,
  CERTIFICATES,
  COOKIE,
  CREATIONS,
  INCARNATIONS,
  KEYS,
  KINDS,
  type Kind,
  M_NONCE,
  NAMES,
  OTHER_FLAGS,
  type Owner,
  type Rules,
  regroup,
  SEEDS,
} from "./native-world.ts";
import { SymbolicCrypto } from "./symbolic-crypto.ts";

const CONFIRM = encodeNative({ kind: "confirm", cookieMac: undefined });
/** Stands among the proofs for the one that M signs itself. */
const OWN = "own";

/** One honest session after the messages it was given, and what it has told M by then. */
export interface Local {
  readonly id: number;
  readonly session: Session;
  readonly state: DiallerState | AcceptorState;
  readonly received: number;
  readonly sent: readonly Buffer[];
  readonly nonces: readonly Buffer[];
  readonly proofs: readonly Buffer[];
  readonly children: Map<string, Local | undefined>;
  readonly next: Map<string, readonly Local[]>;
}

interface Session {
  readonly kind: Kind;
  readonly start: () => NativeStep<DiallerState | AcceptorState>;
  readonly step: (state: DiallerState | AcceptorState, event: NativeEvent) => NativeStep<DiallerState | AcceptorState>;
}

/** What an exploration found. */
export interface Found {
  states: number;
  accepted: number;
  readonly violations: Set<string>;
}

/** The fields of a transcript in hex. */
export function fieldsOf(transcript: Transcript): Map<TranscriptField, string> {
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

/** The reachable states of a set of sessions under one set of rules. */
export class Model {
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
    // In old runs each node used one nonce and told it to all: fewer values, more for M to mix.
    const nonce = Buffer.alloc(32, copy >= 3 ? 0xf0 + (owner === "a" ? 0 : 1) : 0x80 + number);
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
        judgeInvite: () => "unknown",
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

  #local(
    session: Session,
    first: NativeStep<DiallerState | AcceptorState>,
    parent: Local | undefined,
  ): Local | undefined {
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
      next: new Map(),
    };
  }

  /** All sessions that follow from a HELLO with this nonce which is not refused at once. */
  #hellos(local: Local, nonce: Buffer): readonly Local[] {
    const key = nonce.toString("latin1");
    const known = local.next.get(key);
    if (known !== undefined) return known;
    const next: Local[] = [];
    for (const who of ["a", "b", "m"] as const) {
      for (const publicKey of this.#rules.method === "cookie" ? [KEYS.m] : Object.values(KEYS)) {
        const add = (like: Owner | "m", altered: readonly Alteration[]): void => {
          const child = this.give(local, encodeNative(this.#hello(NAMES[who], publicKey, nonce, like, altered)));
          if (child !== undefined) next.push(child);
        };
        for (const like of this.#rules.mixed ? (["a", "b", "m"] as const) : [who]) add(like, []);
        for (const altered of this.#rules.altered) add(who, altered);
      }
    }
    local.next.set(key, next);
    return next;
  }

  #hello(name: NodeName, publicKey: Buffer, nonce: Buffer, like: Owner | "m", altered: readonly Alteration[]): Hello {
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

  /**
   * What follows when M gives `local` something it can build. Steps that tell M nothing are taken together with the next
   * one: a dialler answers HELLO with silence, an acceptor's CONFIRM needs no knowledge to be answered. M gains nothing
   * by waiting between the two.
   */
  #attack(local: Local, nonces: ReadonlyMap<string, Buffer>, proofs: ReadonlyMap<string, Buffer>): readonly Local[] {
    const { state } = local;
    const next: Local[] = [];
    if (state.kind === "expect-hello") {
      const isSilent = local.session.kind.role === "dialler" && this.#rules.method !== "cookie";
      for (const nonce of nonces.values()) {
        if (!isSilent) next.push(...this.#hellos(local, nonce));
        else for (const [id, proof] of proofs) next.push(...this.#helloAndProof(local, nonce, id, proof));
      }
    } else if (state.kind === "expect-proof" || state.kind === "expect-confirm") {
      for (const [id, proof] of proofs) next.push(...this.#prove(local, id, proof));
    }
    return next;
  }

  #helloAndProof(local: Local, nonce: Buffer, id: string, proof: Buffer): readonly Local[] {
    const key = `${nonce.toString("latin1")}/${id}`;
    let next = local.next.get(key);
    if (next === undefined) {
      next = this.#hellos(local, nonce).flatMap((child) => this.#prove(child, id, proof));
      local.next.set(key, next);
    }
    return next;
  }

  #prove(local: Local, id: string, proof: Buffer): readonly Local[] {
    const known = local.next.get(id);
    if (known !== undefined) return known;
    const { state, session } = local;
    const mine = id === OWN && state.kind === "expect-proof";
    const child = this.give(local, mine ? this.#ownProof(session.kind.role, state.agreed.transcript) : proof);
    const next: Local[] = [];
    if (child !== undefined) {
      const isWaiting = session.kind.role === "acceptor" && child.state.kind === "expect-confirm";
      const last = isWaiting ? this.give(child, CONFIRM) : child;
      if (isWaiting) next.push(child);
      if (last !== undefined) next.push(last);
    }
    local.next.set(id, next);
    return next;
  }

  /** M signs with its own key what the receiver expects of the other role. */
  #ownProof(receiver: NativeRole, transcript: Transcript): Buffer {
    const label = receiver === "dialler" ? "sallyport/1 acceptor proof" : "sallyport/1 dialler proof";
    const signature = this.#crypto.ed25519Sign(
      SEEDS.m,
      signatureInput(label, encodeTranscript(transcript), this.#crypto),
    );
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
  explore(
    start: readonly Local[],
    direct: boolean,
    found: Found,
    sees: (x: Local, all: readonly Local[]) => "stop" | undefined,
  ): void {
    const old = this.#rules.old ? this.#oldRuns() : [];
    const seen = new Set<string>();
    const stack: (readonly Local[])[] = [start];
    const hidden = direct ? start.length - 2 : start.length;
    for (let all = stack.pop(); all !== undefined; all = stack.pop()) {
      const key = all.map((local) => local.id).join();
      if (seen.has(key)) continue;
      seen.add(key);
      found.states++;
      const nonces = new Map<string, Buffer>([["m", M_NONCE]]);
      const proofs = new Map<string, Buffer>([[OWN, CONFIRM]]);
      for (const local of [...old, ...all.slice(0, hidden)]) {
        for (const nonce of local.nonces) nonces.set(nonce.toString("latin1"), nonce);
        for (const proof of local.proofs) proofs.set(proof.toString("latin1"), proof);
      }
      for (const [i, local] of all.entries()) {
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
            if (sees(child, after) === "stop") return;
            // Its view stands in the state before as well; only what it told M on the way makes a difference.
            if (i < hidden && child.proofs.length === local.proofs.length) continue;
          }
          stack.push(after);
        }
      }
    }
  }
}
