import { SallyportError } from "../base/errors.ts";
import type { Files } from "../base/files.ts";
import { canonicalName, type NodeName, parseNodeName } from "../base/node-name.ts";

/** Longest cookie, in bytes: the limit of an Erlang atom. */
export const MAX_COOKIE_BYTES = 255;

/** Below this many bytes a cookie can be guessed from one recorded handshake. */
export const WEAK_COOKIE_BYTES = 16;

/** Text, or the file that holds it. */
export type CookieSource = string | { readonly file: string };

/** What the owner configures: one cookie, or a default and cookies by peer. */
export type CookieSetting =
  | CookieSource
  | { readonly default?: CookieSource; readonly peers: Readonly<Record<string, CookieSource>> };

/** The cookies of one node. There is no default, and no file of the user's home is read (rulings U5). */
export class CookieBook {
  readonly #default: Uint8Array | undefined;
  readonly #peers: ReadonlyMap<NodeName, Uint8Array>;

  constructor(fallback: Uint8Array | undefined, peers: ReadonlyMap<NodeName, Uint8Array>) {
    this.#default = fallback;
    this.#peers = peers;
  }

  /** The cookie shared with `peer`; undefined when there is none. */
  cookieFor(peer: NodeName): Uint8Array | undefined {
    return this.#peers.size === 0 ? this.#default : (this.#peers.get(canonicalName(peer)) ?? this.#default);
  }

  /** Every cookie of the book. */
  all(): readonly Uint8Array[] {
    return [...(this.#default === undefined ? [] : [this.#default]), ...this.#peers.values()];
  }
}

export interface CookieReading {
  readonly book: CookieBook;
  readonly warnings: readonly { readonly reason: string; readonly message: string }[];
}

/**
 * Reads the cookies. One trailing LF or CRLF of a file is dropped.
 * @throws {SallyportError} ERR_CONFIG COOKIE_EMPTY, COOKIE_TOO_LONG, COOKIE_FILE_MISSING, NAME_INVALID
 */
export function readCookies(setting: CookieSetting | undefined, files: Files): CookieReading {
  const warnings: { reason: string; message: string }[] = [];
  const read = (source: CookieSource, whose: string): Uint8Array => {
    const bytes = readCookie(source, files, whose);
    if (bytes.length < WEAK_COOKIE_BYTES) {
      const message = `the ${whose} has ${bytes.length} bytes; below ${WEAK_COOKIE_BYTES} it can be guessed from one recorded handshake`;
      warnings.push({ reason: "COOKIE_WEAK", message });
    }
    return bytes;
  };
  const peers = new Map<NodeName, Uint8Array>();
  let fallback: Uint8Array | undefined;
  if (typeof setting === "object" && "peers" in setting) {
    for (const [name, source] of Object.entries(setting.peers)) {
      peers.set(canonicalName(parseNodeName(name)), read(source, `cookie for ${parseNodeName(name)}`));
    }
    if (setting.default !== undefined) fallback = read(setting.default, "default cookie");
  } else if (setting !== undefined) {
    fallback = read(setting, "cookie");
  }
  return { book: new CookieBook(fallback, peers), warnings };
}

function readCookie(source: CookieSource, files: Files, whose: string): Uint8Array {
  const bytes = typeof source === "string" ? Buffer.from(source, "utf8") : withoutLineEnd(readFile(source.file, files));
  if (bytes.length === 0) {
    throw new SallyportError("ERR_CONFIG", "COOKIE_EMPTY", `the ${whose} is empty`, {
      stage: "cookie",
      advice: "put at least 16 random characters into it, or leave it out",
    });
  }
  if (bytes.length > MAX_COOKIE_BYTES) {
    throw new SallyportError(
      "ERR_CONFIG",
      "COOKIE_TOO_LONG",
      `the ${whose} has ${bytes.length} bytes, more than ${MAX_COOKIE_BYTES}`,
      { stage: "cookie", advice: `use at most ${MAX_COOKIE_BYTES} bytes` },
    );
  }
  return bytes;
}

function readFile(path: string, files: Files): Buffer {
  try {
    return files.read(path);
  } catch (cause) {
    throw new SallyportError("ERR_CONFIG", "COOKIE_FILE_MISSING", `cannot read the cookie file ${path}`, {
      stage: "cookie",
      advice: "check the path and the permissions of the cookie file",
      cause,
    });
  }
}

function withoutLineEnd(bytes: Buffer): Uint8Array {
  let end = bytes.length;
  if (end > 0 && bytes[end - 1] === 0x0a) {
    end--;
    if (end > 0 && bytes[end - 1] === 0x0d) end--;
  }
  return bytes.subarray(0, end);
}
