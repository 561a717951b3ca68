import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RealFiles } from "./real-files.ts";

describe("RealFiles", () => {
  const files = new RealFiles();
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "sallyport-files-"));
  });
  afterEach(() => {
    chmodSync(directory, 0o700);
    rmSync(directory, { recursive: true, force: true });
  });

  it("writes a file with exactly the mode asked for, whatever the umask", () => {
    const before = process.umask(0o077);
    try {
      files.writeAtomic(join(directory, "a"), "text", 0o644);
      files.writeNew(join(directory, "b"), Buffer.from([1, 2]), 0o600);
    } finally {
      process.umask(before);
    }
    expect(files.mode(join(directory, "a"))).toBe(0o644);
    expect(files.mode(join(directory, "b"))).toBe(0o600);
    expect(files.readText(join(directory, "a"))).toBe("text");
    expect([...files.read(join(directory, "b"))]).toEqual([1, 2]);
  });

  it("replaces a file and leaves no temporary file", () => {
    const path = join(directory, "a");
    files.writeAtomic(path, "old", 0o600);
    files.writeAtomic(path, "new", 0o600);
    expect(files.readText(path)).toBe("new");
    expect(readdirSync(directory)).toEqual(["a"]);
  });

  it("keeps the old file and removes the temporary one when the rename fails", () => {
    const path = join(directory, "taken");
    files.makeDirectory(join(path, "inner"), 0o700);
    expect(() => files.writeAtomic(path, "x", 0o600)).toThrow();
    expect(readdirSync(directory)).toEqual(["taken"]);
  });

  it("refuses to write a new file over an existing one with EEXIST and keeps its content", () => {
    const path = join(directory, "a");
    files.writeNew(path, "first", 0o600);
    expect(() => files.writeNew(path, "second", 0o600)).toThrow(expect.objectContaining({ code: "EEXIST" }));
    expect(files.readText(path)).toBe("first");
    expect(readdirSync(directory)).toEqual(["a"]);
  });

  it("replaces a symbolic link instead of writing through it", () => {
    const outside = join(directory, "outside");
    const path = join(directory, "link");
    writeFileSync(outside, "precious");
    symlinkSync(outside, path);
    files.writeAtomic(path, "new", 0o600);
    expect(readFileSync(outside, "utf8")).toBe("precious");
    expect(files.readText(path)).toBe("new");
  });

  it("does not write a new file through a dangling link", () => {
    const path = join(directory, "link");
    symlinkSync(join(directory, "nowhere"), path);
    expect(() => files.writeNew(path, "x", 0o600)).toThrow(expect.objectContaining({ code: "EEXIST" }));
    expect(files.exists(join(directory, "nowhere"))).toBe(false);
  });

  it("reads through a link and reports the target's mode", () => {
    const target = join(directory, "target");
    files.writeAtomic(target, "x", 0o640);
    symlinkSync(target, join(directory, "link"));
    expect(files.mode(join(directory, "link"))).toBe(0o640);
    expect(files.readText(join(directory, "link"))).toBe("x");
  });

  it("writes a name of the longest allowed size", () => {
    const path = join(directory, "n".repeat(255));
    files.writeAtomic(path, "x", 0o600);
    expect(files.exists(path)).toBe(true);
  });

  it("makes directories with their parents and mode", () => {
    files.makeDirectory(join(directory, "p", "q"), 0o700);
    expect(statSync(join(directory, "p", "q")).mode & 0o777).toBe(0o700);
  });

  it("reports a missing file by the system's code", () => {
    expect(() => files.read(join(directory, "none"))).toThrow(expect.objectContaining({ code: "ENOENT" }));
    expect(() => files.mode(join(directory, "none"))).toThrow(expect.objectContaining({ code: "ENOENT" }));
    expect(files.exists(join(directory, "none"))).toBe(false);
  });

  it("tells facts of what a path leads to, and nothing of a missing one", () => {
    const path = join(directory, "a");
    files.writeAtomic(path, "abc", 0o640);
    symlinkSync(path, join(directory, "link"));
    expect(files.facts(path)).toMatchObject({ kind: "file", bytes: 3, mode: 0o640, link: false, foreign: false });
    expect(files.facts(join(directory, "link"))).toMatchObject({ kind: "file", bytes: 3, link: true });
    expect(files.facts(directory)).toMatchObject({ kind: "directory" });
    expect(files.facts(join(directory, "none"))).toBeUndefined();
  });

  it("gives a new stamp to a file that was rewritten with as many bytes", () => {
    const path = join(directory, "a");
    files.writeAtomic(path, "abc", 0o640);
    const before = files.facts(path)?.stamp;
    expect(files.facts(path)?.stamp).toBe(before);
    files.writeAtomic(path, "abd", 0o640);
    expect(files.facts(path)?.stamp).not.toBe(before);
  });

  it("lists names in order, and none of a missing directory", () => {
    for (const name of ["b", "a", "c"]) files.writeAtomic(join(directory, name), "x", 0o600);
    expect(files.list(directory)).toEqual(["a", "b", "c"]);
    expect(files.list(join(directory, "none"))).toEqual([]);
    expect(() => files.list(join(directory, "a"))).toThrow(expect.objectContaining({ code: "ENOTDIR" }));
  });

  it("removes a link and not what it leads to, and takes a missing file for removed", () => {
    const path = join(directory, "a");
    files.writeAtomic(path, "x", 0o600);
    symlinkSync(path, join(directory, "link"));
    files.remove(join(directory, "link"));
    files.remove(join(directory, "link"));
    expect(files.list(directory)).toEqual(["a"]);
  });

  it("calls a file exposed when others may write it or a directory above it", () => {
    const inner = join(directory, "inner");
    const path = join(inner, "a");
    files.makeDirectory(inner, 0o700);
    files.writeAtomic(path, "x", 0o600);
    symlinkSync(path, join(directory, "link"));
    expect(files.exposed(path)).toBe(false);
    chmodSync(path, 0o602);
    expect(files.exposed(path)).toBe(true);
    chmodSync(path, 0o600);
    chmodSync(inner, 0o777);
    expect(files.exposed(path)).toBe(true);
    expect(files.exposed(join(directory, "link"))).toBe(true);
    chmodSync(inner, 0o1777);
    expect(files.exposed(path)).toBe(false);
  });
});
