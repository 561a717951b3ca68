import { SallyportError } from "../base/errors.ts";
import { quotePeerText } from "../base/escape.ts";
import { misbehaved } from "./misbehaved.ts";

// Codec of the port mapper's protocol (otp-distribution section 1), shared by client and server. Requests are
// `length:16 body`; responses have no length. What an EPMD says is a hint, never an identity (threat-model EP-01).

/** Default port of EPMD. */
export const EPMD_PORT = 4369;
/** Longest name before the `@`, in bytes; an EPMD takes 255 characters, our names are ASCII. */
export const MAX_EPMD_NAME_BYTES = 255;
/** Longest opaque `extra` field taken, in bytes. A BEAM sends none. */
export const MAX_EPMD_EXTRA_BYTES = 1024;
/** Longest request body a server needs to take, in bytes; give it to the deframer of the server side. */
export const MAX_EPMD_REQUEST_BYTES: number = 13 + MAX_EPMD_NAME_BYTES + MAX_EPMD_EXTRA_BYTES;

const ALIVE2_REQ = 0x78;
const PORT_PLEASE2_REQ = 0x7a;
const NAMES_REQ = 0x6e;
const DUMP_REQ = 0x64;
const KILL_REQ = 0x6b;
const STOP_REQ = 0x73;
export const ALIVE2_X_RESP = 0x76;
export const ALIVE2_RESP = 0x79;
export const PORT2_RESP = 0x77;

const NODE_VISIBLE = 77;
const NODE_HIDDEN = 72;
const PROTOCOL_TCP_IPV4 = 0;
/** Distribution version from which a creation has 32 bits. */
const VERSION_6 = 6;

const NAME = /^[A-Za-z0-9_-]{1,255}$/;

/** A registration, in a request and in a lookup's answer. */
export interface EpmdEntry {
  /** The part of the node name before the `@`. */
  readonly name: string;
  readonly port: number;
  /** What was registered. A BEAM registers as visible also when it is hidden. */
  readonly hidden: boolean;
  readonly highVersion: number;
  readonly lowVersion: number;
  /** Opaque, at most 1,024 bytes, a copy. */
  readonly extra: Buffer;
}

export type EpmdRequest =
  | { readonly kind: "alive"; readonly entry: EpmdEntry }
  | { readonly kind: "port-please"; readonly name: string }
  | { readonly kind: "names" }
  /** Recognised and never served. */
  | { readonly kind: "dump" | "kill" | "stop" };

/** Answer to a registration. `creation` means nothing unless `result` is 0. */
export interface AliveAnswer {
  readonly result: number;
  readonly creation: number;
}

/** Answer to a lookup. */
export type PortAnswer =
  | { readonly found: true; readonly entry: EpmdEntry }
  | { readonly found: false; readonly result: number };

/** The entry that a Sallyport node registers: version 6 only, no extra. */
export function epmdEntry(name: string, port: number, hidden: boolean): EpmdEntry {
  return { name, port, hidden, highVersion: VERSION_6, lowVersion: VERSION_6, extra: Buffer.alloc(0) };
}

/**
 * ALIVE2_REQ, length included.
 * @throws {SallyportError} ERR_CONFIG EPMD_NAME_INVALID, EPMD_PORT_INVALID
 */
export function encodeAliveRequest(entry: EpmdEntry): Buffer {
  checkOwnName(entry.name);
  checkOwnPort(entry.port);
  const body = Buffer.alloc(13 + entry.name.length + entry.extra.length);
  body[0] = ALIVE2_REQ;
  writeEntry(body, 1, entry);
  return withLength(body);
}

/**
 * PORT_PLEASE2_REQ, length included.
 * @throws {SallyportError} ERR_CONFIG EPMD_NAME_INVALID
 */
export function encodePortPleaseRequest(name: string): Buffer {
  checkOwnName(name);
  return withLength(Buffer.from(`${String.fromCharCode(PORT_PLEASE2_REQ)}${name}`, "latin1"));
}

/** NAMES_REQ, length included. */
export function encodeNamesRequest(): Buffer {
  return withLength(Buffer.from([NAMES_REQ]));
}

