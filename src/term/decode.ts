import { SallyportError } from "../base/errors.ts";
import { u32 } from "./big-endian.ts";
import type { TermDecoderOptions } from "./decoder-options.ts";
import { malformed, overLimit, truncated } from "./faults.ts";
import { COMPRESSED, VERSION_MAGIC } from "./tags.ts";
import { TermDecoder } from "./term-decoder.ts";
import type { Term } from "./types.ts";

export { TermDecoder, type TermDecoderOptions };

/** Inflates zlib data to at most `maxBytes` bytes; throws when the data is damaged or longer. */
export type Inflate = (bytes: Uint8Array, maxBytes: number) => Uint8Array;

export type DecodeTermOptions = TermDecoderOptions &
  (
    | { readonly compressed?: false }
    /** Accepts the compressed form of `term_to_binary/2`, through the function given. */
    | { readonly compressed: true; readonly inflate: Inflate }
  );

/**
 * Decodes one stand-alone term, as `term_to_binary/1` makes it: `131 term`, nothing after it. Buffers are shared as
 * `TermDecoder` says.
 * @throws {SallyportError} ERR_PEER_MISBEHAVED TERM_*, ERR_LIMIT TERM_*
 */
export function decodeTerm(bytes: Uint8Array, options: DecodeTermOptions = {}): Term {
  const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.length === 0) throw truncated(0, 1, 0);
  if (buffer[0] !== VERSION_MAGIC) {
    throw malformed(
      "TERM_VERSION_INVALID",
      0,
      `the first byte is ${buffer[0]}, a stand-alone term starts with ${VERSION_MAGIC}`,
    );
  }
  const decoder = new TermDecoder(options);
  if (options.compressed !== true || buffer[1] !== COMPRESSED) return decodeWhole(decoder, buffer, 1);
  if (buffer.length < 6) throw truncated(1, 5, buffer.length - 1);
  const size = u32(buffer, 2);
  if (size > decoder.limits.maxBytes) {
    throw overLimit("TERM_BYTES", "maxBytes", decoder.limits.maxBytes, `a compressed term of ${size} bytes`);
  }
  return decodeWhole(decoder, inflated(buffer.subarray(6), size, options.inflate), 0);
}

function inflated(data: Uint8Array, size: number, inflate: Inflate): Buffer {
  let out: Uint8Array;
  try {
    out = inflate(data, size);
  } catch (cause) {
    throw new SallyportError(
      "ERR_PEER_MISBEHAVED",
      "TERM_COMPRESSED_INVALID",
      `compressed term of ${size} bytes does not inflate`,
      {
        cause,
        advice: "the data is damaged; ask for it again",
      },
    );
  }
  if (out.length !== size) {
    throw malformed("TERM_COMPRESSED_INVALID", 0, `a compressed term says it has ${size} bytes, it has ${out.length}`);
  }
  return Buffer.from(out.buffer, out.byteOffset, out.byteLength);
}

function decodeWhole(decoder: TermDecoder, buffer: Buffer, start: number): Term {
  const term = decoder.decodeAt(buffer, start, buffer.length);
  const extra = buffer.length - decoder.position;
  if (extra > 0) throw malformed("TERM_TRAILING_BYTES", decoder.position, `${extra} bytes follow the term`, { extra });
  return term;
}
