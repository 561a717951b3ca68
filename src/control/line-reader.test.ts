import { describe, expect, it } from "vitest";
import { LineReader } from "./line-reader.ts";

function reading(maxBytes: number): { reader: LineReader; lines: string[] } {
  const lines: string[] = [];
  return { reader: new LineReader(maxBytes, (line) => lines.push(line.toString())), lines };
}

describe("LineReader", () => {
  it("cuts lines wherever the bytes were split, and drops empty ones", () => {
    const text = Buffer.from("one\n\ntwo\nthree\nrest");
    for (let size = 1; size <= text.length; size++) {
      const { reader, lines } = reading(16);
      for (let i = 0; i < text.length; i += size) expect(reader.push(text.subarray(i, i + size))).toBe(true);
      expect(lines).toEqual(["one", "two", "three"]);
      expect(reader.waiting).toBe(4);
    }
  });

  it("takes a line of the longest length and refuses one octet more, also unfinished", () => {
    const fits = reading(8);
    expect(fits.reader.push(Buffer.from("1234567\n"))).toBe(true);
    expect(fits.lines).toEqual(["1234567"]);
    for (const text of ["12345678\n", "123456789", "1\n12345678\n"]) {
      const { reader, lines } = reading(8);
      expect(reader.push(Buffer.from(text))).toBe(false);
      expect(lines).toEqual(text.startsWith("1\n") ? ["1"] : []);
    }
    const dripped = reading(8);
    const taken = [..."123456789"].map((char) => dripped.reader.push(Buffer.from(char)));
    expect(taken.indexOf(false)).toBe(8);
  });

  it("reads nothing more once it was stopped, even within one chunk", () => {
    const lines: string[] = [];
    const reader: LineReader = new LineReader(16, (line) => {
      lines.push(line.toString());
      reader.stop();
    });
    reader.push(Buffer.from("a\nb\nc\n"));
    reader.push(Buffer.from("d\n"));
    expect(lines).toEqual(["a"]);
  });

  it("keeps no view of the chunk an unfinished line came in", () => {
    const { reader, lines } = reading(16);
    const chunk = Buffer.from("half");
    reader.push(chunk);
    chunk.fill(0x78);
    reader.push(Buffer.from("\n"));
    expect(lines).toEqual(["half"]);
  });
});
