/** Bounds of a console that is attached to a worker. */
export interface ConsoleLimits {
  /** Requests of the worker that wait for the screen or for a line. Further ones are answered `{error, eagain}`. Default 256. */
  readonly maxWaitingRequests: number;
  /** What they hold, in bytes. Default 8 MiB. */
  readonly maxWaitingBytes: number;
  /** One request, in bytes; of longer text the rest is not shown, longer arguments are answered `{error, eagain}`. Default 1 MiB. */
  readonly maxRequestBytes: number;
  /** Text that is shown a second, in bytes; a request counts for 64 at least. Default 4 MiB. */
  readonly bytesPerSecond: number;
  /** Input for one question that the worker has found no end in, in characters. Default 65,536. */
  readonly maxInputChars: number;
  /** Lines that were typed and not asked for; in a terminal further ones are dropped, elsewhere not read. Default 1,000. */
  readonly maxTypedLines: number;
  /** One pasted text, in bytes; the rest is dropped. Default 1 MiB. */
  readonly maxPasteBytes: number;
  /** One call to the worker on behalf of a request, in milliseconds. Default 5,000. */
  readonly callMs: number;
}

export const DEFAULT_CONSOLE_LIMITS: ConsoleLimits = {
  maxWaitingRequests: 256,
  maxWaitingBytes: 8 * 1024 * 1024,
  maxRequestBytes: 1024 * 1024,
  bytesPerSecond: 4 * 1024 * 1024,
  maxInputChars: 65_536,
  maxTypedLines: 1_000,
  maxPasteBytes: 1024 * 1024,
  callMs: 5_000,
};
