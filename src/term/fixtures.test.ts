import { readFileSync } from "node:fs";
import { inflateSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { isSallyportError } from "../base/errors.ts";
import { failureOf } from "../testkit/failure.ts";
import { compareTerms, termEquals } from "./compare.ts";
import { decodeTerm } from "./decode.ts";
import { encodeTerm } from "./encode.ts";
import { skipTerm } from "./skip.ts";
import { parseTermText } from "./text-parse.ts";
import { printTerm } from "./text-print.ts";
import type { Term } from "./types.ts";

// Written by a real Erlang: see test/fixtures/etf/generate.escript.
const lines = readFileSync(new URL("../../test/fixtures/etf/terms.txt", import.meta.url), "utf8")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"))
  .map((line) => line.split("\t"));

function rows(kind: string): string[][] {
  return lines.filter((line) => line[0] === kind).map((line) => line.slice(1));
}

const inflate = (bytes: Uint8Array, maxBytes: number): Buffer => inflateSync(bytes, { maxOutputLength: maxBytes });

function read(hex: string): Term {
  return decodeTerm(Buffer.from(hex, "hex"), { compressed: true, inflate });
}

/** A list of no elements whose tail is no list. */
const HIDDEN = /^836c00000000(?!6a|6b|6c)/;

/** The forms that OTP reads, but for the hidden one. */
const readable = (): readonly (readonly string[])[] => rows("read").filter(([hex = ""]) => !HIDDEN.test(hex));

describe("terms written by OTP", () => {
  it("has the fixtures to compare with", () => {
    expect(rows("own").length).toBeGreaterThan(300);
    expect(rows("read").length).toBeGreaterThan(40);
    expect(rows("reject").length).toBeGreaterThan(50);
  });

  it("decode, and encode to the very bytes of OTP", () => {
    for (const [hex = ""] of rows("own")) expect(encodeTerm(read(hex)).toString("hex")).toBe(hex);
  });

  it("print as ~p prints them", () => {
    for (const [hex = "", text = ""] of rows("own")) if (text !== "-") expect(printTerm(read(hex))).toBe(text);
    for (const [hex = "", , text = ""] of readable()) if (text !== "-") expect(printTerm(read(hex))).toBe(text);
  });

  it("come back from their text", () => {
    for (const [hex = "", text = ""] of rows("own")) {
      if (text === "-") continue;
      const term = parseTermText(text);
      expect(termEquals(term, read(hex)), text).toBe(true);
      expect(encodeTerm(term).length, text).toBe(hex.length / 2);
    }
  });

  it("are read in every form OTP reads, as OTP reads them", () => {
    for (const [hex = "", own = ""] of readable()) expect(encodeTerm(read(hex)).toString("hex")).toBe(own);
  });

  it("are refused in the one form that OTP reads and never writes, since it hides what a message is", () => {
    expect(rows("read").filter(([hex = ""]) => HIDDEN.test(hex))).toHaveLength(1);
    for (const [hex = ""] of rows("read").filter(([text = ""]) => HIDDEN.test(text))) {
      expect(failureOf(() => read(hex))).toBe("ERR_PEER_MISBEHAVED TERM_LIST_INVALID");
    }
  });

  it("are refused where OTP refuses them", () => {
    for (const [hex = ""] of rows("reject")) {
      let error: unknown;
      try {
        read(hex);
      } catch (thrown) {
        error = thrown;
      }
      expect(isSallyportError(error) && error.code, hex).toMatch(/ERR_PEER_MISBEHAVED|ERR_LIMIT/);
    }
  });

  it("are skipped to the same end as they are decoded to", () => {
    for (const [hex = ""] of [...rows("own"), ...readable()]) {
      const bytes = Buffer.from(`${hex}6a`, "hex");
      if (bytes[1] !== 80) expect(skipTerm(bytes, 1, bytes.length), hex).toBe(bytes.length - 1);
    }
  });

  it("sort as OTP sorts them", () => {
    const sorted = (rows("order")[0]?.[0] ?? "").split(" ").map(read);
    const same = new Set(rows("same").map((pair) => pair.join(" ")));
    expect(sorted.length).toBeGreaterThan(70);
    expect(same.size).toBe(2);
    for (let i = 0; i < sorted.length; i++) {
      for (let j = 0; j < sorted.length; j++) {
        const order = Math.sign(compareTerms(sorted[i], sorted[j]));
        const pair = [encodeTerm(sorted[Math.min(i, j)]), encodeTerm(sorted[Math.max(i, j)])];
        const equal = i === j || same.has(pair.map((bytes) => bytes.toString("hex")).join(" "));
        expect(order, `${printTerm(sorted[i])} and ${printTerm(sorted[j])}`).toBe(equal ? 0 : Math.sign(i - j));
        expect(termEquals(sorted[i], sorted[j])).toBe(i === j);
      }
    }
  });
});
