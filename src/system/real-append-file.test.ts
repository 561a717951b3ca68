import { execFileSync } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RealFiles } from "./real-files.ts";

let directory: string;
const files = new RealFiles();
const at = (name: string): string => join(directory, name);

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "sallyport-append-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe("RealFiles.openAppend", () => {
  it("makes a file with exactly the mode asked for, whatever the umask, and only adds to it", () => {
    const before = process.umask(0o277);
    const file = files.openAppend(at("new"), 0o600);
    process.umask(before);
    expect(statSync(at("new")).mode & 0o777).toBe(0o600);
    file.append("one\n");
    writeFileSync(at("new"), "", { flag: "a" });
    const second = files.openAppend(at("new"), 0o600);
    second.append("two\n");
    file.append("three\n");
    file.sync();
    expect(readFileSync(at("new"), "utf8")).toBe("one\ntwo\nthree\n");
    expect(file.size()).toBe(14);
    file.close();
    second.close();
  });

  it("keeps the mode of a file that is there", () => {
    writeFileSync(at("old"), "x");
    chmodSync(at("old"), 0o640);
    files.openAppend(at("old"), 0o600).close();
    expect(statSync(at("old")).mode & 0o777).toBe(0o640);
  });

  it("notices that its file was removed", () => {
    const file = files.openAppend(at("gone"), 0o600);
    unlinkSync(at("gone"));
    expect(file.size()).toBeUndefined();
    file.close();
  });

  it("follows no link, also to nowhere", () => {
    symlinkSync(at("target"), at("link"));
    expect(() => files.openAppend(at("link"), 0o600)).toThrow(expect.objectContaining({ code: "ELOOP" }));
    writeFileSync(at("target"), "kept");
    expect(() => files.openAppend(at("link"), 0o600)).toThrow(expect.objectContaining({ code: "ELOOP" }));
    expect(readFileSync(at("target"), "utf8")).toBe("kept");
  });

  it("takes neither a directory nor a pipe, and waits for nobody", () => {
    mkdirSync(at("dir"));
    expect(() => files.openAppend(at("dir"), 0o600)).toThrow(expect.objectContaining({ code: "EISDIR" }));
    execFileSync("mkfifo", [at("pipe")]);
    expect(() => files.openAppend(at("pipe"), 0o600)).toThrow(expect.objectContaining({ code: "ENXIO" }));
  });
});
