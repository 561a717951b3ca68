import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import { RealIdentityCrypto } from "../system/real-identity-crypto.ts";
import { NodeKey } from "./node-key.ts";
import type { Fingerprint } from "./public-key.ts";
import {
  decodeChain,
  encodeChain,
  judgeChain,
  MAX_SUCCESSIONS,
  SUCCESSION_SKEW_MS,
  type SuccessionChain,
  type SuccessionFacts,
  type SuccessionStatement,
} from "./succession.ts";

const crypto = new RealIdentityCrypto();
const NOW = Date.UTC(2026, 0, 1);
const name = parseNodeName("worker@Host.example");
const keys = Array.from({ length: 12 }, (_, i) => new NodeKey(Buffer.alloc(32, i + 1), crypto));
const key = (i: number) => keys[i]!.publicKey;

function statement(from: number, to: number, serial: number, change: Partial<SuccessionStatement> = {}) {
  const content = { serial, notBefore: NOW, notAfter: NOW + 1000, newKey: key(to), name, ...change };
  return keys[from]!.succeed(content);
}

/** 0 -> 1 -> ... -> `length`. */
const chainOf = (length: number): SuccessionChain => Array.from({ length }, (_, i) => statement(i, i + 1, 10 + i));

function judge(chain: SuccessionChain, pinned: number, shown: number, change: Partial<SuccessionFacts> = {}) {
  const facts: SuccessionFacts = {
    name: parseNodeName("worker@hOST.example"),
    pinned: key(pinned),
    shown: key(shown),
    nowMs: NOW,
    accepted: undefined,
    isRevoked: () => false,
    ...change,
  };
  const verdict = judgeChain(chain, facts, crypto);
  return verdict.kind === "holds" ? verdict.serial : verdict.fault;
}

describe("a chain of successions", () => {
  it("leads from any earlier key to the last one, and to no other", () => {
    for (let pinned = 0; pinned < 8; pinned++) expect(judge(chainOf(8), pinned, 8)).toBe(17);
    expect(judge(chainOf(8), 0, 7)).toBe("no-link");
    expect(judge(chainOf(8), 9, 8)).toBe("no-link");
    expect(judge(chainOf(8), 8, 8)).toBe("no-link");
    expect(judge([], 0, 0)).toBe("no-link");
    expect(judge([...chainOf(8), statement(8, 9, 30)], 0, 9)).toBe("too-long");
  });

  it("needs serials that rise and keys that link", () => {
    expect(judge([statement(0, 1, 5), statement(1, 2, 5)], 0, 2)).toBe("broken-order");
    expect(judge([statement(0, 1, 5), statement(1, 2, 4)], 0, 2)).toBe("broken-order");
    expect(judge([statement(0, 1, 5), statement(2, 3, 6)], 0, 3)).toBe("broken-order");
  });

  it("needs the peer's name in every statement", () => {
    const other = parseNodeName("other@host.example");
    expect(judge([statement(0, 1, 5, { name: other })], 0, 1)).toBe("wrong-name");
    expect(judge([statement(0, 1, 5, { name: other }), statement(1, 2, 6)], 1, 2)).toBe("wrong-name");
  });

  it("holds from notBefore to notAfter, with a day for differing clocks", () => {
    const chain = [statement(0, 1, 5)];
    const at = (nowMs: number) => judge(chain, 0, 1, { nowMs });
    expect(at(NOW - SUCCESSION_SKEW_MS)).toBe(5);
    expect(at(NOW - SUCCESSION_SKEW_MS - 1)).toBe("not-valid-now");
    expect(at(NOW + 1000 + SUCCESSION_SKEW_MS)).toBe(5);
    expect(at(NOW + 1001 + SUCCESSION_SKEW_MS)).toBe("not-valid-now");
  });

  it("counts for nothing when a key in the needed part is revoked", () => {
    for (const revoked of [1, 2, 3]) {
      const isRevoked = (f: Fingerprint) => f === keys[revoked]!.fingerprint;
      expect(judge(chainOf(3), 1, 3, { isRevoked })).toBe("revoked-key");
    }
    expect(judge(chainOf(3), 1, 3, { isRevoked: (f) => f === keys[0]!.fingerprint })).toBe(12);
  });

  it("is not accepted again once a later serial was, but the accepted one is", () => {
    const chain = [statement(0, 1, 5)];
    expect(judge(chain, 0, 1, { accepted: { serial: 5, key: keys[1]!.fingerprint } })).toBe(5);
    expect(judge(chain, 0, 1, { accepted: { serial: 5, key: keys[2]!.fingerprint } })).toBe("replayed");
    expect(judge(chain, 0, 1, { accepted: { serial: 6, key: keys[0]!.fingerprint } })).toBe("replayed");
    expect(judge(chain, 0, 1, { accepted: { serial: 4, key: keys[0]!.fingerprint } })).toBe(5);
  });

  it("follows a node that went back to an earlier key, by the last statement of that key", () => {
    const chain = [statement(0, 1, 5), statement(1, 0, 6), statement(0, 2, 7)];
    expect(judge(chain, 0, 2)).toBe(7);
    expect(judge(chain, 1, 2)).toBe(7);
    expect(judge(chain.slice(0, 2), 1, 0)).toBe(6);
  });

  it("needs the signature of the old key over every field", () => {
    const good = statement(0, 1, 5);
    expect(judge([good], 0, 1)).toBe(5);
    const forged: readonly SuccessionStatement[] = [
      { ...good, serial: 6 },
      { ...good, notBefore: NOW - 1 },
      { ...good, notAfter: NOW + 1001 },
      { ...good, newKey: key(2) },
      { ...good, name: parseNodeName("worker@host.example") },
      { ...good, signature: statement(1, 2, 5).signature },
      { ...good, signature: keys[1]!.sign("sallyport/1 succession", encodeChain([good]).subarray(1, -64)) },
      { ...good, signature: keys[0]!.sign("sallyport/1 bundle", encodeChain([good]).subarray(1, -64)) },
    ];
    for (const one of forged) expect(judge([one], 0, one.newKey.equals(key(2)) ? 2 : 1)).toBe("bad-signature");
    expect(judge([chainOf(2)[0]!, { ...chainOf(2)[1]!, signature: good.signature }], 0, 2)).toBe("bad-signature");
  });
});

