import { type Assurance, assuranceAtLeast } from "../base/assurance.ts";
import type { SallyportError } from "../base/errors.ts";
import type { IdentityCrypto } from "../base/identity-crypto.ts";
import { type NodeName, sameNode } from "../base/node-name.ts";
import { keyFault, type PublicKey, sameKey, tryPublicKey } from "../identity/public-key.ts";
import { type MacLabel, macInput } from "../identity/signed-text.ts";
import type { SuccessionChain } from "../identity/succession.ts";
import { commonFlags, missingMandatory } from "../wire/flags.ts";
import { encodeNative, type Hello, type NativeMessage, type NativeMethod } from "../wire/native-handshake.ts";
import {
  bindingMissing,
  keyUnsafe,
  type NativeFailure,
  nativeFlagsMissing,
  nonceReflected,
  ownKeyShown,
  selfConnect,
} from "./native-failures.ts";
import { encodeTranscript, type Transcript, type TranscriptSide } from "./native-transcript.ts";
import type {
  Arbitration,
  ArbitrationQuestion,
  ChannelBinding,
  CommitAnswer,
  CommitRequest,
  NativeIdentity,
  NativeRole,
  NativeSession,
  NativeTools,
  TrustAnswer,
  TrustQuestion,
} from "./native-types.ts";

// What both native machines share: events, outputs, and the checks that both make of a HELLO.

/** What can happen to a machine. Answers that nobody waits for are ignored. */
export type NativeEvent =
  | { readonly kind: "message"; readonly message: NativeMessage }
  | { readonly kind: "trust"; readonly answer: TrustAnswer }
  | { readonly kind: "arbitrated"; readonly answer: Arbitration }
  | { readonly kind: "committed"; readonly answer: CommitAnswer };

/** What a machine wants done. A question is always the last output of its step. */
export type NativeOutput =
  | { readonly kind: "send"; readonly bytes: Buffer }
  | { readonly kind: "ask-trust"; readonly question: TrustQuestion }
  | { readonly kind: "arbitrate"; readonly question: ArbitrationQuestion }
  | { readonly kind: "commit"; readonly request: CommitRequest }
  | { readonly kind: "up"; readonly session: NativeSession };

/** One step of a machine. With a failure the state is `ended`, and REFUSE is among the outputs where the peer is told. */
export interface NativeStep<S> {
  readonly state: S;
  readonly outputs: readonly NativeOutput[];
  readonly failure: SallyportError | undefined;
}

/** Nothing is taken and nothing is said any more. */
export interface Ended {
  readonly kind: "ended";
}

/** The facts of the TLS session, complete. */
export interface BoundChannel {
  readonly exporter: Buffer;
  readonly ownCertificateHash: Buffer;
  readonly peerCertificateHash: Buffer;
}

/** What a machine is given for its whole life. */
export interface NativeContext {
  readonly own: NativeIdentity;
  readonly tools: NativeTools;
  readonly channel: BoundChannel;
}

/** Both HELLOs are known and the cheap checks passed. Nothing is proven. */
export interface Agreed {
  readonly transcript: Transcript;
  /** `T` and `H`. */
  readonly bytes: Buffer;
  readonly hash: Buffer;
  readonly peer: TranscriptSide;
  /** Undefined in cookie-only mode. */
  readonly peerKey: PublicKey | undefined;
}

export function proceed<S>(state: S, ...outputs: readonly NativeOutput[]): NativeStep<S> {
  return { state, outputs, failure: undefined };
}

export function fail<S>({ error, tell }: NativeFailure, ...before: readonly NativeOutput[]): NativeStep<S | Ended> {
  const outputs = tell === undefined ? before : [...before, send({ kind: "refuse", reason: tell })];
  return { state: { kind: "ended" }, outputs, failure: error };
}

export function send(message: NativeMessage): NativeOutput {
  return { kind: "send", bytes: encodeNative(message) };
}

/** Takes what the proofs bind to; anything missing is a refusal, never a weaker proof (rulings S1, X-15). */
export function bindChannel(channel: ChannelBinding, crypto: IdentityCrypto): BoundChannel | NativeFailure {
  const { exporter, ownCertificate, peerCertificate } = channel;
  if (exporter === undefined || exporter.length !== 32) return bindingMissing("exporter");
  if (ownCertificate === undefined || ownCertificate.length === 0) return bindingMissing("certificate of our own");
  if (peerCertificate === undefined || peerCertificate.length === 0) return bindingMissing("certificate of the peer");
  return {
    exporter,
    ownCertificateHash: crypto.sha256(ownCertificate),
    peerCertificateHash: crypto.sha256(peerCertificate),
  };
}

