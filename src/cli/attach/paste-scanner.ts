/** A piece of what came from the keyboard: keys, or one pasted text, which holds no control characters but tab and line feed. */
export type Typed =
  | { readonly kind: "keys"; readonly bytes: Buffer }
  | { readonly kind: "paste"; readonly text: string };

const START = Buffer.from("\x1b[200~", "latin1");
const END = Buffer.from("\x1b[201~", "latin1");

/** Marks of pastes, in both forms of CSI. */
const MARKS = /(?:\x1b\[|\u009b)20[01]~/g;

/** What is not data in a pasted text. */
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;

/**
 * Tells pasted text from keys, by the marks that a terminal puts around it in bracketed paste mode. Pure. Chunks may be cut
 * anywhere: what may be the beginning of a mark is held until the next chunk, or until `flush`.
 */
export class PasteScanner {
  readonly #maxBytes: number;
  #held: Buffer = Buffer.alloc(0);
  /** Undefined outside of a paste. */
  #pasted: Buffer[] | undefined;
  #size = 0;

  /** `maxBytes` of one paste are kept; the rest of it is dropped. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** True while something is held that only more bytes, or `flush`, will set free. */
  get isHolding(): boolean {
    return this.#held.length > 0 || this.#pasted !== undefined;
  }

  /** True behind a start mark. */
  get isPasting(): boolean {
    return this.#pasted !== undefined;
  }

  push(chunk: Buffer): readonly Typed[] {
    const pieces: Typed[] = [];
    let bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    for (;;) {
      const mark = this.#pasted === undefined ? START : END;
      const at = bytes.indexOf(mark);
      if (at < 0) break;
      this.#take(bytes.subarray(0, at), pieces);
      if (this.#pasted === undefined) this.#pasted = [];
      else pieces.push(this.#endOfPaste());
      bytes = bytes.subarray(at + mark.length);
    }
    const held = beginningOf(this.#pasted === undefined ? START : END, bytes);
    this.#take(bytes.subarray(0, bytes.length - held), pieces);
    this.#held = Buffer.from(bytes.subarray(bytes.length - held));
    return pieces;
  }

  /** Nothing has come for a while: what was held were keys, and a paste without an end mark ends here. */
  flush(): readonly Typed[] {
    const pieces: Typed[] = [];
    this.#take(this.#held, pieces);
    this.#held = Buffer.alloc(0);
    if (this.#pasted !== undefined) pieces.push(this.#endOfPaste());
    return pieces;
  }

  #take(bytes: Buffer, pieces: Typed[]): void {
    if (bytes.length === 0) return;
    if (this.#pasted === undefined) {
      pieces.push({ kind: "keys", bytes: Buffer.from(bytes) });
      return;
    }
    const kept = bytes.subarray(0, this.#maxBytes - this.#size);
    this.#size += kept.length;
    if (kept.length > 0) this.#pasted.push(Buffer.from(kept));
  }

  #endOfPaste(): Typed {
    const text = Buffer.concat(this.#pasted ?? []).toString("utf8");
    this.#pasted = undefined;
    this.#size = 0;
    return { kind: "paste", text: dataOf(text) };
  }
}

/** Pasted text as data: lines end with LF, and no key or mark is in it, not even one that taking another away would make. */
function dataOf(text: string): string {
  return text.replaceAll(/\r\n?/g, "\n").replaceAll(MARKS, "").replaceAll(CONTROLS, "");
}

/** How many bytes at the end of `bytes` are the beginning of `mark`. */
function beginningOf(mark: Buffer, bytes: Buffer): number {
  for (let size = Math.min(mark.length - 1, bytes.length); size > 0; size--) {
    if (bytes.subarray(bytes.length - size).equals(mark.subarray(0, size))) return size;
  }
  return 0;
}
