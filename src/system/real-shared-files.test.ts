import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RealSharedFiles } from "./real-shared-files.ts";

let directory: string;
const files = new RealSharedFiles();
const at = (name: string): string => join(directory, name);

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "sallyport-shared-"));
});
afterEach(() => {
  chmodSync(directory, 0o700);
  rmSync(directory, { recursive: true, force: true });
});

describe("RealSharedFiles", () => {
  it("reads what it wrote, for all to read, and replaces it whole", async () => {
    await files.write(at("a"), "one");
    await files.write(at("a"), "two");
    expect(String(await files.read(at("a"), 3))).toBe("two");
    expect(statSync(at("a")).mode & 0o777).toBe(0o644);
    expect(readdirSync(directory)).toEqual(["a"]);
  });

  it("takes a file of the largest size, and no larger one", async () => {
    writeFileSync(at("a"), "12345");
    expect(String(await files.read(at("a"), 5))).toBe("12345");
    expect(await files.read(at("a"), 4)).toBe("too-large");
    expect(String(await files.read(at("a"), 1_000))).toBe("12345");
  });

  it("tells a missing file from a missing directory", async () => {
    expect(await files.read(at("a"), 9)).toBe("no-file");
    expect(await files.read(at("b/a"), 9)).toBe("no-directory");
  });

  it("reads no link, pipe or directory, and does not wait for one", async () => {
    writeFileSync(at("secret"), "x");
    symlinkSync(at("secret"), at("link"));
    symlinkSync("/nowhere", at("dangling"));
    symlinkSync("/dev/zero", at("zero"));
    mkdirSync(at("folder"));
    execFileSync("mkfifo", [at("pipe")]);
    for (const name of ["link", "dangling", "zero", "folder", "pipe"]) {
      expect(await files.read(at(name), 9), name).toBe("not-a-file");
    }
  });

  it("replaces a link that stands in its way instead of writing through it", async () => {
    writeFileSync(at("victim"), "x");
    symlinkSync(at("victim"), at("a"));
    await files.write(at("a"), "mine");
    expect(String(await files.read(at("a"), 9))).toBe("mine");
    expect(String(await files.read(at("victim"), 9))).toBe("x");
  });

  it("leaves nothing behind when it cannot write", async () => {
    mkdirSync(at("a"));
    writeFileSync(at("a/b"), "x");
    await expect(files.write(at("a"), "text")).rejects.toThrow();
    await expect(files.write(at("none/a"), "text")).rejects.toMatchObject({ code: "ENOENT" });
    expect(readdirSync(directory)).toEqual(["a"]);
  });

  it("removes a file, and does not mind when there is none", async () => {
    await files.write(at("a"), "x");
    await files.remove(at("a"));
    await files.remove(at("a"));
    expect(existsSync(at("a"))).toBe(false);
    mkdirSync(at("b"));
    await expect(files.remove(at("b"))).rejects.toThrow();
  });
});
