import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type FilterMode, TerminalFilter } from "./terminal-filter.ts";

const bytesOf = (text: string): Buffer => Buffer.from(text, "utf8");
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");

function shown(bytes: Uint8Array, mode: FilterMode = "terminal"): string {
  const filter = new TerminalFilter(mode);
  return filter.push(bytes) + filter.end();
}

/** The same bytes, cut into pieces of these sizes. */
function inPieces(bytes: Uint8Array, sizes: readonly number[], mode: FilterMode = "terminal"): string {
  const filter = new TerminalFilter(mode);
  let out = "";
  let at = 0;
  for (const size of sizes) {
    out += filter.push(bytes.subarray(at, at + size));
    at += size;
  }
  return out + filter.push(bytes.subarray(at)) + filter.end();
}

/** What is attacked, the bytes, and all that may be left of them between two letters. */
const ATTACKS: readonly (readonly [name: string, bytes: Buffer, left: string])[] = [
  ["OSC 52, which sets the clipboard", bytesOf("\x1b]52;c;cm0gLXJmIH4K\x07"), ""],
  ["OSC 52 that asks for the clipboard, ended by ST", bytesOf("\x1b]52;c;?\x1b\\"), ""],
  ["OSC 0, the title", bytesOf("\x1b]0;title\x07"), ""],
  ["OSC 2, the title, ended by ST of C1 in UTF-8", hex("1b 5d 32 3b 74 c2 9c"), ""],
  ["OSC 8, a link", bytesOf("\x1b]8;;http://evil\x1b\\text\x1b]8;;\x1b\\"), "text"],
  ["OSC 4 that asks for a colour", bytesOf("\x1b]4;1;?\x07"), ""],
  ["OSC 1337, a file", bytesOf("\x1b]1337;File=name=x:AAAA\x07"), ""],
  ["OSC of C1 in UTF-8", hex("c2 9d 35 32 3b 63 3b 61 07"), ""],
  ["OSC that is never ended, up to its line", bytesOf("\x1b]52;c;AAAA\nnext"), "\nnext"],
  ["DECRQSS", bytesOf('\x1bP$q"p\x1b\\'), ""],
  ["DCS of C1 in UTF-8, sixel", hex("c2 90 71 23 30 c2 9c"), ""],
  ["DECUDK, which defines keys", bytesOf("\x1bP1;1|17/726d\x1b\\"), ""],
  ["APC", bytesOf("\x1b_Gf=100;AAAA\x1b\\"), ""],
  ["PM and SOS", bytesOf("\x1b^pm\x1b\\\x1bXsos\x1b\\"), ""],
  ["a title of screen", bytesOf("\x1bktitle\x1b\\"), "title"],
  ["DSR, the place of the cursor", bytesOf("\x1b[6n"), ""],
  ["DSR of DEC", bytesOf("\x1b[?6n"), ""],
  ["DA 1, 2 and 3", bytesOf("\x1b[c\x1b[0c\x1b[>c\x1b[=c"), ""],
  ["DECID", bytesOf("\x1bZ"), ""],
  ["DECREQTPARM", bytesOf("\x1b[x"), ""],
  ["DECRQM", bytesOf("\x1b[?2004$p"), ""],
  ["DECRQCRA, which reads the screen", bytesOf("\x1b[1;1;1;1;1;1*y"), ""],
  ["XTWINOPS, which reports the title", bytesOf("\x1b[21t"), ""],
  ["XTVERSION", bytesOf("\x1b[>q"), ""],
  ["ENQ, which is answered", hex("05"), ""],
  ["CSI of C1, 8 bits", hex("9b 36 6e"), "\ufffd6n"],
  ["CSI of C1 in UTF-8", hex("c2 9b 36 6e"), ""],
  ["SGR by CSI of C1", hex("c2 9b 33 31 6d"), ""],
  ["the C1 controls in UTF-8 without a sequence", hex("c2 84 c2 85 c2 8d c2 8e c2 9a"), ""],
  ["NEL, IND, RI, HTS, SS2, SS3", bytesOf("\x1bE\x1bD\x1bM\x1bH\x1bN\x1bO"), ""],
  ["RIS, which resets", bytesOf("\x1bc"), ""],
  ["DECSTR", bytesOf("\x1b[!p"), ""],
  ["the alternate screen", bytesOf("\x1b[?1049h\x1b[?47h"), ""],
  ["modes of the mouse", bytesOf("\x1b[?1000h\x1b[?1006h"), ""],
  ["bracketed paste, off and on", bytesOf("\x1b[?2004l\x1b[?2004h"), ""],
  ["the cursor hidden", bytesOf("\x1b[?25l"), ""],
  ["modes of ANSI", bytesOf("\x1b[4h\x1b[20h"), ""],
  ["the cursor saved and restored", bytesOf("\x1b7\x1b8\x1b[s\x1b[u"), ""],
  ["scrolling regions", bytesOf("\x1b[1;5r\x1b[S\x1b[T"), ""],
  ["lines and characters inserted and deleted", bytesOf("\x1b[L\x1b[M\x1b[@\x1b[P\x1b[X"), ""],
  ["REP, which repeats", bytesOf("\x1b[9999999b"), ""],
  ["keys of a window manager", bytesOf("\x1b[>4;2m\x1b[?4m"), ""],
  ["character sets", bytesOf("\x1b(0\x1b)B\x1b%G\x1b#8"), ""],
  ["LEDs and media copy", bytesOf("\x1b[1q\x1b[5i"), ""],
  ["what has scrolled away, erased", bytesOf("\x1b[3J"), ""],
  ["text that is hidden", bytesOf("\x1b[8m"), ""],
  ["text that is hidden among colours", bytesOf("\x1b[0;8m\x1b[38;5;1;8m"), ""],
  ["colours by colons", bytesOf("\x1b[38:2:1:2:3m"), ""],
  ["a colour that is cut short", bytesOf("\x1b[38;2;1;2m\x1b[38m\x1b[48;5m"), ""],
  ["a colour out of bounds", bytesOf("\x1b[38;5;256m\x1b[38;2;0;0;999m"), ""],
  ["too many colours", bytesOf(`\x1b[${"1;".repeat(20)}1m`), ""],
  ["numbers with zeros before them", bytesOf(`\x1b[0031m\x1b[${"0".repeat(300)}1A`), ""],
  ["unknown attributes", bytesOf("\x1b[10m\x1b[20m\x1b[26m\x1b[58m\x1b[99m\x1b[108m"), ""],
  ["numbers without end", bytesOf("\x1b[99999999999999999999C\x1b[1000A"), ""],
  ["more numbers than a move has", bytesOf("\x1b[1;2A\x1b[1;2;3H\x1b[0;1J"), ""],
  ["an intermediate in a move", bytesOf("\x1b[1 A\x1b[1$H"), ""],
  ["bell, backspace, VT, FF, SO, SI", hex("07 08 0b 0c 0e 0f"), ""],
  ["NUL and DEL", hex("00 7f"), ""],
  ["a sequence within a sequence", bytesOf("\x1b[3\x1b[6n"), ""],
  ["a control within a sequence", bytesOf("\x1b[3\x076n"), "6n"],
  ["ESC before a sequence", bytesOf("\x1b\x1b]0;t\x07"), ""],
  ["ESC within a string, which begins another", bytesOf("\x1b]0;a\x1b]52;c;b\x07"), ""],
  ["a sequence longer than any", bytesOf(`\x1b[${"1".repeat(500)}n`), ""],
  ["a bidi override", bytesOf("\u202e\u2066\u2069\u200f"), "\\u{202e}\\u{2066}\\u{2069}\\u{200f}"],
  [
    "lines of Unicode, tags and what has no width",
    bytesOf("\u2028\u{e0041}\u200b\ufeff"),
    "\\u{2028}\\u{e0041}\\u{200b}\\u{feff}",
  ],
  ["overlong UTF-8 of ESC", hex("c0 9b 5b 36 6e"), "\ufffd\ufffd[6n"],
  ["overlong UTF-8 of three bytes", hex("e0 80 9b"), "\ufffd"],
  ["a surrogate", hex("ed a0 80"), "\ufffd"],
  ["more than Unicode", hex("f4 90 80 80 f5"), "\ufffd\ufffd"],
  ["a character that a sequence breaks", hex("e2 82 1b 5b 36 6e"), "\ufffd"],
];

