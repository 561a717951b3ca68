// Messages of the native handshake as an attacker writes them, from docs/protocol.md alone. Nothing is checked, all can lie.

/** What TLS has to agree on. */
export const ALPN = "sallyport/1";

export const HELLO = 1;
export const SUCCESSION = 2;
export const PROOF = 3;
export const STATUS = 4;
export const ALIVE = 5;
export const CONFIRM = 6;
export const REFUSE = 15;

export const METHOD_KEY = 1;
export const METHOD_KEY_AND_COOKIE = 2;
export const METHOD_COOKIE = 4;

export const PART_SIGNATURE = 1;
export const PART_COOKIE = 2;
export const PART_INVITE = 4;

/** Numbers of REFUSE, by what they are called. */
export const TOLD = {
  version: 1,
  method: 2,
  cert: 3,
  "wrong-node": 4,
  busy: 5,
  auth: 6,
  secret: 7,
  "other-wins": 8,
  stale: 9,
  failed: 10,
} as const;

export type Told = keyof typeof TOLD;

/** The whole REFUSE message, as it must be to the byte. */
export function refusal(told: Told): Buffer {
  return Buffer.from([0, 0, 0, 2, REFUSE, TOLD[told]]);
}

export interface Hello {
  readonly versionLow: number;
  readonly versionHigh: number;
  readonly method: number;
  readonly flags: bigint;
  readonly creation: number;
  readonly incarnation: bigint;
  readonly publicKey: Buffer;
  readonly nonce: Buffer;
  readonly name: Buffer;
  /** What the length says when it lies. */
  readonly nameLength?: number;
}

export function unsigned(value: number | bigint, bytes: number): Buffer {
  return Buffer.from(
    BigInt.asUintN(bytes * 8, BigInt(value))
      .toString(16)
      .padStart(bytes * 2, "0"),
    "hex",
  );
}

/** `length:32 type:8 body`; the length counts the type. */
export function framed(type: number, ...body: readonly Buffer[]): Buffer {
  const content = Buffer.concat([unsigned(type, 1), ...body]);
  return Buffer.concat([unsigned(content.length, 4), content]);
}

export function helloFrame(hello: Hello): Buffer {
  return framed(
    HELLO,
    unsigned(hello.versionLow, 1),
    unsigned(hello.versionHigh, 1),
    unsigned(hello.method, 1),
    unsigned(hello.flags, 8),
    unsigned(hello.creation, 4),
    unsigned(hello.incarnation, 8),
    hello.publicKey,
    hello.nonce,
    unsigned(hello.nameLength ?? hello.name.length, 1),
    hello.name,
  );
}

/** Reads a HELLO out of a frame without its length. Trusts it to be well formed. */
export function readHello(frame: Buffer): Hello {
  const nameLength = frame.readUInt8(88);
  return {
    versionLow: frame.readUInt8(1),
    versionHigh: frame.readUInt8(2),
    method: frame.readUInt8(3),
    flags: frame.readBigUInt64BE(4),
    creation: frame.readUInt32BE(12),
    incarnation: frame.readBigUInt64BE(16),
    publicKey: Buffer.from(frame.subarray(24, 56)),
    nonce: Buffer.from(frame.subarray(56, 88)),
    name: Buffer.from(frame.subarray(89, 89 + nameLength)),
  };
}

export interface Proof {
  readonly signature?: Buffer | undefined;
  readonly cookieMac?: Buffer | undefined;
  readonly invite?: Buffer | undefined;
  /** What the parts byte says when it lies. */
  readonly parts?: number;
}

function partsOf(proof: Proof): number {
  return (
    proof.parts ??
    (proof.signature === undefined ? 0 : PART_SIGNATURE) |
      (proof.cookieMac === undefined ? 0 : PART_COOKIE) |
      (proof.invite === undefined ? 0 : PART_INVITE)
  );
}

export function proofFrame(proof: Proof): Buffer {
  const present = [proof.signature, proof.cookieMac, proof.invite].filter((part) => part !== undefined);
  return framed(PROOF, unsigned(partsOf(proof), 1), ...present);
}

export function readProof(frame: Buffer): Proof {
  const parts = frame.readUInt8(1);
  let at = 2;
  const take = (part: number, size: number): Buffer | undefined => {
    if ((parts & part) === 0) return undefined;
    at += size;
    return Buffer.from(frame.subarray(at - size, at));
  };
  const signature = take(PART_SIGNATURE, 64);
  const cookieMac = take(PART_COOKIE, 32);
  return { signature, cookieMac, invite: take(PART_INVITE, 48) };
}

export function confirmFrame(cookieMac?: Buffer): Buffer {
  return cookieMac === undefined
    ? framed(CONFIRM, unsigned(0, 1))
    : framed(CONFIRM, unsigned(PART_COOKIE, 1), cookieMac);
}

/** A frame of the standing session: PING with its token, which a PONG brings back. */
export function pingFrame(token: Buffer): Buffer {
  return Buffer.concat([unsigned(10, 4), Buffer.from([0xf0, 1]), token]);
}
