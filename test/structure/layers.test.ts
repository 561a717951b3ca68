import { describe, expect, it } from "vitest";
import {
  LAYERS,
  LONG_FILES,
  MAX_LINES,
  MAX_LINES_WITH_REASON,
  MIN_FILES,
  MIN_IMPORTS,
  PROTOCOL_FOLDERS,
  TEST_FOLDERS,
  TEST_IMPORTS,
  WORLD,
} from "./layer-table.ts";
import { type Import, importsOf, isTest, lineAt, listFiles, readSource, resolveFrom, type Source } from "./scan.ts";
import { type Step, WALKS } from "./walks.ts";

const sources: readonly Source[] = listFiles("src", (path) => path.endsWith(".ts")).map(readSource);
const imports: ReadonlyMap<string, readonly Import[]> = new Map(sources.map((s) => [s.path, importsOf(s)]));
const byPath: ReadonlyMap<string, Source> = new Map(sources.map((s) => [s.path, s]));

/** Folder of a file, or the file's own name for files directly in `src/`. */
function layerOf(path: string): string {
  return (path.split("/")[1] ?? "").replace(/\.ts$/, "");
}

/** Files of `src/` that a file imports. */
function importedFiles(path: string): string[] {
  const relative = (imports.get(path) ?? []).filter((i) => i.specifier.startsWith("."));
  return relative.map((i) => resolveFrom(path, i.specifier));
}

/** Runs `judge` on every import and lists what it objects to. */
function objections(judge: (path: string, imported: Import) => string | undefined): string[] {
  const found: string[] = [];
  for (const [path, list] of imports) {
    for (const i of list) {
      const objection = judge(path, i);
      if (objection !== undefined) found.push(`${path}:${i.line} imports ${i.specifier}: ${objection}`);
    }
  }
  return found;
}

