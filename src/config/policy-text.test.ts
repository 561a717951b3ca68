import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PolicyText } from "./policy-text.ts";

function read(text: string, variables: Record<string, string> = {}): PolicyText {
  return new PolicyText(text, (name) => variables[name]);
}

const TEXT = `{
  // who
  "peers": { "a b": { "names": ["x@h", "\${NAME}"] } },
  "rules": [
    { "id": "r", "to": "$$gen" },
  ],
}`;

describe("PolicyText", () => {
  it("gives the value, with comments, trailing commas and variables", () => {
    const text = read(TEXT, { NAME: "y@h" });
    expect(text.problems).toEqual([]);
    expect(text.value).toEqual({
      peers: { "a b": { names: ["x@h", "y@h"] } },
      rules: [{ id: "r", to: "$gen" }],
    });
  });

  it("places values, keys and what is missing, by line and column", () => {
    const text = read(TEXT, { NAME: "y@h" });
    expect(text.placeOf([])).toBe("1:1");
    expect(text.placeOf(["rules", 0, "to"])).toBe("5:24");
    expect(text.placeOf(["rules", 0, "to"], true)).toBe("5:18");
    expect(text.placeOf(["peers", "a b", "names", 1])).toBe("3:40");
    expect(text.placeOf(["rules", 0, "from"])).toBe("5:5");
    expect(text.placeOf(["tests", 3, "from"], true)).toBe("1:1");
  });

  it("says every variable that is unset, and every lone dollar", () => {
    const { problems } = read('{\n"a": "${X}",\n"b": "5$",\n"c": ["${Y}"]}', { Y: "" });
    expect(problems.map(({ reason, place }) => `${reason} ${place}`)).toEqual([
      "ENV_UNSET 2:6",
      "POLICY_INVALID 3:6",
      "ENV_UNSET 4:7",
    ]);
    expect(problems[0]?.message).toContain("a uses ${X}");
  });

  it("finds keys that stand twice, of which the second could undo the first", () => {
    const { problems, value } = read('{"rules":[{"deny":"rpc",\n"deny":"send"}]}');
    expect(problems).toEqual([expect.objectContaining({ place: "2:1", message: "rules[0].deny stands twice" })]);
    expect(value).toEqual({ rules: [{ deny: "rpc" }] });
  });

  it.each([
    ["an empty text", "", "1:1"],
    ["nothing but comments", "  // nothing\n", "2:1"],
    ["a text cut in the middle", '{\n "version": 1', "2:14"],
    ["more than one value", '{"version": 1} {', "1:16"],
    ["thousands of levels", "[".repeat(100_000), "1:1"],
    ["more levels than the bound", `${'{"a":'.repeat(70)}1${"}".repeat(70)}`, "1:326"],
  ])("refuses %s", (_, text, place) => {
    expect(read(text).problems.map((problem) => problem.place)).toEqual([place]);
  });

  it("keeps a key called __proto__ a key", () => {
    const { value } = read('{"__proto__": {"version": 1}}');
    expect(Object.keys(value as object)).toEqual(["__proto__"]);
    expect((value as { version?: unknown }).version).toBeUndefined();
  });

  it("agrees with JSON on every JSON without dollars, and never throws", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 5 }), (json) => {
        fc.pre(!json.includes("$"));
        const text = read(json);
        if (text.problems.length === 0) expect(text.value).toEqual(JSON.parse(json));
      }),
    );
    fc.assert(fc.property(fc.string(), (any) => read(any).problems.length >= 0));
  });
});
