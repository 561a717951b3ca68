import { isHarmless } from "./escape-sequence.ts";

/** What the output may hold besides text: harmless sequences, or none. */
export type FilterMode = "terminal" | "plain";

/** How much of an unfinished sequence or string is taken away before what follows is text again, in characters. */
const MAX_DROPPED = 4_096;

const ESC = 0x1b;
const REPLACEMENT = 0xfffd;

/** What is being read. */
type Reading =
  /** Text. */
  | "text"
  /** Behind ESC. */
  | "escape"
  /** Behind ESC and what selects character sets and the like. */
  | "designator"
  /** Behind `ESC [`. */
  | "control"
  /** The same, of a sequence that is dropped whatever follows. */
  | "dropped-control"
  /** Within OSC, DCS, SOS, PM or APC. */
  | "string";

/**
 * Makes bytes of a peer safe for a terminal (docs/attach.md, "The terminal"): text passes, and of escape sequences those of an
 * allow-list. Bytes may be cut anywhere; the state between two pushes is of fixed size.
 */
export class TerminalFilter {
  readonly #mode: FilterMode;
  #reading: Reading = "text";
  #parameters = "";
  /** Characters of the unfinished sequence so far. */
  #dropped = 0;
  /** Of an unfinished UTF-8 character: what there is, bytes that are missing, and the least that it may be. */
  #point = 0;
  #missing = 0;
  #least = 0;
  #out = "";

  constructor(mode: FilterMode) {
    this.#mode = mode;
  }

  /** What of `bytes`, and of what was cut before, may be shown. */
  push(bytes: Uint8Array): string {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let i = 0; i < buffer.length; i++) {
      if (this.#reading === "text" && this.#missing === 0) {
        const end = endOfPlain(buffer, i);
        if (end > i) {
          this.#out += buffer.toString("latin1", i, end);
          i = end - 1;
          continue;
        }
      }
      this.#byte(buffer[i] as number);
    }
    return this.#taken();
  }

  /** There is no more of what was begun: an unfinished character is shown as broken, an unfinished sequence is not. */
  end(): string {
    if (this.#missing > 0) this.#broken();
    this.#become("text");
    return this.#taken();
  }

  #taken(): string {
    const out = this.#out;
    this.#out = "";
    return out;
  }

  #byte(byte: number): void {
    if (this.#missing > 0) {
      if ((byte & 0xc0) === 0x80) {
        this.#point = this.#point * 64 + (byte & 0x3f);
        if (--this.#missing > 0) return;
        const isCharacter = this.#point >= this.#least && this.#point <= 0x10ffff && (this.#point & ~0x7ff) !== 0xd800;
        this.#character(isCharacter ? this.#point : REPLACEMENT);
        return;
      }
      this.#broken();
    }
    if (byte < 0x80) this.#character(byte);
    else if (byte >= 0xc2 && byte < 0xe0) this.#begin(byte & 0x1f, 1, 0x80);
    else if (byte >= 0xe0 && byte < 0xf0) this.#begin(byte & 0x0f, 2, 0x800);
    else if (byte >= 0xf0 && byte < 0xf5) this.#begin(byte & 0x07, 3, 0x10000);
    else this.#character(REPLACEMENT);
  }

  #begin(point: number, missing: number, least: number): void {
    this.#point = point;
    this.#missing = missing;
    this.#least = least;
  }

  #broken(): void {
    this.#missing = 0;
    this.#character(REPLACEMENT);
  }

  #character(point: number): void {
    switch (this.#reading) {
      case "text":
        this.#text(point);
        return;
      case "escape":
        this.#escape(point);
        return;
      case "designator":
        if (isBetween(point, 0x20, 0x2f) && this.#isShort()) return;
        if (isBetween(point, 0x30, 0x7e)) this.#become("text");
        else this.#abort(point);
        return;
      case "control":
      case "dropped-control":
        this.#control(point);
        return;
      case "string":
        this.#string(point);
        return;
    }
  }

  #text(point: number): void {
    if (point === ESC) this.#become("escape");
    else if (point === 0x9b) this.#become("dropped-control");
    else if (isStringStart(point)) this.#become("string");
    else if (isSteering(point)) this.#out += `\\u{${point.toString(16)}}`;
    else if (!isControl(point)) this.#out += String.fromCodePoint(point);
  }

  #escape(point: number): void {
    const char = String.fromCodePoint(point);
    if (char === "[") this.#become("control");
    else if (STRING_STARTS.includes(char)) this.#become("string");
    else if (isBetween(point, 0x20, 0x2f)) this.#become("designator");
    else if (isBetween(point, 0x30, 0x7e)) this.#become("text");
    else this.#abort(point);
  }

  #control(point: number): void {
    if (isBetween(point, 0x20, 0x3f)) {
      if (!this.#isShort()) this.#abort(point);
      else this.#parameters += String.fromCodePoint(point);
      return;
    }
    if (!isBetween(point, 0x40, 0x7e)) {
      this.#abort(point);
      return;
    }
    const final = String.fromCodePoint(point);
    const passes = this.#reading === "control" && this.#mode === "terminal" && isHarmless(this.#parameters, final);
    if (passes) this.#out += `\x1b[${this.#parameters}${final}`;
    this.#become("text");
  }

  #string(point: number): void {
    if (point === ESC) this.#become("escape");
    else if (STRING_ENDS.includes(point)) this.#become("text");
    // A string that nobody ends takes its line along, not all that follows.
    else if (point === 0x0a || !this.#isShort()) this.#abort(point);
  }

  /** The sequence is broken off by something that begins anew. */
  #abort(point: number): void {
    this.#become("text");
    this.#text(point);
  }

  #isShort(): boolean {
    return ++this.#dropped <= MAX_DROPPED;
  }

  #become(reading: Reading): void {
    this.#reading = reading;
    this.#parameters = "";
    this.#dropped = 0;
  }
}

