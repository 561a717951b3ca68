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
});
