import { type ChainCrypto, type ChainHead, follows, GENESIS, type SealedRecord, unseal } from "./record.ts";

/** What somebody keeps elsewhere to check a log against. */
export interface ChainAnchors {
  /** Where the lines must begin: `GENESIS` for a log none of whose files was removed. Default: wherever they do. */
  readonly from?: ChainHead;
  /** A record that must be among the lines, so that lines cut off the end are missed. */
  readonly head?: ChainHead;
}

/** What was found. `line` counts from 1. */
export type ChainVerdict =
  | {
      readonly ok: true;
      readonly records: number;
      /** The last record. */
      readonly head: ChainHead;
      /** Pieces of records that a crash or a full disk left behind. */
      readonly torn: number;
      /** Records that could not be written, as the log itself says. */
      readonly lost: number;
    }
  | {
      readonly ok: false;
      readonly line: number;
      /** `altered`: no record, or its hash is wrong; `order`: does not follow the one before; `missing`: an anchor is not there. */
      readonly fault: "altered" | "order" | "missing";
    };

/**
 * Checks the lines of a log, those of all files in their order, read as latin1 and without line breaks. Pure: an empty line at
 * the very end is none. Without anchors it cannot know of lines missing at either end.
 */
export function verifyChain(lines: readonly string[], crypto: ChainCrypto, anchors: ChainAnchors = {}): ChainVerdict {
  let head = anchors.from;
  let records = 0;
  let torn = 0;
  let lost = 0;
  let headSeen = anchors.head === undefined;
  let pieces: string[] = [];
  let fault: "altered" | "order" = "altered";
  const count = lines.at(-1) === "" ? lines.length - 1 : lines.length;
  for (let i = 0; i < count; i++) {
    const line = lines[i] ?? "";
    const record = unseal(line, crypto);
    if (record === undefined || !continues(head, record)) {
      if (pieces.length === 0) fault = record === undefined ? "altered" : "order";
      pieces.push(line);
      continue;
    }
    const expected = pieces.length > 0;
    if (expected !== (record.fields["event"] === "torn") || (expected && !describes(record, pieces, crypto))) {
      return { ok: false, line: i + 1 - pieces.length, fault };
    }
    if (expected) torn++;
    pieces = [];
    if (record.fields["event"] === "gap") lost += Number(record.fields["lost"]);
    head = { seq: record.seq, hash: record.hash };
    headSeen ||= head.seq === anchors.head?.seq && head.hash === anchors.head.hash;
    records++;
  }
  if (pieces.length > 0) return { ok: false, line: count + 1 - pieces.length, fault };
  if (!headSeen) return { ok: false, line: count + 1, fault: "missing" };
  return { ok: true, records, head: head ?? GENESIS, torn, lost };
}

function continues(head: ChainHead | undefined, record: SealedRecord): boolean {
  if (head !== undefined) return follows(head, record);
  // Taken up in the middle, after older files were removed. The first record of all has a known predecessor.
  return record.seq > 1 || record.prev === GENESIS.hash;
}

/** Whether a `torn` record speaks of exactly these lines. */
function describes(record: SealedRecord, pieces: readonly string[], crypto: ChainCrypto): boolean {
  const bytes = Buffer.from(pieces.join("\n"), "latin1");
  return record.fields["bytes"] === bytes.length && record.fields["sha256"] === crypto.sha256(bytes).toString("hex");
}
