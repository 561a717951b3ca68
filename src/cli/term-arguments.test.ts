import { describe, expect, it } from "vitest";
import { argumentList, atomArgument, moduleArgument, spawnArgument } from "./term-arguments.ts";

describe("argumentList", () => {
  it("takes one proper list", () => {
    expect(argumentList("[[1,2,3]]")).toEqual([[1, 2, 3]]);
    expect(argumentList("[].")).toEqual([]);
    expect(argumentList('"ab"')).toEqual([97, 98]);
  });

  it.each(["{1,2}", "1", "[1|2]", "#{}", "<<1>>"])("refuses %s", (text) => {
    expect(() => argumentList(text)).toThrow(
      expect.objectContaining({ code: "ERR_CONFIG", reason: "ARGS_NOT_A_LIST" }),
    );
  });
});

describe("names on the command line", () => {
  it("are the text of atoms, and quotes around them change nothing", () => {
    expect(atomArgument("calc", "NAME")).toBe("calc");
    expect(atomArgument("My Name", "NAME")).toBe("My Name");
    expect(atomArgument("'My Name'", "NAME")).toBe("My Name");
    expect(atomArgument("nil", "NAME")).toBe("nil");
    expect(() => atomArgument("", "NAME")).toThrow(expect.objectContaining({ reason: "USAGE" }));
    expect(() => atomArgument("''", "NAME")).toThrow(expect.objectContaining({ reason: "USAGE" }));
  });

  it("mean an Elixir module when they begin upper-case, unless quoted", () => {
    expect(moduleArgument("lists")).toBe("lists");
    expect(moduleArgument("Enum")).toBe("Elixir.Enum");
    expect(moduleArgument("Elixir.Enum")).toBe("Elixir.Enum");
    expect(moduleArgument("'Enum'")).toBe("Enum");
  });

  it("name a registered function, or module:function", () => {
    expect(spawnArgument("worker")).toBe("worker");
    expect(spawnArgument("timer:sleep")).toBe("timer:sleep");
    expect(spawnArgument("Task:await")).toBe("Elixir.Task:await");
    expect(spawnArgument("'Odd:Mod':run")).toBe("Odd:Mod:run");
    expect(() => spawnArgument("timer:")).toThrow(expect.objectContaining({ reason: "USAGE" }));
  });
});
