// What a TLS 1.3 handshake by hand needs on either side: message forms and the key schedule with SHA-256 (RFC 8446, RFC 9001).
import { createHash, createHmac, createPublicKey, diffieHellman, generateKeyPairSync } from "node:crypto";

const SPKI_X25519 = Buffer.from("302a300506032b656e032100", "hex");
/** Salt of the keys of Initial packets. RFC 9001 section 5.2. */
const INITIAL_SALT = Buffer.from("38762cf7f55934b34d179ae6a4c80cadccbb7f0a", "hex");
const ZEROS = Buffer.alloc(32);
export const X25519 = 0x001d;

/** An ephemeral x25519 key: its share, and the secret that it has with another share. */
export function makeShare() {
  const { publicKey, privateKey } = generateKeyPairSync("x25519");
  return {
    share: publicKey.export({ format: "der", type: "spki" }).subarray(-32),
    secretWith(theirs) {
      const key = createPublicKey({ key: Buffer.concat([SPKI_X25519, theirs]), format: "der", type: "spki" });
      return diffieHellman({ privateKey, publicKey: key });
    },
  };
}

/** Secrets of the Initial packets that go to the destination id which the client chose. */
export function initialSecrets(destination) {
  const secret = extract(INITIAL_SALT, destination);
  return { client: expand(secret, "client in", 32), server: expand(secret, "server in", 32) };
}

/** Secrets of the handshake: `hello` is the hash of both hellos. */
export function handshakeSecrets(shared, hello) {
  const early = extract(ZEROS, ZEROS);
  const secret = extract(expand(early, "derived", 32, sha256()), shared);
  return {
    secret,
    client: expand(secret, "c hs traffic", 32, hello),
    server: expand(secret, "s hs traffic", 32, hello),
  };
}

/** Secrets after the handshake: `finished` is the hash of all up to the server's Finished. */
export function applicationSecrets(handshakeSecret, finished) {
  const master = extract(expand(handshakeSecret, "derived", 32, sha256()), ZEROS);
  return { client: expand(master, "c ap traffic", 32, finished), server: expand(master, "s ap traffic", 32, finished) };
}

/** Content of a Finished message. */
export function finishedMac(trafficSecret, transcript) {
  return createHmac("sha256", expand(trafficSecret, "finished", 32))
    .update(transcript)
    .digest();
}

/** A handshake message. */
export function message(type, ...parts) {
  return Buffer.concat([Buffer.of(type), sized(3, ...parts)]);
}

export function extension(type, ...parts) {
  return Buffer.concat([uint16(type), sized(2, ...parts)]);
}

/** Parts after their length in so many bytes. */
export function sized(width, ...parts) {
  const body = Buffer.concat(parts);
  const length = Buffer.alloc(width);
  length.writeUIntBE(body.length, 0, width);
  return Buffer.concat([length, body]);
}

export function uint16(value) {
  return Buffer.of(value >> 8, value & 255);
}

export function sha256(...parts) {
  return createHash("sha256").update(Buffer.concat(parts)).digest();
}

function extract(salt, secret) {
  return createHmac("sha256", salt).update(secret).digest();
}

/** HKDF-Expand-Label for at most one block of SHA-256. */
export function expand(secret, label, length, context = Buffer.alloc(0)) {
  const name = Buffer.from(`tls13 ${label}`);
  const info = Buffer.concat([uint16(length), sized(1, name), sized(1, context), Buffer.of(1)]);
  return createHmac("sha256", secret).update(info).digest().subarray(0, length);
}
