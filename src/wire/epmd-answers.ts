import { SallyportError } from "../base/errors.ts";
import {
  ALIVE2_RESP,
  ALIVE2_X_RESP,
  type AliveAnswer,
  entryLength,
  isEpmdName,
  MAX_EPMD_EXTRA_BYTES,
  MAX_EPMD_NAME_BYTES,
  PORT2_RESP,
  type PortAnswer,
  readEntry,
} from "./epmd.ts";
import { misbehaved } from "./misbehaved.ts";

/** Default cap on the answer to NAMES_REQ: about 1,500 of the longest lines a BEAM makes. In bytes. */
export const MAX_EPMD_NAMES_BYTES: number = 64 * 1024;

/** Longest answer to a lookup, in bytes. */
const MAX_PORT_ANSWER_BYTES = 14 + MAX_EPMD_NAME_BYTES + MAX_EPMD_EXTRA_BYTES;

/** Collects the chunks of one answer, with a cap that is checked before anything is kept. */
class AnswerBytes {
  #buffer: Buffer = Buffer.alloc(0);
  #length = 0;
  readonly #maxBytes: number;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  add(chunk: Buffer): void {
    const length = this.#length + chunk.length;
    if (length > this.#maxBytes) {
      throw new SallyportError(
        "ERR_LIMIT",
        "EPMD_ANSWER_TOO_LONG",
        `an EPMD answer of more than ${this.#maxBytes} bytes`,
        {
          detail: { value: length, limit: this.#maxBytes, option: "maxBytes" },
          stage: "port",
          advice: "check that an EPMD listens on that port",
        },
      );
    }
    if (length > this.#buffer.length) {
      const grown = Buffer.alloc(Math.min(this.#maxBytes, Math.max(length, this.#buffer.length * 2, 64)));
      this.#buffer.copy(grown, 0, 0, this.#length);
      this.#buffer = grown;
    }
    chunk.copy(this.#buffer, this.#length);
    this.#length = length;
  }
}

/** Reads the answer to ALIVE2_REQ from chunks. The socket stays open afterwards: it is the registration. */
export class AliveAnswerParser {
  readonly #bytes: AnswerBytes = new AnswerBytes(6);

  /**
   * Takes a chunk; the answer once it is complete.
   * @throws {SallyportError} ERR_PEER_MISBEHAVED EPMD_UNKNOWN_ANSWER, EPMD_TRAILING_BYTES; ERR_LIMIT EPMD_ANSWER_TOO_LONG
   */
  push(chunk: Buffer): AliveAnswer | undefined {
    this.#bytes.add(chunk);
    const bytes = this.#bytes.bytes;
    if (bytes.length === 0) return undefined;
    const tag = bytes[0];
    if (tag !== ALIVE2_X_RESP && tag !== ALIVE2_RESP) throw unknownAnswer(tag);
    const need = tag === ALIVE2_X_RESP ? 6 : 4;
    if (bytes.length < need) return undefined;
    if (bytes.length > need) throw trailing(bytes.length - need);
    return { result: bytes.readUInt8(1), creation: need === 6 ? bytes.readUInt32BE(2) : bytes.readUInt16BE(2) };
  }
}

/** Reads the answer to PORT_PLEASE2_REQ from chunks. */
export class PortAnswerParser {
  readonly #bytes: AnswerBytes = new AnswerBytes(MAX_PORT_ANSWER_BYTES);

  /**
   * Takes a chunk; the answer once it is complete.
   * @throws {SallyportError} ERR_PEER_MISBEHAVED EPMD_*; ERR_LIMIT EPMD_ANSWER_TOO_LONG
   */
  push(chunk: Buffer): PortAnswer | undefined {
    this.#bytes.add(chunk);
    const bytes = this.#bytes.bytes;
    if (bytes.length > 0 && bytes[0] !== PORT2_RESP) throw unknownAnswer(bytes[0]);
    if (bytes.length < 2) return undefined;
    const result = bytes.readUInt8(1);
    if (result !== 0) {
      if (bytes.length > 2) throw trailing(bytes.length - 2);
      return { found: false, result };
    }
    const length = entryLength(bytes, 2, bytes.length);
    if (length === undefined || bytes.length < 2 + length) return undefined;
    if (bytes.length > 2 + length) throw trailing(bytes.length - 2 - length);
    return { found: true, entry: readEntry(bytes, 2) };
  }
}

/** What an EPMD lists. */
export interface NamesAnswer {
  readonly epmdPort: number;
  readonly names: readonly { readonly name: string; readonly port: number }[];
  /** Lines left out because they were not `name N at port P` with a plain name and a port (threat-model EP-03). */
  readonly skipped: number;
}

/** Reads the answer to NAMES_REQ, which ends with the connection. */
export class NamesAnswerParser {
  readonly #bytes: AnswerBytes;

  /** @param maxBytes cap on the whole answer, inclusive; 65,536 by default */
  constructor(maxBytes: number = MAX_EPMD_NAMES_BYTES) {
    this.#bytes = new AnswerBytes(maxBytes);
  }

  /** @throws {SallyportError} ERR_LIMIT EPMD_ANSWER_TOO_LONG */
  push(chunk: Buffer): void {
    this.#bytes.add(chunk);
  }

  /**
   * The list, when the connection has ended.
   * @throws {SallyportError} ERR_PEER_MISBEHAVED EPMD_TRUNCATED
   */
  end(): NamesAnswer {
    const bytes = this.#bytes.bytes;
    if (bytes.length < 4) throw misbehaved("EPMD_TRUNCATED", "the list of names ends before its first field");
    const names: { name: string; port: number }[] = [];
    let skipped = 0;
    for (const line of bytes.toString("latin1", 4).split("\n")) {
      if (line === "") continue;
      const match = /^name ([^ ]+) at port ([0-9]{1,5})$/.exec(line);
      const name = match?.[1];
      const port = Number(match?.[2]);
      if (name !== undefined && isEpmdName(name) && port >= 1 && port <= 65_535) names.push({ name, port });
      else skipped++;
    }
    return { epmdPort: bytes.readUInt32BE(0), names, skipped };
  }
}

function unknownAnswer(tag: number | undefined): SallyportError {
  return misbehaved(
    "EPMD_UNKNOWN_ANSWER",
    `an answer with the unknown first byte ${tag ?? -1}`,
    { tag: tag ?? -1 },
    "check that an EPMD listens on that port",
  );
}

function trailing(value: number): SallyportError {
  return misbehaved("EPMD_TRAILING_BYTES", `${value} bytes follow the last field of an EPMD message`, { value });
}
