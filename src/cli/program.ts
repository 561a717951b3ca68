import { Argument, Command, type Option } from "commander";
import { addCommand, type CommandParts, placeOf } from "./add-command.ts";
import { type AuditActions, addAuditCommands } from "./audit-commands.ts";
import { addCertsCommands, type CertsActions } from "./certs-commands.ts";
import {
  type AttachFlags,
  attachOptions,
  type DemoFlags,
  demoOptions,
  type InitFlags,
  initOptions,
  type StartFlags,
  startOptions,
} from "./command-options.ts";
import type { MessageArguments } from "./commands/message.ts";
import type { RpcArguments, SpawnArguments } from "./commands/run.ts";
import {
  BARE_VALUES,
  type CommonFlags,
  jsonOption,
  nodeOptions,
  oneShotOptions,
  timeoutOption,
} from "./common-options.ts";
import { addConfigCommands, type ConfigActions } from "./config-commands.ts";
import { addDoctorCommand, type DoctorActions } from "./doctor-commands.ts";
import { EXIT_CODES_HELP } from "./exit-codes.ts";
import { addFirewallCommands, type FirewallActions } from "./firewall-commands.ts";
import { addGatewayCommands, type GatewayActions } from "./gateway-commands.ts";
import { addIdentityCommands, type IdentityActions } from "./identity-commands.ts";
import type { ArgumentGrammar } from "./normalize-arguments.ts";
import { addPolicyCommands, type PolicyActions } from "./policy-commands.ts";
import { addRunningCommands, type RunningActions } from "./running-commands.ts";

/** What each command does, once its arguments are read. */
export interface Actions
  extends AuditActions,
    ConfigActions,
    FirewallActions,
    GatewayActions,
    IdentityActions,
    PolicyActions,
    RunningActions,
    DoctorActions,
    CertsActions {
  init(flags: InitFlags, directory: string | undefined): Promise<void>;
  start(flags: StartFlags): Promise<void>;
  ping(flags: CommonFlags, node: string): Promise<void>;
  call(flags: CommonFlags, args: MessageArguments): Promise<void>;
  cast(flags: CommonFlags, args: MessageArguments): Promise<void>;
  send(flags: CommonFlags, args: MessageArguments): Promise<void>;
  rpc(flags: CommonFlags, args: RpcArguments): Promise<void>;
  spawn(flags: CommonFlags, args: SpawnArguments): Promise<void>;
  attach(flags: AttachFlags, node: string): Promise<void>;
  demo(flags: DemoFlags): Promise<void>;
}

const NODE: Argument = new Argument("<NODE>", "name@host, or name@host:port");
const NAME: Argument = new Argument("<NAME>", "registered name of the process, an atom without quotes");
const TERM: Argument = new Argument("<TERM>", "an Erlang term: '{add, 1, 2}', '<<\"bytes\">>', '#{a => 1}'");
const ARGS: Argument = new Argument("<ARGS>", "ONE list with the arguments: '[1, 2]', '[]', '[[1,2,3]]'");

const JSON_RESULT = 'print {"ok":true,"result":...} or {"ok":false,"error":...} on one line';

