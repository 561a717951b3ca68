import { describe, expect, it } from "vitest";
import { isSallyportError } from "../base/errors.ts";
import { parseTermTree, type TermNode } from "./text-tree.ts";

class Code extends Error {}

function tree(text: string, maxDepth = 10): TermNode {
  return parseTermTree(text, { maxDepth, onCode: (at, inside) => new Code(`${at} ${inside.join("/")}`) });
}

describe("parseTermTree", () => {
  it("keeps where each part starts", () => {
    expect(tree('[{a, "x" "y", <<"z"/utf8>>, -1, 2.5},\n #{\'B\' => []}]. % end\n')).toEqual({
      kind: "list",
      at: 0,
      items: [
        {
          kind: "tuple",
          at: 1,
          items: [
            { kind: "atom", name: "a", at: 2 },
            { kind: "text", text: "xy", binary: false, at: 5 },
            { kind: "text", text: "z", binary: true, at: 14 },
            { kind: "integer", value: -1, at: 28 },
            { kind: "float", value: 2.5, at: 32 },
          ],
        },
        {
          kind: "map",
          at: 39,
          entries: [
            [
              { kind: "atom", name: "B", at: 41 },
              { kind: "list", items: [], at: 48 },
            ],
          ],
        },
      ],
    });
  });

  it.each([
    ["{a, {b, fun x:y/1}}.", "8 a/b"],
    ["{a, fun() -> ok end}.", "4 a"],
    ["{a, m:f()}.", "4 a"],
    ["{a, f(1)}.", "4 a"],
    ["{a, X}.", "4 a"],
    ['{a, "b" ++ "c"}.', "8 a"],
    ["{a, 1 + 2}.", "6 a"],
    ["{a, #rec{}}.", "4 a"],
    ["{a, (1)}.", "4 a"],
    ["{{x}, case}.", "6 "],
    ["{a, begin 1 end}.", "4 a"],
  ])("leaves code to the caller, with the tuples it stands in: %s", (text, says) => {
    expect(() => tree(text)).toThrow(new Code(says));
  });

  it("takes quoted atoms that are words of expressions", () => {
    expect(tree("{'fun', 'case', maybe}.")).toMatchObject({
      items: [{ name: "fun" }, { name: "case" }, { name: "maybe" }],
    });
  });

  it.each([
    ["", "line 1, column 1: a term is missing"],
    ["a", '"." is missing at the end of the text'],
    ["a. b.", "line 1, column 4: only one term may stand here"],
    ["{a", '"}" is missing at the end of the text'],
    ["{a.", "an atom with a dot needs quotes"],
    ["{a b}.", '"}" is missing before what stands here'],
    ["<<1>>.", "a binary is written as text here"],
    ['<<"a"/latin1>>.', 'only "/utf8" may stand here'],
    ["-a.", "a number must follow the sign"],
    ["[[[[a]]]].", "nests deeper than 3 levels"],
  ])("refuses %j with its place", (text, says) => {
    try {
      tree(text, 3);
    } catch (error) {
      if (!isSallyportError(error)) throw error;
      expect(error).toMatchObject({ reason: "TERM_SYNTAX", detail: { line: 1 } });
      expect(error.message).toContain(says);
      return;
    }
    throw new Error("accepted");
  });
});
