import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join, posix } from "node:path";
import { describe, expect, it } from "vitest";
import { errorPairs } from "./error-pairs.ts";
import { isTest, listFiles, ROOT, readSource, readText, type Source } from "./scan.ts";

/** Documents the project promises. */
const REQUIRED = [
  "README.md",
  "LICENSE",
  "CHANGELOG.md",
  "CONTRIBUTING.md",
  "docs/architecture.md",
  "docs/features.md",
  "docs/errors.md",
  "docs/limits.md",
  "docs/dependencies.md",
  "docs/decisions/0001-layers.md",
];

/**
 * (code, reason) pairs whose code or reason is computed, by file. Prefer a literal: users search for it. Each entry
 * names every pair that the file can make, and silences the report of dynamic constructions in that file.
 */
const COMPUTED: Readonly<Record<string, readonly string[]>> = {
  // A copy of an error that was made elsewhere.
  "src/base/errors.ts": [],
  // `ErlangText.fault`: its type `ErlangReason` lists them; the files that read options and flags call it.
  "src/config/erlang-text.ts": [
    "ERR_CONFIG CONF_OPTION_MISSING",
    "ERR_CONFIG CONF_OPTION_UNKNOWN",
    "ERR_CONFIG CONF_OPTION_UNSUPPORTED",
    "ERR_CONFIG CONF_SYNTAX",
    "ERR_CONFIG CONF_VALUE",
    "ERR_CONFIG CONFIG_CONFLICT",
    "ERR_CONFIG VERIFY_DISABLED",
    "ERR_CONFIG CLIENT_CERT_OPTIONAL",
    "ERR_CONFIG VERSION_UNKNOWN",
    "ERR_CONFIG CIPHER_UNKNOWN",
    "ERR_CONFIG CIPHER_UNSUPPORTED",
    "ERR_CONFIG VMARGS_SYNTAX",
    "ERR_CONFIG VMARGS_VALUE",
    "ERR_CONFIG PORT_RANGE_INVALID",
    "ERR_CONFIG COOKIE_EMPTY",
    "ERR_CONFIG ENV_UNSET",
    "ERR_CONFIG VARIABLE_FILE",
  ],
  // Errors of a running node, made there and told over its control socket.
  "src/control/answer-error.ts": [],
  // Reasons of `TrustRefusal`: what the trust store decided about a proven key.
  "src/node/trust-failures.ts": [
    "ERR_DENIED KEY_MISMATCH",
    "ERR_DENIED KEY_REUSED",
    "ERR_DENIED KEY_REVOKED",
    "ERR_DENIED KEY_UNTRUSTED",
    "ERR_DENIED OWN_KEY",
    "ERR_DENIED OWN_NAME",
    "ERR_DENIED PIN_BROKEN",
  ],
};

const sources: readonly Source[] = listFiles("src", (path) => path.endsWith(".ts") && !isTest(path)).map(readSource);
const documents: readonly string[] = [
  ...["README.md", "CHANGELOG.md", "CONTRIBUTING.md"].filter((path) => readText(path) !== undefined),
  ...listFiles("docs", (path) => path.endsWith(".md")),
];

interface Row {
  readonly heading: string;
  readonly cells: readonly string[];
  readonly line: number;
}

/** Rows of all tables of a document, without header and rule, each with the heading it stands under. */
function rowsOf(path: string): Row[] {
  const rows: Row[] = [];
  let heading = "";
  let inTable = false;
  withoutFences(readText(path) ?? "")
    .split("\n")
    .forEach((text, i) => {
      const title = /^#{1,6}\s+(.*?)\s*$/.exec(text)?.[1];
      if (title !== undefined) heading = title.replaceAll("`", "");
      if (!text.startsWith("|")) {
        inTable = false;
        return;
      }
      const cells = text
        .replace(/^\|/, "")
        .replace(/\|\s*$/, "")
        .split("|")
        .map((cell) => cell.trim());
      if (/^[\s|:-]+$/.test(text)) inTable = true;
      else if (inTable) rows.push({ heading, cells, line: i + 1 });
    });
  return rows;
}

function withoutFences(text: string): string {
  return text.replace(/^```[^\n]*\n[\s\S]*?^```/gm, (fence) => fence.replace(/[^\n]/g, ""));
}

