import { describe, expect, it } from "vitest";
import { fields, moment, table } from "./table.ts";

const plain = (text: string): string => text;

describe("table", () => {
  it("aligns columns, and leaves nothing at the ends of lines", () => {
    const rows = [
      ["a@h", "native", ""],
      ["longer@host", "otp", "x"],
    ];
    expect(table(["NAME", "PROTOCOL", "KEY"], rows, plain)).toBe(
      ["NAME         PROTOCOL  KEY", "a@h          native    -", "longer@host  otp       x"].join("\n"),
    );
  });

  it("aligns by the text and not by its colours", () => {
    const red = (text: string): string => `\u001b[31m${text}\u001b[39m`;
    const lines = table(["A", "B"], [[{ text: "long word", colour: red }, "b"]], plain).split("\n");
    expect(lines).toEqual(["A          B", "\u001b[31mlong word\u001b[39m  b"]);
  });

  it("shows nothing of a cell that a terminal would act on", () => {
    expect(table(["A"], [["\u001b[2J\n\u202e"]], plain)).toBe("A\n\\u{1b}[2J\\u{a}\\u{202e}");
    expect(fields([["a", "\u001b]0;x\u0007"]], plain)).toBe("a  \\u{1b}]0;x\\u{7}");
  });
});

describe("moment", () => {
  it("is UTC to the second, and no exception for what is no time", () => {
    expect(moment(Date.UTC(2026, 0, 2, 3, 4, 5, 678))).toBe("2026-01-02T03:04:05Z");
    expect(moment(Number.MAX_VALUE)).toBe("?");
  });
});
