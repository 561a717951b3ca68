import { ByteParts } from "../base/byte-parts.ts";
import { SallyportError } from "../base/errors.ts";
import type { StreamSink, TaggedStream } from "../dist/tagged-stream.ts";
import type { Peer } from "./peer.ts";
import type { PeerStream } from "./peer-stream.ts";

/** Unread bytes from which the peer's side of a stream is not read on. */
export const MAX_STREAM_UNREAD_BYTES: number = 256 * 1024;

/** One stream as an application holds it. */
export class OpenStream implements PeerStream, StreamSink {
  readonly tag: string;
  readonly peer: Peer;
  readonly closed: Promise<SallyportError | null>;
  readonly #stream: TaggedStream;
  readonly #over: () => void;
  readonly #unread: ByteParts = new ByteParts();
  #isPaused = false;
  #hasEnded = false;
  #isClosed = false;
  #error: SallyportError | undefined;
  #reader: (() => void) | undefined;
  #writers: (() => void)[] = [];
  #settle: (error: SallyportError | null) => void = () => {};

  /** @param over called once when the stream is over */
  constructor(stream: TaggedStream, peer: Peer, over: () => void) {
    this.#stream = stream;
    this.tag = stream.tag;
    this.peer = peer;
    this.#over = over;
    this.closed = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#error !== undefined) throw this.#error;
    if (this.#stream.write(bytes)) return;
    await new Promise<void>((resolve) => this.#writers.push(resolve));
    if (this.#error !== undefined) throw this.#error;
  }

  end(): void {
    this.#stream.finish();
  }

  reset(code?: number): void {
    this.#stream.reset(code);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void> {
    for (;;) {
      const chunk = this.#unread.shift();
      if (chunk !== undefined) {
        if (this.#isPaused && this.#unread.bytes <= MAX_STREAM_UNREAD_BYTES / 2) {
          this.#isPaused = false;
          this.#stream.resume();
        }
        yield chunk;
      } else if (this.#error !== undefined) throw this.#error;
      else if (this.#hasEnded || this.#isClosed) return;
      else if (this.#reader !== undefined) throw readTwice();
      else {
        await new Promise<void>((resolve) => {
          this.#reader = resolve;
        });
      }
    }
  }

  // StreamSink

  data(chunk: Buffer): void {
    this.#unread.add(chunk, 0, chunk.length);
    if (!this.#isPaused && this.#unread.bytes >= MAX_STREAM_UNREAD_BYTES) {
      this.#isPaused = true;
      this.#stream.pause();
    }
    this.#wake();
  }

  ended(): void {
    this.#hasEnded = true;
    this.#wake();
  }

  drained(): void {
    const writers = this.#writers;
    this.#writers = [];
    for (const go of writers) go();
  }

  /** What has come and is not read yet is still to be had where the stream ended in good order. */
  closedBy(error: SallyportError | undefined): void {
    this.#isClosed = true;
    this.#error = error;
    if (error !== undefined) this.#unread.clear();
    this.drained();
    this.#wake();
    this.#over();
    this.#settle(error ?? null);
  }

  #wake(): void {
    const reader = this.#reader;
    this.#reader = undefined;
    reader?.();
  }
}

function readTwice(): SallyportError {
  return new SallyportError("ERR_API_MISUSE", "STREAM_READ_TWICE", "two loops read one stream", {
    advice: "read a stream in one place",
  });
}
