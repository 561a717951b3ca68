import { Argument, type Command, Option } from "commander";
import { SallyportError } from "../base/errors.ts";
import { quotePeerText } from "../base/escape.ts";
import { nearestName } from "../base/nearest-name.ts";
import { addCommand } from "./add-command.ts";
import { jsonOption, milliseconds } from "./common-options.ts";
import type { GatewayFlags } from "./gateway-file.ts";

export interface GatewayRunFlags extends GatewayFlags {
  /** Only read the configuration and what it names. */
  readonly check?: boolean;
  /** How long sessions may go on after a stop signal, milliseconds. */
  readonly drainTimeout?: number;
}

export interface GatewayDrainFlags extends GatewayFlags {
  /** Milliseconds. */
  readonly timeout?: number;
  readonly handOver?: boolean;
}

/** What the gateway's commands do, once their arguments are read. */
export interface GatewayActions {
  gateway(flags: GatewayRunFlags): Promise<void>;
  gatewayStatus(flags: GatewayFlags): Promise<void>;
  gatewayReload(flags: GatewayFlags): Promise<void>;
  gatewayDrain(flags: GatewayDrainFlags): Promise<void>;
  gatewayWhy(flags: GatewayFlags, id: string): Promise<void>;
}

const COMMANDS = ["status", "reload", "drain", "why"];

const JSON_RESULT = 'print {"ok":true,"result":...} or {"ok":false,"error":...} on one line';

function configOption(): Option {
  return new Option("--config <file>", "configuration of the gateway (default: ./gateway.jsonc)");
}

function controlOption(): Option {
  return new Option("--control <socket>", "its control socket (default: data/gateway.sock beside the configuration)");
}

function noSuchCommand(word: string): SallyportError {
  const near = nearestName(word, COMMANDS);
  const message = `"${quotePeerText(word)}" is no command of gateway${near === undefined ? "" : `; did you mean "${near}"?`}`;
  return new SallyportError("ERR_CONFIG", "USAGE", message, { advice: "see: sallyport gateway --help" });
}

/** Adds `gateway` with what asks a running one. */
export function addGatewayCommands(program: Command, actions: GatewayActions): void {
  const gateway = addCommand(program, "gateway", "run the gate in front of unmodified nodes", {
    long:
      "Stands between Erlang or Elixir nodes that trust each other unequally: each is connected to the gateway alone, and sees " +
      "the other by its real name. What may cross is in the configuration; all else is refused, answered and recorded. Runs " +
      "until SIGTERM or SIGINT, which let sessions end first; SIGHUP reads the configuration anew. The commands below ask the " +
      "gateway that runs, over its control socket.",
    options: [
      configOption(),
      new Option("--check", "read the configuration and all files that it names, run the tests of policies, and stop"),
      new Option("--drain-timeout <ms>", "how long sessions may go on after a stop signal (default: 30000)").argParser(
        milliseconds,
      ),
      controlOption(),
      new Option("--no-control", "open no control socket"),
      jsonOption("print one JSON object a line for each event"),
    ],
    examples: [
      "sallyport gateway --config gateway.jsonc",
      "sallyport gateway --config gateway.jsonc --check",
      "sallyport gateway status --config gateway.jsonc",
    ],
  })
    .usage("[COMMAND] [options]")
    .helpCommand("help [COMMAND]", "show help for a command")
    // Options behind the name of an inner command belong to that one.
    .enablePositionalOptions()
    .allowExcessArguments()
    .action((flags: GatewayRunFlags, command: Command) => {
      const [word] = command.args;
      if (word !== undefined) throw noSuchCommand(word);
      return actions.gateway(flags);
    });

  const options = [configOption(), controlOption(), jsonOption(JSON_RESULT)];
  addCommand(gateway, "status", "what the running gateway does: pairs, sessions, tables, counters", {
    options,
    examples: ["sallyport gateway status", "sallyport gateway status --control data/gateway.sock --json"],
  }).action((flags: GatewayFlags) => actions.gatewayStatus(flags));

  addCommand(gateway, "reload", "let the running gateway read its configuration anew", {
    long:
      "Pairs that are as they were go on untouched. Other rules count at once, also in sessions that are up. A file that " +
      "cannot be taken changes nothing, and the command says what is wrong with it.",
    options,
    examples: ["sallyport gateway reload --config gateway.jsonc"],
  }).action((flags: GatewayFlags) => actions.gatewayReload(flags));

  addCommand(gateway, "drain", "let sessions of the running gateway end, then stop it", {
    long:
      "The gateway takes no new connections from then on, and stops when its last session has ended or the time is over. With " +
      "--hand-over the command is done as soon as ports, control socket and audit log are free: start the next gateway right then, and " +
      "new connections go to it, while old ones go on in the old process.",
    options: [
      ...options,
      new Option("--timeout <ms>", "how long sessions may go on (default: 30000)").argParser(milliseconds),
      new Option("--hand-over", "let go of ports and files for another gateway at once"),
    ],
    examples: [
      "sallyport gateway drain --timeout 60000",
      "sallyport gateway drain --hand-over --timeout 3600000 && sallyport gateway --config gateway.jsonc",
    ],
  }).action((flags: GatewayDrainFlags) => actions.gatewayDrain(flags));

  addCommand(gateway, "why", "explain a refusal by the id that was told", {
    arguments: [new Argument("<ID>", "id of the decision: 12 characters")],
    options,
    examples: ["sallyport gateway why V5HK7R82HXHW"],
  }).action((id: string, flags: GatewayFlags) => actions.gatewayWhy(flags, id));
}