/**
 * Decodes a request body (without its length), for a server.
 * @throws {SallyportError} ERR_PEER_MISBEHAVED EPMD_TRUNCATED, EPMD_TRAILING_BYTES, EPMD_BAD_NAME, EPMD_BAD_FIELD,
 * EPMD_UNKNOWN_REQUEST
 */
export function decodeEpmdRequest(buffer: Buffer, start: number, end: number): EpmdRequest {
  if (start >= end) throw truncated("request");
  const tag = buffer[start];
  switch (tag) {
    case ALIVE2_REQ: {
      const length = entryLength(buffer, start + 1, end);
      if (length === undefined || start + 1 + length > end) throw truncated("ALIVE2_REQ");
      if (start + 1 + length < end) throw trailing(end - start - 1 - length);
      return { kind: "alive", entry: readEntry(buffer, start + 1) };
    }
    case PORT_PLEASE2_REQ:
      return { kind: "port-please", name: readName(buffer, start + 1, end) };
    case NAMES_REQ:
    case DUMP_REQ:
    case KILL_REQ:
      if (end - start > 1) throw trailing(end - start - 1);
      return { kind: tag === NAMES_REQ ? "names" : tag === DUMP_REQ ? "dump" : "kill" };
    case STOP_REQ:
      return { kind: "stop" };
    default:
      throw misbehaved("EPMD_UNKNOWN_REQUEST", `an EPMD request with the unknown first byte ${tag ?? -1}`);
  }
}

/** ALIVE2_X_RESP, or ALIVE2_RESP with a short creation for registrants that know no version 6. */
export function encodeAliveAnswer(answer: AliveAnswer, highVersion: number): Buffer {
  const long = highVersion >= VERSION_6;
  const out = Buffer.alloc(long ? 6 : 4);
  out[0] = long ? ALIVE2_X_RESP : ALIVE2_RESP;
  out[1] = answer.result;
  if (long) out.writeUInt32BE(answer.creation, 2);
  else out.writeUInt16BE(answer.creation & 3, 2);
  return out;
}

/** PORT2_RESP. */
export function encodePortAnswer(answer: PortAnswer): Buffer {
  if (!answer.found) return Buffer.from([PORT2_RESP, answer.result]);
  const out = Buffer.alloc(14 + answer.entry.name.length + answer.entry.extra.length);
  out[0] = PORT2_RESP;
  writeEntry(out, 2, answer.entry);
  return out;
}

/** The whole answer to NAMES_REQ; the server closes after it. */
export function encodeNamesAnswer(epmdPort: number, entries: readonly EpmdEntry[]): Buffer {
  let text = "";
  for (const entry of entries) text += `name ${entry.name} at port ${entry.port}\n`;
  const out = Buffer.alloc(4 + text.length);
  out.writeUInt32BE(epmdPort, 0);
  out.write(text, 4, "latin1");
  return out;
}

/**
 * Length of the entry at `at`, or undefined when not enough bytes are there to tell. Both length fields are checked as
 * soon as they are there. Layout: `port:16 type:8 protocol:8 high:16 low:16 nlen:16 name elen:16 extra`.
 */
export function entryLength(buffer: Buffer, at: number, end: number): number | undefined {
  if (end - at < 10) return undefined;
  const nameBytes = buffer.readUInt16BE(at + 8);
  if (nameBytes === 0 || nameBytes > MAX_EPMD_NAME_BYTES) {
    throw misbehaved("EPMD_BAD_NAME", `a name of ${nameBytes} bytes; 1 to ${MAX_EPMD_NAME_BYTES} are allowed`, {
      value: nameBytes,
      limit: MAX_EPMD_NAME_BYTES,
    });
  }
  if (end - at < 12 + nameBytes) return undefined;
  const extraBytes = buffer.readUInt16BE(at + 10 + nameBytes);
  if (extraBytes > MAX_EPMD_EXTRA_BYTES) {
    throw misbehaved(
      "EPMD_BAD_FIELD",
      `an extra field of ${extraBytes} bytes; at most ${MAX_EPMD_EXTRA_BYTES} are taken`,
      {
        field: "extra",
        value: extraBytes,
        limit: MAX_EPMD_EXTRA_BYTES,
      },
    );
  }
  return 12 + nameBytes + extraBytes;
}

