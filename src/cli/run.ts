import { CommanderError } from "commander";
import { SallyportError } from "../base/errors.ts";
import type { CommandWorld } from "./command-world.ts";
import type { ExitCode } from "./exit-codes.ts";
import { normalizeArguments } from "./normalize-arguments.ts";
import { type Actions, buildProgram, grammarOf } from "./program.ts";
import { reportFailure } from "./report.ts";

/** Runs one command line and answers its exit code. Never throws. */
export async function run(world: CommandWorld, args: readonly string[], version: string): Promise<ExitCode> {
  const printed: string[] = [];
  const program = buildProgram(actionsOf(world), version, (text) => printed.push(text));
  const normal = normalizeArguments(args, grammarOf(program));
  try {
    await program.parseAsync(normal, { from: "user" });
    return 0;
  } catch (failure) {
    if (!(failure instanceof CommanderError)) return reportFailure(world.terminal, failure);
    const text = printed.join("").trimEnd();
    if (failure.exitCode === 0) {
      if (world.terminal.json) world.terminal.document({ ok: true, result: { text } });
      else world.terminal.line(text);
      return 0;
    }
    return reportFailure(
      world.terminal,
      usageError(
        failure,
        normal[0],
        program.commands.map((command) => command.name()),
      ),
    );
  }
}

/** Each command's code is loaded when it is asked for: certificates and the demo would double the start of a ping. */
function actionsOf(world: CommandWorld): Actions {
  return {
    init: async (flags, directory) => (await import("./commands/init.ts")).init(world, flags, directory),
    start: async (flags) => (await import("./commands/start.ts")).start(world, flags),
    ping: async (flags, node) => (await import("./commands/ping.ts")).ping(world, flags, node),
    call: async (flags, args) => (await import("./commands/message.ts")).call(world, flags, args),
    cast: async (flags, args) => (await import("./commands/message.ts")).cast(world, flags, args),
    send: async (flags, args) => (await import("./commands/message.ts")).send(world, flags, args),
    rpc: async (flags, args) => (await import("./commands/run.ts")).rpc(world, flags, args),
    spawn: async (flags, args) => (await import("./commands/run.ts")).spawn(world, flags, args),
    demo: async (flags) => (await import("./demo/demo.ts")).demo(world, flags),
  };
}

/** What the parser complains about, in our form. */
function usageError(failure: CommanderError, first: string | undefined, commands: readonly string[]): SallyportError {
  const missing = failure.code === "commander.help";
  const said = failure.message
    .replace(/^error: /, "")
    .replaceAll(/\s*\n\s*/g, " ")
    .trim();
  const command = first !== undefined && commands.includes(first) ? ` ${first}` : "";
  return new SallyportError("ERR_CONFIG", "USAGE", missing ? "a command is missing" : said, {
    advice: `see: sallyport${command} --help`,
  });
}
