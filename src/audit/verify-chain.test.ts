import { describe, expect, it } from "vitest";
import { crypto } from "../testkit/audit-world.ts";
import { type AuditFields, type ChainHead, GENESIS, seal } from "./record.ts";
import { verifyChain } from "./verify-chain.ts";

const RECORDS = 8;

function chain(count: number, from: ChainHead = GENESIS): { lines: string[]; head: ChainHead } {
  const lines: string[] = [];
  let head = from;
  for (let i = 0; i < count; i++) {
    const sealed = seal(head, { kind: "attempt", address: `192.0.2.${i}:1`, peer: "a@h" }, crypto);
    lines.push(sealed.line);
    head = sealed.head;
  }
  return { lines, head };
}

const { lines, head } = chain(RECORDS);
const anchors = { from: GENESIS, head };
const everyLine = lines.map((_, i) => i);
const check = (changed: readonly string[]) => verifyChain(changed, crypto, anchors);

/** `lines` and then a piece, the record that describes `described`, and one more. */
function torn(piece: readonly string[], described: string): string[] {
  const sha256 = crypto.sha256(Buffer.from(described, "latin1")).toString("hex");
  const fields: AuditFields = { kind: "log", event: "torn", bytes: described.length, sha256 };
  const sealed = seal(head, fields, crypto);
  return [...lines, ...piece, sealed.line, ...chain(1, sealed.head).lines];
}

describe("verifyChain", () => {
  it("accepts what was written, also with the empty end of a file", () => {
    expect(check(lines)).toEqual({ ok: true, records: RECORDS, head, torn: 0, lost: 0 });
    expect(check([...lines, ""])).toMatchObject({ ok: true });
  });

  it.each(everyLine)("finds line %i changed, in any one character", (i) => {
    const line = lines[i]!;
    for (let at = 0; at < line.length; at++) {
      const other = String.fromCharCode(line.charCodeAt(at) ^ 1);
      const changed = lines.with(i, line.slice(0, at) + other + line.slice(at + 1));
      expect(check(changed)).toEqual({ ok: false, line: i + 1, fault: "changed" });
    }
  });

  it.each(everyLine)("finds line %i removed", (i) => {
    const verdict = check(lines.toSpliced(i, 1));
    expect(verdict).toEqual({ ok: false, line: i + 1, fault: "removed" });
  });

  it.each(everyLine)("finds everything from line %i on cut off", (i) => {
    expect(check(lines.slice(0, i))).toEqual({ ok: false, line: i + 1, fault: "removed" });
  });

  it.each(everyLine)("finds line %i cut in half", (i) => {
    expect(check(lines.with(i, lines[i]!.slice(0, 80)))).toEqual({ ok: false, line: i + 1, fault: "changed" });
  });

  it.each(everyLine.slice(1))("finds line %i and the one before swapped", (i) => {
    const swapped = lines.with(i, lines[i - 1]!).with(i - 1, lines[i]!);
    expect(check(swapped)).toMatchObject({ ok: false, line: i, fault: "reordered" });
  });

  it.each(everyLine)("finds line %i doubled, and one put before it", (i) => {
    expect(check(lines.toSpliced(i, 0, lines[i]!))).toMatchObject({ ok: false, line: i + 2, fault: "reordered" });
    expect(check(lines.toSpliced(i, 0, chain(1, { seq: 3, hash: "ab".repeat(32) }).lines[0]!))).toMatchObject({
      ok: false,
      line: i + 1,
    });
    expect(check(lines.toSpliced(i, 0, ""))).toMatchObject({ ok: false, line: i + 1, fault: "changed" });
  });

  it.each(everyLine)("finds line %i made anew with a hash of its own", (i) => {
    const before = i === 0 ? GENESIS : chain(i).head;
    const forged = seal(before, { kind: "attempt", address: "198.51.100.1:1", peer: "a@h" }, crypto).line;
    expect(check(lines.with(i, forged))).toMatchObject({ ok: false, line: i + 2 });
  });

  it("finds a number left out, and a first record that follows something", () => {
    const skipped = seal({ seq: head.seq + 1, hash: head.hash }, { kind: "attempt" }, crypto).line;
    expect(verifyChain([...lines, skipped], crypto)).toEqual({ ok: false, line: RECORDS + 1, fault: "removed" });
    const { lines: foreign } = chain(2, { seq: 0, hash: "ab".repeat(32) });
    expect(verifyChain(foreign, crypto)).toEqual({ ok: false, line: 1, fault: "changed" });
  });

  it("begins where older files were removed, unless told where it must begin", () => {
    expect(verifyChain(lines.slice(3), crypto, { head })).toMatchObject({ ok: true, records: RECORDS - 3 });
    expect(verifyChain(lines.slice(3), crypto, { from: GENESIS })).toMatchObject({ ok: false, line: 1 });
    expect(verifyChain(lines.slice(3), crypto, { from: chain(3).head, head })).toMatchObject({ ok: true });
  });

  it("takes the piece of a record that the chain itself describes, and no other", () => {
    const piece = lines[0]!.slice(0, 50);
    expect(verifyChain(torn([piece], piece), crypto)).toMatchObject({ ok: true, torn: 1, records: RECORDS + 2 });
    expect(verifyChain(torn([piece, "x"], `${piece}\nx`), crypto)).toMatchObject({ ok: true, torn: 1 });
    expect(verifyChain(torn([`${piece}!`], piece), crypto)).toMatchObject({ ok: false, line: RECORDS + 1 });
    expect(verifyChain(torn([], piece), crypto)).toMatchObject({ ok: false, line: RECORDS + 1 });
    expect(verifyChain([...lines, piece], crypto)).toMatchObject({ ok: false, line: RECORDS + 1 });
  });
});
