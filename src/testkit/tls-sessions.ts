import { fingerprintOf, type VerifiedChain } from "../carrier/verified-chain.ts";

/** What a full handshake would have verified of the certificate with these bytes. */
export function chainOf(leaf: string, more: Partial<VerifiedChain> = {}): VerifiedChain {
  const leafDer = element(0x30, Buffer.from(leaf));
  const fingerprint = fingerprintOf(leafDer);
  return { leafDer, fingerprint, chainError: undefined, beginsMs: 0, endsMs: Number.MAX_SAFE_INTEGER, ...more };
}

/** A TLS session as OpenSSL writes it down, of a peer with this certificate. */
export function sessionBytes({ leafDer }: VerifiedChain, version: "TLSv1.2" | "TLSv1.3", mark = 0): Buffer {
  return element(
    0x30,
    element(2, Buffer.from([1])),
    element(2, Buffer.from([3, version === "TLSv1.3" ? 4 : 3])),
    element(4, Buffer.from([0x13, 2])),
    element(4, Buffer.alloc(32, mark)),
    element(4, Buffer.alloc(48, mark)),
    element(0xa3, leafDer),
  );
}

function element(tag: number, ...content: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(content);
  const length = body.length < 128 ? [body.length] : [0x82, body.length >> 8, body.length & 255];
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
}
