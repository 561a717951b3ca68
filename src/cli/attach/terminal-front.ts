import { createInterface, type Interface } from "node:readline";
import { PassThrough } from "node:stream";
import { addMs, type Clock, type Timer } from "../../base/clock.ts";
import type { Front, FrontSink } from "./front.ts";
import { PasteScanner } from "./paste-scanner.ts";

/** Lines kept to be typed again, in memory. */
const HISTORY_LINES = 1_000;

/** Silence after which ESC was a key, and a paste has ended that nobody ended, in milliseconds. */
const KEY_MS = 50;
const PASTE_MS = 1_000;

/** Sizes that a terminal may say of itself. */
const MAX_SIZE = 1_000;

const PASTE_ON = "\x1b[?2004h";
const PASTE_OFF = "\x1b[?2004l";
const PLAIN = "\x1b[0m";

/** The part of a readline that says on which row of what it drew the cursor stands. */
interface Rows {
  prevRows: number;
}

/** A terminal: lines are edited here, and drawn anew below what the worker prints meanwhile. */
export class TerminalFront implements Front {
  readonly mode = "terminal" as const;
  readonly isTyped = true;
  readonly #input: NodeJS.ReadStream;
  readonly #output: NodeJS.WriteStream;
  readonly #clock: Clock;
  readonly #sink: FrontSink;
  readonly #keys = new PassThrough();
  readonly #scanner: PasteScanner;
  readonly #editor: Interface & Partial<Rows>;
  #timer: Timer | undefined;
  #prompt = "";
  #isAsking = false;
  /** Text that is shown at the end of this turn. */
  #unshown = "";
  /** The line that the worker has begun and not ended, without sequences. */
  #tail = "";
  /** A part of the line that is being edited was pasted. */
  #isPasted = false;
  /** A pasted text is being put in, all lines of it. */
  #isPasting = false;
  /** No line will come any more: the editor is not to be used. */
  #hasEnded = false;
  #isClosed = false;

