import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository's root directory. */
export const ROOT: string = resolve(dirname(fileURLToPath(import.meta.url)), "../..");

/** One source file, read three ways. All three texts have the same length, so offsets agree. */
export interface Source {
  /** Path from the repository's root, with `/`. */
  readonly path: string;
  readonly text: string;
  /** Comments blanked. */
  readonly code: string;
  /** Comments and the content of strings, templates and regular expressions blanked. */
  readonly bare: string;
}

/** One import or re-export, static or dynamic. */
export interface Import {
  readonly specifier: string;
  readonly line: number;
  /** Names taken from the module; empty for `*`, side effects and dynamic imports. */
  readonly names: readonly string[];
}

/** Every file below `dir` (from the root) whose path satisfies `keep`, sorted. A missing directory has none. */
export function listFiles(dir: string, keep: (path: string) => boolean): string[] {
  const found: string[] = [];
  const walk = (at: string): void => {
    for (const entry of readdirSync(at, { withFileTypes: true })) {
      if (entry.name === "node_modules" || entry.name.startsWith(".")) continue;
      const full = join(at, entry.name);
      if (entry.isDirectory()) walk(full);
      else found.push(relative(ROOT, full).split(sep).join("/"));
    }
  };
  try {
    walk(join(ROOT, dir));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  return found.filter(keep).sort();
}

/** Text of a file named from the root, or undefined when there is none. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(join(ROOT, path), "utf8");
  } catch {
    return undefined;
  }
}

/** Reads one TypeScript file and blanks what is not code. */
export function readSource(path: string): Source {
  const text = readText(path);
  if (text === undefined) throw new Error(`cannot read ${path}`);
  return { path, text, ...blanked(text) };
}

/** Whether a path is a unit or property test beside its source. */
export function isTest(path: string): boolean {
  return path.endsWith(".test.ts");
}

/** Line number, from 1, of an offset. */
export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let i = text.indexOf("\n"); i !== -1 && i < offset; i = text.indexOf("\n", i + 1)) line++;
  return line;
}

/** Imports and re-exports of a file, in order. Works on biome's formatting: statements start a line. */
export function importsOf(source: Source): Import[] {
  const found: { at: number; specifier: string; names: string[] }[] = [];
  const fixed =
    /^(?:import|export)\s+(?:type\s+)?(?:([\w$*][^"';(]*?|\{[^}]*\}|[\w$]+\s*,\s*\{[^}]*\})\s+from\s+)?"([^"\n]+)"/gm;
  for (const m of source.code.matchAll(fixed)) {
    if (source.bare[m.index] === " ") continue;
    found.push({ at: m.index, specifier: m[2] ?? "", names: namesOf(m[1] ?? "") });
  }
  for (const m of source.code.matchAll(/\bimport\s*\(\s*([^)\s][^)]*)\)/g)) {
    if (source.bare[m.index] === " ") continue;
    const literal = /^["'`]([^"'`$]+)["'`]\s*,?\s*$/.exec(m[1] ?? "");
    found.push({ at: m.index, specifier: literal?.[1] ?? "(computed)", names: [] });
  }
  return found
    .sort((a, b) => a.at - b.at)
    .map((f) => ({ specifier: f.specifier, names: f.names, line: lineAt(source.text, f.at) }));
}

/** Path from the root of the file a relative specifier names. */
export function resolveFrom(path: string, specifier: string): string {
  return posix.normalize(posix.join(posix.dirname(path), specifier));
}

function namesOf(clause: string): string[] {
  const inner = /\{([^}]*)\}/.exec(clause)?.[1];
  if (inner === undefined) return [];
  return inner
    .split(",")
    .map(
      (part) =>
        part
          .trim()
          .replace(/^type\s+/, "")
          .split(/\s+as\s+/)[0] ?? "",
    )
    .filter((part) => part !== "");
}

/** Before one of these a slash starts a regular expression, not a division. */
const BEFORE_REGEX = /(?:^|[(,=:[!&|?{};+\-*%<>~^]|\b(?:return|typeof|case|in|of|throw|void|await|else))\s*$/;

/** Blanks comments (`code`), and also the content of strings, templates and regular expressions (`bare`). */
export function blanked(text: string): { code: string; bare: string } {
  const code = text.split("");
  const bare = text.split("");
  const wipe = (target: string[], from: number, to: number): void => {
    for (let i = from; i < to; i++) if (target[i] !== "\n") target[i] = " ";
  };
  /** Open braces inside each enclosing `${`. */
  const templates: number[] = [];
  let i = 0;
  const template = (from: number): number => {
    let j = from;
    while (j < text.length && text[j] !== "`" && !text.startsWith("${", j)) j += text[j] === "\\" ? 2 : 1;
    wipe(bare, from, j);
    if (text.startsWith("${", j)) {
      templates.push(0);
      return j + 2;
    }
    return j + 1;
  };
  while (i < text.length) {
    const c = text[i];
    if (text.startsWith("//", i) || text.startsWith("/*", i)) {
      const close = text[i + 1] === "/" ? text.indexOf("\n", i) : text.indexOf("*/", i + 2) + 2;
      const end = close < i + 2 ? text.length : close;
      wipe(code, i, end);
      wipe(bare, i, end);
      i = end;
    } else if (c === '"' || c === "'") {
      let j = i + 1;
      while (j < text.length && text[j] !== c && text[j] !== "\n") j += text[j] === "\\" ? 2 : 1;
      wipe(bare, i + 1, j);
      i = j + 1;
    } else if (c === "`") {
      i = template(i + 1);
    } else if (c === "/" && BEFORE_REGEX.test(bare.slice(Math.max(0, i - 40), i).join(""))) {
      let j = i + 1;
      let inClass = false;
      while (j < text.length && text[j] !== "\n" && (inClass || text[j] !== "/")) {
        if (text[j] === "[") inClass = true;
        else if (text[j] === "]") inClass = false;
        j += text[j] === "\\" ? 2 : 1;
      }
      wipe(bare, i + 1, j);
      i = j + 1;
    } else {
      const depth = templates.length - 1;
      if (depth >= 0 && c === "{") templates[depth] = (templates[depth] ?? 0) + 1;
      else if (depth >= 0 && c === "}") {
        if (templates[depth] === 0) {
          templates.pop();
          i = template(i + 1);
          continue;
        }
        templates[depth] = (templates[depth] ?? 0) - 1;
      }
      i++;
    }
  }
  return { code: code.join(""), bare: bare.join("") };
}
