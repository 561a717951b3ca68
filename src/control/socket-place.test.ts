import { describe, expect, it } from "vitest";
import { isSallyportError } from "../base/errors.ts";
import { FaultyFiles } from "../testkit/faulty-files.ts";
import { checkSocketDirectory, folderOf } from "./socket-place.ts";

const PATH = "/data/control.sock";

function verdict(files: FaultyFiles, path: string = PATH): string {
  try {
    checkSocketDirectory(files, path);
    return "good";
  } catch (error) {
    if (isSallyportError(error)) return `${error.code} ${error.reason}`;
    throw error;
  }
}

function disk(mode: number = 0o700): FaultyFiles {
  const files = new FaultyFiles();
  files.makeDirectory("/data", mode);
  return files;
}

describe("checkSocketDirectory", () => {
  it("takes a directory that only its owner may enter", () => {
    const files = disk();
    files.pretend("/data", { mode: 0o700 });
    expect(verdict(files)).toBe("good");
  });

  it.each([0o710, 0o701, 0o750, 0o755, 0o777, 0o1777])("refuses mode %o", (mode) => {
    const files = disk();
    files.pretend("/data", { mode });
    expect(verdict(files)).toBe("ERR_DENIED CONTROL_DIRECTORY");
  });

  it("refuses a directory of another user, and one that others could replace", () => {
    const foreign = disk();
    foreign.pretend("/data", { mode: 0o700, foreign: true });
    expect(verdict(foreign)).toBe("ERR_DENIED CONTROL_DIRECTORY");
    const exposed = disk();
    exposed.pretend("/data", { mode: 0o700 });
    exposed.expose("/data");
    expect(verdict(exposed)).toBe("ERR_DENIED CONTROL_DIRECTORY");
  });

  it("refuses what is no directory, and a path that no socket can have", () => {
    expect(verdict(new FaultyFiles())).toBe("ERR_CONFIG CONTROL_PATH");
    expect(verdict(disk(), `/data/${"x".repeat(97)}`)).toBe("good");
    expect(verdict(disk(), `/data/${"x".repeat(98)}`)).toBe("ERR_CONFIG CONTROL_PATH");
  });
});

describe("folderOf", () => {
  it("is the part before the last slash", () => {
    expect(folderOf("/a/b/c.sock")).toBe("/a/b");
    expect(folderOf("/c.sock")).toBe("/");
  });
});
