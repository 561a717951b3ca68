import { Argument, type Command, InvalidArgumentError, Option } from "commander";
import { parseAddress } from "../base/address-range.ts";
import type { Assurance, ProtocolName } from "../base/assurance.ts";
import { VERBS } from "../policy/verbs.ts";
import { addCommand, addGroup } from "./add-command.ts";
import { configOptions, controlOptions, jsonOption, keyDirOption, policyOption } from "./common-options.ts";
import type { ControlFlags } from "./control-path.ts";
import type { ConfigFlags } from "./settings.ts";

export interface PolicyFilesFlags extends ConfigFlags {
  readonly json?: boolean;
}

export interface PolicyCanFlags extends ControlFlags {
  readonly policy?: string;
  readonly assurance?: Exclude<Assurance, "none">;
  readonly transport?: ProtocolName;
  /** The node of the policy dials FROM, and not the other way round. */
  readonly dialled?: boolean;
  readonly source?: string;
  /** Unix milliseconds. */
  readonly at?: number;
  readonly json?: boolean;
}

export interface PolicyWhyFlags extends ControlFlags {
  /** Directory or file of an audit log: asks it and not the running node. */
  readonly audit?: string;
  readonly json?: boolean;
}

export interface PolicyMatrixFlags extends ControlFlags {
  readonly expect?: string;
  readonly transport?: ProtocolName;
  readonly json?: boolean;
}

export interface PolicyLearnFlags extends ConfigFlags {
  readonly audit?: string;
  readonly keyDir?: string;
  readonly json?: boolean;
}

/** What `policy can` is asked. */
export interface CanQuestion {
  readonly from: string;
  readonly verb: string;
  readonly target: string | undefined;
}

/** What the commands about policies do, once their arguments are read. */
export interface PolicyActions {
  policyCheck(flags: PolicyFilesFlags, files: readonly string[]): Promise<void>;
  policyTest(flags: PolicyFilesFlags, files: readonly string[]): Promise<void>;
  policyCan(flags: PolicyCanFlags, question: CanQuestion): Promise<void>;
  policyWhy(flags: PolicyWhyFlags, id: string): Promise<void>;
  policyMatrix(flags: PolicyMatrixFlags, files: readonly string[]): Promise<void>;
  policyLearn(flags: PolicyLearnFlags): Promise<void>;
  policyReload(flags: ControlFlags): Promise<void>;
}

const JSON_RESULT = 'print {"ok":true,"result":...} or {"ok":false,"error":...,"result":...} on one line';

const FILES: Argument = new Argument(
  "[FILE...]",
  "policy files (default: `policy` of the configuration, else policy.jsonc)",
);

const AUDIT: Option = new Option(
  "--audit <path>",
  "directory of the audit log, or one .jsonl file (default: that of the configuration, data/audit)",
);

/** Adds `policy` with its commands. */
export function addPolicyCommands(program: Command, actions: PolicyActions): void {
  const policy = addGroup(
    program,
    "policy",
    "check, test and explain what other nodes may do here",
    "A policy is the receiver's own file: what other nodes may do to this one. What no rule grants is refused. `check`, " +
      "`test` and `learn` read files; `can`, `matrix` and `why` ask the running node where there is one. Only `reload` changes " +
      "anything: it lets the running node read its file, which it also does by itself within a second of a change.",
  );
  addFileCommands(policy, actions);
  addQuestions(policy, actions);
}

function addFileCommands(policy: Command, actions: PolicyActions): void {
  addCommand(policy, "check", "say whether policy files are well-formed, and what is unwise in them", {
    long:
      "Reads policy files and says everything that is wrong with them, each with line and column: exit 2. A test of the file " +
      "that fails is wrong too: a node does not load the file, and `policy test` shows more. What is merely unwise is a warning.",
    arguments: [FILES],
    options: [...configOptions(), jsonOption(JSON_RESULT)],
    examples: ["sallyport policy check policy.jsonc", "sallyport policy check fleet/*.policy.jsonc --json"],
  }).action((files: readonly string[], flags: PolicyFilesFlags) => actions.policyCheck(flags, files));
  addCommand(policy, "test", "run the tests in policy files", {
    long:
      "Runs the tests that stand in policy files, as every load does, and shows each with what it expected and what it got. " +
      "Names the grants that no test looks at. Exit 1 when a test fails, 2 when a file is not well-formed.",
    arguments: [FILES],
    options: [...configOptions(), jsonOption(JSON_RESULT)],
    examples: ["sallyport policy test", "sallyport policy test fleet/*.policy.jsonc"],
  }).action((files: readonly string[], flags: PolicyFilesFlags) => actions.policyTest(flags, files));
  addCommand(policy, "matrix", "show who may do what to whom, over the files of a whole fleet", {
    long:
      "Reads the policy files of several nodes and prints the directed graph: who may do what to whom. Without a file it asks " +
      "the running node, which also knows what `allow` in code grants; --no-control reads the file instead. Edges by which two " +
      "nodes command each other (rpc, spawn, system or exit both ways) are flagged, and grants without a test are named. With " +
      "--expect it compares the edges with a list kept beside the files, and exits 1 when one appeared or is gone; --json " +
      "prints the list to keep as result.expected.",
    arguments: [FILES],
    options: [
      new Option("--expect <file>", "the edges that there should be, as result.expected of --json"),
      transportOption("show what peers may that dial in so (default: as for `can`, by the entry of each)"),
      ...configOptions(),
      keyDirOption(),
      ...controlOptions(),
      jsonOption(JSON_RESULT),
    ],
    examples: [
      "sallyport policy matrix",
      "sallyport policy matrix fleet/*.policy.jsonc",
      "sallyport policy matrix fleet/*.policy.jsonc --expect fleet.expected.json",
    ],
  }).action((files: readonly string[], flags: PolicyMatrixFlags) => actions.policyMatrix(flags, files));
}

