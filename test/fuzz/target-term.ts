import { AtomTable } from "../../src/term/atom-table.ts";
import { termEquals } from "../../src/term/compare.ts";
import { encodeTerm } from "../../src/term/encode.ts";
import { resolveTermLimits } from "../../src/term/limits.ts";
import { headIs, peekTupleHead, TupleHead } from "../../src/term/peek.ts";
import { PidTable } from "../../src/term/pid-table.ts";
import { skipTerm } from "../../src/term/skip.ts";
import { TermDecoder } from "../../src/term/term-decoder.ts";
import { parseTermText } from "../../src/term/text-parse.ts";
import { printTerm } from "../../src/term/text-print.ts";
import type { Term } from "../../src/term/types.ts";
import { TERMS, TEXTS } from "./corpus.ts";
import { refusal, type Target } from "./harness.ts";
import { mutate } from "./mutate.ts";

/** What only decoding checks; `skipTerm` says so. Everything else it must refuse as well. */
const DECODER_ONLY: ReadonlySet<string> = new Set([
  "TERM_MAP_DUPLICATE_KEY",
  "TERM_KEY_STEPS",
  "TERM_ELEMENTS",
  "TERM_FUN_INVALID",
  "TERM_IDENTIFIER_INVALID",
  "TERM_ATOM_REF_INVALID",
]);

/** Small limits, so that mutated bytes reach them. */
const limits = resolveTermLimits({
  maxDepth: 64,
  maxAtoms: 200,
  maxIntegerBytes: 300,
  maxElements: 20_000,
  maxKeySteps: 2_000_000,
});
const decoder = new TermDecoder({ limits, atoms: new AtomTable(), pids: new PidTable() });
const head = new TupleHead();

/** Decoding and skipping agree; what was taken encodes, decodes and prints again. */
export const termTarget: Target = {
  name: "term",
  make: (dice) =>
    mutate(
      dice,
      dice.oneIn(6)
        ? Buffer.concat([Buffer.from([104, 3]), dice.pick(TERMS), dice.pick(TERMS), dice.pick(TERMS)])
        : dice.pick(TERMS),
      TERMS,
    ),
  run(bytes) {
    decoder.resetBudget();
    decoder.atomRefs = undefined;
    let term: Term;
    const refused = refusal(() => {
      term = decoder.decodeAt(bytes, 0, bytes.length);
    });
    const end = decoder.position;
    let skipped = -1;
    const skipRefused = refusal(() => {
      skipped = skipTerm(bytes, 0, bytes.length, limits);
    });
    if (peekTupleHead(bytes, 0, bytes.length, head)) headIs(head, bytes, "$gen_call");
    if (refused === undefined) {
      if (skipped !== end) throw new Error(`decoding ends at ${end}, skipping at ${skipped} (${skipRefused})`);
      if (countTerms(term) > bytes.length) throw new Error("more terms than bytes");
      again(term);
      return undefined;
    }
    if (skipRefused === undefined && !DECODER_ONLY.has(refused))
      throw new Error(`skipped, but decoding says ${refused}`);
    return refused;
  },
};

/** What was decoded can be sent on: it encodes, decodes to an equal term, and prints. */
function again(term: Term): void {
  const back = encodeTerm(term);
  const twin = new TermDecoder({ limits: { ...limits, maxElements: 8_000_000, maxDepth: 512 } }).decodeAt(
    back,
    1,
    back.length,
  );
  if (!termEquals(term, twin)) throw new Error("decode, encode and decode gave another term");
  printTerm(term);
}

/** Number of terms in a term, found without recursion; bounded by the bytes it came from. */
function countTerms(term: Term): number {
  const left: Term[] = [term];
  let count = 0;
  for (let next = left.pop(); ; next = left.pop()) {
    count++;
    if (Array.isArray(next)) for (const item of next) left.push(item);
    else if (next instanceof Map) for (const [key, value] of next) left.push(key, value);
    else if (typeof next === "object" && next !== null && "elements" in next)
      left.push(...(next.elements as Term[]).slice(0, 1000));
    if (left.length === 0) return count;
  }
}

const PIECES = [
  "{",
  "}",
  "[",
  "]",
  "#{",
  "=>",
  "<<",
  ">>",
  "|",
  ",",
  "'",
  '"',
  "\\",
  "$",
  "16#",
  "1.0e",
  "-",
  ".",
  "/utf8",
  "%",
  "\n",
  "fun ",
  "\u0000",
  "\u{1f600}",
  "__proto__",
  "((((",
  "9".repeat(40),
];

/** Term text: a value or a typed error; what was read prints and reads again as the same. */
export const textTarget: Target = {
  name: "text",
  make(dice) {
    let text: string = dice.pick(TEXTS);
    for (let left = 1 + dice.below(4); left > 0; left--) {
      const at = dice.below(text.length + 1);
      const other: string = dice.oneIn(2) ? dice.pick(PIECES) : dice.pick(TEXTS);
      const drop = dice.oneIn(2) ? dice.below(6) : 0;
      const piece = dice.oneIn(40) ? other.slice(0, 3).repeat(dice.below(700)) : other;
      text = (text.slice(0, at) + piece + text.slice(at + drop)).slice(0, 20_000);
    }
    return Buffer.from(text, "utf8");
  },
  run(bytes) {
    const text = bytes.toString("utf8");
    let term: Term;
    const refused = refusal(() => {
      term = parseTermText(text);
    });
    if (refused !== undefined) return refused;
    const printed = printTerm(term);
    let twin: Term;
    // Pids and the like print in a form that is refused as input, and cannot come from text.
    const reread = refusal(() => {
      twin = parseTermText(printed);
    });
    if (reread !== undefined) throw new Error(`prints as text that does not read: ${reread}`);
    if (!termEquals(term, twin)) throw new Error("prints as text that reads as another term");
    return undefined;
  },
};