/** Our own half of the transcript. In cookie-only mode there is no key in it. */
export function ownSide(context: NativeContext, method: NativeMethod): TranscriptSide {
  const { own, tools, channel } = context;
  return {
    name: own.name,
    method,
    creation: own.creation,
    incarnation: own.incarnation,
    publicKey: method === "cookie" ? Buffer.alloc(32) : own.publicKey,
    nonce: tools.random.bytes(32),
    flags: own.flags,
    certificateHash: channel.ownCertificateHash,
  };
}

export function helloOf(side: TranscriptSide, versionLow: number, versionHigh: number): NativeMessage {
  const { name, method, creation, incarnation, publicKey, nonce, flags } = side;
  return { kind: "hello", versionLow, versionHigh, method, flags, creation, incarnation, publicKey, nonce, name };
}

/** The peer's half, from its HELLO. */
export function peerSide(hello: Hello, channel: BoundChannel): TranscriptSide {
  const { name, method, creation, incarnation, publicKey, nonce, flags } = hello;
  const certificateHash = channel.peerCertificateHash;
  return { name, method, creation, incarnation, publicKey, nonce, flags, certificateHash };
}

/**
 * The checks of a HELLO that need no proof, all of them before anything is signed: a node that answers its own name, key
 * or nonce can be made to vouch for itself (barrel-auth 14.2), and small-order keys verify anything.
 */
export function checkHello(context: NativeContext, hello: Hello): NativeFailure | undefined {
  const { own, tools } = context;
  if (sameNode(hello.name, own.name)) return selfConnect(hello.name);
  if (tools.openNonces.has(hello.nonce)) return nonceReflected(hello.name);
  if (hello.method !== "cookie") {
    const fault = keyFault(hello.publicKey);
    if (fault !== undefined) return keyUnsafe(hello.name, fault);
    if (tools.crypto.equal(hello.publicKey, own.publicKey)) return ownKeyShown(hello.name);
  }
  const missing = missingMandatory(hello.flags);
  return missing.length === 0 ? undefined : nativeFlagsMissing(hello.name, missing);
}

export function agree(context: NativeContext, transcript: Transcript, peer: TranscriptSide): Agreed {
  const bytes = encodeTranscript(transcript);
  const peerKey = peer.method === "cookie" ? undefined : tryPublicKey(peer.publicKey);
  return { transcript, bytes, hash: context.tools.crypto.sha512(bytes), peer, peerKey };
}

/** Whether the statements speak of this peer and end at the key it shows. All else is judged against the pin. */
export function leadsTo(chain: SuccessionChain, peer: NodeName, key: PublicKey | undefined): boolean {
  const last = chain[chain.length - 1];
  if (last === undefined || key === undefined) return false;
  return sameKey(last.newKey, key) && chain.every((statement) => sameNode(statement.name, peer));
}

/** A keyed digest over the transcript. 32 bytes. */
export function macOf(context: NativeContext, label: MacLabel, key: Uint8Array, agreed: Agreed): Buffer {
  return context.tools.crypto.hmacSha256(key, macInput(label, agreed.hash));
}

/** What the owner gets when the handshake ended well. */
export function sessionOf(
  context: NativeContext,
  role: NativeRole,
  agreed: Agreed,
  granted: Pick<NativeSession, "assurance" | "inviteProven" | "moves">,
): NativeSession {
  const { peer, peerKey, transcript, hash } = agreed;
  return {
    role,
    peer: peer.name,
    peerCreation: peer.creation,
    peerIncarnation: peer.incarnation,
    flags: commonFlags(context.own.flags, peer.flags),
    method: peer.method,
    publicKey: peerKey,
    assurance: granted.assurance,
    inviteProven: granted.inviteProven,
    moves: granted.moves,
    transcript,
    transcriptHash: hash,
  };
}

/** A shared secret alone never vouches for more than itself (design D3). */
export function capped(method: NativeMethod, assurance: Assurance): Assurance {
  return method === "cookie" && assuranceAtLeast(assurance, "cookie") ? "cookie" : assurance;
}
