import { SallyportError } from "../base/errors.ts";
import { takeDocument } from "../policy/check/check-document.ts";
import type { PolicyDocument } from "../policy/document.ts";
import { formatPath, type JsonPath, type PolicyProblem } from "../policy/problem.ts";
import type { Environment } from "./expand-variables.ts";
import { MAX_POLICY_CHARS, type PlacedProblem, PolicyText } from "./policy-text.ts";

/** Where the text of a policy comes from. */
export interface PolicySource {
  /** Path of the file, for messages. */
  readonly file: string;
  /** Source of `${VARIABLE}`. Default: none is set. */
  readonly environment?: Environment;
}

/** A policy file whose form is right. */
export interface ParsedPolicy {
  /** Frozen. */
  readonly document: PolicyDocument;
  /** `line:column` of what stands at a path, both from 1; of what is around it, when nothing does. */
  placeOf(path: JsonPath): string;
}

/** A policy file, or all that is wrong with it, in the order of the text. */
export type PolicyReading =
  | { readonly ok: true; readonly policy: ParsedPolicy }
  | { readonly ok: false; readonly problems: readonly PlacedProblem[] };

/**
 * Reads the text of a `policy.jsonc`: JSON with comments, trailing commas and `${VARIABLES}`. Never guesses: what is unknown,
 * empty or cut is wrong, and what is wrong leaves no policy.
 * @throws {SallyportError} ERR_LIMIT POLICY_TOO_LARGE; ERR_CONFIG POLICY_INVALID, ENV_UNSET for the first problem
 */
export function parsePolicyFile(text: string, source: PolicySource): ParsedPolicy {
  const reading = readPolicyFile(text, source);
  if (reading.ok) return reading.policy;
  throw problemError(reading.problems, source.file);
}

/** The same, with all that is wrong instead of the first. @throws {SallyportError} ERR_LIMIT POLICY_TOO_LARGE */
export function readPolicyFile(text: string, source: PolicySource): PolicyReading {
  if (text.length > MAX_POLICY_CHARS) {
    const message = `${source.file} has ${text.length} characters, which exceeds maxPolicyChars ${MAX_POLICY_CHARS}`;
    throw new SallyportError("ERR_LIMIT", "POLICY_TOO_LARGE", message, {
      stage: "policy",
      advice: "check that this is the policy file",
      detail: { limit: MAX_POLICY_CHARS, value: text.length },
    });
  }
  const read = new PolicyText(text, source.environment ?? (() => undefined));
  if (read.problems.length > 0) return { ok: false, problems: read.problems };
  const taken = takeDocument(read.value);
  if (taken.kind === "valid") {
    return { ok: true, policy: { document: taken.document, placeOf: (path) => read.placeOf(path) } };
  }
  const problems = taken.problems.map((problem) => ({ ...problem, ...placed(read, problem) }));
  problems.sort((a, b) => a.offset - b.offset);
  return {
    ok: false,
    problems: problems.map(({ path, message, place }) => {
      return { reason: "POLICY_INVALID", place, message: `${formatPath(path)}: ${message}`, advice: "" };
    }),
  };
}

function placed(
  text: PolicyText,
  { path, message }: PolicyProblem,
): { readonly offset: number; readonly place: string } {
  // What is wrong with a key, and not with its value, is shown at the key.
  const atKey = message.startsWith("unknown key");
  return { offset: text.offsetOf(path, atKey), place: text.placeOf(path, atKey) };
}

/** The error for a file with problems: the first in words, the others by their number. */
export function problemError(problems: readonly PlacedProblem[], file: string): SallyportError {
  const [first] = problems;
  const others = problems.length - 1;
  const more = others > 0 ? ` (and ${others} more)` : "";
  const message = `${file}:${first?.place ?? "1:1"}: ${first?.message ?? "is no policy"}${more}`;
  const context = {
    stage: "policy" as const,
    advice:
      first === undefined || first.advice === "" ? "see docs/policy.md, and `sallyport policy check`" : first.advice,
    detail: { problems: problems.length },
  };
  if (first?.reason === "ENV_UNSET") return new SallyportError("ERR_CONFIG", "ENV_UNSET", message, context);
  return new SallyportError("ERR_CONFIG", "POLICY_INVALID", message, context);
}
