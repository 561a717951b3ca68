import pc from "picocolors";

/** Colours, or the identity when they are off. */
export type Colours = ReturnType<typeof pc.createColors>;

/** One of the two output streams. */
export interface OutputStream {
  readonly isTTY?: boolean | undefined;
  write(text: string): unknown;
}

export interface TerminalParts {
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly environment: (name: string) => string | undefined;
  /** One JSON document on stdout, and no progress. */
  readonly json: boolean;
  /** Whether whoever read stdout has gone. Default: never. */
  readonly isGone?: () => boolean;
}

/** Where a command prints: results on stdout, all else on stderr; colours and progress for people only. */
export class Terminal {
  readonly json: boolean;
  /** For stdout. */
  readonly colours: Colours;
  /** For stderr. */
  readonly errorColours: Colours;
  readonly #parts: TerminalParts;

  constructor(parts: TerminalParts) {
    this.#parts = parts;
    this.json = parts.json;
    this.colours = pc.createColors(this.#colourful(parts.stdout));
    this.errorColours = pc.createColors(this.#colourful(parts.stderr));
  }

  /** A line of the result. The text may hold our own colours, so what came from elsewhere is escaped by the caller. */
  line(text: string): void {
    this.#parts.stdout.write(`${text}\n`);
  }

  /** One JSON document on one line, in it nothing that a terminal would act on. */
  document(value: unknown): void {
    const json = JSON.stringify(value).replaceAll(UNSAFE, inJson);
    this.#parts.stdout.write(`${json}\n`);
  }

  /** A line for the person in front of it, on stderr. */
  note(text: string): void {
    this.#parts.stderr.write(`${text}\n`);
  }

  /** True when nobody reads the results any more, as after `| head`. */
  get isGone(): boolean {
    return this.#parts.isGone?.() === true;
  }

  /** True when a person watches stderr. */
  get watched(): boolean {
    return !this.json && this.#parts.stderr.isTTY === true;
  }

  #colourful(stream: OutputStream): boolean {
    const { environment, json } = this.#parts;
    return !json && stream.isTTY === true && (environment("NO_COLOR") ?? "") === "" && environment("TERM") !== "dumb";
  }
}

/** Controls, and the marks that turn text around: never sent to a terminal. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** A character as JSON writes it escaped: those beyond 16 bits as two. */
function inJson(char: string): string {
  return Array.from({ length: char.length }, (_, at) => `\\u${char.charCodeAt(at).toString(16).padStart(4, "0")}`).join(
    "",
  );
}

/** Text on one line without anything a terminal would act on. Our messages escape peer text already; this is the last net. */
export function printable(text: string): string {
  return text.replace(UNSAFE, (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`);
}
