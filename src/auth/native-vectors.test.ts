import { createHash, createHmac, createPrivateKey, createPublicKey, scryptSync, sign, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { RealIdentityCrypto } from "../system/real-identity-crypto.ts";
import { makeNativeVectors, type NativeVector } from "../testkit/native-vectors.ts";

const file = new URL("../../test/fixtures/native/vectors.json", import.meta.url);
const vectors: readonly NativeVector[] = JSON.parse(readFileSync(file, "utf8"));

describe("the committed vectors of the native handshake", () => {
  it("are what the machines send", () => {
    expect(makeNativeVectors(new RealIdentityCrypto())).toEqual(vectors);
  });
});

// From here on nothing of the implementation is used: the page docs/protocol.md, and node:crypto.

const utf8 = (text: string) => Buffer.from(text, "utf8");
const hex = (text: string | undefined) => Buffer.from(text ?? "missing input", "hex");
const wide = (bytes: number, value: string | undefined) =>
  Buffer.from(
    BigInt(value ?? "")
      .toString(16)
      .padStart(bytes * 2, "0"),
    "hex",
  );
const sha256 = (data: Buffer) => createHash("sha256").update(data).digest();
const sha512 = (data: Buffer) => createHash("sha512").update(data).digest();
const methodByte = (name: string | undefined) => ({ key: "01", "key-cookie": "02", cookie: "04" })[name ?? ""] ?? "";
const privateKey = (seed: string | undefined) =>
  createPrivateKey({
    key: Buffer.concat([hex("302e020100300506032b657004220420"), hex(seed)]),
    format: "der",
    type: "pkcs8",
  });
const publicBytes = (seed: string | undefined) =>
  createPublicKey(privateKey(seed)).export({ format: "der", type: "spki" }).subarray(12);
const underLabel = (label: string, digest: Buffer) =>
  Buffer.concat([utf8(" ".repeat(64)), utf8(label), hex("00"), digest]);

describe.each(vectors.map((v) => [v.name, v] as const))("an independent reading of the vector %s", (_name, v) => {
  const { inputs: i } = v;
  const isCookieOnly = i["diallerMethod"] === "cookie";
  const side = (role: string) => [
    wide(4, i[`${role}Creation`]),
    wide(8, i[`${role}Incarnation`]),
    isCookieOnly ? Buffer.alloc(32) : publicBytes(i[`${role}Seed`]),
    hex(i[`${role}Nonce`]),
    wide(8, i[`${role}Flags`]),
  ];
  const fields = [
    utf8("sallyport/1"),
    hex("01"),
    hex("01"),
    hex("01"),
    hex(methodByte(i["diallerMethod"])),
    hex(methodByte(i["acceptorMethod"])),
    utf8(i["diallerName"] ?? ""),
    utf8(i["acceptorName"] ?? ""),
    ...side("dialler"),
    ...side("acceptor"),
    hex(i["exporter"]),
    sha256(hex(i["diallerCertificate"])),
    sha256(hex(i["acceptorCertificate"])),
  ];
  const transcript = Buffer.concat(fields.flatMap((f) => [hex(f.length.toString(16).padStart(4, "0")), f]));
  const h = sha512(transcript);
  const expected: string[] = [];
  const hello = (role: string) => {
    const [creation, incarnation, key, nonce, flags] = side(role).map((b) => b.toString("hex"));
    const name = utf8(i[`${role}Name`] ?? "");
    const length = name.length.toString(16).padStart(2, "0");
    return `010101${methodByte(i[`${role}Method`])}${flags}${creation}${incarnation}${key}${nonce}${length}${name.toString("hex")}`;
  };
  const mac = (label: string, key: Buffer) => createHmac("sha256", key).update(underLabel(label, h)).digest("hex");
  const signed = (role: string) =>
    sign(null, underLabel(`sallyport/1 ${role} proof`, h), privateKey(i[`${role}Seed`])).toString("hex");

  it("finds the same transcript and hash", () => {
    expect(transcript.toString("hex")).toBe(v.transcript);
    expect(h.toString("hex")).toBe(v.hash);
  });

  it("finds the same bytes in every message", () => {
    const k =
      i["cookie"] === undefined
        ? undefined
        : scryptSync(hex(i["cookie"]), "sallyport/1 cookie", 32, { N: 32_768, r: 8, p: 1, maxmem: 1 << 26 });
    expected.push(`dialler ${hello("dialler")}`, `acceptor ${hello("acceptor")}`);
    if (i["acceptorOldSeed"] !== undefined) {
      const name = utf8(i["acceptorName"] ?? "");
      const statement = Buffer.concat([
        wide(4, "1"),
        wide(8, "1700000000000"),
        wide(8, "1734560000000"),
        publicBytes(i["acceptorOldSeed"]),
        publicBytes(i["acceptorSeed"]),
        Buffer.from([name.length]),
        name,
      ]);
      const covered = underLabel("sallyport/1 succession", sha512(statement));
      const signature = sign(null, covered, privateKey(i["acceptorOldSeed"]));
      expect(verify(null, covered, createPublicKey(privateKey(i["acceptorOldSeed"])), signature)).toBe(true);
      expected.push(`acceptor 0201${statement.toString("hex")}${signature.toString("hex")}`);
    }
    if (!isCookieOnly) expected.push(`acceptor 0301${signed("acceptor")}`);
    const parts = (isCookieOnly ? 0 : 1) + (k === undefined ? 0 : 2) + (i["inviteId"] === undefined ? 0 : 4);
    const proof = [
      isCookieOnly ? "" : signed("dialler"),
      k === undefined ? "" : mac("sallyport/1 dialler cookie", k),
      i["inviteId"] === undefined ? "" : i["inviteId"] + mac("sallyport/1 invite", hex(i["inviteSecret"])),
    ];
    expected.push(`dialler 030${parts}${proof.join("")}`);
    expected.push(k === undefined ? "acceptor 0600" : `acceptor 0602${mac("sallyport/1 acceptor cookie", k)}`);
    expected.push("dialler 0600");
    expect(v.messages.map((m) => `${m.from} ${m.hex}`)).toEqual(expected);
  });
});
