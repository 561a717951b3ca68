import { parseTermTree, type TermNode } from "../term/text-tree.ts";
import type { Flag } from "./vm-args-flags.ts";
import type { Word } from "./vm-args-words.ts";

/** A value with the flag that gave it. */
export interface Placed<T> {
  readonly value: T;
  readonly flag: Flag;
  readonly secret: boolean;
}

/** A value, and whether it may be shown. */
export interface FlagValue<T> {
  readonly value: T;
  readonly secret: boolean;
}

/** The value of a flag that may stand twice only when it says the same. */
export function once<T>(before: Placed<T> | undefined, flag: Flag, read: FlagValue<T>): Placed<T> {
  if (before === undefined) return { ...read, flag };
  if (before.value === read.value) return before;
  const other = `${shownFlag(before.flag)} at ${before.flag.text.place(before.flag.at)}`;
  const message = `${shownFlag(flag)} says something else than ${other}`;
  throw flag.text.fault("CONFIG_CONFLICT", flag.at, message, "leave one of the two");
}

export function shownFlag({ name }: Flag): string {
  return `-${name}`;
}

export function wrong(flag: Flag, what: string, advice: string): Error {
  return flag.text.fault("VMARGS_VALUE", flag.at, `${shownFlag(flag)} ${what}`, advice);
}

/** The one value of a flag, variables filled in. */
export function one(flag: Flag): FlagValue<string> {
  const [word, second] = flag.values;
  if (word === undefined)
    throw flag.text.fault("VMARGS_SYNTAX", flag.at, `${shownFlag(flag)} has no value`, "write it behind the flag");
  if (second !== undefined) throw wrong(flag, "takes one value", "quote a value with blanks");
  return filled(flag, word);
}

export function filled(flag: Flag, word: Word): FlagValue<string> {
  const { text, fromFile } = word.text.fill(word.word, word.at, shownFlag(flag));
  if (text === "") throw wrong(flag, "is empty", "give a value, or take the flag out");
  return { value: text, secret: fromFile };
}

export function cookieOf(flag: Flag, word: Word): FlagValue<string> {
  const { text } = word.text.fill(word.word, word.at, shownFlag(flag));
  if (text !== "") return { value: text, secret: true };
  const advice = "put at least 16 random characters into it; from a file or a variable of this process";
  throw word.text.fault("COOKIE_EMPTY", word.at, "-setcookie gives an empty cookie", advice);
}

export function oneOf(flag: Flag, values: readonly string[]): FlagValue<string> {
  const read = one(flag);
  if (values.includes(read.value)) return read;
  throw wrong(flag, `is none of ${values.join(", ")}`, "correct it");
}

export function numberOf(flag: Flag, min: number, max: number): FlagValue<number> {
  const { value, secret } = one(flag);
  const number = Number(value);
  if (/^\d{1,10}$/.test(value) && number >= min && number <= max) return { value: number, secret };
  throw wrong(flag, `is no whole number from ${min} to ${max}`, "correct it");
}

/** `{127,0,0,1}`, or eight numbers of IPv6. */
export function addressOf(flag: Flag): FlagValue<string> {
  const { value, secret } = one(flag);
  const parts = tupleOf(value);
  const isV6 = parts?.length === 8;
  const max = isV6 ? 0xffff : 255;
  if (parts === undefined || !(isV6 || parts.length === 4) || parts.some((part) => part < 0 || part > max)) {
    throw wrong(flag, "is no address as a tuple", "write {127,0,0,1} in quotes");
  }
  return { value: isV6 ? parts.map((part) => part.toString(16)).join(":") : parts.join("."), secret };
}

function tupleOf(text: string): readonly number[] | undefined {
  try {
    const node = parseTermTree(`${text}.`, { maxDepth: 1, onCode: () => new Error("code") });
    return node.kind === "tuple"
      ? node.items.map((item) => (item.kind === "integer" ? Number(item.value) : -1))
      : undefined;
  } catch {
    return undefined;
  }
}

/** A word as the term that OTP makes of it: each option has its own kind. */
export function nodeOf(name: string, { word, at }: Word): TermNode {
  const text: TermNode = { kind: "text", text: word, binary: false, at };
  const atom: TermNode = { kind: "atom", name: word, at };
  if (name === "ciphers") return { kind: "list", items: [text], at };
  if (name === "versions") return { kind: "list", items: [atom], at };
  if (name === "depth" || name === "hibernate_after") {
    return /^\d{1,10}$/.test(word) ? { kind: "integer", value: Number(word), at } : text;
  }
  return TEXT_OPTIONS.includes(name) ? text : atom;
}

const TEXT_OPTIONS: readonly string[] = ["certfile", "cacertfile", "keyfile", "password", "dhfile"];
