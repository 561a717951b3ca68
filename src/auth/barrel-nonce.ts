import type { IdentityCrypto } from "../base/identity-crypto.ts";
import type { Random } from "../base/random.ts";
import { BARREL_NONCE_BYTES } from "../identity/barrel-proof.ts";
import type { BarrelRole } from "./barrel-types.ts";

// What barrel's proof signs says neither who signs in which role nor for whom. So whoever is dialled by two nodes could have one of
// them sign what the other asks: both bind their proofs to the certificate of the one in between, and a dialler's proof looks like
// a listener's. The nonce is the asker's to choose, and the only thing that comes through: a dialler marks its own, and signs none
// that is marked so. A barrel node takes marked ones for random, and signs them in either role.

const LABEL = Buffer.from("sallyport barrel nonce of a dialler\0", "latin1");

/** Random bytes in front of the mark. */
const RANDOM_BYTES = 24;

type Sha256 = Pick<IdentityCrypto, "sha256">;

/** A fresh nonce for the CHALLENGE of one role. */
export function barrelNonce(role: BarrelRole, random: Random, crypto: Sha256): Buffer {
  if (role === "acceptor") return random.bytes(BARREL_NONCE_BYTES);
  const start = random.bytes(RANDOM_BYTES);
  return Buffer.concat([start, markOf(start, crypto)]);
}

/** Whether a dialler made this nonce. Says so of a random one once in 2^64. */
export function isDiallersNonce(nonce: Uint8Array, crypto: Sha256): boolean {
  return markOf(nonce.subarray(0, RANDOM_BYTES), crypto).equals(nonce.subarray(RANDOM_BYTES));
}

function markOf(start: Uint8Array, crypto: Sha256): Buffer {
  return crypto.sha256(Buffer.concat([LABEL, start])).subarray(0, BARREL_NONCE_BYTES - RANDOM_BYTES);
}
