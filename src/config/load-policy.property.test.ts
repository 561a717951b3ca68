import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isSallyportError } from "../base/errors.ts";
import { parseNodeName } from "../base/node-name.ts";
import { policyFromText } from "./load-policy.ts";

const TEXT = readFileSync(new URL("../../examples/three-machines/my_desktop.policy.jsonc", import.meta.url), "utf8");
const LOAD = { file: "p", node: parseNodeName("my_desktop@desk.example"), generation: 1, nowMs: 0 };

/** The reason why a text is refused; undefined when it is a policy. What is no error of ours is thrown on. */
function refusal(text: string): string | undefined {
  try {
    policyFromText(text, LOAD);
    return undefined;
  } catch (error) {
    if (isSallyportError(error)) return error.reason;
    throw error;
  }
}

describe("policyFromText", () => {
  it("takes the whole file, and none that is cut anywhere before its last bracket", () => {
    expect(refusal(TEXT)).toBeUndefined();
    const end = TEXT.lastIndexOf("}");
    const cuts = fc.integer({ min: 0, max: end });
    fc.assert(fc.property(cuts, (length) => refusal(TEXT.slice(0, length)) === "POLICY_INVALID"));
  });

  it("gives a policy or an error of ours for whatever a text holds", () => {
    fc.assert(fc.property(fc.oneof(fc.string({ unit: "binary" }), fc.json()), (text) => refusal(text) !== undefined));
    const places = fc.tuple(fc.nat(TEXT.length - 1), fc.string({ unit: "binary", maxLength: 3 }), fc.nat(3));
    fc.assert(
      fc.property(places, ([at, inserted, removed]) => {
        refusal(TEXT.slice(0, at) + inserted + TEXT.slice(at + removed));
      }),
    );
  });
});
