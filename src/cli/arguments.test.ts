import { CommanderError } from "commander";
import { describe, expect, it } from "vitest";
import { normalizeArguments, wantsJson } from "./normalize-arguments.ts";
import { type Actions, buildProgram, grammarOf } from "./program.ts";

/** What the program called, with what. */
async function parsed(args: readonly string[]): Promise<readonly unknown[]> {
  const calls: unknown[][] = [];
  const record =
    (name: string) =>
    async (...given: unknown[]): Promise<void> => {
      calls.push([name, ...given]);
    };
  const names = ["init", "start", "ping", "call", "cast", "send", "rpc", "spawn", "demo"] as const;
  const more = ["attach", "doctor", "doctorConnect"] as const;
  const actions = Object.fromEntries([...names, ...more].map((name) => [name, record(name)])) as unknown as Actions;
  const program = buildProgram(actions, "1.2.3", () => undefined);
  await program.parseAsync(normalizeArguments(args, grammarOf(program)), { from: "user" });
  expect(calls).toHaveLength(1);
  return calls[0] ?? [];
}

describe("the arguments", () => {
  it("come in any order, with options before, between and after", async () => {
    const expected = [
      "call",
      expect.objectContaining({ json: true, timeout: 9, name: "a@h" }),
      { node: "n@h", name: "calc", term: "{add,1}" },
    ];
    expect(await parsed(["call", "n@h", "calc", "{add,1}", "--json", "--timeout", "9", "--name", "a@h"])).toEqual(
      expected,
    );
    expect(await parsed(["--json", "--timeout", "9", "call", "--name=a@h", "n@h", "calc", "{add,1}"])).toEqual(
      expected,
    );
    expect(await parsed(["--name", "a@h", "call", "n@h", "--timeout=9", "calc", "--json", "{add,1}"])).toEqual(
      expected,
    );
  });

  it("may be called like a command, or be the value of an option", async () => {
    expect(await parsed(["call", "n@h", "send", "ping"])).toMatchObject(["call", {}, { name: "send", term: "ping" }]);
    expect(await parsed(["--name", "ping", "call", "n@h", "a", "b"])).toMatchObject([
      "call",
      { name: "ping" },
      { node: "n@h" },
    ]);
  });

  it.each(["-5", "-5.", "-1.5e3", "-16#ff", "-$a"])("takes %s as a term", async (term) => {
    const [, , args] = await parsed(["call", "n@h", "calc", term, "--json"]);
    expect(args).toEqual({ node: "n@h", name: "calc", term: ` ${term}` });
    expect(await parsed(["call", "--", "n@h", "calc", term])).toMatchObject(["call", {}, { term }]);
  });

  it("takes everything behind -- as arguments", async () => {
    expect(await parsed(["call", "--json", "--", "n@h", "calc", "--json"])).toMatchObject([
      "call",
      { json: true },
      { term: "--json" },
    ]);
    expect(wantsJson(["call", "--", "--json"])).toBe(false);
    expect(wantsJson(["call", "--json", "--", "x"])).toBe(true);
  });

  it("never lose an argument to --dangerous-plaintext", async () => {
    const bare = await parsed(["ping", "--dangerous-plaintext", "n@h"]);
    expect(bare).toEqual(["ping", expect.objectContaining({ dangerousPlaintext: "loopback" }), "n@h"]);
    const any = await parsed(["ping", "--dangerous-plaintext=any", "n@h"]);
    expect(any).toEqual(["ping", expect.objectContaining({ dangerousPlaintext: "any" }), "n@h"]);
    await expect(parsed(["ping", "--dangerous-plaintext=all", "n@h"])).rejects.toThrow(CommanderError);
  });

  it.each(["auto", "native", "otp", "barrel"])("of a command that dials take the protocol %s", async (protocol) => {
    for (const command of [["ping"], ["doctor", "connect"], ["attach"]]) {
      const [, flags] = await parsed([...command, "n@h", "--protocol", protocol]);
      expect(flags).toMatchObject({ protocol });
    }
  });

  it("collect repeated options and have the documented defaults", async () => {
    const [, flags] = await parsed(["ping", "n@h", "--resolve", "a@h=1.2.3.4:1", "--resolve", "b@h=1.2.3.4:2"]);
    expect(flags).toEqual({ resolve: ["a@h=1.2.3.4:1", "b@h=1.2.3.4:2"], timeout: 5000, protocol: "auto" });
    expect(await parsed(["start", "--no-config"])).toEqual(["start", { audit: true, config: false, protocol: "auto" }]);
    expect(await parsed(["start", "--config", "x"])).toEqual(["start", { audit: true, config: "x", protocol: "auto" }]);
  });

  it.each([
    [["ping"]],
    [["ping", "n@h", "extra"]],
    [["pong", "n@h"]],
    [["ping", "n@h", "--nope"]],
    [["ping", "n@h", "--timeout", "0"]],
    [["ping", "n@h", "--timeout", "-5"]],
    [["ping", "n@h", "--timeout", "1e3"]],
    [["ping", "n@h", "--timeout", "99999999999"]],
    [["ping", "n@h", "--epmd", "maybe"]],
    [["ping", "n@h", "--protocol", "native2"]],
    [["start", "--protocol", "native"]],
    [[]],
  ])("refuses %j", async (args) => {
    await expect(parsed(args)).rejects.toMatchObject({ exitCode: 1 });
  });
});