/** The whole command line. Parsing throws CommanderError and never exits; output goes where `write` says. */
export function buildProgram(actions: Actions, version: string, write: (text: string) => void): Command {
  const program = new Command("sallyport")
    .description("Distributed Erlang for machines that do not trust each other equally.")
    .version(version, "-V, --version", "print the version")
    .usage("COMMAND [arguments] [options]")
    .helpOption("-h, --help", "show help")
    .helpCommand("help [COMMAND]", "show help for a command")
    .addHelpText("after", `\n${START_HELP}\n\n${EXIT_CODES_HELP}`);

  const common = nodeOptions();
  const dialling = oneShotOptions();
  const add = (name: string, says: string, parts: CommandParts): Command => addCommand(program, name, says, parts);
  const oneShot = [timeoutOption(), jsonOption(JSON_RESULT), ...dialling];

  add("init", "write what a node needs: configuration, policy, cookie, identity, certificates, an example service", {
    long:
      "Writes into DIR (default: here) a commented sallyport.jsonc, a policy.jsonc that lets nobody in but each --peer, a " +
      "random cookie, an identity key, a small certificate authority with certificates for the node and for this command " +
      "line, and an example services.mjs. Nothing is ever overwritten.",
    arguments: [new Argument("[DIR]", "directory, made when absent")],
    options: initOptions(),
    examples: [
      "sallyport init my_node",
      "sallyport init . --name shop@db1.example --peer desk@home.example=SHA256:lBYeLvx9DJcincfQ9igWF9s3NQqmE4cTRXZRhQeQ6yQ",
      "sallyport init my_node --peer ../desk",
    ],
  }).action((dir: string | undefined, flags: InitFlags) => actions.init(flags, dir));

  add("start", "run a node until it is stopped", {
    long:
      "Runs a node until SIGTERM or SIGINT, which let it finish what is queued. SIGHUP lets it read policy, keys and " +
      "certificate anew; sent by a terminal that closes, it stops the node. Prints what happens: nodes that come and go, " +
      "refusals, warnings. Listens on 127.0.0.1, first free port of 9100 to 9155, unless told otherwise.",
    options: [...startOptions(), jsonOption("print one JSON object a line for each event"), ...common],
    examples: [
      "sallyport start",
      "sallyport start --services services.mjs --json",
      "sallyport start --demo-services --listen tls://127.0.0.1:0",
    ],
  }).action((flags: StartFlags) => actions.start(flags));

  add("ping", "connect to a node and measure one round trip", {
    arguments: [NODE],
    options: oneShot,
    examples: [
      "sallyport ping shop@db1.example",
      "sallyport ping shop@db1 --resolve shop@db1=203.0.113.7:9100 --json",
      "sallyport ping mesh@10.0.0.7:4433 --protocol barrel --peer-key SHA256:lBYeLvx9DJcincfQ9igWF9s3NQqmE4cTRXZRhQeQ6yQ",
    ],
  }).action((node: string, flags: CommonFlags) => actions.ping(flags, node));

  const message = { arguments: [NODE, NAME, TERM], options: oneShot };
  add("call", "call a process as gen_server:call does, and print the reply", {
    ...message,
    examples: ["sallyport call shop@db1.example calc '{add, 1, 2}'", "sallyport call shop@db1.example counter -5"],
  }).action((node: string, name: string, term: string, flags: CommonFlags) =>
    actions.call(flags, { node, name, term }),
  );
  add("cast", "cast to a process as gen_server:cast does; done when the message has left", {
    ...message,
    examples: ["sallyport cast shop@db1.example counter '{add, 5}'"],
  }).action((node: string, name: string, term: string, flags: CommonFlags) =>
    actions.cast(flags, { node, name, term }),
  );
  add("send", "send a plain message to a process; done when it has left", {
    ...message,
    examples: ["sallyport send shop@db1.example counter reset"],
  }).action((node: string, name: string, term: string, flags: CommonFlags) =>
    actions.send(flags, { node, name, term }),
  );

  add("rpc", "run MODULE:FUNCTION with ARGS on a node, and print its value", {
    arguments: [
      NODE,
      new Argument("<MODULE>", "an atom without quotes; upper-case means Elixir.MODULE"),
      new Argument("<FUNCTION>", "an atom without quotes"),
      ARGS,
    ],
    options: oneShot,
    examples: [
      "sallyport rpc shop@db1.example lists reverse '[[1,2,3]]'",
      "sallyport rpc shop@db1.example System version '[]'",
    ],
  }).action((node: string, module: string, fn: string, args: string, flags: CommonFlags) =>
    actions.rpc(flags, { node, module, function: fn, args }),
  );
  add("spawn", "start a process on a node, and print its pid", {
    arguments: [NODE, new Argument("<FUNCTION>", "a registered function as worker, or module:function"), ARGS],
    options: oneShot,
    examples: [
      "sallyport spawn shop@db1.example sleep '[60000]'",
      "sallyport spawn shop@db1.example timer:sleep '[infinity]'",
    ],
  }).action((node: string, fn: string, args: string, flags: CommonFlags) =>
    actions.spawn(flags, { node, function: fn, args }),
  );

  add("attach", "run the shell of an Erlang or Elixir node, giving the node no power over this machine", {
    long:
      "Runs the shell of NODE, as erl -remsh does, without the power that a connected Erlang node has over the other: it may print " +
      "text, without the sequences that a terminal answers to or remembers, and is told the lines typed for it. Everything else it " +
      "asks for is refused. Ctrl-D ends the shell, ~. on a line of its own leaves at once, ctrl-C interrupts an evaluation and, twice " +
      "within a second, leaves. q(). stops NODE itself. Lines may come from a pipe.",
    arguments: [NODE],
    options: [...attachOptions(), timeoutOption("longest time for connecting and starting the shell"), ...dialling],
    examples: [
      "sallyport attach ec2_node@203.0.113.7",
      "echo 'erlang:memory(total).' | sallyport attach ec2_node --erlang",
    ],
  }).action((node: string, flags: AttachFlags) => actions.attach(flags, node));

  addDoctorCommand(program, actions, dialling);
  addIdentityCommands(program, actions);
  addPolicyCommands(program, actions);
  addRunningCommands(program, actions);
  addGatewayCommands(program, actions);
  addAuditCommands(program, actions);
  addConfigCommands(program, actions);
  addFirewallCommands(program, actions);
  addCertsCommands(program, actions);

  add("demo", "play three machines that trust each other unequally, on this one", {
    long:
      "Runs my_desktop, ec2_node and bob_colo as processes of this machine, with the policies of examples/three-machines and " +
      "keys and certificates made for the run. Shows what each may do to the others, with what became of it and by which " +
      "rule; then puts an attacker with bob_colo's key in its place. ec2_node is a real Erlang node where erl is installed. " +
      "Exits with 1 when anything does not end as it should. Leaves nothing behind.",
    options: demoOptions(),
    examples: ["sallyport demo"],
  }).action((flags: DemoFlags) => actions.demo(flags));

  for (const command of [program, ...allCommands(program)]) {
    command
      .exitOverride()
      .showSuggestionAfterError(true)
      .configureOutput({ writeOut: write, writeErr: () => undefined })
      .configureHelp({ optionTerm, subcommandTerm: commandTerm, showGlobalOptions: false });
  }
  return program;
}

