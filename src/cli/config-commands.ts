import type { Command } from "commander";
import { addCommand, addGroup } from "./add-command.ts";
import { type CommonFlags, jsonOption, nodeOptions } from "./common-options.ts";

/** What the commands about the configuration do, once their arguments are read. */
export interface ConfigActions {
  configExplain(flags: CommonFlags): Promise<void>;
}

/** Adds `config`. */
export function addConfigCommands(program: Command, actions: ConfigActions): void {
  const config = addGroup(
    program,
    "config",
    "say where the settings of a node come from",
    "Settings come from the command line, the environment, vm.args and the configuration file, in this order; see " +
      "docs/erlang-config.md.",
  );
  addCommand(config, "explain", "every setting with the place it came from", {
    long:
      "Prints every key with its value and its source: file, line and column, the option, the variable of the environment, or " +
      "the default. Takes the options of start and reads what start would read. Secrets are hidden.",
    options: [jsonOption('print {"ok":true,"result":{settings, warnings}} on one line'), ...nodeOptions()],
    examples: ["sallyport config explain", "sallyport config explain --vm-args /etc/distribute/vm.args --json"],
  }).action((flags: CommonFlags) => actions.configExplain(flags));
}
