import type { FilterMode } from "./terminal-filter.ts";

/** What comes from the person in front, or from a pipe. */
export interface FrontSink {
  /** A line without its end; `isPasted`: at least a part of it was pasted. */
  line(text: string, isPasted: boolean): void;
  /** Ctrl-D, or the end of the pipe. */
  ended(): void;
  /** Ctrl-C in a terminal. */
  interrupt(): void;
  /** The screen takes more, after `show` said that it was behind. */
  ready(): void;
}

/** Where lines come from and text goes to: a terminal, or pipes. */
export interface Front {
  /** What may be shown. */
  readonly mode: FilterMode;
  /** True when somebody types: `~.` and ctrl-C mean something. */
  readonly isTyped: boolean;
  /** Shows text that is safe for it. False: it is behind. */
  show(text: string): boolean;
  /** A line is wanted; `prompt` is one line without any sequence. */
  ask(prompt: string): void;
  /** None is wanted any more. */
  asked(): void;
  /** Undefined where there is no terminal. */
  size(): { readonly columns: number; readonly rows: number } | undefined;
  /** Reads no more lines for now. */
  pause(): void;
  resume(): void;
  /** Puts everything back as it was. Idempotent. */
  close(): void;
}
