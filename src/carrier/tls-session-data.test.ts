import { describe, expect, it } from "vitest";
import { MAX_SESSION_BYTES, readTlsSession } from "./tls-session-data.ts";

const element = (tag: number, ...content: readonly Uint8Array[]): Buffer => {
  const body = Buffer.concat(content);
  const length = body.length < 128 ? [body.length] : [0x82, body.length >> 8, body.length & 255];
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
};
const certificate = element(0x30, Buffer.from("a certificate"));

/** SSL_SESSION_ASN1 of OpenSSL, with the fields up to the certificate. */
const sessionOf = (version: number, peer: Buffer | undefined, more: readonly Buffer[] = []): Buffer =>
  element(
    0x30,
    element(2, Buffer.from([1])),
    element(2, Buffer.from([version >> 8, version & 255])),
    element(4, Buffer.from("1302", "hex")),
    element(4, Buffer.alloc(32, 1)),
    element(4, Buffer.alloc(48, 2)),
    element(0xa1, element(2, Buffer.from([9]))),
    element(0xa2, element(2, Buffer.from([9]))),
    ...(peer === undefined ? [] : [element(0xa3, peer)]),
    element(0xa4, element(4)),
    ...more,
  );

describe("readTlsSession", () => {
  it.each([
    [0x0303, false],
    [0x0304, true],
  ])("finds version %i and the certificate", (version, isTls13) => {
    expect(readTlsSession(sessionOf(version, certificate))).toEqual({ isTls13, peerDer: certificate });
  });

  it("finds none where none was shown", () => {
    expect(readTlsSession(sessionOf(0x0304, undefined))).toEqual({ isTls13: true, peerDer: undefined });
  });

  it("takes nothing that is too large, cut off or something else", () => {
    const whole = sessionOf(0x0304, certificate);
    expect(
      readTlsSession(sessionOf(0x0304, certificate, [element(4, Buffer.alloc(MAX_SESSION_BYTES))])),
    ).toBeUndefined();
    for (let end = 0; end < whole.length; end++) expect(readTlsSession(whole.subarray(0, end))).toBeUndefined();
    expect(readTlsSession(element(0x31, certificate))).toBeUndefined();
  });
});
