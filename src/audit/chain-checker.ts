import { PieceBuffer } from "./piece-buffer.ts";
import { type ChainCrypto, type ChainHead, follows, GENESIS, type SealedRecord, unseal } from "./record.ts";

/** What somebody keeps elsewhere to check a log against. */
export interface ChainAnchors {
  /** Where the lines must begin: `GENESIS` for a log none of whose files was removed. Default: wherever they do. */
  readonly from?: ChainHead;
  /** A record that must be among the lines, so that lines cut off the end are missed. */
  readonly head?: ChainHead;
}

/**
 * What is wrong with a chain. `changed`: a line is no record, or was made anew; `removed`: records are not there any more;
 * `reordered`: a record stands elsewhere, or twice; `torn`: the last line is a part of one.
 */
export type ChainFaultKind = "changed" | "removed" | "reordered" | "torn";

/** The first fault of a chain. */
export interface ChainFault<P> {
  readonly kind: ChainFaultKind;
  readonly at: P;
  /** Number of the record that should stand there; null where nothing says. */
  readonly seq: number | null;
  /** Number of the record that stands there; null where none does. */
  readonly found: number | null;
}

/** What a chain says, as far as it is whole. */
export interface ChainSummary<P> {
  readonly records: number;
  /** Number of the first record; null without one. */
  readonly first: number | null;
  /**
   * `first`: with record 1; `rotated`: where the log itself removed what was before, as it says; `cut`: elsewhere, and
   * nothing in the log says why.
   */
  readonly begins: "first" | "rotated" | "cut";
  /** The last record before the fault. */
  readonly head: ChainHead;
  /** Pieces of records that a crash or a full disk left behind, each described by the log itself. */
  readonly torn: number;
  /** Records that could not be written, as the log itself says. */
  readonly lost: number;
  /** Where it says so first. */
  readonly firstGap: { readonly at: P; readonly seq: number } | undefined;
  readonly fault: ChainFault<P> | undefined;
}

/** Most bytes of lines that are no records and that one `torn` record may describe: twice a file of the log. */
export const MAX_PIECE_BYTES: number = 16 * 1024 * 1024;

/**
 * Checks the lines of a log one by one, those of all files in their order. Pure, and its memory is bounded. `P` is whatever tells
 * where a line stands. Without anchors it cannot know of lines missing at either end.
 */
export class ChainChecker<P> {
  readonly #crypto: ChainCrypto;
  readonly #anchor: ChainHead | undefined;
  readonly #pieces = new PieceBuffer(MAX_PIECE_BYTES);
  #head: ChainHead | undefined;
  #pieceAt: P | undefined;
  #anchorSeen: boolean;
  #records = 0;
  #torn = 0;
  #lost = 0;
  #first: number | null = null;
  /** The file before the first one, while nothing says that the log removed it. */
  #before: string | undefined;
  #firstGap: { readonly at: P; readonly seq: number } | undefined;
  #fault: ChainFault<P> | undefined;

  constructor(crypto: ChainCrypto, anchors: ChainAnchors = {}) {
    this.#crypto = crypto;
    this.#head = anchors.from;
    this.#anchor = anchors.head;
    this.#anchorSeen = anchors.head === undefined;
  }

  get records(): number {
    return this.#records;
  }

  /** Whether no further line can change what `end` says. */
  get isSettled(): boolean {
    return this.#fault !== undefined && this.#fault.kind !== "removed";
  }

  /** @param line as latin1, without its line break */
  push(line: string, at: P): void {
    if (this.isSettled) return;
    const record = unseal(line, this.#crypto);
    if (this.#fault !== undefined) {
      // What is missing at one place may stand at another.
      if (record?.seq === this.#fault.seq) this.#fault = { ...this.#fault, kind: "reordered" };
      return;
    }
    if (record === undefined) {
      if (this.#pieces.lines === 0) this.#pieceAt = at;
      this.#pieces.add(line);
      return;
    }
    if (this.#pieces.lines > 0) this.#afterPieces(record, at);
    else this.#next(record, at);
  }

  /** @param at where the next line would stand @param unterminated the last line lacked its line break */
  end(at: P, unterminated: boolean = false): ChainSummary<P> {
    const pieceAt = this.#pieceAt;
    if (this.#fault === undefined && this.#pieces.lines > 0 && pieceAt !== undefined) {
      const kind = unterminated && this.#pieces.lines === 1 ? "torn" : "changed";
      this.#fault = { kind, at: pieceAt, seq: this.#expected, found: null };
    }
    if (this.#fault === undefined && !this.#anchorSeen) {
      this.#fault = { kind: "removed", at, seq: this.#expected, found: null };
    }
    const begins = (this.#first ?? 1) === 1 ? "first" : this.#before === "" ? "rotated" : "cut";
    return {
      records: this.#records,
      first: this.#first,
      begins,
      head: this.#head ?? GENESIS,
      torn: this.#torn,
      lost: this.#lost,
      firstGap: this.#firstGap,
      fault: this.#fault,
    };
  }

  get #expected(): number | null {
    return this.#head === undefined ? null : this.#head.seq + 1;
  }

  #afterPieces(record: SealedRecord, at: P): void {
    const isTheirs = this.#continues(record) && record.fields["event"] === "torn" && this.#describes(record);
    if (!isTheirs) {
      this.#fault = { kind: "changed", at: this.#pieceAt ?? at, seq: this.#expected, found: null };
      return;
    }
    this.#torn++;
    this.#pieces.clear();
    this.#pieceAt = undefined;
    this.#take(record, at);
  }

  #next(record: SealedRecord, at: P): void {
    if (!this.#continues(record)) {
      this.#fault = { kind: this.#kindOf(record), at, seq: this.#expected, found: record.seq };
    } else if (record.fields["event"] === "torn") {
      // What it speaks of is not there.
      this.#fault = { kind: "changed", at, seq: this.#expected ?? record.seq, found: record.seq };
    } else this.#take(record, at);
  }

  #take(record: SealedRecord, at: P): void {
    const { seq, hash, fields } = record;
    if (this.#first === null) {
      this.#first = seq;
      if (fields["event"] === "rotated") this.#before = String(fields["previous"]);
    }
    if (fields["event"] === "removed" && fields["file"] === this.#before) this.#before = "";
    if (fields["event"] === "gap") {
      this.#lost += Number(fields["lost"]);
      this.#firstGap ??= { at, seq };
    }
    this.#head = { seq, hash };
    this.#anchorSeen ||= seq === this.#anchor?.seq && hash === this.#anchor.hash;
    this.#records++;
  }

  #continues(record: SealedRecord): boolean {
    if (this.#head !== undefined) return follows(this.#head, record);
    // Taken up in the middle, after older files were removed. The first record of all has a known predecessor.
    return record.seq > 1 || record.prev === GENESIS.hash;
  }

  /** Why a record that is right in itself does not follow. */
  #kindOf(record: SealedRecord): ChainFaultKind {
    const expected = this.#expected;
    if (expected === null || record.seq === expected) return "changed";
    return record.seq > expected ? "removed" : "reordered";
  }

  /** Whether a `torn` record speaks of exactly the lines before it. */
  #describes({ fields }: SealedRecord): boolean {
    const { bytes } = this.#pieces;
    if (bytes === undefined || fields["bytes"] !== bytes.length) return false;
    return fields["sha256"] === this.#crypto.sha256(bytes).toString("hex");
  }
}
