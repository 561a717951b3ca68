// What an attacker does differently from an honest peer, for tables of attacks.
import type { Bend, Step } from "./native-client.ts";
import type { Hello, Told } from "./native-frames.ts";
import type { Fields } from "./native-transcript.ts";

/** What a refusal must have been, seen from both ends. */
export interface Refused {
  /** The victim's own reason. */
  readonly reason: string;
  /** What the peer heard; undefined: nothing. */
  readonly told: Told | undefined;
  /** The victim may cut the connection with its answer still on the way: the peer broke the rules amid its own writes. */
  readonly isCut?: boolean;
}

/** The row of the list of attacks, what is done, how, and what comes of it. */
export type Attack = readonly [row: string, title: string, bend: Bend | (() => Bend), refused: Refused];

/** Every cause of identity looks like this to the peer. */
export const auth = (reason: string): Refused => ({ reason, told: "auth" });
export const PROOF_INVALID = auth("PROOF_INVALID");
export const NONE = Buffer.alloc(0);
export const UNEXPECTED = auth("HANDSHAKE_UNEXPECTED");
export const KEY_UNSAFE = auth("KEY_UNSAFE");
export const BAD_FIELD = auth("HANDSHAKE_BAD_FIELD");

export const hello = (fields: Partial<Hello>): Bend => ({ hello: fields });
export const fields = (change: (honest: Fields) => Partial<Fields>): Bend => ({ fields: change });
/** Other bytes at one step. */
export const instead = (at: Step, change: (honest: Buffer) => Buffer): Bend => ({
  say: (step, honest) => (step === at ? change(honest) : honest),
});
export const before = (at: Step, ...frames: readonly Buffer[]): Bend =>
  instead(at, (honest) => Buffer.concat([...frames, honest]));
export const after = (at: Step, ...frames: readonly Buffer[]): Bend =>
  instead(at, (honest) => Buffer.concat([honest, ...frames]));

export const flip = (bytes: Buffer, at: number): Buffer => {
  const out = Buffer.from(bytes);
  out[at] = (out[at] ?? 0) ^ 1;
  return out;
};

/** Encodings of points of small order, and of points above the field (RFC 8032 5.1.3 refuses them). */
export const BAD_POINTS: readonly string[] = [
  `01${"00".repeat(31)}`,
  `01${"00".repeat(30)}80`,
  "00".repeat(32),
  `${"00".repeat(31)}80`,
  `ec${"ff".repeat(30)}7f`,
  `ec${"ff".repeat(31)}`,
  `ed${"ff".repeat(30)}7f`,
  `ee${"ff".repeat(30)}7f`,
  `ed${"ff".repeat(31)}`,
  `ee${"ff".repeat(31)}`,
  "ff".repeat(32),
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
];

/** A signature that holds for any message under the identity point: R is the identity, S is zero. */
export const UNIVERSAL = Buffer.from(`01${"00".repeat(63)}`, "hex");

export const BAD_NAMES: readonly (readonly [string, string | Buffer])[] = [
  ["a path upwards", "../../x@h"],
  ["a path in the host", "x@h/../../y"],
  ["a NUL", "x@h\0"],
  ["no host", "x@"],
  ["no name", "@h"],
  ["only an at sign", "@"],
  ["nothing", ""],
  ["two at signs", "x@h@h"],
  ["no at sign", "evil"],
  ["a backslash", "x@h\\y"],
  ["a line break", "x@h\n{}"],
  ["an escape", "x\u001b[2J@h"],
  ["a right-to-left mark in UTF-8", Buffer.from("x\u202e@h")],
  ["é composed", Buffer.from("caf\u00e9@h")],
  ["é decomposed", Buffer.from("cafe\u0301@h")],
  ["a Cyrillic a", Buffer.from("\u0430@h")],
  ["a kelvin sign", Buffer.from("\u212a@h")],
  ["invalid UTF-8", Buffer.from("78ff40c3", "hex")],
  ["a space before", " evil@127.0.0.1"],
  ["a space behind", "evil@127.0.0.1 "],
  ["a dot in the name", "../x@h"],
];
