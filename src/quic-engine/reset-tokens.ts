import { createHmac, hkdfSync } from "node:crypto";
import type { Random } from "../base/random.ts";
import type { HostPort } from "./binding.ts";

/** RFC 9000 section 10.3: the first two bits are those of a packet with a short header; the rest of it is random. */
const FIXED_BITS = 0x40;
const RANDOM_BITS = 0x3f;
const TOKEN_BYTES = 16;
/** Smaller ones are no stateless reset. */
const MIN_RESET_BYTES = 21;
/** As large as the packets that carry an acknowledgement, so that it does not stand out. */
const MAX_RESET_BYTES = 42;

/**
 * Stateless resets of one listener (RFC 9000 section 10.3). Their tokens follow from its TLS key and its address, so that the next life of the
 * engine, or of the node, can tell peers that it knows nothing of their connections; nobody else can make them.
 */
export class ResetTokens {
  readonly #key: Buffer;

  /** @param secret the PEM of the TLS key */
  constructor(secret: string, { host, port }: HostPort) {
    this.#key = Buffer.from(hkdfSync("sha256", secret, "", `sallyport stateless reset ${host} ${port}`, 32));
  }

  /** The token of a connection id, as a number of 128 bits. */
  of(id: Uint8Array): bigint {
    return BigInt(`0x${this.#token(id).toString("hex")}`);
  }

  /**
   * Writes the answer to a packet of so many octets for an id that nobody here has.
   * @returns its length; 0 where none may be given: it has to be smaller than what it answers, so that two sides never answer each other for ever
   */
  write(into: Buffer, id: Uint8Array, octets: number, random: Random): number {
    const length = Math.min(octets - 1, MAX_RESET_BYTES);
    if (length < MIN_RESET_BYTES) return 0;
    const noise = random.bytes(length - TOKEN_BYTES);
    into.set(noise);
    into[0] = FIXED_BITS | ((noise[0] ?? 0) & RANDOM_BITS);
    into.set(this.#token(id), length - TOKEN_BYTES);
    return length;
  }

  #token(id: Uint8Array): Buffer {
    return createHmac("sha256", this.#key).update(id).digest().subarray(0, TOKEN_BYTES);
  }
}