/** What `normalizeArguments` must know of the program. */
export function grammarOf(program: Command): ArgumentGrammar {
  const options = allCommands(program).flatMap((command) => command.options);
  const takesValue = options.filter((option) => option.required).flatMap((option) => [option.long, option.short]);
  const groups = program.commands.filter((command) => command.commands.length > 0);
  return {
    commands: [...program.commands.map((command) => command.name()), "help"],
    groups: new Map(groups.map((group) => [group.name(), [...group.commands.map((inner) => inner.name()), "help"]])),
    takesValue: new Set(takesValue.filter((name) => typeof name === "string")),
    bareValue: BARE_VALUES,
  };
}

/** Every command, those of groups too. */
function allCommands(program: Command): readonly Command[] {
  return program.commands.flatMap((command) => [command, ...command.commands]);
}

/** `call NODE NAME TERM` */
function commandTerm(command: Command): string {
  return [command.name(), ...command.registeredArguments.map(placeOf)].join(" ");
}

/** `--dangerous-plaintext` takes its value behind a `=` only. */
function optionTerm(option: Option): string {
  return option.flags.replace(" [scope]", "[=any]");
}

const START_HELP = `Start here:
  $ sallyport demo                        three machines, on this one
  $ sallyport init my_node && cd my_node  then: sallyport start --demo-services`;
