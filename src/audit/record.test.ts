import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { attemptEntry, crypto } from "../testkit/audit-world.ts";
import { attemptFields } from "./attempt-entries.ts";
import { type AuditValue, canonicalJson, GENESIS, MAX_LINE_BYTES, peerText, seal, unseal } from "./record.ts";

const value = fc.oneof<fc.Arbitrary<AuditValue>[]>(
  fc.string({ unit: "binary" }),
  fc.maxSafeInteger(),
  fc.boolean(),
  fc.constant(null),
);

describe("a record", () => {
  it("has one text: keys sorted, no spaces, nothing but printable ASCII", () => {
    expect(canonicalJson({ b: 1, a: 'é"\n\u2028\u007f', c: null, A: true })).toBe(
      '{"A":true,"a":"\\u00e9\\"\\n\\u2028\\u007f","b":1,"c":null}',
    );
  });

  it("is sealed over the hash before and its own text, as anybody can compute", () => {
    const { line, head } = seal({ seq: 4, hash: "ab".repeat(32) }, { kind: "log" }, crypto);
    const body = `{"kind":"log","prev":"${"ab".repeat(32)}","seq":5}`;
    const hash = createHash("sha256")
      .update(Buffer.from("ab".repeat(32), "hex"))
      .update(body)
      .digest("hex");
    expect(line).toBe(`{"hash":"${hash}",${body.slice(1)}`);
    expect(head).toEqual({ seq: 5, hash });
  });

  it("comes back from its line, whatever it holds, and the line is one line", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ maxLength: 9 }), value, { maxKeys: 9 }), (fields) => {
        const { hash: _h, prev: _p, seq: _s, ...own } = fields;
        const { line, head } = seal(GENESIS, own, crypto);
        expect(line).toMatch(/^[ -~]*$/);
        expect(unseal(line, crypto)).toEqual({ ...head, prev: GENESIS.hash, fields: { ...own } });
      }),
    );
  });

  it("is read in no other form than the one it was written in", () => {
    const { line } = seal(GENESIS, { a: 1, b: "x" }, crypto);
    expect(unseal(line, crypto)).toBeDefined();
    for (const other of [
      `${line} `,
      line.replace('"a":1', '"a":1.0'),
      line.replace('"a":1', '"a": 1'),
      line.replace('"b":"x"', '"b":"\\u0078"'),
      line.replace('"a":1', '"a":1,"a":1'),
      line.replace('"a":1', '"a":[1]'),
      line.replace('"seq":1', '"seq":0'),
      line.slice(0, -1),
      "[]",
      "null",
      "",
    ]) {
      expect(unseal(other, crypto), other).toBeUndefined();
    }
  });

  it("is never longer than a line may be", () => {
    expect(() => seal(GENESIS, { text: "x".repeat(MAX_LINE_BYTES) }, crypto)).toThrow(RangeError);
    expect(() => seal(GENESIS, { number: 0.5 }, crypto)).toThrow(RangeError);
  });

  it("takes at most 256 bytes of a peer's text, escaped, on one line (AU-25)", () => {
    const evil = `\r\n{"kind":"log"}\u001b[2J\u202e${"x".repeat(65_536)}`;
    expect(peerText(evil)).toMatch(/^\\x0d\\x0a\{"kind":"log"\}\\x1b\[2J\\u\{202e\}x+$/);
    const { line } = seal(GENESIS, attemptFields(attemptEntry({ peer: evil })), crypto);
    expect(line).toMatch(/^[ -~]+$/);
    expect((JSON.parse(line) as { peer: string }).peer.length).toBeLessThanOrEqual(256);
  });
});
