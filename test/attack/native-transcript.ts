// What proofs of the native handshake cover, and how they are made: from docs/protocol.md alone, with the platform's crypto.
import { createHash, createHmac, createPrivateKey, createPublicKey, scryptSync, sign, verify } from "node:crypto";
import type { TLSSocket } from "node:tls";
import { type Hello, unsigned } from "./native-frames.ts";

const SPACES = Buffer.alloc(64, 0x20);
const PKCS8_ED25519 = Buffer.from("302e020100300506032b657004220420", "hex");
const SPKI_ED25519 = Buffer.from("302a300506032b6570032100", "hex");
/** Order of the base point of Ed25519. */
const L = 2n ** 252n + 27742317777372353535851937790883648493n;

export type Role = "dialler" | "acceptor";

/** What both ends of one TLS connection can compute of it. */
export interface Binding {
  readonly exporter: Buffer;
  readonly ownCertificate: Buffer;
  readonly peerCertificate: Buffer;
}

export function sha256(bytes: Buffer): Buffer {
  return createHash("sha256").update(bytes).digest();
}

export function bindingOf(socket: TLSSocket): Binding {
  const own = socket.getX509Certificate();
  const peer = socket.getPeerX509Certificate();
  return {
    exporter: socket.exportKeyingMaterial(32, "EXPORTER-Channel-Binding", undefined as never),
    ownCertificate: own === undefined ? Buffer.alloc(32) : sha256(own.raw),
    peerCertificate: peer === undefined ? Buffer.alloc(32) : sha256(peer.raw),
  };
}

/** Both HELLOs and what binds them to the connection. */
export interface Fields {
  readonly label: string;
  readonly version: number;
  readonly dialler: Hello;
  readonly acceptor: Hello;
  readonly exporter: Buffer;
  readonly diallerCertificate: Buffer;
  readonly acceptorCertificate: Buffer;
}

/** `T`: 21 fields, each `length:16 bytes`. */
export function transcript(fields: Fields): Buffer {
  const { dialler, acceptor } = fields;
  const ofOne = (hello: Hello): readonly Buffer[] => [
    unsigned(hello.creation, 4),
    unsigned(hello.incarnation, 8),
    hello.publicKey,
    hello.nonce,
    unsigned(hello.flags, 8),
  ];
  const all = [
    Buffer.from(fields.label),
    unsigned(dialler.versionLow, 1),
    unsigned(dialler.versionHigh, 1),
    unsigned(fields.version, 1),
    unsigned(dialler.method, 1),
    unsigned(acceptor.method, 1),
    dialler.name,
    acceptor.name,
    ...ofOne(dialler),
    ...ofOne(acceptor),
    fields.exporter,
    fields.diallerCertificate,
    fields.acceptorCertificate,
  ];
  return Buffer.concat(all.flatMap((field) => [unsigned(field.length, 2), field]));
}

export function sha512(bytes: Buffer): Buffer {
  return createHash("sha512").update(bytes).digest();
}

const covered = (label: string, digest: Buffer): Buffer =>
  Buffer.concat([SPACES, Buffer.from(label), Buffer.from([0]), digest]);

export const proofLabel = (role: Role): string => `sallyport/1 ${role} proof`;
export const cookieLabel = (role: Role): string => `sallyport/1 ${role} cookie`;

export function publicKeyOf(seed: Buffer): Buffer {
  const key = createPrivateKey({ key: Buffer.concat([PKCS8_ED25519, seed]), format: "der", type: "pkcs8" });
  return createPublicKey(key).export({ format: "der", type: "spki" }).subarray(-32);
}

export function signWith(seed: Buffer, label: string, content: Buffer): Buffer {
  const key = createPrivateKey({ key: Buffer.concat([PKCS8_ED25519, seed]), format: "der", type: "pkcs8" });
  return sign(null, covered(label, sha512(content)), key);
}

export function holds(publicKey: Buffer, label: string, content: Buffer, signature: Buffer): boolean {
  const key = createPublicKey({ key: Buffer.concat([SPKI_ED25519, publicKey]), format: "der", type: "spki" });
  return verify(null, covered(label, sha512(content)), key, signature);
}

const cookieKeys = new Map<string, Buffer>();

function cookieKey(cookie: string): Buffer {
  const known = cookieKeys.get(cookie);
  if (known !== undefined) return known;
  const made = scryptSync(cookie, "sallyport/1 cookie", 32, { N: 32_768, r: 8, p: 1, maxmem: 64 * 1024 * 1024 });
  cookieKeys.set(cookie, made);
  return made;
}

export function cookieMac(cookie: string, role: Role, content: Buffer): Buffer {
  return createHmac("sha256", cookieKey(cookie))
    .update(covered(cookieLabel(role), sha512(content)))
    .digest();
}

/** The same signature with `S + L`: equal to those who do not reduce S. */
export function nonCanonical(signature: Buffer): Buffer {
  const s = BigInt(`0x${Buffer.from(signature.subarray(32)).reverse().toString("hex")}`);
  return Buffer.concat([signature.subarray(0, 32), unsigned(s + L, 32).reverse()]);
}

/** A statement that `newKey` follows `oldKey` at `name`, signed by whoever has `seed`. */
export function successionStatement(statement: {
  readonly serial: number;
  readonly oldKey: Buffer;
  readonly newKey: Buffer;
  readonly name: string;
  readonly seed: Buffer;
}): Buffer {
  const name = Buffer.from(statement.name);
  const signed = Buffer.concat([
    unsigned(statement.serial, 4),
    unsigned(0, 8),
    unsigned(2n ** 52n, 8),
    statement.oldKey,
    statement.newKey,
    unsigned(name.length, 1),
    name,
  ]);
  return Buffer.concat([signed, signWith(statement.seed, "sallyport/1 succession", signed)]);
}