/** Behind ESC: DCS, SOS, OSC, PM, APC. */
const STRING_STARTS = "PX]^_";

/** BEL, CAN, SUB and ST; the two characters of the other ST begin with ESC. */
const STRING_ENDS: readonly number[] = [0x07, 0x18, 0x1a, 0x9c];

/** DCS, SOS, OSC, PM and APC of C1. */
function isStringStart(point: number): boolean {
  return point === 0x90 || point === 0x98 || isBetween(point, 0x9d, 0x9f);
}

/** C0 but for tab and the two that end lines, DEL, and C1. */
function isControl(point: number): boolean {
  if (point < 0x20) return point !== 0x09 && point !== 0x0a && point !== 0x0d;
  return isBetween(point, 0x7f, 0x9f);
}

/**
 * What turns, ends or hides text without being seen: marks of direction and line, characters without width, tags. The joiners within
 * words and emoji are text.
 */
const STEERING: readonly (readonly [number, number])[] = [
  [0x061c, 0x061c],
  [0x180e, 0x180e],
  [0x200b, 0x200b],
  [0x200e, 0x200f],
  [0x2028, 0x202e],
  [0x2060, 0x206f],
  [0xfeff, 0xfeff],
  [0xfff9, 0xfffb],
  [0x1d173, 0x1d17a],
  [0xe0000, 0xe0fff],
];

function isSteering(point: number): boolean {
  return point >= 0x061c && STEERING.some(([first, last]) => isBetween(point, first, last));
}

function isBetween(point: number, first: number, last: number): boolean {
  return point >= first && point <= last;
}

/** End of the printable ASCII that begins at `start`. */
function endOfPlain(buffer: Buffer, start: number): number {
  let end = start;
  while (end < buffer.length && isBetween(buffer[end] as number, 0x20, 0x7e)) end++;
  return end;
}
