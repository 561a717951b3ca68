import { describe, expect, it } from "vitest";
import { normalizeArguments } from "./normalize-arguments.ts";
import { type Actions, buildProgram, grammarOf } from "./program.ts";

/** What the program called, with what. */
async function parsed(args: readonly string[]): Promise<readonly unknown[]> {
  const calls: unknown[][] = [];
  const actions = new Proxy({} as Actions, {
    get:
      (_, name) =>
      (...given: unknown[]) => {
        calls.push([name, ...given]);
      },
  });
  const program = buildProgram(actions, "1.2.3", () => undefined);
  await program.parseAsync(normalizeArguments(args, grammarOf(program)), { from: "user" });
  expect(calls).toHaveLength(1);
  return calls[0] ?? [];
}

describe("the commands about keys and trust", () => {
  it("come in any order, with options before, between and after", async () => {
    const expected = ["trustAdd", { json: true, replace: true, keyDir: "k" }, "a@h", "KEY"];
    expect(await parsed(["trust", "add", "a@h", "KEY", "--json", "--replace", "--key-dir", "k"])).toEqual(expected);
    expect(await parsed(["--json", "trust", "--replace", "add", "--key-dir=k", "a@h", "KEY"])).toEqual(expected);
    expect(await parsed(["--key-dir", "k", "--replace", "trust", "--json", "add", "a@h", "KEY"])).toEqual(expected);
  });

  it("are not mistaken for the commands of the same name", async () => {
    expect(await parsed(["keys", "init", "--key-dir", "init"])).toEqual(["keysInit", { keyDir: "init" }]);
    expect(await parsed(["init", "keys"])).toMatchObject(["init", {}, "keys"]);
    expect(await parsed(["call", "keys", "init", "a"])).toMatchObject(["call", {}, { node: "keys", name: "init" }]);
  });

  it("take their arguments, and those that may be left out", async () => {
    expect(await parsed(["keys", "rollback"])).toEqual(["keysRollback", {}, undefined]);
    expect(await parsed(["keys", "rollback", "S"])).toEqual(["keysRollback", {}, "S"]);
    expect(await parsed(["trust", "promote", "a@h", "F"])).toEqual(["trustPromote", {}, "a@h", "F"]);
    expect(await parsed(["keys", "invite", "a@h", "--ttl", "30m"])).toEqual(["keysInvite", { ttl: 1_800_000 }, "a@h"]);
    expect(await parsed(["keys", "export", "--bundle", "a", "b", "--json"])).toEqual([
      "keysExport",
      { bundle: ["a", "b"], json: true },
    ]);
    expect(await parsed(["status", "--no-control"])).toEqual(["status", { control: false }]);
  });

  it.each([
    [["keys"], "commander.help"],
    [["keys", "destroy"], "commander.unknownCommand"],
    [["trust", "add", "a@h"], "commander.missingArgument"],
    [["keys", "invite", "a@h", "--ttl", "never"], "commander.invalidArgument"],
    [["status", "--key"], "commander.unknownOption"],
  ])("refuses %j", async (args, code) => {
    await expect(parsed(args)).rejects.toMatchObject({ code });
  });
});
