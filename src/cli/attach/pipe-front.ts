import { createInterface, type Interface } from "node:readline";
import type { Front, FrontSink } from "./front.ts";

/** Lines from a pipe, a file, or a terminal whose output goes elsewhere; plain text out. */
export class PipeFront implements Front {
  readonly mode = "plain" as const;
  readonly isTyped = false;
  readonly #input: NodeJS.ReadStream;
  readonly #output: NodeJS.WriteStream;
  readonly #lines: Interface;
  readonly #sink: FrontSink;
  readonly #drained = (): void => this.#sink.ready();
  #isClosed = false;

  constructor(input: NodeJS.ReadStream, output: NodeJS.WriteStream, sink: FrontSink) {
    this.#input = input;
    this.#output = output;
    this.#sink = sink;
    this.#lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY });
    this.#lines.on("line", (line) => sink.line(line, false));
    this.#lines.on("close", () => {
      if (!this.#isClosed) sink.ended();
    });
    output.on("drain", this.#drained);
  }

  show(text: string): boolean {
    return this.#output.write(text);
  }

  /** Without anybody who types there is nobody to ask. */
  ask(prompt: string): void {
    if (this.#input.isTTY === true) this.#output.write(prompt);
  }

  asked(): void {}

  size(): undefined {
    return undefined;
  }

  pause(): void {
    this.#lines.pause();
  }

  resume(): void {
    if (!this.#isClosed) this.#lines.resume();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#output.off("drain", this.#drained);
    this.#lines.close();
    this.#input.pause();
  }
}
