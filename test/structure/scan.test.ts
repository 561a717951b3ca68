import { describe, expect, it } from "vitest";
import { blanked, importsOf, type Source } from "./scan.ts";

function source(text: string): Source {
  return { path: "src/x/y.ts", text, ...blanked(text) };
}

describe("the source scanner", () => {
  it("sees static, type, side-effect, re-exporting and dynamic imports with their lines", () => {
    const text = [
      'import { a, type B } from "./a.ts";',
      'import type {\n  C,\n  D as E,\n} from "../c/c.ts";',
      'import "./effect.ts";',
      'import * as all from "node:fs";',
      'import first, { second } from "package";',
      'export { F } from "./f.ts";',
      'export * from "./g.ts";',
      'const lazy = await import("./lazy.ts");',
      "const other = await import(name);",
    ].join("\n");
    expect(importsOf(source(text)).map((i) => [i.specifier, i.line, i.names.join(" ")])).toEqual([
      ["./a.ts", 1, "a B"],
      ["../c/c.ts", 2, "C D"],
      ["./effect.ts", 6, ""],
      ["node:fs", 7, ""],
      ["package", 8, "second"],
      ["./f.ts", 9, "F"],
      ["./g.ts", 10, ""],
      ["./lazy.ts", 11, ""],
      ["(computed)", 12, ""],
    ]);
  });

  it("does not take comments and strings for imports", () => {
    const text =
      '// import "./a.ts"\n/* import("./b.ts") */\nconst s = `\nimport "./c.ts"\n`;\nconst r = /"/; const t = "import(x)";\n';
    expect(importsOf(source(text))).toEqual([]);
  });

  it("keeps offsets and sees code again after strings, templates and regular expressions", () => {
    const text = 'const a = `x ${f(`y ${"z"} }`)} Date.now()`; const b = /[/"]/; Date.now(); // Math.random()\n';
    const { code, bare } = blanked(text);
    expect(code.length).toBe(text.length);
    expect(bare.length).toBe(text.length);
    expect([...bare.matchAll(/Date\.now/g)].map((m) => m.index)).toEqual([text.lastIndexOf("Date.now")]);
    expect(bare).toContain("f(");
    expect(bare).not.toContain("Math");
  });
});
