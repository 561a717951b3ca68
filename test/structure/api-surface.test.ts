import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { ROOT, readSource, readText, resolveFrom } from "./scan.ts";

/** Files whose exports are the package's public surface, by import name. */
const ENTRIES: Readonly<Record<string, string>> = {
  sallyport: "src/index.ts",
  "sallyport/term": "src/term/public.ts",
  "sallyport/testkit": "src/testkit/public.ts",
};
const SNAPSHOT = "test/structure/api-surface.txt";
const UPDATE = "SALLYPORT_UPDATE=1 npx vitest run --project structure test/structure/api-surface.test.ts";

/** Exported name to its kind: class, function, const, interface or type. */
type Surface = ReadonlyMap<string, string>;

const DECLARATION =
  /^export (?:declare )?(?:abstract )?(?:async )?(class|function\*?|const|let|interface|type) ([\w$]+)/gm;
const LIST = /^export (?:type )?\{([^}]*)\}(?: from "([^"]+)")?/gm;

/** What a file exports, following re-exports. */
function surfaceOf(path: string, trail: readonly string[] = []): Surface {
  const found = new Map<string, string>();
  if (trail.includes(path)) return found;
  const { code, bare } = readSource(path);
  const next = (specifier: string): Surface => surfaceOf(resolveFrom(path, specifier), [...trail, path]);
  for (const m of bare.matchAll(DECLARATION)) found.set(m[2] ?? "", m[1] ?? "");
  for (const m of code.matchAll(/^export \* from "([^"]+)"/gm))
    for (const [name, kind] of next(m[1] ?? "")) found.set(name, kind);
  for (const m of code.matchAll(LIST)) {
    const from = m[2] === undefined ? imported(path, code, trail) : next(m[2]);
    for (const part of (m[1] ?? "").split(",")) {
      const [inner = "", outer = inner] = part
        .trim()
        .replace(/^type\s+/, "")
        .split(/\s+as\s+/);
      if (inner === "") continue;
      const local = new RegExp(
        `^(?:abstract )?(?:async )?(class|function|const|let|interface|type) ${inner}\\b`,
        "m",
      ).exec(bare);
      const kind = from.get(inner) ?? (m[2] === undefined ? local?.[1] : undefined) ?? "unknown";
      // A class exported as a type alone has no value at run time.
      const isTypeOnly = m[0].startsWith("export type") || /^\s*type\s/.test(part);
      found.set(outer, isTypeOnly && kind === "class" ? "type" : kind);
    }
  }
  return found;
}

/** Names a file imports, for `export { a }` without `from`. */
function imported(path: string, code: string, trail: readonly string[]): Surface {
  const found = new Map<string, string>();
  for (const m of code.matchAll(/^import (?:type )?\{([^}]*)\} from "(\.[^"]+)"/gm)) {
    const surface = surfaceOf(resolveFrom(path, m[2] ?? ""), [...trail, path]);
    for (const part of (m[1] ?? "").split(",")) {
      const [inner = "", outer = inner] = part
        .trim()
        .replace(/^type\s+/, "")
        .split(/\s+as\s+/);
      const kind = surface.get(inner);
      if (kind !== undefined) found.set(outer, kind);
    }
  }
  return found;
}

function render(): string {
  const parts = Object.entries(ENTRIES).map(([name, path]) => {
    const lines = [...surfaceOf(path)].sort(([a], [b]) => (a < b ? -1 : 1)).map(([n, kind]) => `  ${kind} ${n}`);
    return `${name} (${path})\n${lines.join("\n")}\n`;
  });
  return parts.join("\n");
}

describe("the public surface", () => {
  it("has its entry files", () => {
    const missing = Object.values(ENTRIES).filter((path) => readText(path) === undefined);
    expect(missing, "files named by `exports` in package.json do not exist").toEqual([]);
  });

  it("is the recorded one", () => {
    const now = render();
    expect(now, "an export whose declaration was not found").not.toMatch(/^ {2}unknown /m);
    if (process.env["SALLYPORT_UPDATE"] === "1" && process.env["CI"] !== "true")
      writeFileSync(join(ROOT, SNAPSHOT), now);
    const hint = `the exports differ from ${SNAPSHOT}; when that is meant, run\n  ${UPDATE}\nand add a line to CHANGELOG.md`;
    expect(now, hint).toBe(readText(SNAPSHOT) ?? "");
  });

  it.each(Object.entries(ENTRIES))("of %s exports at run time exactly the recorded values", async (_, path) => {
    const module = (await import(pathToFileURL(join(ROOT, path)).href)) as Record<string, unknown>;
    const values = [...surfaceOf(path)]
      .filter(([, kind]) => kind !== "interface" && kind !== "type")
      .map(([name]) => name);
    expect(values.length).toBeGreaterThan(0);
    expect(Object.keys(module).sort()).toEqual(values.sort());
  });

  it("is what package.json offers", () => {
    const { exports } = JSON.parse(readText("package.json") ?? "{}") as {
      exports: Record<string, { default?: string }>;
    };
    const offered = Object.values(exports).flatMap((entry) => (entry.default === undefined ? [] : [entry.default]));
    const built = Object.values(ENTRIES).map((path) => path.replace(/^src\//, "./lib/").replace(/\.ts$/, ".js"));
    expect(offered.sort()).toEqual(built.sort());
  });
});
