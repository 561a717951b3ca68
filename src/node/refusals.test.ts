import { describe, expect, it } from "vitest";
import { parseTargetText } from "../policy/parse-target.ts";
import { Pid } from "../term/types.ts";
import { targetText } from "./refusals.ts";

describe("a target as the operator reads it", () => {
  it("is a pid only when it is one: a name that looks like one is quoted", () => {
    expect(targetText(new Pid("n@h", 5, 0, 33))).toBe("<5.0>");
    expect(targetText("<5.0>")).toBe("'<5.0>'");
    expect(parseTargetText(targetText("<5.0>"))).toEqual({ kind: "name", name: "<5.0>" });
  });

  it.each([
    ["jobs", "jobs"],
    ["Elixir.Jobs", "Elixir.Jobs"],
    ["os:cmd/1", "os:cmd/1"],
    ["'a b':run/1", "'a b':run/1"],
    ["'a worker'", "'a worker'"],
    ["", "''"],
    ["#Ref<1.2.3>", "'#Ref<1.2.3>'"],
    ["it's", String.raw`'it\\'s'`],
    ["two\nlines", String.raw`'two\x0alines'`],
  ])("of %j is %s", (target, text) => {
    expect(targetText(target)).toBe(text);
  });
});
