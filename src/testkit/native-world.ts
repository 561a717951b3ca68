import type { CookieKey } from "../auth/native-cookie.ts";
import type { TranscriptField } from "../auth/native-transcript.ts";
import type { NativeRole } from "../auth/native-types.ts";
import { type NodeName, parseNodeName } from "../base/node-name.ts";
import { type PublicKey, parsePublicKey } from "../identity/public-key.ts";
import { DEFAULT_FLAGS } from "../wire/flags.ts";
import { encodeNative, type NativeMessage, type NativeMethod } from "../wire/native-handshake.ts";
import { SymbolicCrypto } from "./symbolic-crypto.ts";

// Exhaustive check of the shipped step functions with perfect cryptography. Two honest nodes A and B dial and accept; the
// attacker M ends TLS on every channel it is on (each has an exporter of its own), knows old runs, has a key of its own,
// and gives any session any message it can build. A session accepted under an honest key, or under a shared cookie, must
// have its matching session on the other honest node.

export type Owner = "a" | "b";
/** A part that can be taken away: a field of the transcript, or the role in the labels. */
export type Part = TranscriptField | "role";

export const NAMES: Readonly<Record<Owner | "m", NodeName>> = {
  a: parseNodeName("a@h"),
  b: parseNodeName("b@h"),
  m: parseNodeName("m@h"),
};
const seed = (who: number): Buffer => Buffer.alloc(32, who);
export const SEEDS: Readonly<Record<Owner | "m", Buffer>> = { a: seed(0x11), b: seed(0x12), m: seed(0x13) };
export const KEYS: Readonly<Record<Owner | "m", PublicKey>> = {
  a: parsePublicKey(new SymbolicCrypto().ed25519PublicKey(SEEDS.a), "a"),
  b: parsePublicKey(new SymbolicCrypto().ed25519PublicKey(SEEDS.b), "b"),
  m: parsePublicKey(new SymbolicCrypto().ed25519PublicKey(SEEDS.m), "m"),
};
export const CERTIFICATES: Readonly<Record<Owner | "m", Buffer>> = {
  a: Buffer.alloc(32, 0x21),
  b: Buffer.alloc(32, 0x22),
  m: Buffer.alloc(32, 0x23),
};
export const INCARNATIONS: Readonly<Record<Owner | "m", bigint>> = { a: 101n, b: 102n, m: 103n };
export const CREATIONS: Readonly<Record<Owner | "m", number>> = { a: 11, b: 12, m: 13 };
export const COOKIE: CookieKey = { key: Buffer.alloc(32, 0x77), cookieBytes: 32 };
/** A flag that no one demands, to be told from the honest HELLO. */
export const OTHER_FLAGS: bigint = DEFAULT_FLAGS ^ 1n;
export const M_NONCE: Buffer = Buffer.alloc(32, 0x33);

export interface Rules {
  readonly removed: ReadonlySet<Part>;
  readonly method: NativeMethod;
  /** Nodes that have the cookie, with method `key-cookie`. */
  readonly withCookie: readonly Owner[];
  /** TLS keys of honest nodes that M holds: it can show their certificates. */
  readonly stolen: readonly Owner[];
  /** Which fields M alters in a HELLO, alone or together, besides mixing names, keys and nonces of all. */
  readonly altered: readonly (readonly Alteration[])[];
  /** Whether M also mixes names with creations and incarnations of other nodes. */
  readonly mixed: boolean;
  /** Whether M knows old runs. */
  readonly old: boolean;
}
export type Alteration = "flags" | "creation" | "incarnation" | "method" | "versionHigh";

/** One honest session. `with` is M, or the number of the honest session at the other end of an undisturbed channel. */
export interface Kind {
  readonly name: string;
  readonly owner: Owner;
  readonly role: NativeRole;
  readonly target: NodeName;
}
export const KINDS: readonly Kind[] = [
  { name: "A dials b", owner: "a", role: "dialler", target: NAMES.b },
  { name: "A dials m", owner: "a", role: "dialler", target: NAMES.m },
  { name: "A accepts", owner: "a", role: "acceptor", target: NAMES.a },
  { name: "B dials a", owner: "b", role: "dialler", target: NAMES.a },
  { name: "B dials m", owner: "b", role: "dialler", target: NAMES.m },
  { name: "B accepts", owner: "b", role: "acceptor", target: NAMES.b },
];

/** The messages that M can make of the proofs it saw: as they are, and their parts by themselves. */
export function regroup(message: Extract<NativeMessage, { kind: "proof" | "confirm" }>): Buffer[] {
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

/** Rules with what is not given left at the strongest attacker and the full transcript. */
export function rules(part: Partial<Rules> & { readonly removed?: ReadonlySet<Part> } = {}): Rules {
  return {
    removed: new Set(),
    method: "key",
    withCookie: [],
    stolen: ["a", "b"],
    altered: [],
    mixed: false,
    old: true,
    ...part,
  };
}

/** The ways of proving oneself, each with what it changes in the rules. */
export const METHODS: readonly (readonly [string, Partial<Rules>])[] = [
  ["keys", {}],
  ["keys and cookie", { withCookie: ["a", "b"] }],
  ["keys, with a cookie on one side only", { withCookie: ["b"] }],
  ["cookie only", { method: "cookie" }],
];
