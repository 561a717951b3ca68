import { type Assurance, assuranceAtLeast } from "../base/assurance.ts";
import { addMs, type MonotonicMs } from "../base/clock.ts";
import type { SallyportError } from "../base/errors.ts";
import { type NodeName, sameNode } from "../base/node-name.ts";
import { barrelProofInput } from "../identity/barrel-proof.ts";
import { keyFault, type PublicKey, tryPublicKey } from "../identity/public-key.ts";
import { encodeBarrel } from "./barrel-codec.ts";
import {
  type BarrelFailure,
  type BarrelSaid,
  clockSkew,
  keyUnsafe,
  nonceReflected,
  ownKeyShown,
  proofInvalid,
  selfConnect,
} from "./barrel-failures.ts";
import type { BarrelChallenge, BarrelFailWord, BarrelHello, BarrelMessage, BarrelResponse } from "./barrel-messages.ts";
import { barrelNonce, isDiallersNonce } from "./barrel-nonce.ts";
import {
  BARREL_WINDOW_MS,
  type BarrelIdentity,
  type BarrelRole,
  type BarrelSession,
  type BarrelTools,
  type BarrelTrustAnswer,
  type BarrelTrustQuestion,
} from "./barrel-types.ts";

// What both machines of barrel's auth v2 share: events, outputs, checks (barrel-auth sections 3 to 6).

/** What can happen to a machine. An answer that nobody waits for is ignored. */
export type BarrelEvent =
  | { readonly kind: "message"; readonly message: BarrelMessage }
  | { readonly kind: "trust"; readonly answer: BarrelTrustAnswer };

/** What a machine wants done. A question is always the last output of its step. */
export type BarrelOutput =
  | { readonly kind: "send"; readonly message: BarrelSaid; readonly bytes: Buffer }
  /** Ends our auth stream. */
  | { readonly kind: "finish" }
  | { readonly kind: "ask-trust"; readonly question: BarrelTrustQuestion }
  | { readonly kind: "authenticated"; readonly session: BarrelSession };

/** One step. With a failure the state is `ended`, and FAIL is among the outputs where the peer gets a word. */
export interface BarrelStep<S> {
  readonly state: S;
  readonly outputs: readonly BarrelOutput[];
  readonly failure: SallyportError | undefined;
}

/** Nothing is taken and nothing is said any more. */
export interface Ended {
  readonly kind: "ended";
}

/** What a machine is given for its whole life. */
export interface BarrelContext {
  readonly own: BarrelIdentity;
  readonly tools: BarrelTools;
  /** SHA-256 of the listener's certificate (DER). */
  readonly binding: Buffer;
  /** When the connection was secured, by both clocks; the wall clock is not read again. */
  readonly startedAt: MonotonicMs;
  readonly startedWallMs: number;
}

/** Who the peer claims to be, with a key that may be used. */
export interface Claimed {
  readonly name: NodeName;
  readonly publicKey: PublicKey;
}

/** The trust store let the claim pass; nothing is proven. */
export interface Granted extends Claimed {
  readonly assurance: Assurance;
}

/** Our CHALLENGE. */
export interface OwnChallenge {
  readonly nonce: Buffer;
  readonly timestampMs: bigint;
  readonly sentAt: MonotonicMs;
}

export function proceed<S>(state: S, ...outputs: readonly BarrelOutput[]): BarrelStep<S> {
  return { state, outputs, failure: undefined };
}

/** Ends badly. `hasStream`: our stream was opened, so it gets a FIN. A word for the peer opens it where need be. */
export function fail(failure: BarrelFailure, hasStream: boolean): BarrelStep<Ended> {
  const outputs: BarrelOutput[] = [];
  if (failure.tell !== undefined) outputs.push(sendFail(failure.tell));
  if (hasStream || outputs.length > 0) outputs.push({ kind: "finish" });
  return { state: { kind: "ended" }, outputs, failure: failure.error };
}

export function send(message: BarrelMessage): BarrelOutput {
  return { kind: "send", message: message.kind, bytes: encodeBarrel(message) };
}

