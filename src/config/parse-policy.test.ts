import { describe, expect, it } from "vitest";
import { isSallyportError, type SallyportError } from "../base/errors.ts";
import { parsePolicyFile, readPolicyFile } from "./parse-policy.ts";
import { MAX_POLICY_CHARS } from "./policy-text.ts";

const KEY = "SHA256:lBYeLvx9DJcincfQ9igWF9s3NQqmE4cTRXZRhQeQ6yQ";

const SOURCE = { file: "policy.jsonc", environment: (name: string) => (name === "KEY" ? KEY : undefined) };

function failure(text: string): SallyportError {
  try {
    parsePolicyFile(text, SOURCE);
  } catch (error) {
    if (isSallyportError(error)) return error;
    throw error;
  }
  throw new Error("accepted");
}

function places(text: string): readonly string[] {
  const reading = readPolicyFile(text, SOURCE);
  return reading.ok ? [] : reading.problems.map(({ place, message }) => `${place} ${message}`);
}

describe("parsePolicyFile", () => {
  it("reads a file with comments and variables, and knows where everything stands", () => {
    const { document, placeOf } = parsePolicyFile(
      '{\n  "version": 1, // the format\n  "node": "a@h",\n  "peers": { "desk": { "keys": ["${KEY}"], "names": ["d@h"] } },\n}',
      SOURCE,
    );
    expect(document).toEqual({ version: 1, node: "a@h", peers: { desk: { keys: [KEY], names: ["d@h"] } } });
    expect(placeOf(["peers", "desk", "names", 0])).toBe("4:54");
  });

  it("says all that is wrong, in the order of the text, each with its place", () => {
    const text = `{
  "version": 1,
  "node": "a@h",
  "tests": [{ "from": "desk", "verb": "spwan", "expect": "deny" }],
  "peers": { "desk": { "names": ["d@h"] } },
  "rulez": [],
}`;
    expect(places(text)).toEqual([
      expect.stringMatching(/^4:39 tests\[0\]\.verb: "spwan" is no verb.*did you mean "spawn"\?$/),
      expect.stringMatching(/^5:22 peers\.desk: has no keys/),
      expect.stringMatching(/^6:3 rulez: unknown key.*did you mean "rules"\?/),
    ]);
  });

  it("throws the first, with the number of the others", () => {
    const error = failure('{"version": 2,\n "node": "nobody",\n "mode": "audit"}');
    expect(error).toMatchObject({
      code: "ERR_CONFIG",
      reason: "POLICY_INVALID",
      stage: "policy",
      detail: { problems: 3 },
    });
    expect(error.message).toContain("policy.jsonc:1:13: version: must be 1");
    expect(error.message).toContain("(and 2 more)");
  });

  it.each([
    ["nothing", ""],
    ["white space", " \n\t"],
    ["a cut file", '{"version": 1, "node": "a@h", "rules": ['],
    ["null", "null"],
    ["a list", "[]"],
    ["a text", '"policy"'],
    ["an empty object", "{}"],
    ["zeros of a power cut", "\0".repeat(64)],
  ])("refuses %s", (_, text) => {
    expect(failure(text)).toMatchObject({ code: "ERR_CONFIG", reason: "POLICY_INVALID" });
  });

  it("refuses a variable that is not set", () => {
    const error = failure('{"version": 1, "node": "${NODE}"}');
    expect(error).toMatchObject({ code: "ERR_CONFIG", reason: "ENV_UNSET" });
    expect(error.message).toContain("policy.jsonc:1:24: node uses ${NODE}");
    expect(() => parsePolicyFile('{"version": 1, "node": "${KEY}"}', { file: "p" })).toThrow(
      expect.objectContaining({ reason: "ENV_UNSET" }),
    );
  });

  it("bounds the file", () => {
    const text = '{"version": 1, "node": "a@h"}'.padEnd(MAX_POLICY_CHARS);
    expect(parsePolicyFile(text, SOURCE).document.node).toBe("a@h");
    expect(failure(`${text} `)).toMatchObject({
      code: "ERR_LIMIT",
      reason: "POLICY_TOO_LARGE",
      detail: { limit: MAX_POLICY_CHARS },
    });
  });
});
