import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { quotePeerText } from "./escape.ts";

describe("quotePeerText", () => {
  it("leaves printable ASCII alone but for the backslash", () => {
    expect(quotePeerText('a B~ "9"')).toBe('a B~ "9"');
    expect(quotePeerText("a\\n")).toBe("a\\\\n");
  });

  it("writes control characters, Latin-1 and the rest as escapes", () => {
    expect(quotePeerText("\n\r\t\u0000\u007f")).toBe("\\x0a\\x0d\\x09\\x00\\x7f");
    expect(quotePeerText("\u001b]52;c;AAAA\u0007")).toBe("\\x1b]52;c;AAAA\\x07");
    expect(quotePeerText("é\u009b")).toBe("\\xe9\\x9b");
    expect(quotePeerText("€😀\u202e")).toBe("\\u{20ac}\\u{1f600}\\u{202e}");
    expect(quotePeerText("\ud800")).toBe("\\u{d800}");
  });

  it("cuts after 300 characters and says so", () => {
    expect(quotePeerText("a".repeat(300))).toBe("a".repeat(300));
    expect(quotePeerText("a".repeat(301))).toBe(`${"a".repeat(300)}...`);
    expect(quotePeerText("\n".repeat(10_000))).toBe(`${"\\x0a".repeat(300)}...`);
  });

  it("answers printable ASCII on one line for any text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 400 }), (text) => {
        expect(quotePeerText(text)).toMatch(/^[\x20-\x7e]*$/);
      }),
    );
  });
});
