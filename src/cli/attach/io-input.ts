import { Atom, isAtom, type Pid, type Term, Tuple } from "../../term/types.ts";
import { failed, type Job, type LeaderSink, type ReadStep } from "./io-job.ts";
import { answerText, textOf } from "./io-text.ts";
import type { ConsoleLimits } from "./limits.ts";

/** What the worker's `erl_scan:tokens` found: tokens with the text behind them, or no end yet. */
export type Scanned = { readonly result: Term; readonly rest: string } | "more";

/** Takes a job that has been read for; `result` is the answer of its step. */
export type Answered = (job: Job, result: Term) => void;

/** Those who read, one after the other, and the lines that were typed for them. */
export class IoInput {
  /** Whether text is answered as a binary. */
  isBinary = false;
  readonly #sink: LeaderSink;
  readonly #limits: ConsoleLimits;
  readonly #answered: Answered;
  readonly #readers: Job[] = [];
  #reader: Job | undefined;
  readonly #lines: string[] = [];
  /** What was typed and nobody has taken. */
  #text = "";
  /** It does not do for the reader. */
  #wantsLine = false;
  /** The person in front knows of the open question. */
  #hasAsked = false;
  #hasEnded = false;
  /** Number of the scan whose answer counts; undefined when none is under way. */
  #scanning: number | undefined;
  #scans = 0;

  constructor(sink: LeaderSink, limits: ConsoleLimits, answered: Answered) {
    this.#sink = sink;
    this.#limits = limits;
    this.#answered = answered;
  }

  /** Those who wait. */
  get size(): number {
    return this.#readers.length + (this.#reader === undefined ? 0 : 1);
  }

  /** Lines that were typed and not taken. */
  get typedLines(): number {
    return this.#lines.length;
  }

  /** One more who reads. */
  add(job: Job): void {
    this.#readers.push(job);
  }

  typed(line: string): void {
    this.#lines.push(line);
  }

  ended(): void {
    this.#hasEnded = true;
  }

  /** Drops what was typed, and answers the open question `interrupted`; false when there was none. */
  interrupt(): boolean {
    this.#text = "";
    this.#lines.length = 0;
    const reader = this.#reader;
    if (reader !== undefined) this.#answer(reader, failed("interrupted"));
    return reader !== undefined;
  }

  /** The process that is being asked for is gone: its job, which nobody answers. */
  gone(from: Pid): Job | undefined {
    const reader = this.#reader;
    if (reader?.request.from !== from) return undefined;
    this.#stop();
    return reader;
  }

  /** What the scan with this number found; undefined when it failed. */
  scanned(number: number, found: Scanned | undefined): void {
    const reader = this.#reader;
    if (number !== this.#scanning || reader === undefined) return;
    this.#scanning = undefined;
    if (found === "more") this.#wantLine(reader);
    else {
      this.#text = found?.rest ?? "";
      this.#answer(reader, found === undefined ? failed("tokens") : found.result);
    }
  }

  /** Goes on as far as there are lines; false when somebody or something must be waited for. */
  step(): boolean {
    if (this.#reader === undefined) {
      this.#reader = this.#readers.shift();
      this.#hasAsked = false;
      this.#wantsLine = false;
    }
    const reader = this.#reader;
    if (reader === undefined || this.#scanning !== undefined) return false;
    if (this.#wantsLine || this.#text === "") {
      const line = this.#lines.shift();
      if (line === undefined) return this.#wait(reader);
      this.#text += `${line}\n`;
      this.#wantsLine = false;
    }
    this.#read(reader);
    return true;
  }

  #read(reader: Job): void {
    const step = stepOf(reader);
    if (step.kind === "tokens") {
      this.#scanning = ++this.#scans;
      this.#sink.scan(this.#scanning, this.#text, step.args);
      return;
    }
    const end = step.kind === "line" ? endOfLine(this.#text) : unitsOf(this.#text, step.count);
    if (end === undefined) {
      this.#wantLine(reader);
      return;
    }
    const text = this.#text.slice(0, end);
    this.#text = this.#text.slice(end);
    this.#answer(reader, answerText(text, step.encoding, this.isBinary) ?? UNTOLD);
  }

  #wait(reader: Job): boolean {
    if (this.#hasEnded) {
      this.#text = "";
      this.#answer(reader, failed("terminated"));
      return true;
    }
    if (!this.#hasAsked) {
      this.#hasAsked = true;
      this.#sink.ask(stepOf(reader).prompt, reader.request.from);
    }
    return false;
  }

  /** Another line is needed, unless there is too much already. */
  #wantLine(reader: Job): void {
    this.#wantsLine = true;
    this.#hasAsked = false;
    if (this.#text.length <= this.#limits.maxInputChars) return;
    this.#text = "";
    this.#answer(reader, failed("enomem"));
  }

  #answer(reader: Job, result: Term): void {
    this.#stop();
    this.#answered(reader, result);
  }

  #stop(): void {
    this.#reader = undefined;
    this.#scanning = undefined;
    this.#sink.asked();
  }
}

const UNTOLD = new Tuple([
  new Atom("error"),
  new Tuple([new Atom("no_translation"), new Atom("unicode"), new Atom("latin1")]),
]);

function stepOf({ request, at }: Job): ReadStep {
  return request.steps[at] as ReadStep;
}

function endOfLine(text: string): number | undefined {
  const end = text.indexOf("\n");
  return end < 0 ? undefined : end + 1;
}

/** UTF-16 units of the first `count` characters; undefined when there are fewer. */
function unitsOf(text: string, count: number): number | undefined {
  let units = 0;
  for (let i = 0; i < count; i++) {
    const point = text.codePointAt(units);
    if (point === undefined) return undefined;
    units += point > 0xffff ? 2 : 1;
  }
  return units;
}

/** Reads `{done, Result, Rest}` with text as rest, or `more`; undefined for anything else. */
export function readScanned(value: Term, maxChars: number): Scanned | undefined {
  if (isAtom(value, "more")) return "more";
  if (!(value instanceof Tuple) || value.length !== 3 || !isAtom(value.elements[0], "done")) return undefined;
  const [, result, rest] = value.elements;
  const text = textOf(rest, "unicode", maxChars);
  return text === undefined ? undefined : { result, rest: text.bytes.toString("utf8") };
}
