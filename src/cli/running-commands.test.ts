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

describe("the commands about the running node", () => {
  it("take where to look for it", async () => {
    for (const command of ["status", "health", "peers"]) {
      expect(await parsed([command, "--control", "s", "--json"])).toEqual([command, { control: "s", json: true }]);
    }
    expect(await parsed(["grants", "list", "--config", "c"])).toEqual(["grantsList", { config: "c" }]);
    expect(await parsed(["grants", "revoke", "ID"])).toEqual(["grantsRevoke", {}, "ID"]);
  });

  it("ask for health as a whole, or as a probe does", async () => {
    expect(await parsed(["health", "--ready"])).toEqual(["health", { ready: true }]);
    expect(await parsed(["health", "--live"])).toEqual(["health", { live: true }]);
  });

  it.each([
    [["health", "--live", "--ready"], "commander.conflictingOption"],
    [["grants"], "commander.help"],
    [["grants", "revoke"], "commander.missingArgument"],
    [["status", "x"], "commander.excessArguments"],
  ])("refuse %j", async (args, code) => {
    await expect(parsed(args)).rejects.toMatchObject({ code });
  });
});
