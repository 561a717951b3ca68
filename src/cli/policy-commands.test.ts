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

describe("the commands about policies", () => {
  it("take any number of files, or none", async () => {
    expect(await parsed(["policy", "check", "a", "b", "--json"])).toEqual(["policyCheck", { json: true }, ["a", "b"]]);
    expect(await parsed(["policy", "test"])).toEqual(["policyTest", {}, []]);
    expect(await parsed(["policy", "matrix", "a", "--expect", "e", "b"])).toEqual([
      "policyMatrix",
      { expect: "e" },
      ["a", "b"],
    ]);
  });

  it("take a question, and the facts that it varies", async () => {
    expect(await parsed(["policy", "can", "desk", "rpc", "lists:reverse/1", "--policy", "p"])).toEqual([
      "policyCan",
      { policy: "p" },
      { from: "desk", verb: "rpc", target: "lists:reverse/1" },
    ]);
    const facts = ["--assurance", "ca", "--transport", "otp", "--source", "::1", "--at", "2027-01-15"];
    expect(await parsed(["policy", "can", ...facts, "desk", "connect"])).toEqual([
      "policyCan",
      { assurance: "ca", transport: "otp", source: "::1", at: Date.UTC(2027, 0, 15) },
      { from: "desk", verb: "connect", target: undefined },
    ]);
  });

  it("say of the matrix which verbs are a command over a node: as many as it flags", () => {
    const program = buildProgram({} as Actions, "1.2.3", () => undefined);
    const matrix = program.commands
      .find((one) => one.name() === "policy")
      ?.commands.find((one) => one.name() === "matrix");
    expect(matrix?.description()).toContain("(rpc, spawn, system or exit both ways)");
  });

  it("take an id, and where to look for it", async () => {
    expect(await parsed(["policy", "why", "V5HK7R82HXHW", "--audit", "d"])).toEqual([
      "policyWhy",
      { audit: "d" },
      "V5HK7R82HXHW",
    ]);
    expect(await parsed(["policy", "reload", "--config", "c"])).toEqual(["policyReload", { config: "c" }]);
    expect(await parsed(["policy", "can", "desk", "connect", "--no-control"])).toEqual([
      "policyCan",
      { control: false },
      { from: "desk", verb: "connect", target: undefined },
    ]);
    expect(await parsed(["--audit", "d", "policy", "learn"])).toEqual(["policyLearn", { audit: "d" }]);
  });

  it.each([
    [["policy"], "commander.help"],
    [["policy", "can", "desk"], "commander.missingArgument"],
    [["policy", "can", "desk", "eval", "x"], "commander.invalidArgument"],
    [["policy", "can", "desk", "call", "x", "--assurance", "none"], "commander.invalidArgument"],
    [["policy", "can", "desk", "call", "x", "--at", "soon"], "commander.invalidArgument"],
    [["policy", "can", "desk", "call", "x", "--source", "foo"], "commander.invalidArgument"],
    [["policy", "can", "desk", "call", "x", "--source", "10.0.0.0/8"], "commander.invalidArgument"],
    [["policy", "why"], "commander.missingArgument"],
    [["policy", "apply"], "commander.unknownCommand"],
  ])("refuse %j", async (args, code) => {
    await expect(parsed(args)).rejects.toMatchObject({ code });
  });
});
