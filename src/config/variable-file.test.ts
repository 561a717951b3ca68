import { describe, expect, it } from "vitest";
import type { FileFacts } from "../base/store-files.ts";
import { reasonOf } from "../testkit/failure.ts";
import { ExposedFiles, MAX_VARIABLE_FILE_BYTES, type VariableFiles, variableFilesIn } from "./variable-file.ts";

function read(content: string | Buffer | undefined, kind: FileFacts["kind"] = "file", mode = 0o600) {
  const bytes = content === undefined ? undefined : Buffer.from(content);
  const asked: string[] = [];
  const files: VariableFiles = {
    facts: (path) => {
      asked.push(path);
      const facts = { kind, mode, changedMs: 0, stamp: "", link: false, foreign: false };
      return bytes === undefined ? undefined : { ...facts, bytes: bytes.length };
    },
    read: () => {
      if (kind !== "file") throw new Error("would wait for a writer");
      return bytes ?? Buffer.alloc(0);
    },
  };
  const exposed = new ExposedFiles();
  return { reading: variableFilesIn("/run", files, exposed)("secrets/x"), asked, exposed };
}

describe("variableFilesIn", () => {
  it("reads from its directory, and drops one line break", () => {
    expect(read("secret\n")).toMatchObject({ reading: { ok: true, text: "secret" }, asked: ["/run/secrets/x"] });
    expect(read("secret\r\n").reading).toEqual({ ok: true, text: "secret" });
    expect(read("secret\n\n").reading).toEqual({ ok: true, text: "secret\n" });
    expect(read("s".repeat(MAX_VARIABLE_FILE_BYTES)).reading).toMatchObject({ ok: true });
  });

  it.each([
    ["a missing file", undefined, "file", "does not exist"],
    ["a pipe", "x", "other", "is no regular file"],
    ["an empty file", "", "file", "is empty"],
    ["a line break alone", "\n", "file", "is empty"],
    ["a large file", "s".repeat(MAX_VARIABLE_FILE_BYTES + 1), "file", "more than 65536"],
    ["bytes that are no text", Buffer.from([0xff, 0xfe]), "file", "no text in UTF-8"],
    ["a zero byte", "a\0b", "file", "no text in UTF-8"],
  ] as const)("refuses %s", (_, content, kind, what) => {
    expect(read(content, kind).reading).toMatchObject({ ok: false, what: expect.stringContaining(what) });
  });

  it.each([0o644, 0o640, 0o604, 0o660])("tells of a file with mode %o, and refuses it in profile strict", (mode) => {
    const { reading, exposed } = read("hunter2", "file", mode);
    expect(reading).toEqual({ ok: true, text: "hunter2" });
    expect(reasonOf(() => exposed.settle("strict", []))).toBe("VARIABLE_FILE_EXPOSED");
    const warnings: { reason: string; message: string }[] = [];
    exposed.settle("standard", warnings);
    expect(warnings).toMatchObject([{ reason: "VARIABLE_FILE_EXPOSED" }]);
    expect(warnings[0]?.message).toContain(`/run/secrets/x, used by \${file:...}, has mode 0${mode.toString(8)}`);
    expect(warnings[0]?.message).not.toContain("hunter2");
  });

  it("says nothing of a file that only its owner can read", () => {
    const { exposed } = read("x", "file", 0o400);
    const warnings: { reason: string; message: string }[] = [];
    exposed.settle("strict", warnings);
    expect(warnings).toEqual([]);
  });
});
