import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import { reasonOf } from "../testkit/failure.ts";
import { MAX_NAME_PATTERNS, NamePatterns } from "./name-patterns.ts";

const matches = (pattern: string, name: string): boolean => new NamePatterns([pattern]).matches(parseNodeName(name));

describe("a pattern of names", () => {
  it.each([
    ["a@h", "a@h", true],
    ["a@h", "A@h", false],
    ["a@H", "a@h", true],
    ["a@h", "a@H", true],
    ["a@h", "b@h", false],
    ["a@h", "a@hh", false],
    ["*@h", "a@h", true],
    ["*@h", "a@g", false],
    ["a@*", "a@g.example", true],
    ["a@*", "ab@g.example", false],
    ["*@*", "a@g", true],
    ["a@::1", "a@::1", true],
  ])("%s and %s: %s", (pattern, name, expected) => {
    expect(matches(pattern, name)).toBe(expected);
  });

  it.each([
    "",
    "*",
    "a",
    "@",
    "*@",
    "@*",
    "a*@h",
    "a@h*",
    "a@*.example",
    "**@h",
    "a@h@*",
    "\u00e9@h",
    "a b@*",
    "../x@*",
  ])("%j is none", (text) => expect(reasonOf(() => new NamePatterns([text]))).toBe("NAME_PATTERN"));

  it("of none matches nobody", () => {
    const none = new NamePatterns([]);
    expect([none.isEmpty, none.matches(parseNodeName("a@h"))]).toEqual([true, false]);
  });

  it("stands in a list of bounded length", () => {
    const of = (length: number): string[] => Array.from({ length }, (_, i) => `n${i}@h`);
    expect(new NamePatterns(of(MAX_NAME_PATTERNS)).matches(parseNodeName("n255@h"))).toBe(true);
    expect(reasonOf(() => new NamePatterns(of(MAX_NAME_PATTERNS + 1)))).toBe("NAME_PATTERNS");
  });
});
