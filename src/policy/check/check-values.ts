import { parseAddressRange } from "../../base/address-range.ts";
import { didYouMean } from "../../base/nearest-name.ts";
import { parseByteRate, parseRate, parseSize, parseTime } from "../parse-values.ts";
import { type JsonPath, type ProblemList, quoted } from "../problem.ts";

/** A plain object of unchecked values. */
export type Plain = Readonly<Record<string, unknown>>;

/** True for an object literal, also one of another realm. */
export function isPlain(value: unknown): value is Plain {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** A value; one that is `undefined` counts as absent. */
export function field(record: Plain, key: string): unknown {
  return record[key];
}

/** The value as an object with none but the known keys; undefined, with a problem, when it is no object. */
export function objectOf(
  value: unknown,
  known: readonly string[],
  path: JsonPath,
  problems: ProblemList,
): Plain | undefined {
  if (!isPlain(value)) {
    problems.add(path, `must be an object, not ${quoted(value)}`);
    return undefined;
  }
  for (const key of Object.keys(value)) {
    if (!known.includes(key)) {
      problems.add([...path, key], `unknown key; known are ${known.join(", ")}${didYouMean(key, known)}`);
    }
  }
  return value;
}

/** One text or a list of at least one, with the path of each; what is no text is a problem and left out. */
export function textsOf(
  value: unknown,
  path: JsonPath,
  problems: ProblemList,
): readonly (readonly [string, JsonPath])[] {
  if (typeof value === "string") return [[value, path]];
  if (!Array.isArray(value)) {
    problems.add(path, `must be a text or a list of texts, not ${quoted(value)}`);
    return [];
  }
  if (value.length === 0) problems.add(path, "is an empty list");
  const texts: [string, JsonPath][] = [];
  const seen = new Set<string>();
  for (const [i, item] of value.entries()) {
    if (typeof item !== "string") problems.add([...path, i], `must be a text, not ${quoted(item)}`);
    else if (seen.has(item)) problems.add([...path, i], `${quoted(item)} is here twice`);
    else texts.push([item, [...path, i]]);
    if (typeof item === "string") seen.add(item);
    if (problems.isFull) break;
  }
  return texts;
}

/** A whole number from `least` on; anything else is a problem. */
export function checkWhole(value: unknown, least: number, path: JsonPath, problems: ProblemList): void {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= least) return;
  problems.add(path, `must be a whole number from ${least} on, not ${quoted(value)}`);
}

/** One of the words; true when it is. */
export function checkWord(value: unknown, words: readonly string[], path: JsonPath, problems: ProblemList): boolean {
  if (typeof value === "string" && words.includes(value)) return true;
  const near = typeof value === "string" ? didYouMean(value, words) : "";
  problems.add(path, `must be one of ${words.join(", ")}, not ${quoted(value)}${near}`);
  return false;
}

/** A time; undefined, with a problem, when it is none. */
export function timeOf(value: unknown, path: JsonPath, problems: ProblemList): number | undefined {
  const time = typeof value === "string" ? parseTime(value) : undefined;
  if (time === undefined)
    problems.add(path, `must be a date such as 2027-01-15 or 2027-01-15T08:00:00Z, not ${quoted(value)}`);
  return time;
}

const LIMIT_KEYS = [
  "rate",
  "bytes",
  "inflight",
  "payload",
  "depth",
  "elements",
  "newAtoms",
  "funs",
  "foreign",
] as const;

/** Checks a `LimitsEntry`. */
export function checkLimits(value: unknown, path: JsonPath, problems: ProblemList): void {
  const limits = objectOf(value, LIMIT_KEYS, path, problems);
  if (limits === undefined) return;
  for (const key of LIMIT_KEYS) {
    const limit = field(limits, key);
    if (limit !== undefined) checkLimit(key, limit, [...path, key], problems);
  }
}

function checkLimit(key: (typeof LIMIT_KEYS)[number], value: unknown, path: JsonPath, problems: ProblemList): void {
  switch (key) {
    case "rate":
      if (typeof value !== "string" || parseRate(value) === undefined) {
        problems.add(path, `must be a rate such as 20/s, 600/min or 5/h, not ${quoted(value)}`);
      }
      break;
    case "bytes":
      if (typeof value !== "string" || parseByteRate(value) === undefined) {
        problems.add(path, `must be bytes over time such as 8KiB/s or 1MiB/min, not ${quoted(value)}`);
      }
      break;
    case "payload":
      if (typeof value === "number") checkWhole(value, 1, path, problems);
      else if (typeof value !== "string" || parseSize(value) === undefined) {
        problems.add(path, `must be a size such as 8KiB or a number of bytes, not ${quoted(value)}`);
      }
      break;
    case "inflight":
      checkWhole(value, 1, path, problems);
      break;
    case "depth":
    case "elements":
    case "newAtoms":
      checkWhole(value, 0, path, problems);
      break;
    default:
      if (typeof value !== "boolean") problems.add(path, `must be true or false, not ${quoted(value)}`);
  }
}

/** Checks a `ConditionEntry`. */
export function checkConditions(value: unknown, path: JsonPath, problems: ProblemList): void {
  const when = objectOf(value, ["transport", "assurance", "source", "after", "before"], path, problems);
  if (when === undefined) return;
  const transport = field(when, "transport");
  if (transport !== undefined) {
    for (const [text, at] of textsOf(transport, [...path, "transport"], problems)) {
      checkWord(text, ["native", "otp", "barrel"], at, problems);
    }
  }
  const assurance = field(when, "assurance");
  if (assurance !== undefined) checkWord(assurance, PROVEN, [...path, "assurance"], problems);
  const source = field(when, "source");
  if (source !== undefined) {
    for (const [text, at] of textsOf(source, [...path, "source"], problems)) {
      if (parseAddressRange(text) === undefined) {
        problems.add(
          at,
          `${quoted(text)} is no address or range such as 203.0.113.0/24, with no bit set after its length`,
        );
      }
    }
  }
  const after = field(when, "after");
  const before = field(when, "before");
  const start = after === undefined ? undefined : timeOf(after, [...path, "after"], problems);
  const end = before === undefined ? undefined : timeOf(before, [...path, "before"], problems);
  if (start !== undefined && end !== undefined && end <= start)
    problems.add([...path, "before"], "is not later than after");
}

/** Levels of assurance that a policy can ask for. */
export const PROVEN: readonly string[] = ["cookie", "tofu", "ca", "pinned"];
