import { readFileSync } from "node:fs";

/** Terms of a real Erlang, one of each kind and more, without the version byte; compressed ones left out. */
export const TERMS: readonly Buffer[] = readFileSync(new URL("../fixtures/etf/terms.txt", import.meta.url), "utf8")
  .split("\n")
  .filter((line) => line.startsWith("own\t") || line.startsWith("read\t"))
  .map((line) => Buffer.from(line.split("\t")[1] ?? "", "hex").subarray(1))
  .filter((bytes) => bytes.length > 0 && bytes[0] !== 80);

/** The text forms of the same. */
export const TEXTS: readonly string[] = readFileSync(new URL("../fixtures/etf/terms.txt", import.meta.url), "utf8")
  .split("\n")
  .filter((line) => line.startsWith("own\t"))
  .map((line) => line.split("\t")[2] ?? "-")
  .filter((text) => text !== "-" && text !== "");
