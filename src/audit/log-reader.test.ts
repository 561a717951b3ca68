import { describe, expect, it } from "vitest";
import { FaultyFiles } from "../testkit/faulty-files.ts";
import { MAX_PIECE_BYTES } from "./chain-checker.ts";
import { LogReader } from "./log-reader.ts";

const FIRST = "/log/audit-000000000001.jsonl";
const TENTH = "/log/audit-000000000010.jsonl";
const FAR = "/log/audit-9999999999999.jsonl";

function disk(files: Readonly<Record<string, string>>): FaultyFiles {
  const made = new FaultyFiles();
  for (const [path, text] of Object.entries(files)) made.put(path, text);
  return made;
}

const textsOf = (reader: LogReader): string[] => [...reader.lines()].map(({ text }) => text);

describe("LogReader", () => {
  it("reads all files in the order of their first records, and says where each line stands", () => {
    const reader = new LogReader(
      disk({ [TENTH]: "c\nd\n", [FIRST]: "a\nb\n", [FAR]: "e\nhalf", "/log/x": "no\n" }),
      "/log",
    );
    expect([...reader.lines()].map(({ text, line }) => `${line} ${text}`)).toEqual(["1 a", "2 b", "1 c", "2 d", "1 e"]);
    expect(reader.rest()).toEqual({ text: "half", file: "audit-9999999999999.jsonl", line: 2 });
    expect(reader.rest()).toBeUndefined();
  });

  it("takes the order of files from their numbers, not from the text of their names", () => {
    const names = ["audit-1000000000000.jsonl", "audit-999999999999.jsonl"];
    const files = disk(Object.fromEntries(names.map((name) => [`/log/${name}`, `${name.length}\n`])));
    expect(textsOf(new LogReader(files, "/log"))).toEqual(["24", "25"]);
  });

  it("finds lines whole wherever its chunks end", () => {
    const lines = Array.from({ length: 200 }, (_, i) => `${i} ${"x".repeat(i * 17)}`);
    expect(textsOf(new LogReader(disk({ [FIRST]: `${lines.join("\n")}\n` }), "/log"))).toEqual(lines);
  });

  it("goes on with what comes, in the same file and in new ones, and loses nothing of a file that goes", () => {
    const files = disk({ [FIRST]: "a\nb" });
    const reader = new LogReader(files, "/log");
    expect(textsOf(reader)).toEqual(["a"]);
    files.put(FIRST, "a\nbc\nd\n");
    expect(textsOf(reader)).toEqual(["bc", "d"]);
    files.put(FIRST, "a\nbc\nd\ne\n");
    files.put(TENTH, "f\n");
    files.put(FAR, "g\n");
    files.take(FIRST);
    expect(textsOf(reader)).toEqual(["f", "g"]);
    expect(textsOf(reader)).toEqual([]);
  });

  it("misses nothing that is written to a file between its end being read and the next file being seen", () => {
    const files = disk({ [FIRST]: "a\n" });
    const reader = new LogReader(files, "/log", "audit-000000000001.jsonl");
    const list = files.list.bind(files);
    files.list = (path) => {
      files.put(FIRST, "a\nb\n");
      files.put(TENTH, "c\n");
      return list(path);
    };
    expect(textsOf(reader)).toEqual(["a", "b", "c"]);
  });

  it("ends a line that lacks its break where the next file begins", () => {
    expect(textsOf(new LogReader(disk({ [FIRST]: "a\nb", [TENTH]: "c\n" }), "/log"))).toEqual(["a", "b", "c"]);
  });

  it("passes over a file that goes between being listed and being opened", () => {
    const files = disk({ [FIRST]: "a\n", [TENTH]: "b\n", [FAR]: "c\n" });
    const reader = new LogReader(files, "/log");
    const lines = reader.lines();
    expect(lines.next().value).toMatchObject({ text: "a" });
    const real = files.openRead.bind(files);
    files.openRead = (path) => {
      if (path === TENTH) files.take(TENTH);
      return real(path);
    };
    expect([...lines].map(({ text }) => text)).toEqual(["c"]);
  });

  it("cuts a line that no log makes, so that its memory stays bounded", () => {
    const reader = new LogReader(disk({ [FIRST]: `${"x".repeat(MAX_PIECE_BYTES + 100_000)}\nb\n` }), "/log");
    const lengths = [...reader.lines()].map(({ text }) => text.length);
    expect(lengths).toHaveLength(3);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(MAX_PIECE_BYTES + 64 * 1024);
  });

  it("reads one file alone when that is named, and sees when it becomes shorter", () => {
    const files = disk({ [FIRST]: "a\n", "/log/copy.jsonl": "b\nc\n" });
    const reader = new LogReader(files, "/log/copy.jsonl");
    expect(textsOf(reader)).toEqual(["b", "c"]);
    expect(reader.isShortened).toBe(false);
    files.put("/log/copy.jsonl", "b\n");
    expect(reader.isShortened).toBe(true);
  });
});
