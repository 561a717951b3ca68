import { SallyportError } from "../base/errors.ts";

/** X.690 tags, with their class and constructed bits. */
export const BOOLEAN = 0x01;
export const INTEGER = 0x02;
export const BIT_STRING = 0x03;
export const OCTET_STRING = 0x04;
export const OBJECT_IDENTIFIER = 0x06;
export const UTF8_STRING = 0x0c;
export const PRINTABLE_STRING = 0x13;
export const IA5_STRING = 0x16;
export const UTC_TIME = 0x17;
export const GENERALIZED_TIME = 0x18;
export const SEQUENCE = 0x30;
export const SET = 0x31;

/**
 * Cursor over DER elements inside `bytes[start, end)`. Strict: one-octet tags, definite minimal lengths, nothing beyond
 * the end of the enclosing element. It never recurses by itself, so depth is what its user asks for.
 */
export class DerReader {
  readonly #bytes: Buffer;
  #at: number;
  readonly #end: number;

  constructor(bytes: Buffer, start: number = 0, end: number = bytes.length) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  get done(): boolean {
    return this.#at >= this.#end;
  }

  /** The next element's tag, or -1 at the end. */
  peek(): number {
    return this.#at < this.#end ? (this.#bytes[this.#at] ?? -1) : -1;
  }

  /** Enters the next element, which must have this tag, and moves behind it. */
  enter(tag: number): DerReader {
    const start = this.#header(tag);
    return new DerReader(this.#bytes, start, this.#at);
  }

  /** Content of the next element, which must have this tag. A view. */
  content(tag: number): Buffer {
    const start = this.#header(tag);
    return this.#bytes.subarray(start, this.#at);
  }

  /** Tag, length and content of the next element, which must have this tag. A view. */
  element(tag: number): Buffer {
    const start = this.#at;
    this.#header(tag);
    return this.#bytes.subarray(start, this.#at);
  }

  /** Moves behind the next element, whatever it is. */
  skip(): void {
    this.#header(this.peek());
  }

  /** Refuses anything left over. */
  finish(): void {
    if (!this.done) throw malformed(`${this.#end - this.#at} unexpected octets at ${this.#at}`);
  }

  /** Reads tag and length, moves behind the element, and returns where its content starts. */
  #header(tag: number): number {
    const bytes = this.#bytes;
    let at = this.#at;
    if (at + 2 > this.#end) throw malformed(`element cut off at ${at}`);
    const found = bytes[at++] ?? 0;
    if (found !== tag || (found & 0x1f) === 0x1f)
      throw malformed(`tag ${found} at ${at - 1} where ${tag} was expected`);
    let length = bytes[at++] ?? 0;
    if (length >= 0x80) {
      const count = length & 0x7f;
      if (count === 0 || count > 3)
        throw malformed(`length of ${count} octets at ${at - 1}; definite lengths of 1 to 3 are read`);
      if (at + count > this.#end) throw malformed(`length cut off at ${at}`);
      length = 0;
      for (let i = 0; i < count; i++) length = length * 256 + (bytes[at++] ?? 0);
      if (length < 0x80 || length < 256 ** (count - 1)) throw malformed(`length at ${at} is not in its shortest form`);
    }
    if (length > this.#end - at)
      throw malformed(`element of ${length} octets at ${at} where ${this.#end - at} are left`);
    this.#at = at + length;
    return at;
  }
}

/** The error for bytes that are not a certificate as RFC 5280 has it. */
export function malformed(what: string): SallyportError {
  return new SallyportError("ERR_DENIED", "CERT_MALFORMED", `certificate cannot be read: ${what}`, {
    stage: "identity",
    advice: "issue the certificate anew with a tool that writes DER as RFC 5280 asks, such as openssl",
  });
}
