import { describe, expect, it } from "vitest";
import { Atom, Tuple } from "../term/types.ts";
import { callFailure } from "./remote-failure.ts";

/** What a caller is advised when the peer refuses with this id. */
function advice(id: string): string | undefined {
  const reason = new Tuple([new Atom("sallyport_denied"), Buffer.from(id, "latin1")]);
  const failure = callFailure("shop@h", "jobs", reason);
  expect(`${failure.code} ${failure.reason}`).toBe("ERR_DENIED POLICY_DENIED");
  return failure.advice;
}

describe("a call that the policy of the peer refuses", () => {
  it("names the command that explains it there", () => {
    expect(advice("V5HK7R82HXHW")).toBe(
      "on shop@h, `sallyport policy why V5HK7R82HXHW` explains it; add a rule there if it should be allowed",
    );
  });

  it.each(["", "x; rm -rf /", "$(id)", "`id`", "\u001b[2J"])("puts %j of a peer into no command", (id) => {
    expect(advice(id)).toBe("ask the owner of shop@h for a rule that allows it");
  });
});
