import { printable } from "./terminal.ts";

/** A cell: its text, and how it is coloured. */
export type Cell = string | { readonly text: string; readonly colour: (text: string) => string };

/**
 * Rows as aligned text, two spaces between columns, nothing at the ends of lines. Text is made safe for a terminal here;
 * colours come on top.
 */
export function table(
  head: readonly string[],
  rows: readonly (readonly Cell[])[],
  dim: (text: string) => string,
): string {
  const all: readonly (readonly Cell[])[] = [head.map((text) => ({ text, colour: dim })), ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => plain(row[column] ?? "").length)));
  return all
    .map((row) => {
      const last = row.length - 1;
      return row
        .map((cell, column) => {
          const text = plain(cell);
          const padding = column === last ? "" : " ".repeat((widths[column] ?? 0) - text.length);
          return `${typeof cell === "string" ? text : cell.colour(text)}${padding}`;
        })
        .join("  ");
    })
    .join("\n");
}

/** Rows of a name and its value, aligned. */
export function fields(rows: readonly (readonly [string, string])[], dim: (text: string) => string): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${dim(name.padEnd(width))}  ${printable(value)}`).join("\n");
}

/** A moment for people: UTC to the second. */
export function moment(ms: number): string {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? "?" : date.toISOString().replace(/\.\d+Z$/, "Z");
}

function plain(cell: Cell): string {
  const text = printable(typeof cell === "string" ? cell : cell.text);
  return text === "" ? "-" : text;
}
