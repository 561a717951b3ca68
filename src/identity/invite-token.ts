import { SallyportError } from "../base/errors.ts";
import type { IdentityCrypto } from "../base/identity-crypto.ts";
import { type NodeName, tryNodeName } from "../base/node-name.ts";
import { type Fingerprint, fingerprintHex, fingerprintOf, fingerprintOfHex, type PublicKey } from "./public-key.ts";
import { macInput } from "./signed-text.ts";

/** What an invite text starts with. */
export const INVITE_PREFIX = "sallyport-invite:";

/** Octets of an invite's id, which travels openly. */
export const INVITE_ID_BYTES = 16;

/** Octets of an invite's secret. */
export const INVITE_SECRET_BYTES = 32;

const VERSION = 1;
const CHECK_BYTES = 4;
const FIXED_BYTES = 1 + INVITE_ID_BYTES + INVITE_SECRET_BYTES + 32 + 8;
const MAX_TEXT_CHARS = 1024;

/** What an invite says openly. */
export interface InviteContent {
  /** 16 octets. */
  readonly id: Buffer;
  /** The node that issued it and accepts it. */
  readonly acceptor: NodeName;
  readonly acceptorKey: Fingerprint;
  /** The one node that may use it. */
  readonly invitee: NodeName;
  /** Unix milliseconds, inclusive. */
  readonly expiresMs: number;
}

/**
 * A one-time token in memory. Whoever has its text can use it, so the secret is in no property: no print, log or JSON of
 * this object shows it. Only `text` gives it away.
 */
export class InviteToken implements InviteContent {
  readonly id: Buffer;
  readonly acceptor: NodeName;
  readonly acceptorKey: Fingerprint;
  readonly invitee: NodeName;
  readonly expiresMs: number;
  readonly #secret: Buffer;
  readonly #crypto: IdentityCrypto;

  /** @param secret 32 octets, copied. */
  constructor(content: InviteContent, secret: Uint8Array, crypto: IdentityCrypto) {
    this.id = content.id;
    this.acceptor = content.acceptor;
    this.acceptorKey = content.acceptorKey;
    this.invitee = content.invitee;
    this.expiresMs = content.expiresMs;
    this.#secret = Buffer.alloc(INVITE_SECRET_BYTES);
    this.#secret.set(secret);
    this.#crypto = crypto;
  }

  /** The proof for one handshake. Send it only after the acceptor's key was found to be `acceptorKey`. 32 octets. */
  mac(transcriptHash: Uint8Array): Buffer {
    return inviteMac(this.#secret, transcriptHash, this.#crypto);
  }

  /** Whether this is the acceptor's key. */
  namesKey(key: PublicKey): boolean {
    return fingerprintOf(key, this.#crypto) === this.acceptorKey;
  }

  /** `sallyport-invite:` and base64url. A secret: hand it over on a private channel, never in an argument list. */
  text(): string {
    const names = [this.acceptor, this.invitee];
    const body = Buffer.alloc(FIXED_BYTES);
    body.writeUInt8(VERSION, 0);
    body.set(this.id, 1);
    body.set(this.#secret, 17);
    body.write(fingerprintHex(this.acceptorKey), 49, "hex");
    body.writeBigUInt64BE(BigInt(this.expiresMs), 81);
    const parts: Uint8Array[] = [body];
    for (const name of names) parts.push(Buffer.from([name.length]), Buffer.from(name, "latin1"));
    const content = Buffer.concat(parts);
    const check = this.#crypto.sha256(content).subarray(0, CHECK_BYTES);
    return `${INVITE_PREFIX}${Buffer.concat([content, check]).toString("base64url")}`;
  }

  /** Overwrites the secret. */
  destroy(): void {
    this.#secret.fill(0);
  }
}

/** `HMAC-SHA256(secret, 0x20 * 64 || "sallyport/1 invite" || 0x00 || H)` (docs/protocol.md). */
export function inviteMac(secret: Uint8Array, transcriptHash: Uint8Array, crypto: IdentityCrypto): Buffer {
  return crypto.hmacSha256(secret, macInput("sallyport/1 invite", transcriptHash));
}

/**
 * Reads the text of an invite:
 * `version:8 id:16*8 secret:32*8 acceptorKey:32*8 expiresMs:64 length:8 acceptor length:8 invitee check:4*8`, where check is
 * the start of the SHA-256 of what precedes it. White space around the text is ignored.
 * @throws {SallyportError} ERR_CONFIG INVITE_INVALID, ERR_DENIED INVITE_EXPIRED. No message shows any part of the text.
 */
export function parseInvite(text: string, nowMs: number, crypto: IdentityCrypto): InviteToken {
  const trimmed = text.length > MAX_TEXT_CHARS ? "" : text.trim();
  const encoded = trimmed.startsWith(INVITE_PREFIX) ? trimmed.slice(INVITE_PREFIX.length) : "";
  const bytes = Buffer.from(encoded, "base64url");
  const token = bytes.toString("base64url") === encoded ? readToken(bytes, crypto) : undefined;
  bytes.fill(0);
  if (token === undefined) {
    throw new SallyportError("ERR_CONFIG", "INVITE_INVALID", "this is not the whole text of an invite", {
      stage: "identity",
      advice: `copy it whole, from "${INVITE_PREFIX}" to its end`,
    });
  }
  if (nowMs > token.expiresMs) {
    token.destroy();
    throw new SallyportError("ERR_DENIED", "INVITE_EXPIRED", `the invite of ${token.acceptor} has expired`, {
      stage: "identity",
      detail: { expiresMs: token.expiresMs },
      advice: "ask for a new one, and check this machine's clock",
    });
  }
  return token;
}

function readToken(bytes: Buffer, crypto: IdentityCrypto): InviteToken | undefined {
  const end = bytes.length - CHECK_BYTES;
  if (end < FIXED_BYTES + 2 || bytes.readUInt8(0) !== VERSION) return undefined;
  if (!crypto.sha256(bytes.subarray(0, end)).subarray(0, CHECK_BYTES).equals(bytes.subarray(end))) return undefined;
  const acceptorEnd = FIXED_BYTES + 1 + bytes.readUInt8(FIXED_BYTES);
  if (acceptorEnd >= end || acceptorEnd + 1 + bytes.readUInt8(acceptorEnd) !== end) return undefined;
  const acceptor = tryNodeName(bytes.toString("latin1", FIXED_BYTES + 1, acceptorEnd));
  const invitee = tryNodeName(bytes.toString("latin1", acceptorEnd + 1, end));
  const acceptorKey = fingerprintOfHex(bytes.toString("hex", 49, 81));
  const expiresMs = Number(bytes.readBigUInt64BE(81));
  if (acceptor === undefined || invitee === undefined || acceptorKey === undefined) return undefined;
  if (!Number.isSafeInteger(expiresMs)) return undefined;
  const id = Buffer.from(bytes.subarray(1, 17));
  return new InviteToken({ id, acceptor, acceptorKey, invitee, expiresMs }, bytes.subarray(17, 49), crypto);
}
