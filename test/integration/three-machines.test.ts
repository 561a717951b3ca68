import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { parsePolicyFile } from "../../src/config/parse-policy.ts";
import { compilePolicy } from "../../src/policy/compile.ts";
import type { Policy } from "../../src/policy/policy.ts";
import { judge } from "../../src/policy/review/judge.ts";
import type { Verb } from "../../src/policy/verbs.ts";
import { runCli } from "./cli-process.ts";

const FOLDER = fileURLToPath(new URL("../../examples/three-machines/", import.meta.url));
const FILES: readonly string[] = readdirSync(FOLDER).toSorted();

/** Commands of the README with what they print, in order. */
function walk(): readonly { readonly command: string; readonly printed: string }[] {
  const text = readFileSync(`${FOLDER}README.md`, "utf8");
  const blocks = [...text.matchAll(/^```console\n([\s\S]*?)^```/gm)].map((match) => match[1] ?? "");
  return blocks.flatMap((block) =>
    block
      .split(/^\$ /m)
      .slice(1)
      .map((part) => {
        const end = part.indexOf("\n");
        return { command: part.slice(0, end), printed: part.slice(end + 1) };
      }),
  );
}

/** Words of a command line, `*` filled in as a shell would. */
function wordsOf(command: string): readonly string[] {
  return command
    .split(" ")
    .slice(1)
    .flatMap((word) => (word.startsWith("*") ? FILES.filter((file) => file.endsWith(word.slice(1))) : [word]));
}

describe("examples/three-machines", () => {
  it.each(walk().map(({ command, printed }) => [command, printed] as const))(
    "its README says what `%s` prints",
    async (command, printed) => {
      const { code, out, err } = await runCli(FOLDER, wordsOf(command));
      expect(`${out}${err}${code === 0 ? "" : `(exit ${code})\n`}`).toBe(printed);
    },
  );

  it("walks through all four commands", () => {
    const names = walk().map(({ command }) => command.split(" ")[2]);
    expect([...new Set(names)]).toEqual(["check", "test", "can", "matrix"]);
  });
});

type Machine = "my_desktop" | "ec2_node" | "bob_colo";

const POLICIES: Readonly<Record<Machine, Policy>> = {
  my_desktop: policyOf("my_desktop"),
  ec2_node: policyOf("ec2_node"),
  bob_colo: policyOf("bob_colo"),
};

function policyOf(machine: Machine): Policy {
  const file = `${machine}.policy.jsonc`;
  return compilePolicy(parsePolicyFile(readFileSync(`${FOLDER}${file}`, "utf8"), { file }).document);
}

/** From whom to whom, in the order of the columns below. */
const PAIRS: readonly (readonly [Machine, Machine])[] = [
  ["my_desktop", "ec2_node"],
  ["my_desktop", "bob_colo"],
  ["ec2_node", "bob_colo"],
  ["ec2_node", "my_desktop"],
  ["bob_colo", "ec2_node"],
  ["bob_colo", "my_desktop"],
];

/** What the story says: y allowed, n refused; a letter for each pair. */
const CELLS: readonly (readonly [string, Verb | "reply", string | undefined, string])[] = [
  ["be a peer", "connect", undefined, "yyyyyy"],
  ["answer what was asked", "reply", "call#open", "yyyyyy"],
  ["answer what was not asked", "reply", "call#closed", "nnnnnn"],
  ["send to job_events", "send", "job_events", "yynynn"],
  ["send to results", "send", "results", "yynnyn"],
  ["send to any process", "send", "any-pid", "yynnnn"],
  ["call jobs", "call", "jobs", "yyynnn"],
  ["cast to jobs", "cast", "jobs", "yynnnn"],
  ["monitor jobs", "monitor", "jobs", "yyynnn"],
  ["link to a process", "link", "any-pid", "yynnnn"],
  ["kill a process", "exit", "any-pid", "yynnnn"],
  ["start a registered function", "spawn", "worker", "yyynnn"],
  ["start another function", "spawn", "erlang:halt/0", "yynnnn"],
  ["run an OS command", "rpc", "os:cmd/1", "nnnnnn"],
  ["evaluate code", "rpc", "erl_eval:exprs/2", "nnnnnn"],
  ["print on its terminal", "io", "user", "yynnnn"],
  ["reach its machinery", "system", "jobs", "nnnnnn"],
  ["register a name", "registry", "jobs", "nnnnnn"],
  ["broadcast", "pubsub", "jobs", "nnnnnn"],
  ["open a stream", "stream", "jobs", "nnnnnn"],
];

describe("the policies of the three machines", () => {
  it.each(CELLS)("say who may %s", (_, verb, target, expected) => {
    const said = PAIRS.map(([from, to]) => judge(POLICIES[to], from, verb, target, 0).outcome);
    expect(said.map((outcome) => (outcome === "allow" ? "y" : "n")).join("")).toBe(expected);
  });

  it("let nobody in who is in no entry", () => {
    for (const policy of Object.values(POLICIES)) {
      expect(judge(policy, "unknown", "connect", undefined, 0).outcome).toBe("deny-default");
      expect(judge(policy, "stranger@else.example", "connect", undefined, 0).outcome).toBe("deny-default");
    }
  });
});
