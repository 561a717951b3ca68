import { describe, expect, it } from "vitest";
import { type ErrorPairs, errorPairs } from "./error-pairs.ts";
import { blanked, type Source } from "./scan.ts";

function read(files: Readonly<Record<string, string>>): ErrorPairs {
  return errorPairs(Object.entries(files).map(([path, text]): Source => ({ path, text, ...blanked(text) })));
}

describe("the reader of error pairs", () => {
  it("reads literals, also over line breaks and in conditions", () => {
    const text = 'throw new SallyportError(\n  "ERR_LIMIT",\n  big ? "TOO_BIG" : "TOO_MANY",\n  `x ${f(",")}`,\n);\n';
    expect([...read({ "src/a/a.ts": text }).pairs.keys()]).toEqual(["ERR_LIMIT TOO_BIG", "ERR_LIMIT TOO_MANY"]);
  });

  it("follows a helper's parameters to its callers in other files, and helpers of helpers", () => {
    const { pairs, dynamic } = read({
      "src/a/bad.ts":
        'export function bad(reason: string, text: string): SallyportError {\n  return new SallyportError("ERR_PEER_MISBEHAVED", reason, text);\n}\n',
      "src/b/b.ts":
        'import { bad } from "../a/bad.ts";\nclass B {\n  #fail(text: string, reason: string): never {\n    throw bad(reason, text);\n  }\n  run(): void {\n    this.#fail("x", "ONE");\n    throw bad("TWO", "y");\n  }\n}\n',
      "src/c/c.ts": 'function bad(x: string) {}\nbad("NOT_OURS");\n',
    });
    expect(dynamic).toEqual([]);
    expect([...pairs.keys()].sort()).toEqual(["ERR_PEER_MISBEHAVED ONE", "ERR_PEER_MISBEHAVED TWO"]);
  });

  it("reads a constant made just above", () => {
    const text = 'const reason = late ? "LATE" : "EARLY";\nthrow new SallyportError("ERR_DEADLINE", reason, "");\n';
    expect([...read({ "src/a/a.ts": text }).pairs.keys()]).toEqual(["ERR_DEADLINE LATE", "ERR_DEADLINE EARLY"]);
  });

  it("reports what it cannot read", () => {
    const text =
      'throw new SallyportError("ERR_LIMIT", table[kind], "");\nthrow new SallyportError("ERR_LIMIT", `A_${b}`, "");\n';
    expect(read({ "src/a/a.ts": text }).dynamic).toHaveLength(2);
  });
});
