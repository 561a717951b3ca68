import { describe, expect, it } from "vitest";
import { type ExpandOptions, expandVariables, MAX_VARIABLE_NESTING } from "./expand-variables.ts";

const VARIABLES: Readonly<Record<string, string>> = { A: "x", EMPTY: "", DOLLARS: "$$ ${A}" };
const FILES: Readonly<Record<string, string>> = { "/run/secrets/x": "from file" };
const WORLD: ExpandOptions = {
  environment: (name) => VARIABLES[name],
  file: (path) => {
    const text = FILES[path];
    return text === undefined ? { ok: false, what: "does not exist" } : { ok: true, text };
  },
};

describe("expandVariables", () => {
  it.each([
    ["plain", "plain"],
    ["${A}", "x"],
    ["-${A}-${A}-", "-x-x-"],
    ["$$", "$"],
    ["$${A}", "${A}"],
    ["$$${A}", "$x"],
    ["${DOLLARS}", "$$ ${A}"],
    ["${A:-y}", "x"],
    ["${UNSET:-y z}", "y z"],
    ["${EMPTY:-y}", "y"],
    ["${UNSET:-}", ""],
    ["${UNSET:-${A}}", "x"],
    ["${UNSET:-${EMPTY:-${UNSET:-deep}}}!", "deep!"],
    ["${A:-${UNSET}}", "x"],
    ["${A:-${file:/nowhere}}", "x"],
    ["${file:/run/secrets/x}", "from file"],
    ["${UNSET:-${file:/run/secrets/x}}", "from file"],
  ])("fills in %s as %s", (text, expected) => {
    expect(expandVariables(text, WORLD)).toMatchObject({ ok: true, text: expected });
  });

  it.each([
    ["${UNSET}", { why: "unset", variable: "UNSET" }],
    ["${EMPTY}", { why: "unset", variable: "EMPTY" }],
    ["${UNSET:-${EMPTY}}", { why: "unset", variable: "EMPTY" }],
    ["${file:/nowhere}", { why: "file", path: "/nowhere", what: "does not exist" }],
    ["${file:}", { why: "syntax" }],
    ["${file:/x", { why: "syntax" }],
    ["$A", { why: "syntax" }],
    ["a$", { why: "syntax" }],
    ["${A", { why: "syntax" }],
    ["${}", { why: "syntax" }],
    ["${A:x}", { why: "syntax" }],
    ["${A:-x", { why: "syntax" }],
  ])("does not fill in %s", (text, expected) => {
    expect(expandVariables(text, WORLD)).toMatchObject({ ok: false, ...expected });
  });

  it("leaves dollars that begin nothing where Erlang leaves them, and says of pairs that they were there", () => {
    const world = { ...WORLD, keepDollars: true };
    expect(expandVariables("a$b$", world)).toMatchObject({ ok: true, text: "a$b$", hasPair: false });
    expect(expandVariables("a$$b", world)).toMatchObject({ ok: true, text: "a$b", hasPair: true });
    expect(expandVariables("a${b", world)).toMatchObject({ ok: false, why: "syntax" });
  });

  it("says when something came out of a file", () => {
    expect(expandVariables("${file:/run/secrets/x}", WORLD)).toMatchObject({ fromFile: true });
    expect(expandVariables("${A:-${file:/run/secrets/x}}", WORLD)).toMatchObject({ fromFile: false });
  });

  it("bounds defaults inside each other", () => {
    const nested = (depth: number): string => `${"${U:-".repeat(depth)}x${"}".repeat(depth)}`;
    expect(expandVariables(nested(MAX_VARIABLE_NESTING), WORLD)).toMatchObject({ ok: true, text: "x" });
    expect(expandVariables(nested(MAX_VARIABLE_NESTING + 1), WORLD)).toMatchObject({ ok: false, why: "syntax" });
    expect(expandVariables(nested(100_000), WORLD)).toMatchObject({ ok: false });
  });

  it("reads no file where none may be read", () => {
    expect(expandVariables("${file:/run/secrets/x}", () => undefined)).toMatchObject({ ok: false, why: "file" });
  });
});