function sendFail(reason: BarrelFailWord): BarrelOutput {
  return send({ kind: "fail", reason });
}

export function sendHello({ own }: BarrelContext): BarrelOutput {
  return send({ kind: "hello", name: own.name, publicKey: own.publicKey });
}

export function makeChallenge(
  { tools, startedAt, startedWallMs }: BarrelContext,
  role: BarrelRole,
  now: MonotonicMs,
): OwnChallenge {
  const timestampMs = BigInt(Math.floor(wallAt(startedAt, startedWallMs, now)));
  const nonce = tools.nonceFor?.(role) ?? barrelNonce(role, tools.random, tools.crypto);
  return { nonce, timestampMs, sentAt: now };
}

export function sendChallenge({ nonce, timestampMs }: OwnChallenge): BarrelOutput {
  return send({ kind: "challenge", nonce, timestampMs });
}

/**
 * Whether a HELLO is of this node's own name or key, before anything is asked or signed: barrel signs for whoever asks, so a node that
 * answers itself can be made to vouch for itself (section 14, finding 2).
 */
export function checkNotOwn({ own }: BarrelContext, { name, publicKey }: BarrelHello): BarrelFailure | undefined {
  if (sameNode(name, own.name)) return selfConnect(name);
  return own.publicKey.equals(publicKey) ? ownKeyShown(name) : undefined;
}

/** Who a HELLO says that it is; small-order keys verify anything. */
export function claimOf({ name, publicKey: shown }: BarrelHello): Claimed | BarrelFailure {
  const publicKey = tryPublicKey(shown);
  return publicKey === undefined ? keyUnsafe(name, keyFault(shown) ?? "KEY_SIZE") : { name, publicKey };
}

/**
 * Whether the peer's CHALLENGE may be answered: its clock is near ours, and its nonce is none that we wait for ourselves, nor, where
 * we dial, one that another dialler made.
 */
export function checkChallenge(
  { tools, startedAt, startedWallMs }: BarrelContext,
  role: BarrelRole,
  peer: NodeName,
  challenge: BarrelChallenge,
  now: MonotonicMs,
): BarrelFailure | undefined {
  if (tools.openNonces.has(challenge.nonce)) return nonceReflected(peer, "this node");
  if (role === "dialler" && isDiallersNonce(challenge.nonce, tools.crypto))
    return nonceReflected(peer, "another dialler");
  const limitMs = 2 * (tools.windowMs ?? BARREL_WINDOW_MS);
  const skewMs = Number(challenge.timestampMs) - wallAt(startedAt, startedWallMs, now);
  return Math.abs(skewMs) > limitMs ? clockSkew(peer, Math.round(skewMs), limitMs) : undefined;
}

export function sendResponse({ own, binding }: BarrelContext, challenge: BarrelChallenge): BarrelOutput {
  const { nonce, timestampMs } = challenge;
  return send({ kind: "response", signature: own.signBarrelProof({ nonce, timestampMs, binding }) });
}

/** Whether the peer's RESPONSE proves its key: over the challenge that we sent, in time. */
export function checkResponse(
  { tools, binding }: BarrelContext,
  { name, publicKey }: Claimed,
  { nonce, timestampMs, sentAt }: OwnChallenge,
  { signature }: BarrelResponse,
  now: MonotonicMs,
  tell: BarrelFailWord | undefined,
): BarrelFailure | undefined {
  const signed = barrelProofInput({ nonce, timestampMs, signer: publicKey, binding });
  if (!tools.crypto.ed25519Verify(publicKey, signed, signature)) return proofInvalid(name, false, tell);
  const isLate = now > addMs(sentAt, tools.windowMs ?? BARREL_WINDOW_MS);
  return isLate ? proofInvalid(name, true, tell) : undefined;
}

/** At most `cookie`. */
export function capped(assurance: Assurance): Assurance {
  return assuranceAtLeast(assurance, "cookie") ? "cookie" : assurance;
}

function wallAt(startedAt: MonotonicMs, startedWallMs: number, now: MonotonicMs): number {
  return startedWallMs + (now - startedAt);
}
