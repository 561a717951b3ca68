import { describe, expect, it } from "vitest";
import { FaultyFiles } from "../testkit/faulty-files.ts";
import { auditLines } from "./audit-lines.ts";

function disk(files: Readonly<Record<string, string>>): FaultyFiles {
  const made = new FaultyFiles();
  made.makeDirectory("/log", 0o700);
  for (const [name, text] of Object.entries(files)) made.writeNew(`/log/${name}`, text, 0o600);
  return made;
}

describe("auditLines", () => {
  it("reads all files in the order of their first records, and no other file", () => {
    const files = disk({
      "audit-000000000010.jsonl": "c\nd\n",
      "audit-000000000001.jsonl": "a\nb\n",
      "audit-9999999999999.jsonl": "e\nhalf",
      "notes.txt": "x\n",
    });
    expect([...auditLines("/log", files)]).toEqual(["a", "b", "c", "d", "e", "half"]);
  });

  it("reads one file when that is named, whatever is beside it", () => {
    const files = disk({ "audit-000000000001.jsonl": "a\n", "copy.jsonl": "b\nc" });
    expect([...auditLines("/log/copy.jsonl", files)]).toEqual(["b", "c"]);
    expect(() => [...auditLines("/log/none.jsonl", files)]).toThrow(
      expect.objectContaining({ code: "ERR_CONFIG", reason: "AUDIT_UNREADABLE" }),
    );
  });

  it.each([
    ["an empty directory", "/log"],
    ["no directory", "/elsewhere"],
  ])("says that there is no log in %s", (_, directory) => {
    expect(() => [...auditLines(directory, disk({}))]).toThrow(
      expect.objectContaining({ code: "ERR_CONFIG", reason: "AUDIT_UNREADABLE" }),
    );
  });

  it("says which file cannot be read", () => {
    const files = disk({ "audit-000000000001.jsonl": "a\n" });
    files.forbid("/log/audit-000000000001.jsonl", "EACCES");
    expect(() => [...auditLines("/log", files)]).toThrow(/audit-000000000001\.jsonl: EACCES/);
  });
});