function quoted(cell: string | undefined): string {
  return /^`([^`]+)`$/.exec(cell ?? "")?.[1] ?? "";
}

/** Cells that hold nothing, as `path:line`. */
function emptyCells(path: string, columns: number): string[] {
  return rowsOf(path)
    .filter((row) => row.cells.length !== columns || row.cells.some((cell) => cell === ""))
    .map((row) => `${path}:${row.line} needs ${columns} cells with text`);
}

describe("the documents", () => {
  it("exist", () => {
    expect(REQUIRED.filter((path) => (readText(path) ?? "").trim() === "")).toEqual([]);
  });

  it("link to files and headings that exist", () => {
    const broken: string[] = [];
    let links = 0;
    for (const path of documents) {
      for (const m of withoutFences(readText(path) ?? "").matchAll(/\]\(([^)\s]+)\)/g)) {
        const link = m[1] ?? "";
        if (/^[a-z]+:/.test(link)) continue;
        links++;
        const [file = "", anchor] = link.split("#");
        const target = file === "" ? path : posix.normalize(posix.join(posix.dirname(path), file));
        if (!exists(target)) broken.push(`${path}: ${link}: no such file`);
        else if (anchor !== undefined && !anchorsOf(target).has(anchor))
          broken.push(`${path}: ${link}: no such heading`);
      }
    }
    expect(broken).toEqual([]);
    expect(links).toBeGreaterThan(5);
  });

  it("have runnable examples that compile", { timeout: 120_000 }, () => {
    const dir = join(ROOT, ".tmp/doc-examples");
    rmSync(dir, { recursive: true, force: true });
    let examples = 0;
    for (const path of documents) {
      for (const m of (readText(path) ?? "").matchAll(/^```ts runnable\n([\s\S]*?)^```/gm)) {
        mkdirSync(dir, { recursive: true });
        const name = `${path.replaceAll(/[^\w]+/g, "-")}-${++examples}.ts`;
        writeFileSync(join(dir, name), `${m[1] ?? ""}\nexport {};\n`);
      }
    }
    if (examples === 0) return;
    const paths = {
      sallyport: ["../../src/index.ts"],
      "sallyport/term": ["../../src/term/public.ts"],
      "sallyport/testkit": ["../../src/testkit/public.ts"],
    };
    const compilerOptions = { noUnusedLocals: false, lib: ["ES2023", "ESNext.Disposable"], paths };
    const config = { extends: "../../tsconfig.json", compilerOptions, include: ["*.ts"] };
    writeFileSync(join(dir, "tsconfig.json"), JSON.stringify(config));
    const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
    const run = spawnSync(process.execPath, [tsc, "-p", join(dir, "tsconfig.json")], { encoding: "utf8" });
    expect(run.status, `${run.stdout}${run.stderr}`).toBe(0);
    rmSync(dir, { recursive: true, force: true });
  });
});

describe("docs/errors.md", () => {
  const path = "docs/errors.md";
  const { pairs, dynamic, constructions } = errorPairs(sources);
  const made = new Map(pairs);
  for (const [file, list] of Object.entries(COMPUTED)) for (const pair of list) made.set(pair, file);
  const documented = rowsOf(path)
    .filter((row) => row.heading.startsWith("ERR_"))
    .map((row) => `${row.heading} ${quoted(row.cells[0])}`);

  it("is compared with errors whose code and reason can be read", () => {
    expect(dynamic.filter((place) => COMPUTED[place.split(":")[0] ?? ""] === undefined)).toEqual([]);
    expect(constructions).toBeGreaterThan(5);
  });

  it("has a section for every code", () => {
    const union = /export type ErrorCode =([\s\S]*?);/.exec(readSource("src/base/errors.ts").code)?.[1] ?? "";
    const codes = [...union.matchAll(/"(ERR_\w+)"/g)].map((m) => m[1]);
    expect(codes.length).toBeGreaterThan(5);
    const headings = [...(readText(path) ?? "").matchAll(/^## `(ERR_\w+)`$/gm)].map((m) => m[1]);
    expect([...headings].sort()).toEqual([...codes].sort());
  });

  it("has every pair that the code makes, and no other", () => {
    const missing = [...made].filter(([pair]) => !documented.includes(pair));
    const rows = missing.sort().map(([pair, where]) => `${pair.replace(" ", ": | `")}\` | ... | ... |  (${where})`);
    expect(rows, "rows missing from docs/errors.md, under their code's heading").toEqual([]);
    expect(
      documented.filter((pair) => !made.has(pair)),
      "rows that no code makes",
    ).toEqual([]);
    expect(
      documented.filter((pair, i) => documented.indexOf(pair) !== i),
      "rows standing twice",
    ).toEqual([]);
  });

  it("has every warning that the code gives", () => {
    const given = sources.flatMap(({ code }) =>
      [...code.matchAll(/reason: "([A-Z_]+)", message|"(OWN_CERT_[A-Z_]+)"/g)].map((m) => m[1] ?? m[2] ?? ""),
    );
    expect(given.length).toBeGreaterThan(10);
    const rows = rowsOf(path).filter(({ heading }) => heading === "Warnings");
    const documented = rows.flatMap(({ cells }) => [...(cells[0] ?? "").matchAll(/`(\w+)`/g)].map((m) => m[1] ?? ""));
    expect([...new Set(given)].filter((reason) => !documented.includes(reason))).toEqual([]);
  });

  it("says for each what happened and what to do", () => {
    expect(emptyCells(path, 3)).toEqual([]);
  });
});

