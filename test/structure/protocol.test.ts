import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { TRANSCRIPT_FIELDS } from "../../src/auth/native-transcript.ts";
import { refuseReason } from "../../src/wire/refuse-reason.ts";
import { ATTACKS } from "../barrel-peer/attacks.mjs";
import { ROOT, readText } from "./scan.ts";
import { faultsOf, rowsOfTable } from "./tables.ts";

// docs/protocol.md against the code: what the page promises to others must not rot.

const page = readText("docs/protocol.md") ?? "";

/** Of the page. */
const rowsUnder = (heading: string): readonly (readonly string[])[] => rowsOfTable(page, heading);

function fence(language: string): string {
  const found = [...page.matchAll(/^```(\w*)\n([\s\S]*?)^```/gm)].filter((m) => m[1] === language);
  expect(found, `fences of ${language}`).toHaveLength(1);
  return found[0]?.[2] ?? "";
}

/** Kinds of the states that a union type lists. */
function statesOf(path: string, type: string): readonly string[] {
  const source = readText(path) ?? "";
  const union = source.slice(source.indexOf(`export type ${type} =`));
  const body = union.slice(0, union.indexOf("| Ended;"));
  return [...body.matchAll(/readonly kind: "([a-z-]+)"/g)].map((m) => m[1] ?? "");
}

describe("the attacks of docs/protocol.md", () => {
  const rows = rowsUnder("Attacks on the native handshake");

  it("have each what stops them, and tests that exist by file and title", () => {
    expect(rows.flatMap(faultsOf)).toEqual([]);
  });

  it("are all of the threat model's that concern authentication", () => {
    const covered = new Set(
      rows.flatMap(([attack = ""]) => [...attack.matchAll(/AU-(\d\d)/g)].map((m) => Number(m[1]))),
    );
    const wanted = [...Array.from({ length: 44 }, (_, i) => i + 1), 48];
    expect([...covered].sort((a, b) => a - b)).toEqual(wanted);
  });
});

describe("the attacks of docs/barrel.md", () => {
  const rows = rowsOfTable(readText("docs/barrel.md") ?? "", "Attacks over QUIC");
  const hasNone = ([, stops = ""]: readonly string[]): boolean => stops.startsWith("no counterpart");

  it("have each what stops them, and tests that exist by file and title, or the reason why there are none", () => {
    expect(rows.filter((row) => !hasNone(row)).flatMap(faultsOf)).toEqual([]);
    for (const row of rows.filter(hasNone)) expect(row[2], row[0]).toBe("none");
    expect(rows.filter((row) => !hasNone(row)).length).toBeGreaterThan(36);
  });

  it("are all of the threat model's that concern authentication, in order", () => {
    const numbers = rows.map(([attack = ""]) => Number(/^AU-(\d\d): ./.exec(attack)?.[1]));
    expect(numbers).toEqual(Array.from({ length: 48 }, (_, i) => i + 1));
  });

  it("name switches that the peers have", () => {
    const named = rows.flatMap(([, , tests = ""]) => [...tests.matchAll(/`([a-z0-9-]+)`/g)].map((m) => m[1] ?? ""));
    expect(named.filter((name) => !Object.hasOwn(ATTACKS, name))).toEqual([]);
    expect(named.length).toBeGreaterThan(20);
  });
});

describe("the native handshake of docs/protocol.md", () => {
  it("has the states of the machines, each with what it takes", () => {
    const listed = rowsUnder("States").map(([state = ""]) => state);
    const states = listed.filter((state) => state !== "");
    const dialler = states.slice(1, states.lastIndexOf("expect-hello"));
    const acceptor = states.slice(states.lastIndexOf("expect-hello"));
    expect(states[0]).toBe("(start)");
    const isWaiting = (state: string): boolean => state !== "up";
    expect(dialler).toEqual(statesOf("src/auth/native-dialler.ts", "DiallerState").filter(isWaiting));
    expect([...acceptor].sort()).toEqual(
      statesOf("src/auth/native-acceptor.ts", "AcceptorState").filter(isWaiting).sort(),
    );
  });

  it("has the types of the messages, and no others", () => {
    const source = readText("src/wire/native-handshake.ts") ?? "";
    const types = rowsUnder("Messages").map(([number, name]) => `const ${name} = ${number};`);
    expect(types.filter((line) => !source.includes(`\n${line}\n`))).toEqual([]);
    const cases = [...source.matchAll(/^ {4}case ([A-Z]+):/gm)].map((m) => m[1]);
    expect(types).toHaveLength(cases.length);
  });

  it("has the reasons with their numbers", () => {
    const reasons = rowsUnder("Reasons").map(([reason = "", number]) => [reason.replaceAll("`", ""), Number(number)]);
    expect(reasons).toEqual(Array.from({ length: 10 }, (_, i) => [refuseReason(i + 1), i + 1]));
  });
});

describe("the program of docs/protocol.md", () => {
  it("prints what the page says, and OpenSSL verifies what it writes", () => {
    const directory = mkdtempSync(join(tmpdir(), "sallyport-vectors-"));
    try {
      const program = join(directory, "check.mjs");
      writeFileSync(program, fence("js"));
      const run = spawnSync(process.execPath, [program, directory], { cwd: ROOT, encoding: "utf8" });
      expect(run.stderr).toBe("");
      expect(run.stdout).toBe(fence("text"));
      const [vector] = JSON.parse(readText("test/fixtures/native/vectors.json") ?? "[]");
      const printed = new Map(
        run.stdout
          .trim()
          .split("\n")
          .map((line) => line.split(" ") as [string, string]),
      );
      expect([...printed.keys()].slice(0, TRANSCRIPT_FIELDS.length)).toEqual(TRANSCRIPT_FIELDS);
      expect(printed.get("H")).toBe(vector.hash);
      expect(printed.get("holds")).toBe("true");

      const [openssl = "", ...options] = fence("sh").trim().split(" ");
      const verified = spawnSync(openssl, options, { cwd: directory, encoding: "utf8" });
      // Where there is no OpenSSL, the program above has verified the same.
      if (verified.error === undefined) expect(verified.stdout).toBe("Signature Verified Successfully\n");
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
