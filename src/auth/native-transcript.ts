import type { NodeName } from "../base/node-name.ts";
import { METHOD_NUMBERS, type NativeMethod } from "../wire/native-handshake.ts";

/** First field of every transcript, and the ALPN name. */
export const NATIVE_LABEL = "sallyport/1";

/** What one side put into its HELLO, and its certificate. */
export interface TranscriptSide {
  readonly name: NodeName;
  readonly method: NativeMethod;
  readonly creation: number;
  readonly incarnation: bigint;
  /** 32 bytes; zero with method `cookie`. */
  readonly publicKey: Buffer;
  readonly nonce: Buffer;
  readonly flags: bigint;
  /** SHA-256 of the certificate (DER) that this side showed in this TLS session. */
  readonly certificateHash: Buffer;
}

/** Everything that both sides must have seen alike (design D4). */
export interface Transcript {
  readonly versionLow: number;
  readonly versionHigh: number;
  readonly version: number;
  readonly dialler: TranscriptSide;
  readonly acceptor: TranscriptSide;
  /** TLS exporter of this session, RFC 9266. 32 bytes. */
  readonly exporter: Buffer;
}

/** Names of the fields, in their order on the wire. */
export const TRANSCRIPT_FIELDS = [
  "label",
  "versionLow",
  "versionHigh",
  "version",
  "diallerMethod",
  "acceptorMethod",
  "diallerName",
  "acceptorName",
  "diallerCreation",
  "diallerIncarnation",
  "diallerKey",
  "diallerNonce",
  "diallerFlags",
  "acceptorCreation",
  "acceptorIncarnation",
  "acceptorKey",
  "acceptorNonce",
  "acceptorFlags",
  "exporter",
  "diallerCertificate",
  "acceptorCertificate",
] as const;

/** One field of the transcript. */
export type TranscriptField = (typeof TRANSCRIPT_FIELDS)[number];

/**
 * `T`: `length:16 bytes` of each field, in the order of `TRANSCRIPT_FIELDS` (docs/protocol.md, "Transcript"). Numbers are
 * big-endian and have the width that HELLO gives them. Its SHA-512 is `H`.
 */
export function encodeTranscript(transcript: Transcript): Buffer {
  const { dialler, acceptor } = transcript;
  const fields: readonly Buffer[] = [
    Buffer.from(NATIVE_LABEL, "latin1"),
    Buffer.from([transcript.versionLow]),
    Buffer.from([transcript.versionHigh]),
    Buffer.from([transcript.version]),
    Buffer.from([METHOD_NUMBERS[dialler.method]]),
    Buffer.from([METHOD_NUMBERS[acceptor.method]]),
    Buffer.from(dialler.name, "latin1"),
    Buffer.from(acceptor.name, "latin1"),
    ...sideFields(dialler),
    ...sideFields(acceptor),
    transcript.exporter,
    dialler.certificateHash,
    acceptor.certificateHash,
  ];
  let length = 0;
  for (const field of fields) length += 2 + field.length;
  const out = Buffer.alloc(length);
  let at = 0;
  for (const field of fields) {
    at = out.writeUInt16BE(field.length, at);
    out.set(field, at);
    at += field.length;
  }
  return out;
}

function sideFields(side: TranscriptSide): readonly Buffer[] {
  const numbers = Buffer.alloc(20);
  numbers.writeUInt32BE(side.creation, 0);
  numbers.writeBigUInt64BE(side.incarnation, 4);
  numbers.writeBigUInt64BE(side.flags, 12);
  return [numbers.subarray(0, 4), numbers.subarray(4, 12), side.publicKey, side.nonce, numbers.subarray(12, 20)];
}
