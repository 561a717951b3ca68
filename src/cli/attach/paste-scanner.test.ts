import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PasteScanner, type Typed } from "./paste-scanner.ts";

const START = "\x1b[200~";
const END = "\x1b[201~";

/** What came, keys that follow each other as one piece. */
function scan(chunks: readonly string[], maxBytes = 1_000): readonly string[] {
  const scanner = new PasteScanner(maxBytes);
  const pieces: Typed[] = [
    ...chunks.flatMap((chunk) => scanner.push(Buffer.from(chunk, "latin1"))),
    ...scanner.flush(),
  ];
  const said: string[] = [];
  let keys = "";
  for (const piece of pieces) {
    if (piece.kind === "keys") {
      keys += piece.bytes.toString("latin1");
      continue;
    }
    if (keys !== "") said.push(keys);
    keys = "";
    said.push(`paste ${piece.text}`);
  }
  return keys === "" ? said : [...said, keys];
}

describe("a paste", () => {
  it.each<[string, string[], string[]]>([
    ["is told from keys", [`a${START}b\rc${END}d`], ["a", "paste b\nc", "d"]],
    ["ends its lines with LF, as they were", [`${START}a\r\nb\nc\r\r${END}`], ["paste a\nb\nc\n\n"]],
    ["loses its control characters", [`${START}a\x03\x04\x1b[A\x7fb\tc${END}`], ["paste a[Ab\tc"]],
    ["ends at the first end mark; what follows are keys", [`${START}a${END}~.\r${END}`], ["paste a", `~.\r${END}`]],
    ["has no marks in it", [`${START}a${START}b${END}`], ["paste ab"]],
    ["has none that the removal of another would make", [`${START}\x1b[20${START}0~x${END}`], ["paste [200~x"]],
    ["that nobody ends, ends with silence", [`${START}abc`], ["paste abc"]],
    ["may be empty", [`${START}${END}`], ["paste "]],
    ["is one of several", [`${START}a${END}${START}b${END}`], ["paste a", "paste b"]],
  ])("%s", (_, chunks, expected) => {
    expect(scan(chunks)).toEqual(expected);
    const whole = chunks.join("");
    for (let at = 1; at < whole.length; at++) expect(scan([whole.slice(0, at), whole.slice(at)])).toEqual(expected);
  });

  it("has no end mark of C1 in it either", () => {
    const scanner = new PasteScanner(100);
    expect(scanner.push(Buffer.from(`${START}a\u009b201~b\u009d${END}`, "utf8"))).toEqual([
      { kind: "paste", text: "ab" },
    ]);
  });

  it("is kept up to its bound", () => {
    expect(scan([`${START}${"a".repeat(50)}`, `${"b".repeat(50)}${END}c`], 60)).toEqual([
      `paste ${"a".repeat(50)}${"b".repeat(10)}`,
      "c",
    ]);
  });

  it("has the bound for itself", () => {
    expect(scan([`${START}${"a".repeat(50)}${END}${START}${"b".repeat(50)}${END}`], 60)).toEqual([
      `paste ${"a".repeat(50)}`,
      `paste ${"b".repeat(50)}`,
    ]);
  });

  it("holds what may begin a mark, until more comes or nothing does", () => {
    const scanner = new PasteScanner(100);
    expect([scanner.push(Buffer.from("\x1b")), scanner.isHolding, scanner.isPasting]).toEqual([[], true, false]);
    expect(scanner.flush()).toEqual([{ kind: "keys", bytes: Buffer.from("\x1b") }]);
    expect(scanner.isHolding).toBe(false);
    scanner.push(Buffer.from(START));
    expect([scanner.isHolding, scanner.isPasting]).toEqual([true, true]);
  });

  it("never gives a control character but tab and line feed", () => {
    const part = fc.oneof(fc.constantFrom(START, END, "\x1b[20", "0~", "1~", "\x1b", "\u009b201~", "\r"), fc.string());
    fc.assert(
      fc.property(fc.array(part), (parts) => {
        const scanner = new PasteScanner(10_000);
        const pieces = [...scanner.push(Buffer.from(START + parts.join(""), "utf8")), ...scanner.flush()];
        for (const piece of pieces) {
          if (piece.kind === "paste") expect(piece.text).toMatch(/^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*$/);
        }
      }),
    );
  });
});
