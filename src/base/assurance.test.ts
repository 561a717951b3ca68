import { describe, expect, it } from "vitest";
import { type Assurance, assuranceAtLeast, isAssurance } from "./assurance.ts";

const LEVELS: readonly Assurance[] = ["none", "cookie", "tofu", "ca", "pinned"];

describe("assurance", () => {
  it("orders none, cookie, tofu, ca, pinned", () => {
    for (const [i, have] of LEVELS.entries()) {
      for (const [j, least] of LEVELS.entries())
        expect([have, least, assuranceAtLeast(have, least)]).toEqual([have, least, i >= j]);
    }
  });

  it("knows its level names and nothing else", () => {
    for (const level of LEVELS) expect(isAssurance(level)).toBe(true);
    for (const other of ["", "CA", "toString", undefined, null, 3, ["ca"], {}]) expect(isAssurance(other)).toBe(false);
  });
});
