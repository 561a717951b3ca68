import { describe, expect, it } from "vitest";
import { parseNodeName } from "../base/node-name.ts";
import { visibleTo, visibleWarning } from "./quic-visible.ts";

const A = parseNodeName("a@one.example");
const B = parseNodeName("b@two.example");

describe("over QUIC a node shows itself", () => {
  it.each([
    ["nobody without the option", undefined, [false, false]],
    ["nobody", false, [false, false]],
    ["all", true, [true, true]],
    ["those that are named", [A], [true, false]],
    ["those that are named, whatever the case of the host", ["b@TWO.example"], [false, true]],
    ["nobody by an empty list", [], [false, false]],
  ] as const)("%s", (_what, visible, shown) => {
    expect([A, B].map(visibleTo(visible))).toEqual(shown);
  });

  it("and refuses what is no name", () => {
    expect(() => visibleTo(["two.example"])).toThrow(expect.objectContaining({ reason: "NAME_INVALID" }));
  });

  it.each([["a@one.example"], [null], [[A, 1]], [{}]])("and refuses %o, which JavaScript may say", (visible) => {
    const refusal = expect.objectContaining({ code: "ERR_CONFIG", reason: "QUIC_OPTION_INVALID" });
    expect(() => visibleTo(visible as never)).toThrow(refusal);
    expect(() => visibleWarning(visible as never)).toThrow(refusal);
  });
});

describe("the warning of it says to whom", () => {
  it.each([
    [undefined, []],
    [false, []],
    [[], []],
    [true, ["over QUIC this node is visible: Erlang nodes list it in nodes(), and send rex and global traffic to it"]],
    [
      ["a@ONE.example", A],
      [`over QUIC this node is visible: ${A} list it in nodes(), and send rex and global traffic to it`],
    ],
    [[A, B], [`over QUIC this node is visible: ${A}, ${B} list it in nodes(), and send rex and global traffic to it`]],
  ] as const)("for %o", (visible, said) => {
    expect(visibleWarning(visible).map(({ message }) => message)).toEqual(said);
  });
});
