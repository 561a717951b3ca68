import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isSallyportError } from "../base/errors.ts";
import { MAX_ALTERNATIVE_NAMES, MAX_CERTIFICATE_BYTES, readCertificateNames } from "./certificate-names.ts";

/** Made by `openssl x509 -req` without extensions: version 1, subject C=DE, O="Old, Ltd", CN=node@hostname. */
const V1_LEAF = Buffer.from(
  `3082012c3081d3020107300a06082a8648ce3d040302300d310b300906035504030c026361301e170d323631313231303733
   3233355a170d3236313230313037333233355a3038310b30090603550406130244453111300f060355040a0c084f6c642c20
   4c74643116301406035504030c0d6e6f646540686f73746e616d653059301306072a8648ce3d020106082a8648ce3d030107
   0342000425aafeab599e56629b0e5aab9b20e84ffaeeb7ca09295e6c122314a2a174b1a0fb34c9c34ae4774876d0b2d19c2a
   2f2c87b6bd81938f8c131cd8d0485dbdfa36300a06082a8648ce3d0403020348003045022051a763eaed41c8ee1f623b8fc1
   0f86ce13662b744d72e7a8b3f6d0ed617fbb24022100f705f8645dc33f465c7a73b39bf0652125db1fa8a4f0599b6d328160
   a81009a3`.replace(/\s/g, ""),
  "hex",
);

/** One DER element. */
function der(tag: number, ...content: (Buffer | string)[]): Buffer {
  const body = Buffer.concat(content.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : part)));
  const size = body.length;
  const length =
    size < 0x80
      ? [size]
      : size < 0x100
        ? [0x81, size]
        : size < 0x10000
          ? [0x82, size >> 8, size & 0xff]
          : [0x83, size >> 16, (size >> 8) & 0xff, size & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
}
const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, "hex"));
const SAN = "551d11";
const EKU = "551d25";
const BASIC = "551d13";
const extension = (id: string, value: Buffer): Buffer => der(0x30, oid(id), der(0x04, value));
const san = (...names: Buffer[]): Buffer => extension(SAN, der(0x30, ...names));
const dns = (text: string): Buffer => der(0x82, text);
const uri = (text: string): Buffer => der(0x86, text);
const commonName = (tag: number, text: string | Buffer): Buffer => der(0x31, der(0x30, oid("550403"), der(tag, text)));

interface Parts {
  version?: Buffer;
  extensions?: Buffer[];
  subject?: Buffer[];
  dates?: [Buffer, Buffer];
}

function certificate(parts: Parts): Buffer {
  const dates = parts.dates ?? [der(0x17, "260101000000Z"), der(0x17, "270101000000Z")];
  const body = [
    parts.version ?? der(0xa0, der(0x02, "\x02")),
    der(0x02, "\x01"),
    der(0x30),
    der(0x30),
    der(0x30, ...dates),
    der(0x30, ...(parts.subject ?? [])),
    der(0x30, "key"),
  ];
  if (parts.extensions !== undefined) body.push(der(0xa3, der(0x30, ...parts.extensions)));
  return der(0x30, der(0x30, ...body), der(0x30), der(0x03, "\x00"));
}

const MALFORMED = expect.objectContaining({ code: "ERR_DENIED", reason: "CERT_MALFORMED" });
const read = (parts: Parts): ReturnType<typeof readCertificateNames> => readCertificateNames(certificate(parts));