function addQuestions(policy: Command, actions: PolicyActions): void {
  addCommand(policy, "can", "say whether FROM may do VERB to TARGET here, and by which rule", {
    long:
      "Asks the running node, or a policy file where none runs or --policy names one, whether a peer may do something to this " +
      "node. What `allow` in code grants is known to the running node alone. Exit 0: yes, 3: no. Names the rule that decides, or " +
      "the rule that came nearest and why it did not count. `rpc` and `spawn` take Module:function/arity or the name of a " +
      "registered function, all others a registered name, any-pid or granted-pids; `connect` takes no target. A running node must have " +
      "registered the function as well. Who dials in over QUIC (barrel) counts as `cookie`, and its key for nothing.",
    arguments: [
      new Argument("<FROM>", "alias of the file, node name, fingerprint SHA256:..., or unknown"),
      new Argument("<VERB>", "operation").choices([...VERBS, "reply"]),
      new Argument("[TARGET]", "what it reaches for, as in `to` of a rule; call#open or call#closed for reply"),
    ],
    options: [
      policyOption("policy file (default: the running node, else `policy` of the configuration, else policy.jsonc)"),
      new Option("--assurance <level>", "how sure we are of the peer (default: as sure as its entry allows)").choices([
        "cookie",
        "tofu",
        "ca",
        "pinned",
      ]),
      transportOption(
        "how it is connected (default: native with keys, else otp; barrel where the node listens on QUIC alone)",
      ),
      new Option(
        "--dialled",
        "the node of the policy dials FROM (default: FROM dials it, which over QUIC proves less)",
      ),
      new Option("--source <address>", "address that it comes from, for rules with `source`").argParser(
        addressArgument,
      ),
      new Option("--at <time>", "moment to judge at, ISO (default: now)").argParser(timeArgument),
      ...configOptions(),
      keyDirOption(),
      ...controlOptions(),
      jsonOption(JSON_RESULT),
    ],
    examples: [
      "sallyport policy can desk call greeter",
      "sallyport policy can desk rpc lists:reverse/1 --policy policy.jsonc --assurance tofu",
      "sallyport policy can shop@db1.example connect --json",
    ],
  }).action((from: string, verb: string, target: string | undefined, flags: PolicyCanFlags) =>
    actions.policyCan(flags, { from, verb, target }),
  );
  addCommand(policy, "why", "explain a decision by its id", {
    long:
      "Explains a refusal, or what audit mode let through: the rule, the nearest rule that might have allowed it, who asked and " +
      "for what; of a connection why it was refused, and what to do. The id is what the refused peer was told, and what the `denied` event and the audit log say. Asks the running " +
      "node, and the audit log when none runs or it has forgotten. Exit 1: nobody knows that id. Exit 2: there is neither a node " +
      "nor a log to ask.",
    arguments: [new Argument("<ID>", "id of the decision")],
    options: [AUDIT, ...configOptions(), keyDirOption(), ...controlOptions(), jsonOption(JSON_RESULT)],
    examples: ["sallyport policy why V5HK7R82HXHW", "sallyport policy why V5HK7R82HXHW --audit data/audit --json"],
  }).action((id: string, flags: PolicyWhyFlags) => actions.policyWhy(flags, id));
  addCommand(policy, "learn", "propose rules from what an audit log recorded", {
    long:
      "Reads the decisions of an audit log and prints the least rules that cover what was let through, by audit mode or with `audit.grants` by rules, with counts, as " +
      "JSONC to copy from. Nothing is applied. What was refused is never learnt from: a peer would write its own rules. Read " +
      "each line: what a peer did is not what it should be allowed to do.",
    options: [AUDIT, ...configOptions(), keyDirOption(), jsonOption(JSON_RESULT)],
    examples: ["sallyport policy learn --audit data/audit", "sallyport policy learn --audit data/audit --json"],
  }).action((flags: PolicyLearnFlags) => actions.policyLearn(flags));
  addCommand(policy, "reload", "let the running node read its policy file now", {
    long:
      "Lets the running node take its policy file as it is now, and judge its sessions by it. A file with a mistake is not " +
      "taken: the old policy stays in force, and the mistake is printed (exit 2).",
    options: [...configOptions(), keyDirOption(), ...controlOptions(), jsonOption(JSON_RESULT)],
    examples: ["sallyport policy reload", "sallyport policy reload --config sallyport.jsonc --json"],
  }).action((flags: ControlFlags) => actions.policyReload(flags));
}

function transportOption(text: string): Option {
  return new Option("--transport <protocol>", text).choices(["native", "otp", "barrel"]);
}

function addressArgument(text: string): string {
  if (parseAddress(text) !== undefined) return text;
  throw new InvalidArgumentError("It must be an IP address such as 203.0.113.7 or 2001:db8::1.");
}

function timeArgument(text: string): number {
  const atMs = Date.parse(text);
  if (Number.isNaN(atMs)) throw new InvalidArgumentError("It must be an ISO time such as 2027-01-15T12:00:00Z.");
  return atMs;
}