/** What passes, as it is. */
const HARMLESS: readonly string[] = [
  "text, tab\tand\r\nlines\n",
  "ü λ 中 👩‍👩‍👧 e\u0301 \u00a0",
  "\x1b[m\x1b[0m\x1b[1;31mred\x1b[0;39m",
  "\x1b[38;5;255m\x1b[48;2;1;2;3m\x1b[97;107m\x1b[21;29m",
  "\x1b[A\x1b[10B\x1b[999C\x1b[3D\x1b[G\x1b[7G\x1b[H\x1b[5;9H\x1b[5;9f\x1b[;H",
  "\x1b[J\x1b[0J\x1b[1J\x1b[2J\x1b[K\x1b[1K\x1b[2K",
];

/** Everything the output may ever be made of. */
const ALLOWED =
  /^(?:[^\p{Cc}\p{Cs}\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]|[\n\r\t]|\x1b\[(?:[0-9;]{0,64}m|\d{0,3}[A-DGJK]|\d{0,3}(?:;\d{0,3})?[Hf]))*$/u;

describe("the filter of a terminal", () => {
  it.each(ATTACKS)("takes away %s", (_, bytes, left) => {
    const whole = Buffer.concat([bytesOf("a"), bytes, bytesOf("b")]);
    expect(shown(whole)).toBe(`a${left}b`);
    expect(shown(whole, "plain")).toBe(`a${left}b`);
  });

  it.each(ATTACKS)("takes away %s, cut at every place", (_, bytes, left) => {
    const whole = Buffer.concat([bytesOf("a"), bytes, bytesOf("b")]);
    for (let at = 1; at < whole.length; at++) expect(inPieces(whole, [at])).toBe(`a${left}b`);
    expect(inPieces(whole, Array(whole.length).fill(1))).toBe(`a${left}b`);
  });

  it.each(HARMLESS)("lets %j pass", (text) => {
    expect(shown(bytesOf(text))).toBe(text);
    expect(inPieces(bytesOf(text), Array(bytesOf(text).length).fill(1))).toBe(text);
  });

  it("lets no sequence pass where the output is no terminal", () => {
    expect(HARMLESS.map((text) => shown(bytesOf(text), "plain")).join("")).not.toContain("\x1b");
    expect(shown(bytesOf("\x1b[1mbold\x1b[0m\n"), "plain")).toBe("bold\n");
  });

  it("takes no more than its bound along with a string that nobody ends", () => {
    const long = shown(bytesOf(`\x1b]52;c;${"A".repeat(10_000)}`));
    expect(long).toMatch(/^A+$/);
    expect(long.length).toBe(10_000 + 5 - 4_096);
    expect(shown(bytesOf(`\x1b[${" ".repeat(10_000)}`))).toBe(" ".repeat(10_000 - 4_096));
    expect(shown(bytesOf(`\x1b${" ".repeat(10_000)}m`))).toMatch(/^ +m$/);
  });

  it("begins anew at an end, and shows a cut character as broken", () => {
    const filter = new TerminalFilter("terminal");
    expect(filter.push(bytesOf("\x1b]0;never ended"))).toBe("");
    expect(filter.end() + filter.push(bytesOf("text"))).toBe("text");
    expect(filter.push(hex("e2 82")) + filter.end()).toBe("\ufffd");
    expect(filter.push(bytesOf("\x1b[3")) + filter.end() + filter.push(bytesOf("1m"))).toBe("1m");
  });

  it.each(["terminal", "plain"] as const)("never gives anything outside of its allow-list (%s)", (mode) => {
    const piece = fc.oneof(
      fc.constantFrom(...ATTACKS.map(([, bytes]) => bytes)),
      fc.constantFrom(...HARMLESS.map(bytesOf)),
      fc.uint8Array({ maxLength: 12 }),
      fc.constantFrom("\x1b", "\x1b[", "\x1b]", "\x9b", "\u009b", "m", ";", "8", "?", "\x1b\\", "\x18").map(bytesOf),
      fc.string({ unit: "binary", maxLength: 6 }).map(bytesOf),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), fc.array(fc.nat(9), { maxLength: 30 }), (pieces, sizes) => {
        const bytes = Buffer.concat(pieces);
        const whole = shown(bytes, mode);
        expect(whole).toMatch(ALLOWED);
        if (mode === "plain") expect(whole).not.toContain("\x1b");
        expect(inPieces(bytes, sizes, mode)).toBe(whole);
      }),
      { numRuns: 2_000 },
    );
  });

  it("gives the recorded bytes", () => {
    const input = hex(
      "1b5d35323b633b61070a1b5b313b33316d72c3a964 1b5b306d1b5b366e e280ae 9b 1b5b324a c29b 41 1b5b3f3130343968 f09f9880 ff 0d0a",
    );
    const golden = "0a1b5b313b33316d72c3a9641b5b306d5c757b323032657defbfbd1b5b324af09f9880efbfbd0d0a";
    expect(bytesOf(shown(input)).toString("hex")).toBe(golden);
  });
});