describe("readCertificateNames", () => {
  it("reads a version 1 certificate with nothing but a common name", () => {
    const names = readCertificateNames(V1_LEAF);
    expect(names).toMatchObject({
      version: 1,
      uris: [],
      dnsNames: [],
      ipAddresses: [],
      hasAlternativeNames: false,
      commonNames: ["node@hostname"],
      keyUsages: undefined,
      authority: false,
    });
    expect(names.notAfterMs - names.notBeforeMs).toBe(10 * 86_400_000);
    expect(names.spkiDer.subarray(0, 2).toString("hex")).toBe("3059");
  });

  it("keeps each alternative name apart, whatever characters it holds", () => {
    const tricky = 'evil.example", DNS:good.example, URI:"dist://a@h';
    const names = read({
      extensions: [san(dns(tricky), uri("http://x/,DNS:good.example"), dns("a\0b"), der(0x87, "\x7f\0\0\x01"))],
    });
    expect(names.dnsNames).toEqual([tricky, "a\0b"]);
    expect(names.uris).toEqual(["http://x/,DNS:good.example"]);
    expect(names.ipAddresses.map((ip) => ip.toString("hex"))).toEqual(["7f000001"]);
  });

  it("does not read names out of other kinds of alternative names, and still reports that there are some", () => {
    const other = der(0xa0, oid("2b06010401"), der(0xa0, der(0x0c, "dist://a@h")));
    const directory = der(0xa4, der(0x30, commonName(0x0c, "a@h")));
    const names = read({ extensions: [san(other, der(0x81, "a@h"), directory)] });
    expect(names).toMatchObject({ uris: [], dnsNames: [], commonNames: [], hasAlternativeNames: true });
    expect(read({ extensions: [san()] }).hasAlternativeNames).toBe(true);
    expect(read({ extensions: [] }).hasAlternativeNames).toBe(false);
  });

  it("reads every common name, in the string types that are in use", () => {
    const subject = [commonName(0x0c, "ü"), commonName(0x13, "b"), commonName(0x1e, "\0c"), commonName(0x16, "d")];
    subject[0] = commonName(0x0c, Buffer.from("ü", "utf8"));
    expect(read({ subject }).commonNames).toEqual(["ü", "b", "d"]);
  });

  it("reads extended key usages and the authority bit", () => {
    const usages = extension(EKU, der(0x30, oid("2b06010505070301"), oid("2b06010505070302"), oid("883703")));
    expect(read({ extensions: [usages] }).keyUsages).toEqual(["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2", "2.999.3"]);
    expect(read({ extensions: [] }).keyUsages).toBeUndefined();
    expect(read({ extensions: [extension(BASIC, der(0x30, der(0x01, "\xff")))] }).authority).toBe(true);
    expect(read({ extensions: [extension(BASIC, der(0x30))] }).authority).toBe(false);
  });

  it("reads both forms of dates, the century turning at 50", () => {
    const dates = (from: Buffer, to: Buffer): number[] => {
      const names = read({ dates: [from, to] });
      return [names.notBeforeMs, names.notAfterMs];
    };
    expect(dates(der(0x17, "500101000000Z"), der(0x17, "491231235959Z"))).toEqual([
      Date.UTC(1950, 0, 1),
      Date.UTC(2049, 11, 31, 23, 59, 59),
    ]);
    expect(dates(der(0x18, "20500102030405Z"), der(0x18, "99991231235959Z"))).toEqual([
      Date.UTC(2050, 0, 2, 3, 4, 5),
      Date.UTC(9999, 11, 31, 23, 59, 59),
    ]);
    for (const text of ["2601010000Z", "260101000000+0100", "261301000000Z", "26010100000", ""]) {
      expect(() => read({ dates: [der(0x17, text), der(0x17, "270101000000Z")] })).toThrow(MALFORMED);
    }
  });

  it("refuses two extensions of one kind, which two readers could take differently", () => {
    expect(() => read({ extensions: [san(dns("a")), san(dns("b"))] })).toThrow(MALFORMED);
  });

  it("refuses content behind the end of a structure", () => {
    expect(() => readCertificateNames(Buffer.concat([certificate({}), Buffer.from([0])]))).toThrow(MALFORMED);
    const trailing = extension(SAN, Buffer.concat([der(0x30, dns("a")), dns("b")]));
    expect(() => read({ extensions: [trailing] })).toThrow(MALFORMED);
  });

  it("refuses indefinite, overlong and overflowing lengths and unknown versions", () => {
    const bad = ["3080", "308105", "30820005", "3084000000050000000000", "30830fffff00", "30", "", "1f01", "3181"];
    for (const hex of bad) expect(() => readCertificateNames(Buffer.from(hex, "hex"))).toThrow(MALFORMED);
    const emptySet = (hex: string): Parts => ({ subject: [Buffer.from(hex, "hex")] });
    expect(read(emptySet("3100")).commonNames).toEqual([]);
    for (const overlong of ["318100", "31820000"]) expect(() => read(emptySet(overlong))).toThrow(MALFORMED);
    expect(() => read({ version: der(0xa0, der(0x02, "\x03")) })).toThrow(MALFORMED);
    expect(() => read({ version: der(0xa0, der(0x02, "\x00\x02")) })).toThrow(MALFORMED);
  });

  it("bounds size and number of names", () => {
    const limit = (option: string): unknown =>
      expect.objectContaining({
        code: "ERR_LIMIT",
        reason: "CERT_TOO_LARGE",
        detail: expect.objectContaining({ option }),
      });
    expect(() => readCertificateNames(Buffer.alloc(MAX_CERTIFICATE_BYTES + 1))).toThrow(limit("maxCertificateBytes"));
    const many = Array.from({ length: MAX_ALTERNATIVE_NAMES }, () => dns("h"));
    expect(read({ extensions: [san(...many)] }).dnsNames).toHaveLength(MAX_ALTERNATIVE_NAMES);
    expect(() => read({ extensions: [san(...many, dns("h"))] })).toThrow(limit("maxAlternativeNames"));
  });

  it("refuses a certificate cut off at any place", () => {
    const whole = certificate({ extensions: [san(dns("a"), uri("dist://a@h"))], subject: [commonName(0x0c, "x")] });
    for (let end = 0; end < whole.length; end++) {
      expect(() => readCertificateNames(whole.subarray(0, end))).toThrow(MALFORMED);
    }
    expect(readCertificateNames(whole).uris).toEqual(["dist://a@h"]);
  });

  it("answers arbitrary changes of a certificate with names or its own error, nothing else", () => {
    const whole = certificate({ extensions: [san(dns("a"), uri("dist://a@h"))], subject: [commonName(0x0c, "x")] });
    const change = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(change, (changes) => {
        const bytes = Buffer.from(whole);
        for (const [at, value] of changes) bytes[at] = value;
        try {
          readCertificateNames(bytes);
        } catch (error) {
          if (!isSallyportError(error)) throw error;
        }
      }),
      { numRuns: 500 },
    );
  });
});
