import { describe, expect, it } from "vitest";
import { reasonOf } from "../testkit/failure.ts";
import { FaultyFiles } from "../testkit/faulty-files.ts";
import { DirectoryGuard } from "./directory-guard.ts";

function guarded(): { files: FaultyFiles; guard: DirectoryGuard } {
  const files = new FaultyFiles();
  files.makeDirectory("/keys/trusted", 0o700);
  return { files, guard: new DirectoryGuard(files, "/keys") };
}

const GONE = { kind: "other" } as const;

describe("the guard of the key directory", () => {
  it("knows a directory that is gone from one that never was", () => {
    const { files, guard } = guarded();
    expect(reasonOf(() => guard.check())).toBe("no error");
    files.makeDirectory("/keys/revoked", 0o700);
    expect(reasonOf(() => guard.check())).toBe("no error");
    for (const path of ["/keys/revoked", "/keys/trusted", "/keys"]) {
      const there = files.facts(path);
      files.pretend(path, GONE);
      expect(reasonOf(() => guard.check())).toBe("TRUST_UNREADABLE");
      expect(reasonOf(() => guard.check())).toBe("TRUST_UNREADABLE");
      files.pretend(path, { kind: there?.kind ?? "directory" });
      expect(reasonOf(() => guard.check())).toBe("no error");
    }
  });

  it("names directories that others may change", () => {
    const { files, guard } = guarded();
    expect(guard.exposures()).toEqual([]);
    files.pretend("/keys/trusted", { mode: 0o770 });
    expect(guard.exposures()).toEqual([expect.stringMatching(/^\/keys\/trusted: mode 0770, /)]);
    files.pretend("/keys/trusted", { mode: 0o1777 });
    expect(guard.exposures()).toEqual([]);
    files.pretend("/keys/trusted", { mode: 0o700, foreign: true });
    expect(guard.exposures()).toEqual(["/keys/trusted: owned by another user"]);
  });
});
