import { expect } from "vitest";
import { readText } from "./scan.ts";

/** Cells of the tables under a heading of any level, without header and rule. */
export function rowsOfTable(page: string, heading: string): readonly (readonly string[])[] {
  const from = page.split("\n").findIndex((line) => /^#+ /.test(line) && line.replace(/^#+ /, "") === heading);
  expect(from, `no heading "${heading}"`).toBeGreaterThanOrEqual(0);
  const rows: string[][] = [];
  let inTable = false;
  for (const line of page.split("\n").slice(from + 1)) {
    if (/^#+ /.test(line)) break;
    if (!line.startsWith("|")) inTable = false;
    else if (/^[\s|:-]+$/.test(line)) inTable = true;
    else if (inTable)
      rows.push(
        line
          .slice(1)
          .replace(/\|\s*$/, "")
          .split("|")
          .map((cell) => cell.trim()),
      );
  }
  return rows;
}

/** What is wrong with a row of attacks: it needs the attack, what stops it, and tests that exist by file and title. */
export function faultsOf([attack = "", stops = "", tests = "", ...rest]: readonly string[]): string[] {
  const wrong: string[] = [];
  if (attack === "" || stops === "" || rest.length > 0) wrong.push(`${attack}: three cells with text are needed`);
  let text: string | undefined;
  let named = 0;
  for (const [, file, title] of tests.matchAll(/`([^`]+\.ts)`|"([^"]+)"/g)) {
    if (file !== undefined) {
      text = readText(file);
      if (text === undefined) wrong.push(`${attack}: ${file} does not exist`);
    } else if (!['"', "'", "`"].some((q) => text?.includes(`${q}${title}${q}`))) {
      wrong.push(`${attack}: no test "${title}" in the file before it`);
    } else named++;
  }
  if (named === 0) wrong.push(`${attack}: no test`);
  return wrong;
}