/** Reads an entry whose length `entryLength` has found to be present. */
export function readEntry(buffer: Buffer, at: number): EpmdEntry {
  const port = buffer.readUInt16BE(at);
  const nodeType = buffer.readUInt8(at + 2);
  const protocol = buffer.readUInt8(at + 3);
  if (port === 0) throw badField("port", port, "1 to 65535");
  if (nodeType !== NODE_VISIBLE && nodeType !== NODE_HIDDEN) throw badField("nodeType", nodeType, "77 or 72");
  if (protocol !== PROTOCOL_TCP_IPV4) throw badField("protocol", protocol, "0");
  const nameEnd = at + 10 + buffer.readUInt16BE(at + 8);
  return {
    name: readName(buffer, at + 10, nameEnd),
    port,
    hidden: nodeType === NODE_HIDDEN,
    highVersion: buffer.readUInt16BE(at + 4),
    lowVersion: buffer.readUInt16BE(at + 6),
    extra: Buffer.from(buffer.subarray(nameEnd + 2, nameEnd + 2 + buffer.readUInt16BE(nameEnd))),
  };
}

/** True for a name that we register, look up or list: letters, digits, `_` and `-`. */
export function isEpmdName(text: string): boolean {
  return NAME.test(text);
}

function readName(buffer: Buffer, start: number, end: number): string {
  if (end - start > MAX_EPMD_NAME_BYTES || end <= start) {
    throw misbehaved("EPMD_BAD_NAME", `a name of ${end - start} bytes; 1 to ${MAX_EPMD_NAME_BYTES} are allowed`, {
      value: end - start,
      limit: MAX_EPMD_NAME_BYTES,
    });
  }
  const name = buffer.toString("latin1", start, end);
  if (!NAME.test(name)) {
    throw misbehaved(
      "EPMD_BAD_NAME",
      `"${quotePeerText(name)}" has characters other than letters, digits, "_" and "-"`,
    );
  }
  return name;
}

function writeEntry(out: Buffer, at: number, entry: EpmdEntry): void {
  out.writeUInt16BE(entry.port, at);
  out[at + 2] = entry.hidden ? NODE_HIDDEN : NODE_VISIBLE;
  out[at + 3] = PROTOCOL_TCP_IPV4;
  out.writeUInt16BE(entry.highVersion, at + 4);
  out.writeUInt16BE(entry.lowVersion, at + 6);
  out.writeUInt16BE(entry.name.length, at + 8);
  out.write(entry.name, at + 10, "latin1");
  const extraAt = at + 10 + entry.name.length;
  out.writeUInt16BE(entry.extra.length, extraAt);
  out.set(entry.extra, extraAt + 2);
}

function withLength(body: Buffer): Buffer {
  const out = Buffer.alloc(2 + body.length);
  out.writeUInt16BE(body.length, 0);
  out.set(body, 2);
  return out;
}

function checkOwnName(name: string): void {
  if (NAME.test(name)) return;
  throw new SallyportError(
    "ERR_CONFIG",
    "EPMD_NAME_INVALID",
    `"${quotePeerText(name)}" cannot stand in an EPMD request; use 1 to 255 letters, digits, "_" and "-"`,
    { stage: "port", advice: "give only the part of the node name before the @" },
  );
}

function checkOwnPort(port: number): void {
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) return;
  throw new SallyportError("ERR_CONFIG", "EPMD_PORT_INVALID", `port ${port} is not 1..65535`, {
    stage: "port",
    advice: "register the port that the node really listens on",
  });
}

function truncated(what: string): SallyportError {
  return misbehaved("EPMD_TRUNCATED", `${what} ends before its last field`);
}

function trailing(value: number): SallyportError {
  return misbehaved("EPMD_TRAILING_BYTES", `${value} bytes follow the last field of an EPMD message`, { value });
}

function badField(field: string, value: number, allowed: string): SallyportError {
  return misbehaved("EPMD_BAD_FIELD", `EPMD field ${field} is ${value}; ${allowed} is allowed`, { field, value });
}
