import { Argument, type Command, Option } from "commander";
import { addCommand, addGroup } from "./add-command.ts";
import { configOptions, controlOptions, jsonOption, keyDirOption } from "./common-options.ts";
import type { ControlFlags } from "./control-path.ts";

export interface HealthFlags extends ControlFlags {
  readonly live?: boolean;
  readonly ready?: boolean;
}

/** What the commands about the running node do, once their arguments are read. */
export interface RunningActions {
  status(flags: ControlFlags): Promise<void>;
  health(flags: HealthFlags): Promise<void>;
  peers(flags: ControlFlags): Promise<void>;
  grantsList(flags: ControlFlags): Promise<void>;
  grantsRevoke(flags: ControlFlags, id: string): Promise<void>;
}

const JSON_RESULT = 'print {"ok":true,"result":...} or {"ok":false,"error":...} on one line';

/** Adds `status`, `health`, `peers` and `grants`. */
export function addRunningCommands(program: Command, actions: RunningActions): void {
  const options = [...configOptions(), keyDirOption(), ...controlOptions(), jsonOption(JSON_RESULT)];
  addCommand(program, "status", "what the running node says of itself", {
    long:
      "Asks the node that runs on this machine for its name, endpoints, sessions, fingerprint and warnings. Nodes open a " +
      "control socket when --control or `control` in the configuration names one, when they have an identity, or when " +
      "they were started with --config: data/control.sock beside the configuration, control.sock in a --key-dir without one.",
    options,
    examples: ["sallyport status --config sallyport.jsonc", "sallyport status --control data/control.sock --json"],
  }).action((flags: ControlFlags) => actions.status(flags));
  addCommand(program, "peers", "the sessions of the running node", {
    long: "Lists the nodes with which the running node has sessions: how sure it is of each, and over what it came.",
    options,
    examples: ["sallyport peers --config sallyport.jsonc"],
  }).action((flags: ControlFlags) => actions.peers(flags));
  addCommand(program, "health", "whether the running node needs a look", {
    long:
      "Asks the running node for its health: green, yellow or red with the reasons; its peers, which are pinged, and why they do " +
      "not answer; the days left on every certificate; what of its policy is in audit mode; and its counters since the " +
      "start. Exit 1 when the node cannot do its work, with the check that fails. --ready says only that, --live only " +
      "whether it answers, and neither asks peers.",
    options: [
      ...options,
      new Option("--ready", "only whether the node can do its work, for probes").conflicts("live"),
      new Option("--live", "only whether the node answers, for probes"),
    ],
    examples: ["sallyport health", "sallyport health --json", "sallyport health --ready"],
  }).action((flags: HealthFlags) => actions.health(flags));
  const grants = addGroup(
    program,
    "grants",
    "list and take back processes that the running node has handed to peers",
    "A grant is a process that code of the node has handed to one peer with node.grant: bound to its key, to certain verbs, and " +
      "perhaps to a number of uses and a time.",
  );
  addCommand(grants, "list", "list the grants that stand", {
    options,
    examples: ["sallyport grants list", "sallyport grants list --json"],
  }).action((flags: ControlFlags) => actions.grantsList(flags));
  addCommand(grants, "revoke", "take one back: its holder is refused from then on", {
    arguments: [new Argument("<ID>", "id of the grant, as `grants list` shows it")],
    options,
    examples: ["sallyport grants revoke V5HK7R82HXHW"],
  }).action((id: string, flags: ControlFlags) => actions.grantsRevoke(flags, id));
}