describe("the layers of src/", () => {
  it("were really read", () => {
    const count = [...imports.values()].reduce((sum, list) => sum + list.length, 0);
    expect(sources.length).toBeGreaterThanOrEqual(MIN_FILES);
    expect(count).toBeGreaterThanOrEqual(MIN_IMPORTS);
    // A second, cruder count: a statement the scanner overlooks shows here.
    const crude = sources.reduce(
      (sum, s) => sum + [...s.code.matchAll(/^(?:\} from|(?:import|export)\b.*\bfrom) "/gm)].length,
      0,
    );
    expect(count).toBeGreaterThanOrEqual(crude);
  });

  it("have a rank and a reason for every folder", () => {
    const unknown = new Set(sources.map((s) => layerOf(s.path)).filter((layer) => LAYERS[layer] === undefined));
    expect([...unknown], "add the folder to LAYERS in test/structure/layer-table.ts").toEqual([]);
    for (const [layer, { why }] of Object.entries(LAYERS)) expect(why, layer).not.toBe("");
  });

  it("import only from their own folder or a lower rank", () => {
    const found = objections((path, { specifier }) => {
      if (!specifier.startsWith(".")) return undefined;
      const target = resolveFrom(path, specifier);
      if (!target.startsWith("src/")) return "leaves src/";
      const [from, to] = [layerOf(path), layerOf(target)];
      if (from === to || (isTest(path) && TEST_FOLDERS.includes(to))) return undefined;
      const [a, b] = [LAYERS[from]?.rank ?? -1, LAYERS[to]?.rank ?? 99];
      return b < a ? undefined : `${from} has rank ${a}, ${to} has rank ${b}`;
    });
    expect(found).toEqual([]);
  });

  it("import files that exist, by their full name with .ts", () => {
    const found = objections((path, { specifier }) => {
      if (specifier === "(computed)")
        return LAYERS[layerOf(path)]?.world === undefined ? "computed at run time" : undefined;
      if (!specifier.startsWith(".")) return undefined;
      if (!specifier.endsWith(".ts")) return "lacks .ts";
      return byPath.has(resolveFrom(path, specifier)) ? undefined : "does not exist";
    });
    expect(found).toEqual([]);
  });

  it("have no test imported by a source, and no index.ts in a folder", () => {
    const found = objections((path, { specifier }) =>
      !isTest(path) && specifier.startsWith(".") && isTest(specifier) ? "is a test" : undefined,
    );
    expect(found).toEqual([]);
    expect(sources.map((s) => s.path).filter((path) => /^src\/.+\/index\.ts$/.test(path))).toEqual([]);
  });

  it("import packages and builtins only with a written reason", () => {
    const found = objections((path, { specifier }) => {
      if (specifier.startsWith(".") || specifier === "(computed)") return undefined;
      if (isTest(path) && TEST_IMPORTS[specifier] !== undefined) return undefined;
      const layer = layerOf(path);
      if (PROTOCOL_FOLDERS.includes(layer)) return `${layer} is a protocol folder: no package, no builtin`;
      return LAYERS[layer]?.outside?.[specifier] === undefined ? `${layer} has no reason for it in LAYERS` : undefined;
    });
    expect(found).toEqual([]);
  });

  it("keep the protocol folders and the socket builtins where the table may not move them", () => {
    for (const folder of PROTOCOL_FOLDERS) expect(LAYERS[folder]?.outside, folder).toBeUndefined();
    const holders = (specifier: string): string[] =>
      Object.keys(LAYERS).filter((layer) => LAYERS[layer]?.outside?.[specifier] !== undefined);
    expect(holders("node:net")).toEqual(["carrier"]);
    expect(holders("node:tls")).toEqual(["carrier"]);
    expect(holders("node:fs")).toEqual(["system", "cli"]);
    expect(Object.keys(LAYERS).filter((layer) => LAYERS[layer]?.world !== undefined)).toEqual(["system", "cli"]);
  });

  it("read time, randomness and the process only in system, cli and tests", () => {
    const found: string[] = [];
    for (const { path, text, bare } of sources) {
      if (isTest(path) || LAYERS[layerOf(path)]?.world !== undefined) continue;
      for (const { pattern, instead } of WORLD) {
        for (const m of bare.matchAll(pattern)) found.push(`${path}:${lineAt(text, m.index)} ${m[0]}: use ${instead}`);
      }
    }
    expect(found).toEqual([]);
  });

  it("have no import cycle, counting type imports", () => {
    expect(cycles()).toEqual([]);
  });

  it("have no file too long to read", () => {
    const found: string[] = [];
    for (const { path, text } of sources) {
      const lines = text.split("\n").length - 1;
      if (lines > MAX_LINES_WITH_REASON) found.push(`${path}: ${lines} lines, over ${MAX_LINES_WITH_REASON}: split it`);
      else if (lines > MAX_LINES && !isTest(path) && LONG_FILES[path] === undefined) {
        found.push(`${path}: ${lines} lines, over ${MAX_LINES}: split it, or give the reason in LONG_FILES`);
      }
    }
    for (const path of Object.keys(LONG_FILES)) {
      const lines = (byPath.get(path)?.text.split("\n").length ?? 1) - 1;
      if (lines <= MAX_LINES) found.push(`${path}: in LONG_FILES, but has ${lines} lines: remove the entry`);
    }
    expect(found).toEqual([]);
  });
});

describe.each(WALKS)("the walk of $name", ({ steps }) => {
  it.each(steps.map((step) => [`${step.from} -> ${step.to}`, step] as const))("goes %s", (_, step) => {
    const [from, to] = [byPath.get(`src/${step.from}`), byPath.get(`src/${step.to}`)];
    const missing = [step.from, step.to].filter((path) => !byPath.has(`src/${path}`));
    expect(
      missing,
      "no such file; when it was renamed, change test/structure/walks.ts and docs/architecture.md",
    ).toEqual([]);
    if (from === undefined || to === undefined) return;
    expect(wrongStep(step, from, to)).toBeUndefined();
  });
});

function wrongStep(step: Step, from: Source, to: Source): string | undefined {
  const linked = reaches(from.path, to.path);
  if (step.via === "imports") {
    if (!linked) return `${step.from} does not reach ${step.to} by imports`;
    const [a, b] = [LAYERS[layerOf(from.path)]?.rank ?? -1, LAYERS[layerOf(to.path)]?.rank ?? 99];
    return b <= a ? undefined : `${step.to} has a higher rank, so it must be passed in as a sink`;
  }
  if (linked) return `${step.from} imports ${step.to} instead of speaking to it through ${step.via.sink}`;
  const name = new RegExp(`\\b${step.via.sink}\\b`);
  const silent = [from, to].filter((source) => !name.test(source.bare)).map((source) => source.path);
  return silent.length === 0 ? undefined : `${silent.join(" and ")} does not name ${step.via.sink}`;
}

/** Whether imports lead from one file to another through files of their two folders. */
function reaches(from: string, to: string): boolean {
  const folders = [layerOf(from), layerOf(to)];
  const seen = new Set([from]);
  const queue = [from];
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    for (const next of importedFiles(path)) {
      if (next === to) return true;
      if (seen.has(next) || !folders.includes(layerOf(next))) continue;
      seen.add(next);
      queue.push(next);
    }
  }
  return false;
}

/** Import cycles as `a -> b -> a`, each found once. */
function cycles(): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start !== -1) {
      found.push([...trail.slice(start), path].join(" -> "));
      return;
    }
    if (done.has(path)) return;
    for (const next of importedFiles(path)) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const { path } of sources) visit(path, []);
  return found;
}
