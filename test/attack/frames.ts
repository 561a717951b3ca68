// Handshake messages and distribution frames as an attacker writes them, from the specification alone.
import { createHash } from "node:crypto";
import { atom, type Bytes, int, join, list, tuple, u8, u16, u32, u64 } from "./etf.ts";

/** What a hidden node of OTP 25 sends, with fragments. */
export const FLAGS = 0xd_07df_5fbcn;
/** The same without fragments: pass-through frames. */
export const FLAGS_PLAIN = 0xd_075f_5fbcn;

export function digest(cookie: string, challenge: number): Bytes {
  return createHash("md5")
    .update(cookie)
    .update(String(challenge >>> 0))
    .digest();
}

export function sendName(name: string | Bytes, flags: bigint = FLAGS, creation = 77): Bytes {
  const text = typeof name === "string" ? Buffer.from(name, "latin1") : name;
  return join(u8(0x4e), u64(flags), u32(creation), u16(text.length), text);
}

export function challengeReply(challenge: number, proof: Bytes): Bytes {
  return join(u8(0x72), u32(challenge), proof);
}

export function status(text: string): Bytes {
  return Buffer.from(`s${text}`, "latin1");
}

export function challenge(name: string, value: number, flags: bigint = FLAGS, creation = 77): Bytes {
  const text = Buffer.from(name, "latin1");
  return join(u8(0x4e), u64(flags), u32(value), u32(creation), u16(text.length), text);
}

export function challengeAck(proof: Bytes): Bytes {
  return join(u8(0x61), proof);
}

/** `headers`: `83 44 00 control payload`; `plain`: `70 83 control 83 payload`. */
export type Style = "headers" | "plain";

export function message(style: Style, control: Bytes, payload?: Bytes): Bytes {
  if (style === "headers") return join(Buffer.from("834400", "hex"), control, payload ?? Buffer.alloc(0));
  return payload === undefined
    ? join(Buffer.from("7083", "hex"), control)
    : join(Buffer.from("7083", "hex"), control, u8(0x83), payload);
}

export function firstFragment(seq: bigint, id: bigint, control: Bytes, part: Bytes): Bytes {
  return join(Buffer.from("8345", "hex"), u64(seq), u64(id), u8(0), control, part);
}

export function nextFragment(seq: bigint, id: bigint, part: Bytes): Bytes {
  return join(Buffer.from("8346", "hex"), u64(seq), u64(id), part);
}

const NO_COOKIE = atom("");

/** Control messages by name; the arguments are terms, nothing is checked. */
export const op = {
  link: (from: Bytes, to: Bytes): Bytes => tuple(int(1), from, to),
  send: (to: Bytes): Bytes => tuple(int(2), NO_COOKIE, to),
  exit: (from: Bytes, to: Bytes, reason: Bytes): Bytes => tuple(int(3), from, to, reason),
  unlink: (from: Bytes, to: Bytes): Bytes => tuple(int(4), from, to),
  nodeLink: (): Bytes => tuple(int(5)),
  regSend: (from: Bytes, name: string): Bytes => tuple(int(6), from, NO_COOKIE, atom(name)),
  groupLeader: (leader: Bytes, to: Bytes): Bytes => tuple(int(7), leader, to),
  exit2: (from: Bytes, to: Bytes, reason: Bytes): Bytes => tuple(int(8), from, to, reason),
  sendTraced: (to: Bytes, token: Bytes): Bytes => tuple(int(12), NO_COOKIE, to, token),
  regSendTraced: (from: Bytes, name: string, token: Bytes): Bytes => tuple(int(16), from, NO_COOKIE, atom(name), token),
  monitor: (from: Bytes, target: Bytes, ref: Bytes): Bytes => tuple(int(19), from, target, ref),
  demonitor: (from: Bytes, target: Bytes, ref: Bytes): Bytes => tuple(int(20), from, target, ref),
  monitorExit: (target: Bytes, to: Bytes, ref: Bytes, reason: Bytes): Bytes => tuple(int(21), target, to, ref, reason),
  sendSender: (from: Bytes, to: Bytes): Bytes => tuple(int(22), from, to),
  payloadExit: (from: Bytes, to: Bytes): Bytes => tuple(int(24), from, to),
  payloadExit2: (from: Bytes, to: Bytes): Bytes => tuple(int(26), from, to),
  payloadMonitorExit: (target: Bytes, to: Bytes, ref: Bytes): Bytes => tuple(int(28), target, to, ref),
  spawnRequest: (
    ref: Bytes,
    from: Bytes,
    leader: Bytes,
    mfa: readonly [string, string, number],
    ...options: readonly string[]
  ): Bytes =>
    tuple(int(29), ref, from, leader, tuple(atom(mfa[0]), atom(mfa[1]), int(mfa[2])), list(...options.map(atom))),
  spawnReply: (ref: Bytes, to: Bytes, flags: number, result: Bytes): Bytes =>
    tuple(int(31), ref, to, int(flags), result),
  aliasSend: (from: Bytes, alias: Bytes): Bytes => tuple(int(33), from, alias),
  unlinkId: (id: number, from: Bytes, to: Bytes): Bytes => tuple(int(35), int(id), from, to),
  unlinkIdAck: (id: number, from: Bytes, to: Bytes): Bytes => tuple(int(36), int(id), from, to),
  altact: (flags: number, from: Bytes, to: Bytes): Bytes => tuple(int(37), int(flags), from, to),
} as const;