describe("docs/limits.md", () => {
  const path = "docs/limits.md";
  const rows = rowsOf(path);
  const interfaces = new Map<string, string[]>();
  for (const { bare } of sources) {
    for (const m of bare.matchAll(/\binterface (\w*Limits)\b[^{]*\{([\s\S]*?)^\}/gm)) {
      const fields = [...(m[2] ?? "").matchAll(/^ {2}(?:readonly )?(\w+)\??:/gm)].map((field) => field[1] ?? "");
      interfaces.set(m[1] ?? "", fields);
    }
  }

  it("has every field of every Limits interface under the interface's name", () => {
    expect(interfaces.size).toBeGreaterThan(0);
    const missing: string[] = [];
    for (const [name, fields] of interfaces) {
      for (const field of fields) {
        if (rows.some((row) => row.heading === name && quoted(row.cells[0]) === field)) continue;
        missing.push(`${name}: | \`${field}\` | unit | default | why |`);
      }
    }
    expect(missing, "rows missing from docs/limits.md").toEqual([]);
  });

  it("names only limits that exist", () => {
    const unknown = rows.filter((row) => {
      const name = quoted(row.cells[0]);
      if (row.heading.endsWith("Limits")) return interfaces.get(row.heading)?.includes(name) !== true;
      return name === "" || !sources.some((s) => new RegExp(`\\b${name}\\b`).test(s.bare));
    });
    expect(unknown.map((row) => `${path}:${row.line} ${row.heading} ${row.cells[0]}`)).toEqual([]);
  });

  it("gives each limit a unit, a default and a reason", () => {
    expect(emptyCells(path, 4)).toEqual([]);
  });
});

describe("docs/features.md", () => {
  const path = "docs/features.md";

  it("names for every feature a test that exists, by file and title", () => {
    const wrong: string[] = [];
    for (const row of rowsOf(path)) {
      const where = `${path}:${row.line}`;
      const tests = [...(row.cells.at(-1) ?? "").matchAll(/`([^`]+\.ts)`\s+"([^"]+)"/g)];
      if (tests.length === 0) wrong.push(`${where}: the last cell is not \`file.test.ts\` "title"`);
      for (const [, file = "", title = ""] of tests) {
        const text = readText(file);
        const found = ['"', "'", "`"].some((q) => text?.includes(`${q}${title}${q}`));
        if (text === undefined) wrong.push(`${where}: ${file} does not exist`);
        else if (!found) wrong.push(`${where}: ${file} has no test "${title}"`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it("gives each feature a name, a stability, what it was checked against and a test", () => {
    expect(rowsOf(path).length).toBeGreaterThan(0);
    expect(emptyCells(path, 4)).toEqual([]);
    const tiers = ["stable", "preview", "experimental"];
    const unknown = rowsOf(path).filter((row) => !tiers.includes(row.cells[1] ?? ""));
    expect(unknown.map((row) => `${path}:${row.line} ${row.cells[1]}: one of ${tiers.join(", ")}`)).toEqual([]);
  });
});

function exists(path: string): boolean {
  return statSync(join(ROOT, path), { throwIfNoEntry: false }) !== undefined;
}

/** Anchors of a document's headings, as the usual renderers make them. */
function anchorsOf(path: string): Set<string> {
  const headings = [...withoutFences(readText(path) ?? "").matchAll(/^#{1,6}\s+(.*?)\s*$/gm)].map((m) => m[1] ?? "");
  return new Set(
    headings.map((text) =>
      text
        .toLowerCase()
        .replace(/[^\w\- ]/g, "")
        .replaceAll(" ", "-"),
    ),
  );
}
