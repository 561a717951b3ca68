import type { SallyportError } from "../base/errors.ts";
import type { Peer } from "./peer.ts";

/**
 * A stream of bytes between two nodes, apart from messages and calls: reads and writes go at their own pace, and wait for the other
 * side where it is slower. Iterating gives what the peer writes, chunk by chunk, and ends when it has said all; it throws the error
 * with which the stream was cut.
 */
export interface PeerStream extends AsyncIterable<Buffer> {
  readonly tag: string;
  readonly peer: Peer;
  /**
   * Writes bytes, which must not change until the promise resolves: when there is room for more.
   * @throws {SallyportError} ERR_CLOSED STREAM_ENDED, or the error with which the stream was cut; ERR_LIMIT STREAM_QUEUE_FULL
   */
  write(bytes: Uint8Array): Promise<void>;
  /** Says that nothing more follows; reading goes on. Idempotent. */
  end(): void;
  /**
   * Cuts the stream, both ways: what waits is lost, and the peer neither writes nor reads on. It learns `code` as `detail.resetCode` of
   * the error with which its end is cut, also where one direction has ended before. A whole number from 0 to 2^32 - 1, but not 0x100 and
   * 0x101, which nodes keep; default 0, which means that whoever served the stream is gone. Idempotent: the first code counts.
   * @throws {SallyportError} ERR_API_MISUSE STREAM_CODE
   */
  reset(code?: number): void;
  /** Resolves when the stream is over: null when both sides have said all, else what cut it. Never rejects. */
  readonly closed: Promise<SallyportError | null>;
}

/** Takes a stream that a peer has opened. One that throws cuts it, and is told as `handlerError`. */
export type StreamHandler = (stream: PeerStream) => void | Promise<void>;

/** The streams of one session. */
export interface PeerStreams {
  /** @throws {SallyportError} ERR_CLOSED SESSION_CLOSED; ERR_API_MISUSE STREAM_TAG; ERR_LIMIT STREAMS_FULL */
  open(peer: Peer, tag: string): PeerStream;
  /** Other rules hold: what they do not allow any more is cut. */
  rejudge(): void;
}