describe("the bytes of a chain", () => {
  it("are serial, times, keys, name and signature, after a count", () => {
    const one = statement(0, 1, 0x01020304, { notBefore: 5, notAfter: 0x0102030405 });
    expect(encodeChain([one]).toString("hex")).toBe(
      `01${"01020304"}${"0000000000000005"}${"0000000102030405"}${key(0).toString("hex")}${key(1).toString("hex")}` +
        `13${Buffer.from("worker@Host.example").toString("hex")}${one.signature.toString("hex")}`,
    );
  });

  it("parse back, for each length, with names of all sizes", () => {
    for (let length = 1; length <= MAX_SUCCESSIONS; length++) {
      const chain = chainOf(length);
      expect(decodeChain(encodeChain(chain))).toEqual(chain);
    }
    const long = statement(0, 1, 1, { name: parseNodeName(`a@${"h".repeat(253)}`) });
    expect(decodeChain(encodeChain([long]))).toEqual([long]);
    expect(encodeChain(Array.from({ length: 8 }, () => long)).length).toBeLessThan(4096);
  });

  it("refuse a count of none or nine, and anything cut or appended", () => {
    const bytes = encodeChain(chainOf(2));
    for (let end = 0; end < bytes.length; end++) expect(decodeChain(bytes.subarray(0, end))).toBeUndefined();
    expect(decodeChain(Buffer.concat([bytes, Buffer.alloc(1)]))).toBeUndefined();
    expect(decodeChain(Buffer.from([0]))).toBeUndefined();
    expect(decodeChain(encodeChain([...chainOf(8), statement(8, 9, 30)]))).toBeUndefined();
  });

  it("refuse a bad key, name, serial or time", () => {
    const good = encodeChain([statement(0, 1, 5)]);
    const changed = (at: number, ...bytes: number[]) => {
      const out = Buffer.from(good);
      out.set(bytes, at);
      return decodeChain(out);
    };
    expect(changed(0, 1)).toBeDefined();
    expect(changed(1, 0, 0, 0, 0)).toBeUndefined();
    expect(changed(5, 0xff)).toBeUndefined();
    expect(changed(5, 0, 0x20)).toBeUndefined();
    expect(changed(13, 0, 0, 0, 0, 0, 0, 0, 0)).toBeUndefined();
    expect(changed(21, 1, ...Array<number>(31).fill(0))).toBeUndefined();
    expect(changed(53, ...Array<number>(32).fill(0))).toBeUndefined();
    expect(changed(53, ...key(0))).toBeUndefined();
    expect(changed(86, 0x2f)).toBeUndefined();
    expect(changed(86, 0xe9)).toBeUndefined();
  });

  it("are a chain or nothing, never an exception", () => {
    const good = encodeChain(chainOf(2));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        decodeChain(Buffer.from(bytes));
      }),
    );
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.nat(255), (at, value) => {
        const bytes = Buffer.from(good);
        bytes[at] = value;
        const chain = decodeChain(bytes);
        if (chain === undefined || bytes.equals(good)) return;
        expect(encodeChain(chain).equals(bytes)).toBe(true);
        expect(["bad-signature", "broken-order", "wrong-name", "no-link", "not-valid-now"]).toContain(
          judge(chain, 0, 2),
        );
      }),
      { numRuns: 300 },
    );
  });

  it("have no room for a serial beyond 32 bits", () => {
    expect(() => statement(0, 1, 2 ** 32)).toThrow(
      expect.objectContaining({ code: "ERR_LIMIT", reason: "SUCCESSION_SERIAL" }),
    );
    expect(() => statement(0, 1, 0)).toThrow(expect.objectContaining({ reason: "SUCCESSION_SERIAL" }));
  });
});