  constructor(
    input: NodeJS.ReadStream,
    output: NodeJS.WriteStream,
    clock: Clock,
    maxPasteBytes: number,
    sink: FrontSink,
  ) {
    this.#input = input;
    this.#output = output;
    this.#clock = clock;
    this.#sink = sink;
    this.#scanner = new PasteScanner(maxPasteBytes);
    // For ctrl-Z: the readline leaves raw mode, stops the process and comes back.
    const setRawMode = (isRaw: boolean): void => void input.setRawMode(isRaw);
    Object.assign(this.#keys, { isTTY: true, setRawMode });
    this.#editor = createInterface({
      input: this.#keys,
      output,
      terminal: true,
      historySize: HISTORY_LINES,
      prompt: "",
    });
    this.#editor.on("line", (line) => this.#line(line));
    this.#editor.on("SIGINT", () => this.#interrupt());
    this.#editor.on("close", () => this.#endOfInput());
    input.on("data", this.#typed);
    output.on("drain", this.#drained);
    output.write(PASTE_ON);
  }

  /** All text of a turn is shown at its end, so that many small pieces draw the line once. */
  show(text: string): boolean {
    if (text !== "" && this.#unshown === "") this.#clock.afterTurn(() => this.#flush());
    this.#unshown += text;
    return !this.#output.writableNeedDrain;
  }

  #flush(): void {
    const text = this.#unshown;
    this.#unshown = "";
    if (text === "") return;
    const isDrawn = !this.#hasEnded && (this.#isAsking || this.#editor.line !== "");
    // What is drawn begins with the tail, which goes with it.
    const before = isDrawn ? this.#erasing() + this.#tail : "";
    this.#output.write(before + text);
    this.#tail = lastLineOf(this.#tail + text);
    if (this.#tail.length >= this.#columns) {
      this.#output.write("\n");
      this.#tail = "";
    }
    if (isDrawn) this.#draw();
    else this.#editor.setPrompt(this.#tail);
  }

  ask(prompt: string): void {
    if (this.#hasEnded) return;
    this.#prompt = prompt;
    this.#isAsking = true;
    this.#draw();
  }

  asked(): void {
    if (!this.#isAsking) return;
    // Nobody has answered: whoever asked is gone, or was interrupted.
    this.#isAsking = false;
    this.#output.write(this.#erasing() + this.#tail);
    this.#prompt = "";
    this.#editor.setPrompt(this.#tail);
    if (this.#editor.line !== "") this.#draw();
  }

  size(): { readonly columns: number; readonly rows: number } {
    return { columns: this.#columns, rows: Math.min(this.#output.rows || 24, MAX_SIZE) };
  }

  pause(): void {}

  resume(): void {}

  close(): void {
    if (this.#isClosed) return;
    this.#flush();
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#input.off("data", this.#typed);
    this.#output.off("drain", this.#drained);
    this.#output.write(PLAIN + PASTE_OFF);
    if (!this.#hasEnded) this.#leaveLine("");
    this.#hasEnded = true;
    this.#editor.close();
    this.#input.setRawMode(false);
    this.#input.pause();
  }

  get #columns(): number {
    return Math.min(this.#output.columns || 80, MAX_SIZE);
  }

  readonly #drained = (): void => this.#sink.ready();

  readonly #typed = (chunk: Buffer): void => {
    this.#timer?.cancel();
    this.#take(this.#scanner.push(chunk));
    if (!this.#scanner.isHolding) return;
    const silenceMs = this.#scanner.isPasting ? PASTE_MS : KEY_MS;
    this.#timer = this.#clock.at(addMs(this.#clock.now(), silenceMs), () => this.#take(this.#scanner.flush()));
  };

  #take(pieces: ReturnType<PasteScanner["push"]>): void {
    for (const piece of pieces) {
      if (this.#isClosed) return;
      if (piece.kind === "keys") this.#press(piece.bytes);
      else this.#paste(piece.text);
    }
  }

  #press(bytes: Buffer): void {
    // The editor itself does not notice on which row a line ends that has grown beyond the first.
    this.#editor.prevRows = this.#editor.getCursorPos().rows;
    // Not written: what is written may arrive behind a paste that follows it.
    this.#keys.emit("data", bytes);
  }

  /** Text that is put in as it is, line by line: to `write` of an editor no character of it is a key. */
  #paste(text: string): void {
    if (text === "") return;
    this.#isPasting = true;
    this.#editor.write(text);
    this.#isPasting = false;
    this.#isPasted = this.#editor.line !== "";
  }

  #line(line: string): void {
    const isPasted = this.#isPasting || this.#isPasted;
    this.#isPasted = false;
    this.#isAsking = false;
    this.#prompt = "";
    this.#tail = "";
    this.#editor.setPrompt("");
    this.#sink.line(line, isPasted);
  }

  #endOfInput(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#leaveLine("");
    this.#sink.ended();
  }

  /** What is drawn stays as it is, with `mark` at its end; all that follows stands below. */
  #leaveLine(mark: string): void {
    this.#flush();
    const isBegun = this.#isAsking || this.#editor.line !== "" || this.#tail !== "" || mark !== "";
    if (isBegun) this.#output.write(`${mark}\n`);
    this.#isPasted = false;
    this.#isAsking = false;
    this.#tail = "";
    this.#prompt = "";
    this.#editor.setPrompt("");
  }

  #interrupt(): void {
    this.#editor.write(null, { ctrl: true, name: "e" });
    this.#leaveLine("^C");
    this.#editor.prevRows = 0;
    if (this.#editor.line !== "") this.#editor.write(null, { ctrl: true, name: "u" });
    this.#sink.interrupt();
  }

  /** Takes away what is drawn; the cursor stands at the beginning of its first row then. */
  #erasing(): string {
    const { rows } = this.#editor.getCursorPos();
    this.#editor.prevRows = 0;
    return `\r${rows > 0 ? `\x1b[${rows}A` : ""}\x1b[J`;
  }

  #draw(): void {
    this.#output.write(PLAIN);
    this.#editor.setPrompt(this.#tail + this.#prompt);
    this.#editor.prompt(true);
  }
}

/** What stands behind the last end of line, without sequences. */
function lastLineOf(text: string): string {
  const plain = text.replaceAll(/\x1b\[[0-9;]*[A-Za-z]/g, "");
  return plain.slice(Math.max(plain.lastIndexOf("\n"), plain.lastIndexOf("\r")) + 1);
}
