import type { Argument, Command, Option } from "commander";
import { EXIT_CODES_HELP } from "./exit-codes.ts";

/** What a command line says about one command. */
export interface CommandParts {
  /** Short form for the list of commands; default: the sentence itself. */
  readonly summary?: string;
  readonly long?: string;
  readonly arguments?: readonly Argument[];
  readonly options: readonly Option[];
  readonly examples: readonly string[];
}

/** Adds a command with its help to the program, or to a group of commands. */
export function addCommand(parent: Command, name: string, says: string, parts: CommandParts): Command {
  const command = parent
    .command(name)
    .usage([...(parts.arguments ?? []).map(placeOf), "[options]"].join(" "))
    .summary(parts.summary ?? says)
    .description(parts.long ?? sentence(says));
  for (const argument of parts.arguments ?? []) command.addArgument(argument);
  for (const option of parts.options) command.addOption(option);
  const examples = parts.examples.map((example) => `  $ ${example}`).join("\n");
  return command.addHelpText("after", `\nExamples:\n${examples}\n\n${EXIT_CODES_HELP}`);
}

/** Adds a command that only holds others: `keys init`, `keys show`. */
export function addGroup(parent: Command, name: string, says: string, long: string): Command {
  return parent
    .command(name)
    .usage("COMMAND [arguments] [options]")
    .summary(says)
    .description(long)
    .helpCommand("help [COMMAND]", "show help for a command")
    .addHelpText("after", `\n${EXIT_CODES_HELP}`);
}

/** `<NODE>` as `NODE`, optional ones in brackets, several with dots. */
export function placeOf(argument: Argument): string {
  const name = `${argument.name()}${argument.variadic ? "..." : ""}`;
  return argument.required ? name : `[${name}]`;
}

function sentence(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`;
}
