import type { NodeName } from "../base/node-name.ts";

// The messages of barrel's auth v2, decoded (barrel-auth section 3).

/** Type 1: who one side says it is. Nothing is proven. The key was not judged yet. */
export interface BarrelHello {
  readonly kind: "hello";
  readonly name: NodeName;
  /** 32 bytes, the receiver's own copy. */
  readonly publicKey: Buffer;
}

/** Type 2: what the other side is to sign. */
export interface BarrelChallenge {
  readonly kind: "challenge";
  /** 32 bytes, the receiver's own copy. */
  readonly nonce: Buffer;
  /** The sender's clock: unix milliseconds, 64 bits. */
  readonly timestampMs: bigint;
}

/** Type 3: the Ed25519 signature, 64 bytes, the receiver's own copy. */
export interface BarrelResponse {
  readonly kind: "response";
  readonly signature: Buffer;
}

/** Type 4, listener to dialler only. */
export interface BarrelOk {
  readonly kind: "ok";
}

/** Type 5. The reason is text of the peer; received, it is already escaped and cut. */
export interface BarrelFail {
  readonly kind: "fail";
  readonly reason: string;
}

export type BarrelMessage = BarrelHello | BarrelChallenge | BarrelResponse | BarrelOk | BarrelFail;

/** The words of FAIL that exist on the wire. */
export type BarrelFailWord = "key_mismatch" | "untrusted_key" | "signature_invalid";

/** Why bytes are no message, in barrel's words; the version is a failure of its own. */
export type BarrelDecodeFault =
  | "malformed_message"
  | "invalid_hello_payload"
  | "invalid_node_name"
  | "invalid_challenge_payload"
  | "invalid_response_payload"
  | "invalid_fail_payload"
  | "unknown_message_type";
