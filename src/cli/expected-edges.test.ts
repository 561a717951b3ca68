import { describe, expect, it } from "vitest";
import { compilePolicy } from "../policy/compile.ts";
import type { ExpectedEdge } from "../policy/review/matrix.ts";
import { buildMatrix } from "../policy/review/matrix.ts";
import { edgesOf, parseExpectedEdges } from "./expected-edges.ts";

function parse(text: string): readonly ExpectedEdge[] {
  return parseExpectedEdges({ file: "fleet.json", text });
}

describe("parseExpectedEdges", () => {
  it("reads what edgesOf made, and comments", () => {
    const policy = compilePolicy({
      version: 1,
      node: "a@h",
      peers: { b: { names: ["b@h"], assurance: "ca" }, c: { names: ["c@h"], assurance: "ca" } },
      rules: [
        { id: "1", from: "b", allow: ["send", "call"], to: "x" },
        { id: "2", from: "b", allow: "call", to: "y" },
      ],
    });
    const edges = edgesOf(buildMatrix([policy], 0));
    expect(edges).toEqual([{ from: "b@h", to: "a@h", verbs: ["call", "send"] }]);
    expect(parse(`// the fleet\n${JSON.stringify(edges)}`)).toEqual(edges);
  });

  it("takes an edge without verbs, and no edge at all", () => {
    expect(parse('[{ "from": "a@h", "to": "b@h" }]')).toEqual([{ from: "a@h", to: "b@h" }]);
    expect(parse("[]")).toEqual([]);
  });

  it.each([
    ["", "fleet.json:1:1: "],
    ["{}", "this is no list of edges"],
    ["[1]", "fleet.json:1:2: an edge has from, to and verbs"],
    ['[{ "from": "a@h" }]', "to is no node name"],
    ['[{ "from": "a", "to": "b@h" }]', "from is no node name"],
    ['[{ "from": "a@h", "to": "b@h", "verb": "call" }]', "an edge has from, to and verbs"],
    ['[{ "from": "a@h", "to": "b@h", "verbs": [] }]', "verbs is no list of verbs"],
    ['[{ "from": "a@h", "to": "b@h", "verbs": ["fly"] }]', "verbs is no list of verbs"],
    ['[{ "from": "a@h", "to": "b@h" },\n { "from": "a@h", "to": "b@h" }]', "fleet.json:2:2: the edge from a@h to b@h"],
  ])("refuses %j", (text, says) => {
    expect(() => parse(text)).toThrow(
      expect.objectContaining({
        code: "ERR_CONFIG",
        reason: "POLICY_EXPECT_INVALID",
        message: expect.stringContaining(says),
      }),
    );
  });
});
